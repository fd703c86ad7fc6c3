//! The server's side of one socket. Start at [`Connection`].

mod config;
mod envelope;
mod event;
mod operations;

use std::{sync::Arc, time::Instant};

use serde_json::{Map, Value, json};

use crate::{
    close::{Close, CloseCode},
    deadline::{after, is_due},
    message::{self, ClientMessage, RawObject, SubscribePayload},
    queue::Queue,
    transmit::Transmit,
};
pub use config::Config;
pub use envelope::NextEnvelope;
pub use event::Event;
pub use operations::{MAX_ID_BYTES, OperationKey};
use operations::{Operation, Operations};

/// The rules of one socket, as a server must follow them.
///
/// A driver feeds it with `handle_*`, the application answers [`Event`]s with the other verbs, and after each call
/// the driver drains [`poll_event`](Self::poll_event) and [`poll_transmit`](Self::poll_transmit) and sets its timer to
/// [`poll_timeout`](Self::poll_timeout). One input makes at most one event and one transmit, so what waits here
/// is bounded as long as the driver drains. A driver whose writes are blocked must stop reading: each `ping` of the
/// client is owed a `pong`.
///
/// Verbs for an operation that has ended, and all verbs after the end of the connection, do nothing: a decision
/// of the application may always cross the client's `complete` or close.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    state: State,
    /// When the client was last heard, or last asked to answer without a deadline.
    quiet_since: Instant,
    operations: Operations,
    events: Queue<Event>,
    transmits: Queue<Transmit>,
}

impl Connection {
    /// A connection whose socket has just opened.
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let deadline = after(now, config.init_timeout);
        Self {
            config,
            state: State::AwaitingInit { deadline },
            quiet_since: now,
            operations: Operations::default(),
            events: Queue::default(),
            transmits: Queue::default(),
        }
    }

    /// A whole text message arrived.
    pub fn handle_text(&mut self, now: Instant, text: &str) {
        if self.is_closed() {
            return;
        }
        self.handle_activity(now);
        match ClientMessage::parse(text) {
            Ok(message) => self.receive(message),
            Err(error) => self.close(Close::new(CloseCode::BadRequest, error.to_string())),
        }
    }

    /// A binary message arrived, which the protocol does not have.
    pub fn handle_binary(&mut self) {
        self.close(Close::new(CloseCode::BadRequest, "messages must be text, not binary"));
    }

    /// The peer gave a sign of life: a byte of it arrived, or a write that it had blocked went on.
    pub fn handle_activity(&mut self, now: Instant) {
        self.quiet_since = now;
        if let State::Ready { pong_deadline } = &mut self.state {
            *pong_deadline = None;
        }
    }

    /// The moment of [`poll_timeout`](Self::poll_timeout) may have come. Calling early is harmless.
    ///
    /// While the socket takes no writes, a `ping` cannot reach the client, and a driver with its own deadline
    /// for blocked writes need not call.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::AwaitingInit { deadline } => {
                if is_due(deadline, now) {
                    self.close(CloseCode::ConnectionInitialisationTimeout.into());
                }
            }
            State::AwaitingDecision | State::Closed => {}
            State::Ready { pong_deadline: Some(deadline) } => {
                if now >= deadline {
                    self.abort();
                }
            }
            State::Ready { pong_deadline: None } => {
                if is_due(self.ping_at(), now) {
                    self.ask_for_life(now);
                }
            }
        }
    }

    /// The socket is gone. Nothing is left to poll.
    pub fn handle_closed(&mut self) {
        self.end();
        self.transmits.clear();
    }

    /// Accepts the connection: sends `connection_ack`, with the payload if it is an object.
    ///
    /// Only the first decision after [`Event::Init`] counts.
    pub fn accept(&mut self, payload: Option<&Value>) {
        match self.state {
            State::AwaitingDecision => {
                self.state = State::Ready { pong_deadline: None };
                let payload = payload.filter(|payload| payload.is_object()).map(Value::to_string);
                self.send("connection_ack", None, payload.as_deref());
            }
            State::AwaitingInit { .. } | State::Ready { .. } | State::Closed => {}
        }
    }

    /// Closes the socket, whatever the state; also the way to refuse a connection or to drain one.
    ///
    /// All operations end without a message of their own, and no [`Event`] is left. What was to be sent before
    /// still goes out first.
    pub fn close(&mut self, close: Close) {
        if self.is_closed() {
            return;
        }
        self.end();
        self.transmits.push(Transmit::Close(close.fitted()));
    }

    /// What to write around a result of the operation; none if it has ended.
    pub fn next_envelope(&self, key: OperationKey) -> Option<NextEnvelope<'_>> {
        self.running(key).map(|operation| NextEnvelope::new(operation.id.escaped()))
    }

    /// Ends the operation with `error`, after which no `complete` follows.
    ///
    /// `errors_json` is a non-empty JSON array of GraphQL errors; it is sent as it is.
    pub fn error(&mut self, key: OperationKey, errors_json: &str) {
        if let Some(operation) = self.remove(key) {
            self.send("error", Some(operation.id.escaped()), Some(errors_json));
        }
    }

    /// Ends the operation with `complete`.
    pub fn complete(&mut self, key: OperationKey) {
        if let Some(operation) = self.remove(key) {
            self.send("complete", Some(operation.id.escaped()), None);
        }
    }

    /// The operation listens from now on: a client that asked to be told, with `extensions.ackId`, gets it in a `ping`.
    pub fn live(&mut self, key: OperationKey) {
        if !self.is_closed()
            && let Some(ack_id) = self.operations.take_ack_id(key)
        {
            self.send("ping", None, Some(&json!({ "ackId": ack_id }).to_string()));
        }
    }

    /// Tells the client that `dropped` results of the operation were lost; none if nobody knows how many.
    pub fn gap(&mut self, key: OperationKey, dropped: Option<u64>, reason: &str) {
        if let Some(operation) = self.running(key) {
            let id = operation.id.as_str();
            let gap = json!({ "stentor": { "gap": { "id": id, "dropped": dropped, "reason": reason } } });
            self.send("ping", None, Some(&gap.to_string()));
        }
    }

    /// Sends a `ping`, with the payload if it is an object. Its answer comes as [`Event::Pong`], without a deadline.
    pub fn ping(&mut self, payload: Option<Value>) {
        if !self.is_closed() {
            let payload = payload.filter(Value::is_object).map(|payload| payload.to_string());
            self.send("ping", None, payload.as_deref());
        }
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
            State::AwaitingInit { deadline } => deadline,
            State::AwaitingDecision | State::Closed => None,
            State::Ready { pong_deadline } => pong_deadline.or_else(|| self.ping_at()),
        }
    }

    /// Whether the connection was accepted and has not ended.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// Whether the connection has ended. A last [`Transmit`] may still wait.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The number of running operations.
    pub fn operations(&self) -> usize {
        if self.is_closed() { 0 } else { self.operations.len() }
    }

    /// The id that the client gave the operation; none if it ended before the connection did.
    ///
    /// What ended with the connection keeps its id, so that the log can name it.
    pub fn id(&self, key: OperationKey) -> Option<&str> {
        self.operations.get(key).map(|operation| operation.id.as_str())
    }

    /// Every pair of state and message, decided.
    fn receive(&mut self, message: ClientMessage) {
        use ClientMessage::{Complete, ConnectionInit, Ping, Pong, Subscribe};
        match (self.state, message) {
            (State::AwaitingInit { .. }, ConnectionInit { payload }) => self.receive_init(payload),
            (State::AwaitingDecision | State::Ready { .. }, ConnectionInit { .. }) => {
                self.close(CloseCode::TooManyInitialisationRequests.into());
            }
            (State::AwaitingInit { .. } | State::AwaitingDecision, Subscribe { .. }) => {
                self.close(CloseCode::Unauthorized.into());
            }
            (State::Ready { .. }, Subscribe { id, payload }) => self.receive_subscribe(&id, payload),
            // Nothing runs before the ack, and PROTOCOL lets a server ignore unknown ids ("Invalid message").
            (State::AwaitingInit { .. } | State::AwaitingDecision, Complete { .. }) => {}
            (State::Ready { .. }, Complete { id }) => self.receive_complete(id),
            (
                State::AwaitingInit { .. } | State::AwaitingDecision | State::Ready { .. },
                Ping { payload },
            ) => {
                self.send("pong", None, payload.as_ref().map(RawObject::get));
            }
            (
                State::AwaitingInit { .. } | State::AwaitingDecision | State::Ready { .. },
                Pong { payload },
            ) => {
                self.events.push(Event::Pong { payload: payload.map(Value::Object) });
            }
            (
                State::Closed,
                ConnectionInit { .. } | Subscribe { .. } | Complete { .. } | Ping { .. } | Pong { .. },
            ) => {}
        }
    }

    fn receive_init(&mut self, payload: Option<Map<String, Value>>) {
        self.state = State::AwaitingDecision;
        self.events.push(Event::Init { payload: payload.map(Value::Object) });
    }

    fn receive_subscribe(&mut self, id: &str, request: SubscribePayload) {
        if id.len() > MAX_ID_BYTES {
            let reason =
                format!("an operation's \"id\" may have {MAX_ID_BYTES} bytes, this one has {}", id.len());
            return self.close(Close::new(CloseCode::BadRequest, reason));
        }
        if self.operations.find(id).is_some() {
            let reason = format!("Subscriber for {id} already exists");
            return self.close(Close::new(CloseCode::SubscriberAlreadyExists, reason));
        }
        if self.operations.len() >= self.config.max_operations {
            return self.refuse_operation(id);
        }
        let key = self.operations.insert(id, ack_id(&request));
        self.events.push(Event::Subscribe { key, request });
    }

    /// The limit is no fault in the protocol, so only the operation fails and its neighbours live on.
    fn refuse_operation(&mut self, id: &str) {
        let limit = self.config.max_operations;
        let errors = json!([{
            "message": format!("this connection may run {limit} operations at a time; complete one first"),
            "extensions": { "code": "LIMIT_EXCEEDED" },
        }]);
        self.send("error", Some(&message::escape(id)), Some(&errors.to_string()));
    }

    fn receive_complete(&mut self, id: String) {
        if let Some(key) = self.operations.find(&id) {
            self.operations.remove(key);
            self.events.push(Event::Complete { key, id });
        }
    }

    fn running(&self, key: OperationKey) -> Option<&Operation> {
        if self.is_closed() { None } else { self.operations.get(key) }
    }

    /// Ends one operation, unless all have ended with the connection.
    fn remove(&mut self, key: OperationKey) -> Option<Operation> {
        if self.is_closed() { None } else { self.operations.remove(key) }
    }

    fn ping_at(&self) -> Option<Instant> {
        after(self.quiet_since, self.config.ping_interval)
    }

    fn ask_for_life(&mut self, now: Instant) {
        self.quiet_since = now;
        self.state = State::Ready { pong_deadline: after(now, self.config.pong_timeout) };
        self.send("ping", None, None);
    }

    fn abort(&mut self) {
        self.end();
        self.transmits.clear();
        self.transmits.push(Transmit::Abort);
    }

    fn end(&mut self) {
        self.state = State::Closed;
        self.events.clear();
    }

    fn send(&mut self, kind: &str, id: Option<&str>, payload: Option<&str>) {
        self.transmits.push(Transmit::Text(message::write(kind, id, payload)));
    }
}

/// What the connection waits for.
///
/// ```text
///  AwaitingInit ── connection_init ──▶ AwaitingDecision ── accept ──▶ Ready ⟲ subscribe, complete, next, error
///       │ init_timeout: 4408                │                           │ silence: ping, then Abort
///       │ subscribe: 4401                   │ subscribe: 4401           │ id runs already: 4409
///       │                                   │ connection_init: 4429     │ connection_init: 4429
///       └───────────────┬───────────────────┴───────────────────────────┘
///                       ▼ also from everywhere: malformed 4400, close(), the socket's end
///                     Closed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// The client must say who it is.
    AwaitingInit { deadline: Option<Instant> },
    /// The application must say whether it accepts. How long it may take is its own affair.
    AwaitingDecision,
    /// Operations run. With a deadline, the client has been sent a `ping` and owes a sign of life.
    Ready { pong_deadline: Option<Instant> },
    /// Nothing comes in and nothing goes out any more.
    Closed,
}

/// The client's wish to hear when its operation is live, by the recipe of the reference implementation.
///
/// Only a short string or a number counts: the value is kept until the operation is live.
fn ack_id(request: &SubscribePayload) -> Option<Value> {
    match request.extensions.as_ref()?.get("ackId")? {
        Value::String(text) if text.len() > MAX_ID_BYTES => None,
        value @ (Value::String(_) | Value::Number(_)) => Some(value.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
