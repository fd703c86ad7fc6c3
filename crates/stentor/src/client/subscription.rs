//! One operation, over as many connections as it takes: [`Subscription`].

use std::{fmt, time::Duration};

use serde_json::{Map, Value};
use stentor_protocol::{OperationKey, SubscribePayload, client::Event};
use tokio::time::{Instant, sleep_until};

use super::{
    Client, ExecutionResult, Gap, Request,
    error::{Error, Loss},
    link::Link,
};

/// A running operation and its socket. Dropping it drops the socket; [`close`](Self::close) says goodbye first.
pub struct Subscription {
    client: Client,
    request: Request,
    state: State,
    /// Whether the server has accepted a connection at least once.
    has_connected: bool,
    /// Attempts to connect again since the server last accepted one.
    attempts: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The server accepted the connection, and was asked for the operation.
    Connected {
        /// Whether there was a connection before this one. What was published between them is lost.
        again: bool,
    },
    /// Events were lost, and no result has come after them yet.
    Gap(Gap),
    /// From here on every event arrives. Said by servers that acknowledge subscriptions, as Stentor does.
    Live,
    /// The connection was lost and will be made anew.
    Lost {
        /// What happened.
        reason: String,
        /// How long [`Subscription::next`] waits before that.
        wait: Duration,
        /// Which attempt in a row that will be, from 1.
        attempt: u32,
    },
    /// A result. Whether events were lost before it is for [`ExecutionResult::gap`] to say.
    Result(ExecutionResult),
}

enum State {
    /// Without a socket, until then.
    Waiting(Instant),
    /// The socket is open; the operation runs once there is a key.
    Open(Box<Link>, Option<OperationKey>),
    /// Nothing more comes.
    Ended,
}

impl Subscription {
    pub(super) fn new(client: Client, request: Request) -> Self {
        Self { client, request, state: State::Waiting(Instant::now()), has_connected: false, attempts: 0 }
    }

    /// What happens next; `None` once the server has completed the operation, and after an error.
    ///
    /// # Errors
    ///
    /// Why the subscription has ended for good. A first connection that cannot be made is such a reason at once.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time; an attempt to connect then begins anew.
    pub async fn next(&mut self) -> Result<Option<Update>, Error> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(None),
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    match self.client.address.dial().await {
                        Ok(socket) => {
                            let Client { keep_alive, pong_timeout, .. } = self.client;
                            let link = Link::new(socket, self.hello(), keep_alive, pong_timeout);
                            self.state = State::Open(Box::new(link), None);
                        }
                        // Most likely the address is wrong, or nobody has started the server.
                        Err(Loss::Passing(reason)) if !self.has_connected && self.attempts == 0 => {
                            self.state = State::Ended;
                            return Err(Error::Connect(reason));
                        }
                        Err(loss) => return self.lost(loss).map(Some),
                    }
                }
                State::Open(link, key) => match link.event().await {
                    Ok(Event::Ack { .. }) => {
                        *key = link.subscribe(payload(&self.request));
                        self.attempts = 0;
                        let again = std::mem::replace(&mut self.has_connected, true);
                        return Ok(Some(Update::Connected { again }));
                    }
                    Ok(Event::Next { payload, .. }) => {
                        return Ok(Some(Update::Result(ExecutionResult::new(payload))));
                    }
                    Ok(Event::Gap { dropped, reason, .. }) => {
                        return Ok(Some(Update::Gap(Gap { dropped, reason })));
                    }
                    Ok(Event::Ping { payload }) if is_acknowledgement(payload.as_ref()) => {
                        return Ok(Some(Update::Live));
                    }
                    Ok(Event::Ping { .. } | Event::Pong { .. }) => {}
                    Ok(Event::Complete { .. }) => {
                        self.end().await;
                        return Ok(None);
                    }
                    Ok(Event::Error { errors, .. }) => {
                        self.end().await;
                        return Err(Error::Operation(errors));
                    }
                    Err(loss) => return self.lost(loss).map(Some),
                },
            }
        }
    }

    /// Ends the operation and closes the socket in good order, within a second.
    pub async fn close(mut self) {
        self.end().await;
    }

    /// Whatever was lost, it will be tried again, or the subscription has ended.
    fn lost(&mut self, loss: Loss) -> Result<Update, Error> {
        self.state = State::Ended;
        let reason = match loss {
            Loss::Final(error) => return Err(error),
            Loss::Passing(reason) => reason,
        };
        if self.attempts >= self.client.retries {
            return Err(Error::RetriesUsedUp { reason, attempts: self.attempts });
        }
        let wait = back_off(self.attempts);
        self.attempts += 1;
        self.state = State::Waiting(Instant::now() + wait);
        Ok(Update::Lost { reason, wait, attempt: self.attempts })
    }

    async fn end(&mut self) {
        if let State::Open(link, key) = std::mem::replace(&mut self.state, State::Ended) {
            link.close(key).await;
        }
    }

    fn hello(&self) -> Option<Map<String, Value>> {
        let token = self.client.token.as_ref()?.expose();
        Some(Map::from_iter([("Authorization".to_owned(), Value::from(format!("Bearer {token}")))]))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("client", &self.client)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

fn payload(request: &Request) -> SubscribePayload {
    let Request { query, operation_name, variables } = request.clone();
    let extensions = Map::from_iter([("ackId".to_owned(), Value::from(ACK_ID))]);
    SubscribePayload { query, operation_name, variables, extensions: Some(extensions) }
}

fn is_acknowledgement(payload: Option<&Map<String, Value>>) -> bool {
    payload.and_then(|payload| payload.get("ackId")).is_some_and(|id| id == ACK_ID)
}

/// As the reference client waits: twice as long each time, and some more by chance, so that the clients of a server that
/// restarts do not all return at once.
fn back_off(attempts: u32) -> Duration {
    let doubled = Duration::from_secs(1 << attempts.min(MAX_DOUBLINGS));
    doubled + Duration::from_millis(fastrand::u64(300..3_000))
}

/// A connection has one operation, so that one word is enough.
const ACK_ID: &str = "live";
/// From then on a minute is long enough.
const MAX_DOUBLINGS: u32 = 6;
