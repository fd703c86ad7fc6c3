//! The client's side of one socket. Start at [`Connection`].

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::{
    close::{Close, CloseCode},
    connection::OperationKey,
    deadline::{after, is_due},
    message::{ClientMessage, RawObject, ServerMessage, SubscribePayload},
    queue::Queue,
    transmit::Transmit,
};

/// The rules of one socket, as a client must follow them; driven like the [server's](crate::Connection).
///
/// It lives as long as its socket. Whether to open another one is for [`is_retryable`] to say.
#[derive(Debug)]
pub struct Connection {
    state: State,
    last_key: u64,
    /// Ascending, since keys count up. An operation's id is its key in decimal.
    running: Vec<OperationKey>,
    events: Queue<Event>,
    transmits: Queue<Transmit>,
}

impl Connection {
    /// A connection whose socket has just opened: sends `connection_init`, with the payload if there is one.
    pub fn connect(config: &Config, now: Instant, payload: Option<Map<String, Value>>) -> Self {
        let mut connection = Self {
            state: State::AwaitingAck { deadline: after(now, config.ack_timeout) },
            last_key: 0,
            running: Vec::new(),
            events: Queue::default(),
            transmits: Queue::default(),
        };
        connection.send(&ClientMessage::ConnectionInit { payload });
        connection
    }

    /// A whole text message arrived.
    pub fn handle_text(&mut self, text: &str) {
        if self.is_closed() {
            return;
        }
        match ServerMessage::parse(text) {
            Ok(message) => self.receive(message),
            Err(error) => self.close(Close::new(CloseCode::BadResponse, error.to_string())),
        }
    }

    /// A binary message arrived, which the protocol does not have.
    pub fn handle_binary(&mut self) {
        self.close(Close::new(CloseCode::BadResponse, "messages must be text, not binary"));
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) may have come. Calling early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::AwaitingAck { deadline } => {
                if is_due(deadline, now) {
                    self.close(CloseCode::ConnectionAcknowledgementTimeout.into());
                }
            }
            State::Ready | State::Closed => {}
        }
    }

    /// The socket is gone. Nothing is left to poll.
    pub fn handle_closed(&mut self) {
        self.end();
        self.transmits.clear();
    }

    /// Starts an operation; none before [`Event::Ack`] and after the end.
    pub fn subscribe(&mut self, request: SubscribePayload) -> Option<OperationKey> {
        if !self.is_ready() {
            return None;
        }
        self.last_key += 1;
        let key = OperationKey::from_number(self.last_key);
        self.running.push(key);
        self.send(&ClientMessage::Subscribe { id: id_of(key), payload: request });
        Some(key)
    }

    /// Ends the operation. Nothing more is heard of it; does nothing if it has ended already.
    pub fn complete(&mut self, key: OperationKey) {
        if self.remove(key) {
            self.send(&ClientMessage::Complete { id: id_of(key) });
        }
    }

    /// Sends a `ping`, with the payload if there is one. Its answer comes as [`Event::Pong`].
    pub fn ping(&mut self, payload: Option<RawObject>) {
        if !self.is_closed() {
            self.send(&ClientMessage::Ping { payload });
        }
    }

    /// Closes the socket; [`CloseCode::NormalClosure`] is what a satisfied client says.
    pub fn close(&mut self, close: Close) {
        if self.is_closed() {
            return;
        }
        self.end();
        self.transmits.push(Transmit::Close(close.fitted()));
    }

    /// What the application must look at next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// What must be done to the socket next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; none if only an input can change something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::AwaitingAck { deadline } => deadline,
            State::Ready | State::Closed => None,
        }
    }

    /// Whether the server has accepted the connection and it has not ended.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether the connection has ended. A last [`Transmit`] may still wait.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The number of running operations.
    pub fn operations(&self) -> usize {
        self.running.len()
    }

    /// Every pair of state and message, decided.
    fn receive(&mut self, message: ServerMessage) {
        use ServerMessage::{Complete, ConnectionAck, Error, Next, Ping, Pong};
        match (self.state, message) {
            (State::AwaitingAck { .. }, ConnectionAck { payload }) => {
                self.state = State::Ready;
                self.events.push(Event::Ack { payload });
            }
            // Says nothing new, and the reference client lets it pass.
            (State::Ready, ConnectionAck { .. }) => {}
            (State::AwaitingAck { .. }, Next { .. } | Error { .. } | Complete { .. }) => {
                let reason = "an operation's message came before \"connection_ack\"";
                self.close(Close::new(CloseCode::BadResponse, reason));
            }
            (State::Ready, Next { id, payload }) => {
                if let Some(key) = self.find(&id) {
                    self.events.push(Event::Next { key, payload });
                }
            }
            (State::Ready, Error { id, payload }) => {
                if let Some(key) = self.take(&id) {
                    self.events.push(Event::Error { key, errors: payload });
                }
            }
            (State::Ready, Complete { id }) => {
                if let Some(key) = self.take(&id) {
                    self.events.push(Event::Complete { key });
                }
            }
            (State::AwaitingAck { .. } | State::Ready, Ping { payload }) => {
                self.receive_ping(payload.as_ref())
            }
            (State::AwaitingAck { .. } | State::Ready, Pong { payload }) => {
                self.events.push(Event::Pong { payload });
            }
            (
                State::Closed,
                ConnectionAck { .. }
                | Next { .. }
                | Error { .. }
                | Complete { .. }
                | Ping { .. }
                | Pong { .. },
            ) => {}
        }
    }

    /// A `ping` may bring news; the `pong` returns its payload, by which the server knows what has arrived.
    fn receive_ping(&mut self, payload: Option<&RawObject>) {
        let text = crate::message::write("pong", None, payload.map(RawObject::get));
        self.transmits.push(Transmit::Text(text));
        let payload: Option<Map<String, Value>> = payload.and_then(|payload| payload.read().ok());
        let event = payload.as_ref().and_then(|payload| self.gap_in(payload));
        self.events.push(event.unwrap_or(Event::Ping { payload }));
    }

    /// The notice that results were lost, if that is what the payload holds and the operation still runs.
    fn gap_in(&self, payload: &Map<String, Value>) -> Option<Event> {
        let gap = payload.get("stentor")?.get("gap")?;
        let key = self.find(gap.get("id")?.as_str()?)?;
        let dropped = gap.get("dropped").and_then(Value::as_u64);
        Some(Event::Gap { key, dropped, reason: gap.get("reason")?.as_str()?.to_owned() })
    }

    /// The running operation of that id. Others have ended, and what still comes for them is to be ignored.
    fn find(&self, id: &str) -> Option<OperationKey> {
        let key = id.parse().ok().map(OperationKey::from_number)?;
        // A number can be spelled in several ways, an id in one.
        let is_running = self.running.binary_search(&key).is_ok() && id_of(key) == id;
        is_running.then_some(key)
    }

    fn take(&mut self, id: &str) -> Option<OperationKey> {
        self.find(id).filter(|key| self.remove(*key))
    }

    fn remove(&mut self, key: OperationKey) -> bool {
        let position = self.running.binary_search(&key);
        position.map(|position| self.running.remove(position)).is_ok()
    }

    fn end(&mut self) {
        self.state = State::Closed;
        self.running = Vec::new();
        self.events.clear();
    }

    fn send(&mut self, message: &ClientMessage) {
        self.transmits.push(Transmit::Text(message.to_text()));
    }
}

/// What the application must take note of.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server accepted the connection; operations may start.
    Ack {
        /// What the server says about it.
        payload: Option<Map<String, Value>>,
    },
    /// A result of an operation.
    Next {
        /// The operation.
        key: OperationKey,
        /// The execution result, unread.
        payload: RawObject,
    },
    /// The operation failed and has ended.
    Error {
        /// The operation.
        key: OperationKey,
        /// At least one GraphQL error.
        errors: Vec<Value>,
    },
    /// The server ended the operation.
    Complete {
        /// The operation.
        key: OperationKey,
    },
    /// Results of an operation were lost on their way.
    Gap {
        /// The operation.
        key: OperationKey,
        /// How many, if the server knows.
        dropped: Option<u64>,
        /// Why, in the server's word.
        reason: String,
    },
    /// The server sent a `ping` that tells of no gap. It has been answered.
    Ping {
        /// What it says, such as `{"ackId": …}` of an operation that is live.
        payload: Option<Map<String, Value>>,
    },
    /// The server answered a `ping`.
    Pong {
        /// The payload of the `ping`.
        payload: Option<Map<String, Value>>,
    },
}

/// The limits of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the server may take to answer `connection_init`; zero for ever. 10 s.
    pub ack_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { ack_timeout: Duration::from_secs(10) }
    }
}

/// Whether a client may connect again after a close with this code, as the reference client decides it.
///
/// 1005 and 1006 stand for a close without a code and for a connection that broke.
pub fn is_retryable(code: u16) -> bool {
    match code {
        1000 | 1001 | 1005 | 1006 | 1012..=1014 => true,
        1000..=1999 => false,
        4004 | 4005 | 4400 | 4401 | 4406 | 4409 | 4429 | 4500 => false,
        _ => true,
    }
}

/// What the connection waits for.
///
/// ```text
///  AwaitingAck ── connection_ack ──▶ Ready ⟲ subscribe, next, error, complete
///       │ ack_timeout: 4504            │
///       └──────────────┬───────────────┘
///                      ▼ also from everywhere: malformed 4004, close(), the socket's end
///                    Closed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// The server must accept.
    AwaitingAck { deadline: Option<Instant> },
    /// Operations run.
    Ready,
    /// Nothing comes in and nothing goes out any more.
    Closed,
}

fn id_of(key: OperationKey) -> String {
    key.get().to_string()
}
