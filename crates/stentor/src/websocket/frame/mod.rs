//! Frames of [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455), the server's side and without I/O.
//!
//! [`FrameReader`] for what arrives; [`write_header`] and [`close_frame`] for what leaves; [`accept_key`] for the
//! handshake before both.

mod error;

use std::io::Cursor;

use tungstenite::{
    error::{Error as TungsteniteError, ProtocolError},
    handshake::derive_accept_key,
    protocol::frame::{
        FrameHeader,
        coding::{Control, Data, OpCode},
    },
};

pub(crate) use error::FrameError;

/// What a client sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Incoming<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping; its payload goes back in a pong.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client closes, with a code and a reason if it gave one. The last thing that is read.
    Close(Option<(u16, &'a str)>),
}

/// Turns the bytes of one connection into messages.
///
/// Between two messages it owns no memory. While a frame or a message is incomplete it holds what has arrived of it, at
/// most `max_message` bytes and a frame header: never what a header merely announces.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// The beginning of a frame whose end has not arrived, as it came: header and masked payload.
    partial: Vec<u8>,
    /// The fragments that have arrived of a message whose last one has not.
    message: Option<Fragments>,
    /// A close or an error was read. What comes after it has no meaning (RFC 6455, 5.5.1 and 7.1.7).
    finished: bool,
}

impl FrameReader {
    /// Reads what has just arrived, and hands on each message, ping, pong and close that is complete with it.
    ///
    /// `input` is unmasked in place. A message that lies in it whole and in one frame is not copied. Once this has
    /// returned an error or handed on a close, more input is ignored.
    ///
    /// # Errors
    ///
    /// The client breaks a rule of the protocol, or a message would be longer than `max_message` bytes; that is found in
    /// the frame's header, before the payload is kept.
    pub(crate) fn read(
        &mut self,
        mut input: &mut [u8],
        max_message: usize,
        mut on_incoming: impl FnMut(Incoming<'_>),
    ) -> Result<(), FrameError> {
        while !input.is_empty() && !self.finished {
            let taken =
                self.read_frame(input, max_message, &mut on_incoming).inspect_err(|_| self.finish())?;
            input = &mut input[taken..];
        }
        Ok(())
    }

    /// Takes from the front of `input` what belongs to one frame, and returns how many bytes that were.
    fn read_frame(
        &mut self,
        input: &mut [u8],
        max_message: usize,
        on_incoming: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, FrameError> {
        if !self.partial.is_empty() {
            return self.continue_frame(input, max_message, on_incoming);
        }
        match self.parse_header(input, max_message)? {
            Some(frame) if frame.end() <= input.len() => {
                self.accept(&frame, &mut input[frame.header_len..frame.end()], on_incoming)?;
                Ok(frame.end())
            }
            frame => {
                let limit = frame.map_or(MAX_HEADER, |frame| frame.end());
                append(&mut self.partial, input, limit);
                Ok(input.len())
            }
        }
    }

    /// As [`read_frame`](Self::read_frame), for a frame that began in earlier input.
    fn continue_frame(
        &mut self,
        input: &[u8],
        max_message: usize,
        on_incoming: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, FrameError> {
        let Some(frame) = self.parse_header(&self.partial, max_message)? else {
            // One byte more: how long the header is may not be known yet, and it has 14 at most.
            append(&mut self.partial, &input[..1], MAX_HEADER);
            return match self.parse_header(&self.partial, max_message)? {
                Some(frame) if frame.end() == self.partial.len() => {
                    self.accept_partial(&frame, on_incoming).map(|()| 1)
                }
                _ => Ok(1),
            };
        };
        let taken = input.len().min(frame.end() - self.partial.len());
        append(&mut self.partial, &input[..taken], frame.end());
        if self.partial.len() == frame.end() {
            self.accept_partial(&frame, on_incoming)?;
        }
        Ok(taken)
    }

    fn accept_partial(
        &mut self,
        frame: &Frame,
        on_incoming: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), FrameError> {
        let mut bytes = std::mem::take(&mut self.partial);
        self.accept(frame, &mut bytes[frame.header_len..], on_incoming)
    }

    /// The header at the front of `bytes`, checked; `None` while it is incomplete.
    fn parse_header(&self, bytes: &[u8], max_message: usize) -> Result<Option<Frame>, FrameError> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|error| match error {
            TungsteniteError::Protocol(ProtocolError::InvalidOpcode(opcode)) => {
                FrameError::UnknownOpcode(opcode)
            }
            _ => FrameError::Header,
        })?;
        let Some((header, length)) = parsed else {
            return Ok(None);
        };
        let header_len = usize::try_from(cursor.position()).map_err(|_| FrameError::Header)?;
        check_form(&header, length, header_len)?;
        let held = self.check_place(&header)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > max_message.saturating_sub(held) && is_data(&header) {
            return Err(FrameError::TooLong { limit: max_message });
        }
        let mask = header.mask.ok_or(FrameError::Unmasked)?;
        let FrameHeader { opcode, is_final, .. } = header;
        Ok(Some(Frame { opcode, is_final, mask, header_len, length, max_message }))
    }

    /// Whether a frame of this kind may come now; returns how many bytes of its message are here already.
    fn check_place(&self, header: &FrameHeader) -> Result<usize, FrameError> {
        match (header.opcode, &self.message) {
            (OpCode::Control(_), _) => Ok(0),
            (OpCode::Data(Data::Continue), Some(message)) => Ok(message.bytes.len()),
            (OpCode::Data(Data::Continue), None) => Err(FrameError::UnexpectedContinuation),
            (OpCode::Data(_), Some(_)) => Err(FrameError::InterruptedMessage),
            (OpCode::Data(_), None) => Ok(0),
        }
    }

    /// A whole frame, its payload still masked.
    fn accept(
        &mut self,
        frame: &Frame,
        payload: &mut [u8],
        on_incoming: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), FrameError> {
        unmask(payload, frame.mask);
        match frame.opcode {
            OpCode::Control(Control::Ping) => on_incoming(Incoming::Ping(payload)),
            OpCode::Control(Control::Pong) => on_incoming(Incoming::Pong(payload)),
            OpCode::Control(_) => {
                let close = parse_close(payload)?;
                self.finish();
                on_incoming(Incoming::Close(close));
            }
            OpCode::Data(kind) => return self.accept_data(frame, kind, payload, on_incoming),
        }
        Ok(())
    }

    fn accept_data(
        &mut self,
        frame: &Frame,
        kind: Data,
        payload: &[u8],
        on_incoming: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), FrameError> {
        let Some(mut message) = self.message.take() else {
            if frame.is_final {
                return deliver(kind, payload, on_incoming);
            }
            self.message = Some(Fragments { kind, bytes: payload.to_vec() });
            return Ok(());
        };
        append(&mut message.bytes, payload, frame.max_message);
        if frame.is_final {
            return deliver(message.kind, &message.bytes, on_incoming);
        }
        self.message = Some(message);
        Ok(())
    }

    /// Nothing more will be read: nothing more is kept.
    fn finish(&mut self) {
        *self = Self { finished: true, ..Self::default() };
    }
}

/// What a server's frame is; every one is whole, none a fragment. Pings to a client are messages of the protocol above.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opcode {
    /// A text message.
    Text = 0x1,
    /// The end of the connection.
    Close = 0x8,
    /// The answer to a ping.
    Pong = 0xA,
}

/// Appends the header of an unmasked, final frame; `payload_len` bytes have to follow it.
pub(crate) fn write_header(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize) {
    out.push(FINAL | opcode as u8);
    match payload_len {
        0..=125 => out.push(payload_len as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
}

/// A whole close frame; of a reason that is too long for it, the beginning.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON)];
    let mut out = Vec::with_capacity(4 + reason.len());
    write_header(&mut out, Opcode::Close, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    out
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key`, RFC 6455, 4.2.2.
pub(crate) fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// A message whose last fragment has not arrived.
#[derive(Debug)]
struct Fragments {
    kind: Data,
    bytes: Vec<u8>,
}

/// A frame whose header is here and keeps the rules.
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    header_len: usize,
    length: usize,
    /// How long the message that it is a part of may become.
    max_message: usize,
}

impl Frame {
    fn end(&self) -> usize {
        self.header_len.saturating_add(self.length)
    }
}

/// The rules that a header keeps or breaks whatever came before it.
fn check_form(header: &FrameHeader, length: u64, header_len: usize) -> Result<(), FrameError> {
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(FrameError::ReservedBits);
    }
    if header.mask.is_none() {
        return Err(FrameError::Unmasked);
    }
    if !is_data(header) && length > MAX_CONTROL {
        return Err(FrameError::LongControl);
    }
    if !is_data(header) && !header.is_final {
        return Err(FrameError::FragmentedControl);
    }
    if header_len != header.len(length) || length > i64::MAX.unsigned_abs() {
        return Err(FrameError::Length);
    }
    Ok(())
}

fn is_data(header: &FrameHeader) -> bool {
    matches!(header.opcode, OpCode::Data(_))
}

fn deliver(kind: Data, bytes: &[u8], on_incoming: &mut impl FnMut(Incoming<'_>)) -> Result<(), FrameError> {
    if kind == Data::Text {
        on_incoming(Incoming::Text(str::from_utf8(bytes).map_err(|_| FrameError::InvalidUtf8)?));
    } else {
        on_incoming(Incoming::Binary(bytes));
    }
    Ok(())
}

fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, FrameError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(FrameError::ClosePayload) };
    };
    let code = u16::from_be_bytes(*code);
    // The registry: https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::CloseCode(code));
    }
    let reason = str::from_utf8(reason).map_err(|_| FrameError::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

/// Thirty-two bytes at a time, which compilers turn into a few wide instructions.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide: [u8; 32] = std::array::from_fn(|i| mask[i % 4]);
    let (chunks, rest) = payload.as_chunks_mut::<32>();
    for chunk in chunks {
        chunk.iter_mut().zip(wide).for_each(|(byte, key)| *byte ^= key);
    }
    rest.iter_mut().zip(wide).for_each(|(byte, key)| *byte ^= key);
}

/// Appends, and lets the capacity double so that many small pieces stay cheap, but not past `limit`.
fn append(buffer: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let capacity = needed.max((2 * buffer.capacity()).min(limit));
        buffer.reserve_exact(capacity - buffer.len());
    }
    buffer.extend_from_slice(bytes);
}

const FINAL: u8 = 0x80;
const MAX_CONTROL: u64 = 125;
const MAX_CLOSE_REASON: usize = 123;
/// Two bytes, eight of a length, four of a mask.
const MAX_HEADER: usize = 14;

#[cfg(test)]
mod tests;
