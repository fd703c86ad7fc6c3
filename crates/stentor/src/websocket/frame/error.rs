//! What a client can do wrong in a frame: [`FrameError`].

use stentor_protocol::CloseCode;
use thiserror::Error;

/// A rule of the protocol that a client broke.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum FrameError {
    /// RFC 6455, 7.4: a code that must not be sent, or that nobody has given a meaning.
    #[error("close code {0} must not be sent")]
    CloseCode(u16),
    /// RFC 6455, 5.5.1: a payload is a code of two bytes, then perhaps a reason.
    #[error("a close frame's payload is a code of two bytes, then a reason")]
    ClosePayload,
    /// RFC 6455, 5.5.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// Bytes that are no header.
    #[error("the frame's header cannot be read")]
    Header,
    /// RFC 6455, 5.4.
    #[error("a new message began within a fragmented one")]
    InterruptedMessage,
    /// RFC 6455, 8.1.
    #[error("a text is not valid UTF-8")]
    InvalidUtf8,
    /// RFC 6455, 5.2: the highest bit of a length is zero, and the shortest form must be used.
    #[error("the frame's length is not in its shortest form")]
    Length,
    /// RFC 6455, 5.5.
    #[error("a control frame must not be longer than 125 bytes")]
    LongControl,
    /// RFC 6455, 5.2: they belong to extensions, and none was agreed on.
    #[error("a reserved bit is set, and no extension was agreed on")]
    ReservedBits,
    /// The message is longer than the configuration allows.
    #[error("the message is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// RFC 6455, 5.4.
    #[error("a continuation came without a message to continue")]
    UnexpectedContinuation,
    /// RFC 6455, 5.2.
    #[error("opcode {0} is not known")]
    UnknownOpcode(u8),
    /// RFC 6455, 5.1.
    #[error("a client's frame must be masked")]
    Unmasked,
}

impl FrameError {
    /// The code to close with, [RFC 6455, 7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1).
    pub(crate) const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 => CloseCode::InvalidFramePayloadData,
            Self::TooLong { .. } => CloseCode::MessageTooBig,
            Self::CloseCode(_)
            | Self::ClosePayload
            | Self::FragmentedControl
            | Self::Header
            | Self::InterruptedMessage
            | Self::Length
            | Self::LongControl
            | Self::ReservedBits
            | Self::UnexpectedContinuation
            | Self::UnknownOpcode(_)
            | Self::Unmasked => CloseCode::ProtocolError,
        }
    }
}
