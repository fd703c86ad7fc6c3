//! What the tests of a whole server stand on: servers, clients and their tokens. Start with [`TestServer`].
//!
//! Everything here panics, with what was said so far, when an expectation is not met. Nothing waits longer than
//! [`PATIENCE`].

mod client;
mod http;
mod process;
mod provider;
mod publisher;
mod server;
mod token;
mod transcript;

pub use stentor_broker::testing::{PATIENCE, RedisServer, eventually};
pub use tokio_tungstenite::tungstenite::Message;

pub use crate::{
    client::{Dial, Incoming, WsClient},
    http::{HttpResponse, exchange, request},
    process::Process,
    provider::{Answer, KEYS, Provider, Signer},
    publisher::Publisher,
    server::{Served, TestServer},
    token::{SECRET, auth, seconds_since_epoch, token},
};
