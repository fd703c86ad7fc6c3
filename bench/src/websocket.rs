//! Just enough of RFC 6455 for both ends: whole frames, no fragments, no extensions.

use std::ops::Range;

/// Opcode of a text frame.
pub(crate) const TEXT: u8 = 0x1;
/// Opcode of a close frame.
pub(crate) const CLOSE: u8 = 0x8;
/// Opcode of a ping frame.
pub(crate) const PING: u8 = 0x9;
/// Opcode of a pong frame.
pub(crate) const PONG: u8 = 0xA;

/// The header of a frame that is whole in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Where the payload is in the buffer; the frame ends where it ends.
    pub(crate) payload: Range<usize>,
}

impl Frame {
    /// The first frame of `input`, or none while it is incomplete.
    ///
    /// # Errors
    ///
    /// A fragment or reserved bits, which neither side of this program uses; a length beyond [`MAX_PAYLOAD`].
    pub(crate) fn parse(input: &[u8]) -> Result<Option<Self>, &'static str> {
        let &[first, second, ..] = input else { return Ok(None) };
        if first & 0xF0 != 0x80 {
            return Err("a fragmented frame or reserved bits");
        }
        let (length, mut end) = match second & 0x7F {
            126 => match input.get(2..4) {
                Some(bytes) => (big_endian(bytes), 4),
                None => return Ok(None),
            },
            127 => match input.get(2..10) {
                Some(bytes) => (big_endian(bytes), 10),
                None => return Ok(None),
            },
            length => (usize::from(length), 2),
        };
        if length > MAX_PAYLOAD {
            return Err("a frame that is too long");
        }
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(&[a, b, c, d]) = input.get(end..end + 4) else { return Ok(None) };
            mask = Some([a, b, c, d]);
            end += 4;
        }
        let payload = end..end + length;
        Ok((payload.end <= input.len()).then_some(Self { opcode: first & 0x0F, mask, payload }))
    }
}

/// Applies a frame's mask to its payload; masking and unmasking are the same.
pub(crate) fn apply_mask(mask: [u8; 4], payload: &mut [u8]) {
    for (byte, key) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// A frame as a server writes it.
pub(crate) fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    write_server_header(&mut frame, opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The header of a server's frame whose payload follows.
pub(crate) fn write_server_header(out: &mut Vec<u8>, opcode: u8, length: usize) {
    write_header(out, opcode, length, 0);
}

/// A frame as a client writes it.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    // Masks protect intermediaries from scripts in browsers; between two local processes any key will do.
    const MASK: [u8; 4] = [0x5A, 0xC3, 0x96, 0x3C];
    let mut frame = Vec::with_capacity(payload.len() + 14);
    write_header(&mut frame, opcode, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend_from_slice(payload);
    apply_mask(MASK, &mut frame[start..]);
    frame
}

fn write_header(out: &mut Vec<u8>, opcode: u8, length: usize, mask_bit: u8) {
    out.push(0x80 | opcode);
    if length < 126 {
        out.push(mask_bit | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(mask_bit | 126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(mask_bit | 127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte))
}

/// No message of the measurement comes near this size.
const MAX_PAYLOAD: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_class_are_read_back() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let sent = server_frame(TEXT, &payload);
            let frame = Frame::parse(&sent).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.mask), (TEXT, None));
            assert_eq!(&sent[frame.payload.clone()], payload);
            assert_eq!(frame.payload.end, sent.len(), "length {length}");
        }
    }

    #[test]
    fn client_frames_are_masked_and_unmask_to_what_was_sent() {
        let mut sent = client_frame(PONG, b"seven letters");
        let frame = Frame::parse(&sent).unwrap().unwrap();
        assert_ne!(&sent[frame.payload.clone()], b"seven letters");
        apply_mask(frame.mask.unwrap(), &mut sent[frame.payload.clone()]);
        assert_eq!(&sent[frame.payload], b"seven letters");
    }

    #[test]
    fn a_frame_cut_at_any_byte_is_incomplete() {
        for whole in [
            server_frame(TEXT, b"short"),
            server_frame(TEXT, &[b'x'; 200]),
            server_frame(TEXT, &[b'x'; 70_000]),
            client_frame(TEXT, &[b'x'; 200]),
        ] {
            for cut in 0..whole.len() {
                assert_eq!(Frame::parse(&whole[..cut]), Ok(None), "{cut} of {} bytes", whole.len());
            }
        }
    }

    #[test]
    fn what_follows_a_frame_does_not_belong_to_it() {
        let mut two = server_frame(TEXT, b"first");
        let end = two.len();
        two.extend(server_frame(PING, b""));
        assert_eq!(Frame::parse(&two).unwrap().unwrap().payload.end, end);
    }

    #[test]
    fn fragments_reserved_bits_and_absurd_lengths_are_refused() {
        for bytes in [&[0x01, 0][..], &[0xC1, 0], &[0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(Frame::parse(bytes).is_err(), "{bytes:02x?}");
        }
    }
}
