//! Random walks: whatever clients, application and time do, the promises hold.

use std::{collections::HashMap, sync::Arc, time::Duration, time::Instant};

use proptest::prelude::*;
use serde_json::Value;
use stentor_protocol::{CloseCode, Config, Connection, Event, OperationKey, ServerMessage, Transmit};

use crate::script::{next, start};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn promises_hold_on_every_walk(moves in proptest::collection::vec(any_move(), 1..120)) {
        let mut walk = Walk::new();
        for step in &moves {
            walk.take(step);
        }
    }
}

/// One input or decision. Operations are named by how many were started since.
#[derive(Clone, Debug)]
enum Move {
    Text(String),
    Binary,
    Accept,
    Next(usize),
    Error(usize),
    Complete(usize),
    Live(usize),
    Gap(usize),
    Ping,
    Close,
    SocketClosed,
    Pass(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    let operation = 0..6_usize;
    prop_oneof![
        30 => well_formed().prop_map(Move::Text),
        3 => mutated().prop_map(Move::Text),
        6 => Just(Move::Accept),
        8 => operation.clone().prop_map(Move::Next),
        4 => operation.clone().prop_map(Move::Error),
        4 => operation.clone().prop_map(Move::Complete),
        4 => operation.clone().prop_map(Move::Live),
        4 => operation.prop_map(Move::Gap),
        3 => Just(Move::Ping),
        10 => (0..20_000_u64).prop_map(Move::Pass),
        1 => (0..100_000_u64).prop_map(Move::Pass),
        1 => prop_oneof![Just(Move::Close), Just(Move::SocketClosed), Just(Move::Binary)],
    ]
}

fn well_formed() -> impl Strategy<Value = String> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c"), Just(r#"\""#), Just("é")];
    prop_oneof![
        4 => Just(r#"{"type":"connection_init"}"#.to_owned()),
        2 => Just(r#"{"type":"ping","payload":{"n":1}}"#.to_owned()),
        2 => Just(r#"{"type":"pong"}"#.to_owned()),
        6 => id.clone().prop_map(|id| {
            format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"q","extensions":{{"ackId":"x"}}}}}}"#)
        }),
        6 => id.prop_map(|id| format!(r#"{{"id":"{id}","type":"complete"}}"#)),
    ]
}

/// A message in which one character became another, or was doubled or dropped.
fn mutated() -> impl Strategy<Value = String> {
    (well_formed(), any::<prop::sample::Index>(), proptest::option::of(any::<char>()), any::<bool>())
        .prop_map(|(text, place, character, keep)| {
            let characters: Vec<char> = text.chars().collect();
            let place = place.index(characters.len());
            let mut mutated: String = characters[..place].iter().collect();
            mutated.extend(character);
            mutated.extend(&characters[place + usize::from(!keep)..]);
            mutated
        })
}

/// A connection, and what its peer and its application know of it.
struct Walk {
    connection: Connection,
    now: Instant,
    keys: Vec<OperationKey>,
    /// The id of each operation that runs, as the promises have it.
    running: HashMap<OperationKey, String>,
    /// The ids of those that ended with the connection.
    cut_off: HashMap<OperationKey, String>,
    ended: bool,
}

const MAX_OPERATIONS: usize = 3;

impl Walk {
    fn new() -> Self {
        let config = Config { max_operations: MAX_OPERATIONS, ..Config::default() };
        let now = start();
        Self {
            connection: Connection::new(Arc::new(config), now),
            now,
            keys: Vec::new(),
            running: HashMap::new(),
            cut_off: HashMap::new(),
            ended: false,
        }
    }

    fn take(&mut self, step: &Move) {
        match step {
            Move::Text(text) => self.text(text),
            Move::Binary => self.connection.handle_binary(),
            Move::Accept => self.connection.accept(None),
            Move::Close => self.connection.close(CloseCode::ServiceRestart.into()),
            Move::SocketClosed => {
                self.connection.handle_closed();
                self.end();
            }
            Move::Ping => self.connection.ping(None),
            Move::Pass(milliseconds) => {
                self.now += Duration::from_millis(*milliseconds);
                self.connection.handle_timeout(self.now);
            }
            Move::Next(back) => self.each(*back, Self::next),
            Move::Error(back) => {
                self.each(*back, |walk, key| walk.connection.error(key, r#"[{"message":"m"}]"#))
            }
            Move::Complete(back) => self.each(*back, |walk, key| walk.connection.complete(key)),
            Move::Live(back) => self.each(*back, |walk, key| walk.connection.live(key)),
            Move::Gap(back) => self.each(*back, |walk, key| walk.connection.gap(key, None, "SOURCE")),
        }
        self.drain();
        self.agree();
    }

    fn text(&mut self, text: &str) {
        self.connection.handle_text(self.now, text);
    }

    fn each(&mut self, back: usize, verb: impl Fn(&mut Self, OperationKey)) {
        let key = self.keys.iter().rev().nth(back).copied();
        if let Some(key) = key {
            verb(self, key);
        }
    }

    fn next(&mut self, key: OperationKey) {
        let text = next(&self.connection, key, "{}");
        assert_eq!(
            text.is_some(),
            self.running.contains_key(&key),
            "a result leaves exactly while its operation runs"
        );
        if let Some(text) = text {
            self.sent(&text);
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            assert!(!self.ended, "an event after the end: {event:?}");
            match event {
                Event::Subscribe { key, .. } => self.started(key),
                Event::Complete { key, id } => assert_eq!(self.running.remove(&key), Some(id), "ended twice"),
                Event::Init { .. } | Event::Pong { .. } => {}
            }
        }
        while let Some(transmit) = self.connection.poll_transmit() {
            assert!(!self.ended, "sent after the end: {transmit:?}");
            match transmit {
                Transmit::Text(text) => self.sent(&text),
                Transmit::Close(_) | Transmit::Abort => self.end(),
            }
        }
    }

    fn started(&mut self, key: OperationKey) {
        assert!(self.keys.last().is_none_or(|last| *last < key), "keys count up");
        let id = self.connection.id(key).expect("the operation runs").to_owned();
        assert!(!self.running.values().any(|other| *other == id), "two operations of one id");
        self.keys.push(key);
        self.running.insert(key, id);
    }

    fn sent(&mut self, text: &str) {
        match ServerMessage::parse(text).expect("what the server sends is well-formed") {
            ServerMessage::ConnectionAck { .. } | ServerMessage::Pong { .. } => {}
            ServerMessage::Next { id, .. } => {
                self.key_of(&id).expect("next is for a running operation");
            }
            ServerMessage::Complete { id } => {
                let key = self.key_of(&id).expect("complete is for a running operation");
                self.running.remove(&key);
            }
            ServerMessage::Error { id, payload } => self.failed(&id, &payload),
            ServerMessage::Ping { payload: None } => {}
            ServerMessage::Ping { payload: Some(payload) } => {
                let payload: Value = payload.read().expect("the payload was read once already");
                if let Some(id) = payload["stentor"]["gap"]["id"].as_str() {
                    self.key_of(id).expect("a gap is told of a running operation");
                }
            }
        }
    }

    fn failed(&mut self, id: &str, errors: &[Value]) {
        match self.key_of(id) {
            Some(key) => {
                self.running.remove(&key);
            }
            None => {
                assert_eq!(
                    errors[0]["extensions"]["code"], "LIMIT_EXCEEDED",
                    "error for {id}, which does not run"
                );
                assert_eq!(self.running.len(), MAX_OPERATIONS);
            }
        }
    }

    fn key_of(&self, id: &str) -> Option<OperationKey> {
        self.running.iter().find(|(_, other)| *other == id).map(|(key, _)| *key)
    }

    fn end(&mut self) {
        self.ended = true;
        self.cut_off.extend(self.running.drain());
    }

    /// The connection and the observer hold the same view.
    fn agree(&self) {
        assert_eq!(self.connection.is_closed(), self.ended);
        assert_eq!(self.connection.operations(), self.running.len());
        assert!(!self.ended || self.connection.poll_timeout().is_none(), "a timer after the end");
        for key in &self.keys {
            let id = self.running.get(key).or_else(|| self.cut_off.get(key));
            assert_eq!(self.connection.id(*key), id.map(String::as_str));
        }
    }
}
