//! [`Event`]: what a connection asks its application.

use std::fmt;

use serde_json::Value;

use super::OperationKey;
use crate::message::SubscribePayload;

/// What the application must answer or take note of.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// The client asks for the connection; answer with [`accept`](super::Connection::accept) or [`close`](super::Connection::close).
    Init {
        /// The client's words for who it is; an object.
        payload: Option<Value>,
    },
    /// The client starts an operation.
    Subscribe {
        /// Names the operation from now on.
        key: OperationKey,
        /// What to run.
        request: SubscribePayload,
    },
    /// The client ended the operation; nothing more can be sent for it.
    Complete {
        /// The operation.
        key: OperationKey,
        /// The id it had, which the key no longer leads to.
        id: String,
    },
    /// The client answered a `ping`, or sent a `pong` of its own accord.
    Pong {
        /// The payload of the `ping`, if it answers one; an object.
        payload: Option<Value>,
    },
}

/// Leaves out the payload of `connection_init`: it holds the token.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init { .. } => f.debug_struct("Init").finish_non_exhaustive(),
            Self::Subscribe { key, request } => {
                f.debug_struct("Subscribe").field("key", key).field("request", request).finish()
            }
            Self::Complete { key, id } => {
                f.debug_struct("Complete").field("key", key).field("id", id).finish()
            }
            Self::Pong { payload } => f.debug_struct("Pong").field("payload", payload).finish(),
        }
    }
}
