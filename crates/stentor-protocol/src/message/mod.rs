//! The messages on the wire. Start at [`ClientMessage`] and [`ServerMessage`].
//!
//! Only the format is decided here; whether a message may come at its moment is for the connections to say.

mod error;
mod json;
mod members;

use std::fmt;

use serde_json::{Map, Value};

pub use error::ParseError;
pub(crate) use json::escape;
use json::text_of;
pub use json::{RawObject, StrictObject, SubscribePayload};
use members::Members;

/// What a client sends.
#[derive(Clone, PartialEq)]
pub enum ClientMessage {
    /// Asks for the connection, usually with a token in the payload.
    ConnectionInit {
        /// What the application reads before it accepts.
        payload: Option<Map<String, Value>>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Comes back in the `pong`.
        payload: Option<RawObject>,
    },
    /// Answers a `ping`, or says unasked that the client lives.
    Pong {
        /// The payload of the `ping`, if it answers one.
        payload: Option<Map<String, Value>>,
    },
    /// Starts an operation.
    Subscribe {
        /// Names the operation on this connection; never empty.
        id: String,
        /// The GraphQL request.
        payload: SubscribePayload,
    },
    /// Ends an operation.
    Complete {
        /// The operation's id; never empty.
        id: String,
    },
}

impl ClientMessage {
    /// Reads one text message.
    ///
    /// Members that PROTOCOL does not name are skipped: the reference server does so, and clients in use send some.
    /// A member that comes twice, in the message or anywhere in what it carries, is refused, since two readers may
    /// take different ones of the two. Nesting of more than 127 levels and lone surrogates are refused as well.
    ///
    /// # Errors
    /// Says in words for the client's author what is wrong with the message.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let members = Members::read(text)?;
        match members.kind() {
            "connection_init" => Ok(Self::ConnectionInit { payload: members.payload_object()? }),
            "ping" => Ok(Self::Ping { payload: members.payload_echo()? }),
            "pong" => Ok(Self::Pong { payload: members.payload_object()? }),
            "subscribe" => Ok(Self::Subscribe { id: members.id()?, payload: members.payload_request()? }),
            "complete" => Ok(Self::Complete { id: members.id()? }),
            "connection_ack" | "next" | "error" => {
                Err(ParseError::Direction { kind: members.into_kind(), sender: "server" })
            }
            _ => Err(ParseError::UnknownType { kind: members.into_kind() }),
        }
    }

    /// The message as JSON text.
    pub fn to_text(&self) -> String {
        match self {
            Self::ConnectionInit { payload } => {
                write("connection_init", None, payload.as_ref().map(text_of).as_deref())
            }
            Self::Ping { payload } => write("ping", None, payload.as_ref().map(RawObject::get)),
            Self::Pong { payload } => write("pong", None, payload.as_ref().map(text_of).as_deref()),
            Self::Subscribe { id, payload } => {
                write("subscribe", Some(&escape(id)), Some(&payload.to_text()))
            }
            Self::Complete { id } => write("complete", Some(&escape(id)), None),
        }
    }
}

/// Leaves out the payloads that may hold a token.
impl fmt::Debug for ClientMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionInit { .. } => f.debug_struct("ConnectionInit").finish_non_exhaustive(),
            Self::Ping { .. } => f.debug_struct("Ping").finish_non_exhaustive(),
            Self::Pong { payload } => f.debug_struct("Pong").field("payload", payload).finish(),
            Self::Subscribe { id, payload } => {
                f.debug_struct("Subscribe").field("id", id).field("payload", payload).finish()
            }
            Self::Complete { id } => f.debug_struct("Complete").field("id", id).finish(),
        }
    }
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage {
    /// Accepts the connection.
    ConnectionAck {
        /// What the application tells the client.
        payload: Option<Map<String, Value>>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Comes back in the `pong`.
        payload: Option<RawObject>,
    },
    /// Answers a `ping`.
    Pong {
        /// The payload of the `ping`.
        payload: Option<Map<String, Value>>,
    },
    /// One result of an operation.
    Next {
        /// The operation's id.
        id: String,
        /// The execution result, unread: most readers pass it on or read it as a type of their own.
        payload: RawObject,
    },
    /// The operation failed and has ended.
    Error {
        /// The operation's id.
        id: String,
        /// At least one GraphQL error.
        payload: Vec<Value>,
    },
    /// The operation has ended.
    Complete {
        /// The operation's id.
        id: String,
    },
}

impl ServerMessage {
    /// Reads one text message, as strictly as [`ClientMessage::parse`]; the payload of `next` is only known to be an object.
    ///
    /// # Errors
    /// Says in words for the server's author what is wrong with the message.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let members = Members::read(text)?;
        match members.kind() {
            "connection_ack" => Ok(Self::ConnectionAck { payload: members.payload_object()? }),
            "ping" => Ok(Self::Ping { payload: members.payload_echo()? }),
            "pong" => Ok(Self::Pong { payload: members.payload_object()? }),
            "next" => Ok(Self::Next { id: members.id()?, payload: members.payload_result()? }),
            "error" => Ok(Self::Error { id: members.id()?, payload: members.payload_errors()? }),
            "complete" => Ok(Self::Complete { id: members.id()? }),
            "connection_init" | "subscribe" => {
                Err(ParseError::Direction { kind: members.into_kind(), sender: "client" })
            }
            _ => Err(ParseError::UnknownType { kind: members.into_kind() }),
        }
    }

    /// The message as JSON text.
    pub fn to_text(&self) -> String {
        match self {
            Self::ConnectionAck { payload } => {
                write("connection_ack", None, payload.as_ref().map(text_of).as_deref())
            }
            Self::Ping { payload } => write("ping", None, payload.as_ref().map(RawObject::get)),
            Self::Pong { payload } => write("pong", None, payload.as_ref().map(text_of).as_deref()),
            Self::Next { id, payload } => write("next", Some(&escape(id)), Some(payload.get())),
            Self::Error { id, payload } => {
                write("error", Some(&escape(id)), Some(&Value::from(payload.clone()).to_string()))
            }
            Self::Complete { id } => write("complete", Some(&escape(id)), None),
        }
    }
}

/// Puts a message together from parts that are JSON already: an escaped id without quotes, and a payload.
pub(crate) fn write(kind: &str, id: Option<&str>, payload: Option<&str>) -> String {
    let variable = kind.len() + id.map_or(0, str::len) + payload.map_or(0, str::len);
    let mut text = String::with_capacity(variable + FIXED_BYTES);
    text.push('{');
    if let Some(id) = id {
        text.extend([r#""id":""#, id, r#"","#]);
    }
    text.extend([r#""type":""#, kind, r#"""#]);
    if let Some(payload) = payload {
        text.extend([r#","payload":"#, payload]);
    }
    text.push('}');
    text
}

/// What [`write()`] adds around its arguments at most.
const FIXED_BYTES: usize = r#"{"id":"","type":"","payload":}"#.len();
