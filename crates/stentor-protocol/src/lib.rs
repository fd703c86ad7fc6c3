//! The rules of one `graphql-transport-ws` connection, for servers and for clients.
//!
//! Nothing here opens a socket, waits, or reads the clock. A driver owns those: it tells a connection what arrived
//! (`handle_*`) and what the application decided (`accept`, `error`, `complete`, …), each time followed by draining
//! what is to be done (`poll_event`, `poll_transmit`, `poll_timeout`). Start at [`Connection`], the server's side;
//! [`client::Connection`] is the other one.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use stentor_protocol::{Config, Connection, Event, NextEnvelope, Transmit};
//!
//! let now = Instant::now();
//! let mut connection = Connection::new(Arc::new(Config::default()), now);
//!
//! connection.handle_text(now, r#"{"type":"connection_init"}"#);
//! assert_eq!(connection.poll_event(), Some(Event::Init { payload: None }));
//! connection.accept(None);
//! assert_eq!(connection.poll_transmit(), Some(Transmit::Text(r#"{"type":"connection_ack"}"#.into())));
//!
//! connection.handle_text(now, r#"{"id":"a","type":"subscribe","payload":{"query":"subscription { tick }"}}"#);
//! let Some(Event::Subscribe { key, .. }) = connection.poll_event() else { panic!("an operation was asked for") };
//!
//! let mut text = Vec::new();
//! connection.next_envelope(key).expect("the operation runs").write_head(&mut text);
//! text.extend_from_slice(br#"{"data":{"tick":1}}"#);
//! text.extend_from_slice(NextEnvelope::TAIL.as_bytes());
//! assert_eq!(text, br#"{"id":"a","type":"next","payload":{"data":{"tick":1}}}"#);
//! ```
//!
//! Comments that say PROTOCOL mean
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>, the text that defines the protocol.

pub mod client;
mod close;
mod connection;
mod deadline;
mod message;
mod queue;
mod transmit;

pub use close::{Close, CloseCode};
pub use connection::{Config, Connection, Event, MAX_ID_BYTES, NextEnvelope, OperationKey};
pub use message::{ClientMessage, ParseError, RawObject, ServerMessage, StrictObject, SubscribePayload};
pub use transmit::Transmit;

/// The name of the WebSocket subprotocol, as client and server offer it in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";
