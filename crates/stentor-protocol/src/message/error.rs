//! [`ParseError`]: what is wrong with a message, in words that fit a close reason.

/// Why a text is no message of the protocol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The text as a whole cannot be read.
    #[error("the message is not valid JSON: {reason}")]
    Json {
        /// What the JSON reader says, with line and column.
        reason: String,
    },
    /// The text is JSON, but no object.
    #[error("the message must be a JSON object")]
    NotAnObject,
    /// There is no usable `type`.
    #[error("the message needs a \"type\", and it must be a string")]
    Type,
    /// The `type` is none of the protocol's.
    #[error("unknown message type {kind:?}")]
    UnknownType {
        /// The `type` as it came.
        kind: String,
    },
    /// The message is one that only the other side may send.
    #[error("{kind:?} is sent by the {sender} only")]
    Direction {
        /// The message's `type`.
        kind: String,
        /// Who may send it: `client` or `server`.
        sender: &'static str,
    },
    /// A member is missing or of the wrong kind.
    #[error("in {kind:?}, {member:?} must be {expected}")]
    Member {
        /// The message's `type`.
        kind: String,
        /// The path of the member.
        member: &'static str,
        /// What it must be, such as `a string`.
        expected: &'static str,
    },
    /// A member is of the right kind, but its contents cannot be read.
    #[error("in {kind:?}, {member:?} is not acceptable: {reason}")]
    Contents {
        /// The message's `type`.
        kind: String,
        /// The path of the member.
        member: &'static str,
        /// What the JSON reader says; line and column count from the start of the member.
        reason: String,
    },
}
