//! Each rule as bytes, in one piece and cut at every place; noise; and tungstenite as the client.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use stentor_protocol::CloseCode;
use tungstenite::{
    Message, WebSocket,
    protocol::{Role, frame::Frame as PeerFrame},
};

use super::*;

const LIMIT: usize = 1_000;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// [`Incoming`], owned.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

type Row = (&'static str, Vec<u8>, Vec<Seen>, Option<FrameError>);

#[test]
fn whole_messages_are_read() {
    let rows: Vec<Row> = vec![
        ("nothing", vec![], vec![], None),
        ("text", frame(0x81, b"hello"), vec![text("hello")], None),
        ("empty text", frame(0x81, b""), vec![text("")], None),
        ("text beyond ASCII", frame(0x81, "κῆρυξ".as_bytes()), vec![text("κῆρυξ")], None),
        ("binary that is no text", frame(0x82, b"\xFF\x00"), vec![Seen::Binary(vec![0xFF, 0])], None),
        ("longest one-byte length", frame(0x81, &[b'a'; 125]), vec![text(&"a".repeat(125))], None),
        ("shortest two-byte length", frame(0x81, &[b'a'; 126]), vec![text(&"a".repeat(126))], None),
        ("message of the limit", frame(0x81, &[b'a'; LIMIT]), vec![text(&"a".repeat(LIMIT))], None),
        ("ping", frame(0x89, b"x"), vec![Seen::Ping(b"x".to_vec())], None),
        ("longest ping", frame(0x89, &[7; 125]), vec![Seen::Ping(vec![7; 125])], None),
        ("pong", frame(0x8A, b""), vec![Seen::Pong(vec![])], None),
        (
            "three",
            [frame(0x81, b"a"), frame(0x89, b"b"), frame(0x81, b"c")].concat(),
            vec![text("a"), ping("b"), text("c")],
            None,
        ),
        ("mask of zeros", vec![0x81, 0x82, 0, 0, 0, 0, b'h', b'i'], vec![text("hi")], None),
    ];
    check(rows);
}

#[test]
fn fragments_are_joined_and_control_frames_may_come_between() {
    let rows: Vec<Row> = vec![
        ("two", [frame(0x01, b"he"), frame(0x80, b"llo")].concat(), vec![text("hello")], None),
        (
            "binary",
            [frame(0x02, b"\xFF"), frame(0x80, b"\xFE")].concat(),
            vec![Seen::Binary(vec![0xFF, 0xFE])],
            None,
        ),
        (
            "a ping between",
            [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x00, b"b"), frame(0x8A, b""), frame(0x80, b"c")]
                .concat(),
            vec![ping("p"), Seen::Pong(vec![]), text("abc")],
            None,
        ),
        (
            "a character in two halves",
            [frame(0x01, b"\xCE"), frame(0x80, b"\xBA")].concat(),
            vec![text("κ")],
            None,
        ),
        ("all empty", [frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")].concat(), vec![text("")], None),
        (
            "one after the other",
            [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x01, b"c"), frame(0x80, b"d"), frame(0x81, b"e")]
                .concat(),
            vec![text("ab"), text("cd"), text("e")],
            None,
        ),
        (
            "up to the limit",
            [frame(0x01, &[b'a'; LIMIT - 1]), frame(0x80, b"b")].concat(),
            vec![text(&format!("{}b", "a".repeat(LIMIT - 1)))],
            None,
        ),
        (
            "a close between",
            [frame(0x01, b"a"), frame(0x88, b""), frame(0x80, b"b")].concat(),
            vec![Seen::Close(None)],
            None,
        ),
    ];
    check(rows);
}

#[test]
fn a_close_is_the_last_thing_that_is_read() {
    let after = |close: &[u8]| [frame(0x88, close), frame(0x81, b"late"), vec![0xFF; 40]].concat();
    let rows: Vec<Row> = vec![
        ("without a code", after(b""), vec![Seen::Close(None)], None),
        ("with a code", after(b"\x03\xE8"), vec![close(1000, "")], None),
        ("with a reason", after("\u{3}\u{0}".as_bytes()), vec![], Some(FrameError::CloseCode(768))),
        ("with code and reason", after(b"\x11\x30bye"), vec![close(4400, "bye")], None),
        (
            "as long as can be",
            after(&[b"\x0F\xA0".as_slice(), &[b'r'; 123]].concat()),
            vec![close(4000, &"r".repeat(123))],
            None,
        ),
    ];
    check(rows);
}

#[test]
fn close_codes_are_those_that_may_be_sent() {
    let allowed =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    let refused = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535];
    for code in allowed {
        assert_eq!(
            read_all(&[frame(0x88, &u16::to_be_bytes(code))]),
            (vec![close(code, "")], None),
            "{code}"
        );
    }
    for code in refused {
        assert_eq!(
            read_all(&[frame(0x88, &u16::to_be_bytes(code))]),
            (vec![], Some(FrameError::CloseCode(code)))
        );
    }
}

#[test]
fn a_broken_rule_is_found_and_nothing_after_it_is_read() {
    let rows: Vec<Row> = vec![
        ("unmasked", vec![0x81, 0x02, b'h', b'i'], vec![], Some(FrameError::Unmasked)),
        ("unmasked ping", vec![0x89, 0x00], vec![], Some(FrameError::Unmasked)),
        ("first reserved bit", frame(0xC1, b"a"), vec![], Some(FrameError::ReservedBits)),
        ("second reserved bit", frame(0xA1, b"a"), vec![], Some(FrameError::ReservedBits)),
        ("third reserved bit", frame(0x91, b"a"), vec![], Some(FrameError::ReservedBits)),
        ("reserved bit of a ping", frame(0xC9, b"a"), vec![], Some(FrameError::ReservedBits)),
        ("opcode 3", frame(0x83, b"a"), vec![], Some(FrameError::UnknownOpcode(3))),
        ("opcode 7", frame(0x87, b"a"), vec![], Some(FrameError::UnknownOpcode(7))),
        ("opcode 11", frame(0x8B, b"a"), vec![], Some(FrameError::UnknownOpcode(11))),
        ("opcode 15", frame(0x8F, b"a"), vec![], Some(FrameError::UnknownOpcode(15))),
        ("fragmented ping", frame(0x09, b"a"), vec![], Some(FrameError::FragmentedControl)),
        ("fragmented close", frame(0x08, b""), vec![], Some(FrameError::FragmentedControl)),
        ("long ping", frame(0x89, &[0; 126]), vec![], Some(FrameError::LongControl)),
        ("long close", frame(0x88, &[0; 126]), vec![], Some(FrameError::LongControl)),
        ("continuation of nothing", frame(0x80, b"a"), vec![], Some(FrameError::UnexpectedContinuation)),
        (
            "continuation of a whole message",
            [frame(0x81, b"a"), frame(0x80, b"b")].concat(),
            vec![text("a")],
            Some(FrameError::UnexpectedContinuation),
        ),
        (
            "continuation after the last",
            [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x00, b"c")].concat(),
            vec![text("ab")],
            Some(FrameError::UnexpectedContinuation),
        ),
        (
            "text within a message",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            vec![],
            Some(FrameError::InterruptedMessage),
        ),
        (
            "binary within a message",
            [frame(0x01, b"a"), frame(0x02, b"b")].concat(),
            vec![],
            Some(FrameError::InterruptedMessage),
        ),
        ("close of one byte", frame(0x88, b"\x03"), vec![], Some(FrameError::ClosePayload)),
        ("two-byte length for 125", long_form(126, 125), vec![], Some(FrameError::Length)),
        ("eight-byte length for 126", long_form(127, 126), vec![], Some(FrameError::Length)),
        ("eight-byte length for 65535", long_form(127, 65_535), vec![], Some(FrameError::Length)),
        ("length with the highest bit", long_form(127, 1 << 63), vec![], Some(FrameError::Length)),
        ("text that is no UTF-8", frame(0x81, b"a\xFFb"), vec![], Some(FrameError::InvalidUtf8)),
        ("surrogate", frame(0x81, b"\xED\xA0\x80"), vec![], Some(FrameError::InvalidUtf8)),
        (
            "half a character",
            [frame(0x01, b"\xCE"), frame(0x80, b"")].concat(),
            vec![],
            Some(FrameError::InvalidUtf8),
        ),
        (
            "close reason that is no UTF-8",
            frame(0x88, b"\x03\xE8\xFF"),
            vec![],
            Some(FrameError::InvalidUtf8),
        ),
        ("over the limit", frame(0x81, &[b'a'; LIMIT + 1]), vec![], Some(too_long())),
        ("over the limit in the header alone", long_form(127, 1 << 40), vec![], Some(too_long())),
        (
            "over the limit in all",
            [frame(0x01, &[b'a'; LIMIT]), frame(0x80, b"b")].concat(),
            vec![],
            Some(too_long()),
        ),
        (
            "good before bad",
            [frame(0x81, b"a"), frame(0x89, b"p"), frame(0x83, b""), frame(0x81, b"b")].concat(),
            vec![text("a"), ping("p")],
            Some(FrameError::UnknownOpcode(3)),
        ),
    ];
    check(rows);
}

#[test]
fn each_error_has_the_close_code_of_its_kind() {
    assert_eq!(FrameError::InvalidUtf8.close_code(), CloseCode::InvalidFramePayloadData);
    assert_eq!(too_long().close_code(), CloseCode::MessageTooBig);
    for error in
        [FrameError::Unmasked, FrameError::CloseCode(1005), FrameError::Length, FrameError::UnknownOpcode(3)]
    {
        assert_eq!(error.close_code(), CloseCode::ProtocolError, "{error}");
    }
}

#[test]
fn a_whole_frame_is_lent_and_not_copied() {
    let mut input = frame(0x81, b"hello");
    let range = input.as_ptr_range();
    let mut lent = false;
    let mut reader = FrameReader::default();
    reader
        .read(&mut input, LIMIT, |incoming| {
            lent = matches!(incoming, Incoming::Text(text) if range.contains(&text.as_ptr()))
        })
        .expect("a good frame");
    assert!(lent);
}

#[test]
fn between_messages_nothing_is_owned() {
    let bytes = [frame(0x01, &[b'a'; 400]), frame(0x89, b"p"), frame(0x80, &[b'b'; 400])].concat();
    let mut reader = FrameReader::default();
    let mut most = 0;
    for byte in bytes {
        reader.read(&mut [byte], LIMIT, |_| ()).expect("good frames");
        most = most.max(owned(&reader));
    }
    assert!((800..=2 * LIMIT).contains(&most), "{most}");
    assert_eq!(owned(&reader), 0);
}

#[test]
fn an_announced_length_costs_nothing_before_it_arrives() {
    let mut reader = FrameReader::default();
    let mut header = long_form(127, 1 << 20);
    reader.read(&mut header, 1 << 20, |_| ()).expect("within the limit");
    assert!(owned(&reader) < 64, "{}", owned(&reader));
}

#[test]
fn what_leaves_is_what_tungstenite_would_write() {
    for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
        let payload = "x".repeat(length);
        let mut ours = Vec::new();
        write_header(&mut ours, Opcode::Text, length);
        ours.extend_from_slice(payload.as_bytes());
        let mut theirs = Vec::new();
        PeerFrame::message(payload, OpCode::Data(Data::Text), true)
            .format(&mut theirs)
            .expect("a Vec takes all");
        assert!(ours == theirs, "{length}");
    }
}

#[test]
fn a_close_reason_is_cut_between_characters() {
    assert_eq!(close_frame(4403, "no"), b"\x88\x04\x11\x33no");
    let frame = close_frame(1000, &"é".repeat(100));
    assert_eq!(frame.len(), 4 + 122, "61 characters of two bytes fit into 123");
    assert_eq!(usize::from(frame[1]), frame.len() - 2);
    assert_eq!(str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
}

#[test]
fn the_accept_key_is_the_one_of_the_rfc() {
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn tungstenite_is_understood() {
    let mut client = WebSocket::from_raw_socket(Pipe::default(), Role::Client, None);
    let long = "ü".repeat(400);
    for message in [
        Message::text("hello"),
        Message::text(long.clone()),
        Message::binary(vec![0xFF]),
        Message::Ping("p".into()),
    ] {
        client.send(message).expect("a Vec takes all");
    }
    for (payload, opcode, last) in
        [("a", Data::Text, false), ("b", Data::Continue, false), ("c", Data::Continue, true)]
    {
        client
            .send(Message::Frame(PeerFrame::message(payload, OpCode::Data(opcode), last)))
            .expect("a Vec takes all");
    }
    client.close(None).expect("a Vec takes all");
    let sent = std::mem::take(&mut client.get_mut().sent);
    let expected =
        vec![text("hello"), text(&long), Seen::Binary(vec![0xFF]), ping("p"), text("abc"), Seen::Close(None)];
    assert_eq!(read_all(&[sent]), (expected, None));
}

#[test]
fn tungstenite_understands() {
    let long = "ü".repeat(40_000);
    let mut bytes = Vec::new();
    for (opcode, payload) in [(Opcode::Text, "hello"), (Opcode::Text, &long), (Opcode::Pong, "")] {
        write_header(&mut bytes, opcode, payload.len());
        bytes.extend_from_slice(payload.as_bytes());
    }
    bytes.extend(close_frame(4403, "the token expired"));
    let mut client =
        WebSocket::from_raw_socket(Pipe { arriving: Cursor::new(bytes), sent: vec![] }, Role::Client, None);
    let mut read = || client.read().expect("a whole message");
    assert_eq!(read(), Message::text("hello"));
    assert_eq!(read(), Message::text(long));
    assert_eq!(read(), Message::Pong("".into()));
    let Message::Close(Some(close)) = read() else { panic!("a close with a code") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4403, "the token expired"));
}

proptest! {
    #[test]
    fn noise_never_panics_and_never_grows(pieces in prop::collection::vec(piece(), 0..40)) {
        let mut reader = FrameReader::default();
        for mut bytes in pieces {
            let outcome = reader.read(&mut bytes, LIMIT, |_| ());
            prop_assert!(owned(&reader) <= 2 * (LIMIT + MAX_HEADER));
            prop_assert!(outcome.is_ok() || owned(&reader) == 0);
        }
    }

    #[test]
    fn cuts_change_nothing(frames in prop::collection::vec(plausible(), 0..12), cuts in prop::collection::vec(1_usize..60, 1..40)) {
        let bytes = frames.concat();
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces.push(rest.to_vec());
        prop_assert_eq!(read_all(&pieces), read_all(&[bytes]));
    }
}

/// Random bytes, or frames so that more than the first header is reached.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..40), plausible()]
}

fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x00, 0x00, 0x80, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop::collection::vec(prop_oneof![9 => 0x20_u8..0x7F, 1 => any::<u8>()], 0..300);
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

fn check(rows: Vec<Row>) {
    for (name, bytes, seen, error) in rows {
        let expected = (seen, error);
        assert_eq!(read_all(std::slice::from_ref(&bytes)), expected, "{name}, in one piece");
        for cut in 0..=bytes.len() {
            let pieces = [bytes[..cut].to_vec(), bytes[cut..].to_vec()];
            assert_eq!(read_all(&pieces), expected, "{name}, cut at {cut}");
        }
        let bytewise: Vec<Vec<u8>> = bytes.iter().map(|&byte| vec![byte]).collect();
        assert_eq!(read_all(&bytewise), expected, "{name}, byte by byte");
    }
}

/// What is read from these pieces, and the first error.
fn read_all(pieces: &[Vec<u8>]) -> (Vec<Seen>, Option<FrameError>) {
    let mut reader = FrameReader::default();
    let mut seen = Vec::new();
    let mut error = None;
    for piece in pieces {
        let outcome = reader.read(&mut piece.clone(), LIMIT, |incoming| seen.push(own(incoming)));
        error = error.or_else(|| outcome.err());
    }
    (seen, error)
}

fn own(incoming: Incoming<'_>) -> Seen {
    match incoming {
        Incoming::Text(text) => Seen::Text(text.to_owned()),
        Incoming::Binary(bytes) => Seen::Binary(bytes.to_vec()),
        Incoming::Ping(bytes) => Seen::Ping(bytes.to_vec()),
        Incoming::Pong(bytes) => Seen::Pong(bytes.to_vec()),
        Incoming::Close(close) => Seen::Close(close.map(|(code, reason)| (code, reason.to_owned()))),
    }
}

/// A client's frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long => bytes.extend([0xFE, (long >> 8) as u8, long as u8]),
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A text frame's header with its length in the form that `form` stands for, and no payload.
fn long_form(form: u8, length: u64) -> Vec<u8> {
    let digits = length.to_be_bytes();
    let digits = if form == 126 { &digits[6..] } else { &digits[..] };
    [&[0x81, 0x80 | form], digits, &MASK].concat()
}

fn owned(reader: &FrameReader) -> usize {
    reader.partial.capacity() + reader.message.as_ref().map_or(0, |message| message.bytes.capacity())
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn ping(payload: &str) -> Seen {
    Seen::Ping(payload.as_bytes().to_vec())
}

fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(Some((code, reason.to_owned())))
}

fn too_long() -> FrameError {
    FrameError::TooLong { limit: LIMIT }
}

/// A socket without a network.
#[derive(Default)]
struct Pipe {
    arriving: Cursor<Vec<u8>>,
    sent: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arriving.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
