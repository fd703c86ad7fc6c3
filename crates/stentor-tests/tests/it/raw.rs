//! A socket that says whatever it is told to, byte for byte: [`RawSocket`].
//!
//! Clients of a library cannot break the rules; this one keeps none of its own accord.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use stentor_tests::HttpResponse;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// One TCP connection to the server, and what has arrived on it but was not asked for yet.
#[derive(Debug)]
pub(crate) struct RawSocket {
    stream: TcpStream,
    arrived: Vec<u8>,
}

/// What came over a WebSocket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason; no code is 1005, as clients say it.
    Close(u16, String),
    /// The socket ended, in order or by a reset.
    End,
}

impl RawSocket {
    /// Opens a TCP connection, and says nothing on it.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a new socket takes options");
        Self { stream, arrived: Vec::new() }
    }

    /// Opens a WebSocket at `/graphql` that the protocol runs on.
    pub(crate) async fn websocket(address: SocketAddr) -> Self {
        let mut socket = Self::open(address).await;
        socket.send(upgrade_request("/graphql", PROTOCOL_HEADER).as_bytes()).await;
        let head = socket.head().await.expect("the server answers");
        assert_eq!(head.status, 101, "{head:?}");
        socket
    }

    /// As [`websocket`](Self::websocket), and past `connection_ack` with this `connection_init` payload.
    pub(crate) async fn ready(address: SocketAddr, payload: Value) -> Self {
        let mut socket = Self::websocket(address).await;
        socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// Sends bytes as they are. A server that has closed already is no failure: what it said is read next.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let sent = bounded(self.stream.write_all(bytes)).await;
        if let Err(error) = sent {
            let gone = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
            assert!(gone, "sending failed: {error}");
        }
    }

    /// Sends one message in one masked frame.
    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(&text_frame(&message.to_string())).await;
    }

    /// Subscribes, and sends nothing else.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(&subscribe(id, query)).await;
    }

    /// Sends these bytes again and again until the server takes no more, and then lets go.
    pub(crate) async fn send_until_it_is_not_taken(&mut self, bytes: &[u8]) {
        while bounded(self.stream.write_all(bytes)).await.is_ok() {}
    }

    /// Drops this many bytes that come next: a body that nobody looks at.
    pub(crate) async fn skip(&mut self, count: usize) {
        while self.arrived.len() < count {
            assert!(self.read().await, "the socket ended before {count} bytes");
        }
        self.arrived.drain(..count);
    }

    /// Ends the sending side: the server reads to the end and then hears that nothing more comes.
    pub(crate) async fn finish(&mut self) {
        // A socket that the server has reset already is finished as well.
        let _ = self.stream.shutdown().await;
    }

    /// The next message; anything else is a failure.
    pub(crate) async fn message(&mut self) -> Value {
        match self.frame().await {
            Frame::Text(text) => serde_json::from_str(&text).expect("messages are JSON"),
            other => panic!("a message was to come, not {other:?}"),
        }
    }

    /// The code and reason of the close frame, which must come next and be the last thing that comes.
    pub(crate) async fn close(&mut self) -> (u16, String) {
        let Frame::Close(code, reason) = self.frame().await else { panic!("a close was to come") };
        self.send(&close_frame(code)).await;
        assert_eq!(self.frame().await, Frame::End, "nothing follows a close");
        assert!(reason.len() <= 123, "{reason}");
        (code, reason)
    }

    /// The code of [`close`](Self::close).
    pub(crate) async fn close_code(&mut self) -> u16 {
        self.close().await.0
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Frame {
        loop {
            if let Some((frame, length)) = parse_frame(&self.arrived) {
                self.arrived.drain(..length);
                return frame;
            }
            if !self.read().await {
                assert!(self.arrived.is_empty(), "the socket ended within a frame: {:?}", self.arrived);
                return Frame::End;
            }
        }
    }

    /// The head of the next HTTP answer; `None` when the socket ends instead.
    pub(crate) async fn head(&mut self) -> Option<HttpResponse> {
        loop {
            if let Some(end) = self.arrived.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<_> = self.arrived.drain(..end + 4).collect();
                return Some(parse_head(&String::from_utf8_lossy(&head)));
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Reads what there is; `false` at the end. A reset ends what has begun to arrive, too.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match bounded(self.stream.read(&mut buffer)).await {
            Ok(0) => false,
            Ok(count) => {
                self.arrived.extend_from_slice(&buffer[..count]);
                true
            }
            Err(_) => {
                self.arrived.clear();
                false
            }
        }
    }
}

/// `extensions.code` of the first of these errors.
pub(crate) fn error_code(errors: &Value) -> String {
    let code = errors[0]["extensions"]["code"].as_str();
    code.unwrap_or_else(|| panic!("no error with a code: {errors}")).to_owned()
}

/// A `subscribe` message.
pub(crate) fn subscribe(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

/// A request for an upgrade with everything that it needs, and these headers, each line with its end.
pub(crate) fn upgrade_request(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// The header that offers the protocol.
pub(crate) const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";

/// A masked text frame.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// A masked close frame without a reason.
pub(crate) fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

/// A masked frame; `first` is its first byte: the final bit, the reserved ones and the opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length_bytes(payload.len(), 0x80));
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The length of a frame in its shortest form, with the mask bit as given.
pub(crate) fn length_bytes(length: usize, mask: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![mask | length as u8],
        126..=0xFFFF => [&[mask | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// How long anything may take. Only a failure ever waits so long, and a paused clock must not run past the longest of
/// the server's own deadlines.
const PATIENCE: Duration = Duration::from_secs(120);

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("the server answers in time")
}

/// The frame at the front of these bytes and its length, checked as a client checks it.
fn parse_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (&second, rest) = rest.split_first()?;
    assert_eq!(second & 0x80, 0, "a server's frame is not masked");
    let (length, header) = match second {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).expect("a length that fits"), 10),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(header..header + length)?.to_vec();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a server's text is UTF-8");
    let frame = match first {
        0x81 => Frame::Text(text(&payload)),
        0x88 => match payload.split_first_chunk() {
            Some((code, reason)) => Frame::Close(u16::from_be_bytes(*code), text(reason)),
            None => Frame::Close(1005, String::new()),
        },
        0x89 => Frame::Ping(payload),
        0x8A => Frame::Pong(payload),
        other => panic!("the server sent a frame that begins with {other:#x}"),
    };
    Some((frame, header + length))
}

fn parse_head(head: &str) -> HttpResponse {
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let headers = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let status = status.unwrap_or_else(|| panic!("not an HTTP answer: {head:?}"));
    HttpResponse { status, headers, body: String::new() }
}
