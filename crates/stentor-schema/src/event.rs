//! A decoded payload: [`Event`].

use bytes::Bytes;
use serde_json::Value;

/// One event's payload, decoded once per node.
#[derive(Debug)]
pub enum Event {
    /// The payload began with `{` or `[`.
    Json(Value),
    /// Anything else; never parsed.
    Text(String),
}

/// A payload that its topic's fields cannot use; text for the operator's log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Event {
    /// Decodes a payload.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, text that is not UTF-8.
    pub fn decode(_payload: &Bytes) -> Result<Self, Malformed> {
        todo!()
    }
}
