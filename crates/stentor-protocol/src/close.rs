//! Why a socket is closed: [`Close`] and every code that is used.

use std::borrow::Cow;

/// The contents of a WebSocket close frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Close {
    /// The code; clients decide by it whether they come back.
    pub code: CloseCode,
    /// A sentence for the person who reads the client's log.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// A close with a reason of its own, cut to what a close frame can carry.
    pub fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }.fitted()
    }

    /// Cuts the reason to [`MAX_REASON_BYTES`], never through a character.
    pub(crate) fn fitted(mut self) -> Self {
        let end = self.reason.floor_char_boundary(MAX_REASON_BYTES);
        if end < self.reason.len() {
            self.reason = Cow::Owned(self.reason[..end].to_owned());
        }
        self
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: Cow::Borrowed(code.reason()) }
    }
}

/// The close codes in use, named as the reference implementation and RFC 6455 name them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client has nothing more to ask. A server never sends it: clients would reconnect at once.
    NormalClosure = 1000,
    /// The peer broke the framing rules of RFC 6455.
    ProtocolError = 1002,
    /// A text frame or a close reason was not UTF-8.
    InvalidFramePayloadData = 1007,
    /// A message is larger than the server takes.
    MessageTooBig = 1009,
    /// The node drains or restarts; clients come back with a back-off.
    ServiceRestart = 1012,
    /// The node is overloaded or a limit is reached; clients come back with a back-off.
    TryAgainLater = 1013,
    /// The server sent something that a client cannot understand.
    BadResponse = 4004,
    /// The client sent a message of unknown type or wrong format.
    BadRequest = 4400,
    /// The client sent `subscribe` before `connection_ack`.
    Unauthorized = 4401,
    /// The application refuses the connection: token missing, invalid or expired.
    Forbidden = 4403,
    /// The client offered no subprotocol that is spoken here.
    SubprotocolNotAcceptable = 4406,
    /// No `connection_init` came in time.
    ConnectionInitialisationTimeout = 4408,
    /// The client used the id of an operation that still runs.
    SubscriberAlreadyExists = 4409,
    /// The client sent a second `connection_init`.
    TooManyInitialisationRequests = 4429,
    /// Something broke in the server. Clients take it as fatal, so it is the last resort.
    InternalServerError = 4500,
    /// No `connection_ack` came in time.
    ConnectionAcknowledgementTimeout = 4504,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason that is sent when there is nothing more exact to say.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NormalClosure => "Normal closure",
            Self::ProtocolError => "WebSocket protocol error",
            Self::InvalidFramePayloadData => "Text is not UTF-8",
            Self::MessageTooBig => "Message too big",
            Self::ServiceRestart => "Service restart",
            Self::TryAgainLater => "Try again later",
            Self::BadResponse => "Bad response",
            Self::BadRequest => "Bad request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::SubprotocolNotAcceptable => "Subprotocol not acceptable",
            Self::ConnectionInitialisationTimeout => "Connection initialisation timeout",
            Self::SubscriberAlreadyExists => "Subscriber already exists",
            Self::TooManyInitialisationRequests => "Too many initialisation requests",
            Self::InternalServerError => "Internal server error",
            Self::ConnectionAcknowledgementTimeout => "Connection acknowledgement timeout",
        }
    }
}

/// A control frame carries 125 bytes, and the code takes two of them (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_to_123_bytes() {
        assert_eq!(Close::new(CloseCode::Forbidden, "x".repeat(124)).reason, "x".repeat(123));
    }

    #[test]
    fn a_reason_of_123_bytes_is_kept() {
        assert_eq!(Close::new(CloseCode::Forbidden, "x".repeat(123)).reason, "x".repeat(123));
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        // 40 three-byte characters are 120 bytes, the 41st ends at 123, the 42nd would end at 126.
        assert_eq!(Close::new(CloseCode::Forbidden, "€".repeat(50)).reason, "€".repeat(41));
        assert_eq!(Close::new(CloseCode::Forbidden, format!("x{}", "€".repeat(50))).reason.len(), 121);
    }
}
