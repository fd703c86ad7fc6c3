//! A `graphql-transport-ws` client, as a library: [`Client`], then [`Subscription`].
//!
//! A subscription is pulled: it has a socket of its own, no task and no queue. What is not asked for waits in the socket,
//! and a server that counts what it could not send tells of it ([`Update::Gap`]). Pings are answered while
//! [`Subscription::next`] is awaited, so ask again soon, or the server takes the client for dead.
//!
//! ```no_run
//! use stentor::client::{Client, Request, Update};
//!
//! # async fn example() -> Result<(), stentor::client::Error> {
//! let client = Client::new("ws://127.0.0.1:4000/graphql")?.token("eyJ…");
//! let mut bot = client.subscribe(Request::new(r#"subscription { botStatusChanged(botId: "42") { status } }"#));
//! while let Some(update) = bot.next().await? {
//!     match update {
//!         Update::Result(result) => println!("{}", result.as_str()),
//!         Update::Gap(gap) => println!("{} were lost, so load the state again", gap.reason),
//!         Update::Lost { reason, wait, .. } => println!("{reason}; trying again in {wait:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Limits
//!
//! A message may have [`MAX_MESSAGE_BYTES`]; a longer one ends the subscription. One message waits to be sent at most.

mod dial;
mod error;
mod link;
mod result;
mod subscription;

use std::time::Duration;

use serde_json::{Map, Value};

use self::dial::Address;
use crate::config::Secret;

pub use self::{
    error::Error,
    result::{ExecutionResult, Gap},
    subscription::{Subscription, Update},
};

/// Longest message that a server may send, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Where a server is, and how it is spoken to. Subscriptions are independent of each other.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    token: Option<Secret>,
    retries: u32,
    keep_alive: Duration,
    pong_timeout: Duration,
}

/// What a server is asked: a document, and which of its operations to run with which variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    query: String,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
}

impl Client {
    /// A client of the server at this address: `ws://HOST:PORT/PATH`, or `wss://` with TLS.
    ///
    /// Certificates are checked against those that the system trusts; `SSL_CERT_FILE` names others.
    ///
    /// # Errors
    ///
    /// [`Error::Address`].
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            address: Address::parse(url)?,
            token: None,
            retries: 5,
            keep_alive: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
        })
    }

    /// Sends this token, without `Bearer `, in `connection_init`.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret::from(token.into()));
        self
    }

    /// How many times in a row a lost connection is tried to be made anew; each success starts the count again. 5, as in
    /// the reference client; 0 for never.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// After which silence the server is pinged, and how long it may then be silent. 20 s and 10 s.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration, pong_timeout: Duration) -> Self {
        self.keep_alive = interval;
        self.pong_timeout = pong_timeout;
        self
    }

    /// Runs an operation; a query or a mutation has one result. Nothing is sent before [`Subscription::next`].
    pub fn subscribe(&self, request: Request) -> Subscription {
        Subscription::new(self.clone(), request)
    }
}

impl Request {
    /// A document with one operation and no variables.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), operation_name: None, variables: None }
    }

    /// Which operation of the document is meant.
    #[must_use]
    pub fn operation_name(mut self, name: impl Into<String>) -> Self {
        self.operation_name = Some(name.into());
        self
    }

    /// The values of the operation's variables.
    #[must_use]
    pub fn variables(mut self, variables: Map<String, Value>) -> Self {
        self.variables = Some(variables);
        self
    }
}
