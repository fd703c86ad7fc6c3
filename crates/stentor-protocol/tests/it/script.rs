//! Scripts of steps against one server connection, on a clock that moves by hand.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use stentor_protocol::{Close, CloseCode, Config, Connection, Event, NextEnvelope, OperationKey, Transmit};

/// One step of a script. Whatever an input causes must be expected, in order, before the next input.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client sends a text.
    Client(String),
    /// The client sends a binary message.
    ClientBinary,
    /// The client sends bytes that make no message yet.
    ClientBytes,
    /// The socket is gone.
    SocketClosed,
    /// The application decides.
    App(App),
    /// So many milliseconds pass; timers fire on the way.
    Advance(u64),
    /// A text message with exactly this JSON goes out.
    Expect(Value),
    /// A text message of exactly these characters goes out.
    ExpectText(String),
    /// A close frame goes out.
    ExpectClose(CloseCode, Option<String>),
    /// The socket is dropped.
    ExpectAbort,
    /// The application hears of something.
    ExpectEvent(Heard),
    /// Nothing goes out and the application hears nothing; said where it is the point of the row.
    ExpectNothing,
    /// The connection wants to be woken after so many milliseconds.
    ExpectTimer(Option<u64>),
}

/// A decision; operations are numbered from 1 in the order of their `subscribe`.
#[derive(Clone, Debug)]
pub(crate) enum App {
    Accept(Option<Value>),
    Close(CloseCode, &'static str),
    Next(usize, &'static str),
    Error(usize, &'static str),
    Complete(usize),
    Live(usize),
    Gap(usize, Option<u64>, &'static str),
    Ping(Option<Value>),
}

/// An event without its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Init(Option<Value>),
    Subscribe(usize),
    Complete(usize),
    Pong(Option<Value>),
}

/// A connection, its clock, and what it did that no step has looked at yet.
pub(crate) struct Bench {
    pub(crate) connection: Connection,
    start: Instant,
    now: Instant,
    keys: Vec<OperationKey>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Heard>,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        let now = start();
        Self {
            connection: Connection::new(Arc::new(config), now),
            start: now,
            now,
            keys: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn run(&mut self, steps: &[Step]) {
        for (position, step) in steps.iter().enumerate() {
            if let Err(complaint) = self.step(step) {
                panic!("step {position}, {step:?}: {complaint}\nall steps: {steps:#?}");
            }
        }
        if let Err(complaint) = self.nothing_left() {
            panic!("at the end: {complaint}\nall steps: {steps:#?}");
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Expect(expected) => match self.transmits.pop_front() {
                Some(Transmit::Text(text)) => equal(&parse(&text), expected),
                other => Err(format!("instead came {other:?}")),
            },
            Step::ExpectText(expected) => {
                equal(&self.transmits.pop_front(), &Some(Transmit::Text(expected.clone())))
            }
            Step::ExpectClose(code, reason) => match self.transmits.pop_front() {
                Some(Transmit::Close(close)) => {
                    equal(&close.code, code)?;
                    reason.as_ref().map_or(Ok(()), |reason| equal(close.reason.as_ref(), reason.as_str()))
                }
                other => Err(format!("instead came {other:?}")),
            },
            Step::ExpectAbort => equal(&self.transmits.pop_front(), &Some(Transmit::Abort)),
            Step::ExpectEvent(expected) => equal(&self.events.pop_front().as_ref(), &Some(expected)),
            Step::ExpectNothing => self.nothing_left(),
            Step::ExpectTimer(expected) => {
                let wait = self.connection.poll_timeout().map(|at| (at - self.now).as_millis() as u64);
                equal(&wait, expected)
            }
            Step::Advance(milliseconds) => self.nothing_left().map(|()| self.advance(*milliseconds)),
            Step::App(decision) => self.nothing_left().map(|()| self.decide(decision)),
            Step::Client(_) | Step::ClientBinary | Step::ClientBytes | Step::SocketClosed => {
                self.nothing_left().map(|()| self.input(step))
            }
        }
    }

    fn input(&mut self, step: &Step) {
        match step {
            Step::Client(text) => self.connection.handle_text(self.now, text),
            Step::ClientBinary => self.connection.handle_binary(),
            Step::ClientBytes => self.connection.handle_activity(self.now),
            Step::SocketClosed => self.connection.handle_closed(),
            other => unreachable!("{other:?} is no input"),
        }
        self.drain();
    }

    fn advance(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(at) = self.connection.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.connection.handle_timeout(self.now);
            assert_ne!(
                self.connection.poll_timeout(),
                Some(at),
                "a timer that stays due makes a driver spin"
            );
            self.drain();
        }
        self.now = end;
        self.connection.handle_timeout(end);
        self.drain();
    }

    fn decide(&mut self, decision: &App) {
        match decision.clone() {
            App::Accept(payload) => self.connection.accept(payload.as_ref()),
            App::Close(code, "") => self.connection.close(code.into()),
            App::Close(code, reason) => self.connection.close(Close { code, reason: reason.into() }),
            App::Next(number, result) => {
                let text = next(&self.connection, self.keys[number - 1], result);
                self.transmits.extend(text.map(Transmit::Text));
            }
            App::Error(number, errors) => self.connection.error(self.keys[number - 1], errors),
            App::Complete(number) => self.connection.complete(self.keys[number - 1]),
            App::Live(number) => self.connection.live(self.keys[number - 1]),
            App::Gap(number, dropped, reason) => self.connection.gap(self.keys[number - 1], dropped, reason),
            App::Ping(payload) => self.connection.ping(payload),
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            let heard = match event {
                Event::Init { payload } => Heard::Init(payload),
                Event::Subscribe { key, .. } => {
                    self.keys.push(key);
                    Heard::Subscribe(self.keys.len())
                }
                Event::Complete { key, .. } => Heard::Complete(self.number(key)),
                Event::Pong { payload } => Heard::Pong(payload),
            };
            self.events.push_back(heard);
        }
        while let Some(transmit) = self.connection.poll_transmit() {
            self.transmits.push_back(transmit);
        }
    }

    fn number(&self, key: OperationKey) -> usize {
        1 + self.keys.iter().position(|other| *other == key).expect("the key came with a subscribe event")
    }

    fn nothing_left(&self) -> Result<(), String> {
        if self.transmits.is_empty() && self.events.is_empty() {
            return Ok(());
        }
        let elapsed = self.now - self.start;
        Err(format!("after {elapsed:?} nobody expected {:?} {:?}", self.transmits, self.events))
    }
}

/// The moment at which every clock here starts.
#[expect(
    clippy::disallowed_methods,
    reason = "std makes an Instant in no other way; from here on it moves by hand"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

/// The text of a result, as a driver writes it.
pub(crate) fn next(connection: &Connection, key: OperationKey, result: &str) -> Option<String> {
    let envelope = connection.next_envelope(key)?;
    let mut text = Vec::new();
    envelope.write_head(&mut text);
    assert_eq!(text.len(), envelope.head_len());
    assert_eq!(text, envelope.head_parts().concat().as_bytes());
    text.extend_from_slice(result.as_bytes());
    text.extend_from_slice(NextEnvelope::TAIL.as_bytes());
    Some(String::from_utf8(text).expect("made of strings"))
}

pub(crate) fn client(text: impl Into<String>) -> Step {
    Step::Client(text.into())
}

pub(crate) fn app(decision: App) -> Step {
    Step::App(decision)
}

pub(crate) fn expect(message: Value) -> Step {
    Step::Expect(message)
}

pub(crate) fn expect_text(text: impl Into<String>) -> Step {
    Step::ExpectText(text.into())
}

pub(crate) fn expect_event(event: Heard) -> Step {
    Step::ExpectEvent(event)
}

pub(crate) fn expect_close(code: CloseCode, reason: &str) -> Step {
    Step::ExpectClose(code, Some(reason.to_owned()))
}

pub(crate) const INIT: &str = r#"{"type":"connection_init"}"#;

/// A `subscribe` with that id.
pub(crate) fn subscribe(id: &str) -> Step {
    client(
        serde_json::json!({ "id": id, "type": "subscribe", "payload": { "query": "subscription { tick }" } })
            .to_string(),
    )
}

/// A `complete` with that id, from the client.
pub(crate) fn complete(id: &str) -> Step {
    client(serde_json::json!({ "id": id, "type": "complete" }).to_string())
}

/// The steps from the open socket to an accepted connection.
pub(crate) fn accepted() -> Vec<Step> {
    vec![
        client(INIT),
        expect_event(Heard::Init(None)),
        app(App::Accept(None)),
        expect_text(r#"{"type":"connection_ack"}"#),
    ]
}

/// The steps from the open socket to one running operation, number 1, of id `a`.
pub(crate) fn subscribed() -> Vec<Step> {
    [accepted(), vec![subscribe("a"), expect_event(Heard::Subscribe(1))]].concat()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("what is sent is JSON")
}

fn equal<T: std::fmt::Debug + PartialEq + ?Sized>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}")) }
}
