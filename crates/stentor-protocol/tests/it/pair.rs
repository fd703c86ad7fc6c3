//! Both sides talk to each other in memory.

use std::sync::Arc;

use serde_json::{Value, json};
use stentor_protocol::{
    Close, CloseCode, Config, Connection, Event, OperationKey, SubscribePayload, Transmit, client,
};

use crate::script::{next, start};

#[test]
fn a_subscription_runs_from_init_to_complete() {
    let mut pair = Pair::accepted(Config::default());
    let (on_client, on_server) = pair.subscribe();
    pair.next(on_server, r#"{"data":{"tick":1}}"#);
    assert_eq!(pair.heard(), ["next 1 {\"data\":{\"tick\":1}}"]);
    pair.server.complete(on_server);
    pair.exchange();
    assert_eq!(pair.heard(), ["complete 1"]);
    assert_eq!((pair.client.operations(), pair.server.operations()), (0, 0));
    pair.client.complete(on_client);
    pair.exchange();
    assert_eq!((pair.heard(), pair.asked().len()), (vec![], 0));
}

#[test]
fn the_clients_complete_reaches_the_application() {
    let mut pair = Pair::accepted(Config::default());
    let (on_client, on_server) = pair.subscribe();
    pair.client.complete(on_client);
    pair.exchange();
    assert_eq!(pair.asked(), [Event::Complete { key: on_server, id: "1".to_owned() }]);
}

#[test]
fn a_request_arrives_as_it_was_asked() {
    let mut pair = Pair::accepted(Config::default());
    let request = SubscribePayload {
        query: "query Q($x: Int) { f(x: $x) }".to_owned(),
        operation_name: Some("Q".to_owned()),
        variables: json!({ "x": 1 }).as_object().cloned(),
        extensions: json!({ "ackId": "\"" }).as_object().cloned(),
    };
    pair.client.subscribe(request.clone());
    pair.exchange();
    let asked = pair.asked();
    let [Event::Subscribe { key, request: arrived }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(arrived, &request);
    pair.server.live(*key);
    pair.exchange();
    assert_eq!(pair.heard(), [r#"ping {"ackId":"\""}"#]);
    assert_eq!(pair.asked(), [Event::Pong { payload: Some(json!({ "ackId": "\"" })) }]);
}

#[test]
fn a_gap_is_heard_and_its_pong_proves_it_arrived() {
    let mut pair = Pair::accepted(Config::default());
    let (_, on_server) = pair.subscribe();
    pair.server.gap(on_server, Some(2), "SLOW_CONSUMER");
    pair.exchange();
    assert_eq!(pair.heard(), ["gap 1 Some(2) SLOW_CONSUMER"]);
    let gap = json!({ "stentor": { "gap": { "id": "1", "dropped": 2, "reason": "SLOW_CONSUMER" } } });
    assert_eq!(pair.asked(), [Event::Pong { payload: Some(gap) }]);
}

#[test]
fn an_operation_beyond_the_limit_fails_alone() {
    let mut pair = Pair::accepted(Config { max_operations: 1, ..Config::default() });
    let (_, on_server) = pair.subscribe();
    pair.client.subscribe(SubscribePayload::default());
    pair.exchange();
    assert_eq!(pair.heard(), ["error 2 LIMIT_EXCEEDED"]);
    pair.next(on_server, "{}");
    assert_eq!(pair.heard(), ["next 1 {}"]);
}

#[test]
fn a_refused_client_learns_why() {
    let mut pair = Pair::new(Config::default(), &json!({ "token": "old" }));
    pair.exchange();
    assert_eq!(pair.asked(), [Event::Init { payload: Some(json!({ "token": "old" })) }]);
    pair.server.close(Close::new(CloseCode::Forbidden, "the token expired"));
    pair.exchange();
    assert_eq!(pair.close, Some(Close::new(CloseCode::Forbidden, "the token expired")));
    assert!(client::is_retryable(CloseCode::Forbidden.code()));
}

#[test]
fn a_thousand_operations_keep_apart() {
    let mut pair = Pair::accepted(Config::default());
    let keys: Vec<_> = (0..1_000).map(|_| pair.subscribe()).collect();
    for (on_client, _) in keys.iter().step_by(2) {
        pair.client.complete(*on_client);
    }
    pair.exchange();
    assert_eq!((pair.asked().len(), pair.server.operations(), pair.client.operations()), (500, 500, 500));
    for (number, (on_client, on_server)) in keys.iter().enumerate() {
        pair.next(*on_server, "{}");
        let expected = if number % 2 == 0 { vec![] } else { vec![format!("next {} {{}}", on_client.get())] };
        assert_eq!(pair.heard(), expected);
    }
}

/// A client and a server whose transmits reach each other at once.
struct Pair {
    client: client::Connection,
    server: Connection,
    heard: Vec<String>,
    asked: Vec<Event>,
    close: Option<Close>,
}

impl Pair {
    fn new(config: Config, payload: &Value) -> Self {
        Self {
            client: client::Connection::connect(
                &client::Config::default(),
                start(),
                payload.as_object().cloned(),
            ),
            server: Connection::new(Arc::new(config), start()),
            heard: Vec::new(),
            asked: Vec::new(),
            close: None,
        }
    }

    fn accepted(config: Config) -> Self {
        let mut pair = Self::new(config, &Value::Null);
        pair.exchange();
        assert_eq!(pair.asked(), [Event::Init { payload: None }]);
        pair.server.accept(Some(&json!({ "node": "n1" })));
        pair.exchange();
        assert_eq!(pair.heard(), [r#"ack {"node":"n1"}"#]);
        pair
    }

    fn subscribe(&mut self) -> (OperationKey, OperationKey) {
        let on_client =
            self.client.subscribe(SubscribePayload::default()).expect("the connection is accepted");
        self.exchange();
        let asked = self.asked();
        let [Event::Subscribe { key, .. }] = asked.as_slice() else { panic!("{asked:?}") };
        (on_client, *key)
    }

    fn next(&mut self, on_server: OperationKey, result: &str) {
        if let Some(text) = next(&self.server, on_server, result) {
            self.client.handle_text(&text);
        }
        self.exchange();
    }

    /// Carries texts to and fro until both are silent.
    fn exchange(&mut self) {
        loop {
            let from_client = self.client.poll_transmit();
            let from_server = self.server.poll_transmit();
            if from_client.is_none() && from_server.is_none() {
                break;
            }
            match from_client {
                Some(Transmit::Text(text)) => self.server.handle_text(start(), &text),
                Some(other) => panic!("the client did {other:?}"),
                None => {}
            }
            match from_server {
                Some(Transmit::Text(text)) => self.client.handle_text(&text),
                Some(Transmit::Close(close)) => self.close = Some(close),
                Some(Transmit::Abort) => panic!("the server found the client dead"),
                None => {}
            }
        }
        self.heard.extend(std::iter::from_fn(|| self.client.poll_event()).map(|event| described(&event)));
        self.asked.extend(std::iter::from_fn(|| self.server.poll_event()));
    }

    fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    fn asked(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.asked)
    }
}

fn described(event: &client::Event) -> String {
    let object = |payload: &Option<serde_json::Map<String, Value>>| json!(payload).to_string();
    match event {
        client::Event::Ack { payload } => format!("ack {}", object(payload)),
        client::Event::Next { key, payload } => format!("next {} {}", key.get(), payload.get()),
        client::Event::Error { key, errors } => {
            format!("error {} {}", key.get(), errors[0]["extensions"]["code"].as_str().unwrap_or_default())
        }
        client::Event::Complete { key } => format!("complete {}", key.get()),
        client::Event::Gap { key, dropped, reason } => format!("gap {} {dropped:?} {reason}", key.get()),
        client::Event::Ping { payload } => format!("ping {}", object(payload)),
        client::Event::Pong { payload } => format!("pong {}", object(payload)),
    }
}
