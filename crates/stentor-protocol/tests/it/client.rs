//! The client's side: a table of what servers send, and what clients do about it.

use std::time::Duration;

use serde_json::json;
use stentor_protocol::{
    CloseCode, OperationKey, SubscribePayload, Transmit,
    client::{Config, Connection, Event, is_retryable},
};

use crate::script::start;

const ACK: &str = r#"{"type":"connection_ack"}"#;

#[test]
fn init_is_sent_at_once_with_its_payload() {
    let payload = json!({ "token": "t" }).as_object().cloned();
    for (payload, text) in [
        (None, r#"{"type":"connection_init"}"#),
        (payload, r#"{"type":"connection_init","payload":{"token":"t"}}"#),
    ] {
        let mut connection = Connection::connect(&Config::default(), start(), payload);
        assert_eq!(transmits(&mut connection), [Transmit::Text(text.to_owned())]);
    }
}

#[test]
fn missing_ack_closes_4504() {
    let now = start();
    let mut connection = Connection::connect(&Config { ack_timeout: Duration::from_secs(1) }, now, None);
    transmits(&mut connection);
    assert_eq!(connection.poll_timeout(), Some(now + Duration::from_secs(1)));
    connection.handle_timeout(now + Duration::from_millis(999));
    assert_eq!(codes(&mut connection), []);
    connection.handle_timeout(now + Duration::from_secs(1));
    assert_eq!(codes(&mut connection), [CloseCode::ConnectionAcknowledgementTimeout]);
}

#[test]
fn ack_stops_the_timer() {
    let (mut connection, _) = subscribed();
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_timeout(start() + Duration::from_secs(3_600));
    assert!(connection.is_ready());
}

#[test]
fn ack_timeout_zero_waits_for_ever() {
    let connection = Connection::connect(&Config { ack_timeout: Duration::ZERO }, start(), None);
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn subscribe_waits_for_the_ack() {
    let mut connection = Connection::connect(&Config::default(), start(), None);
    assert_eq!(connection.subscribe(request()), None);
    connection.handle_text(ACK);
    assert!(connection.subscribe(request()).is_some());
    connection.handle_closed();
    assert_eq!(connection.subscribe(request()), None);
}

/// What the connection makes of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Ignored,
    Closes,
    Hears,
    /// An event, and a `pong`.
    Answers,
}

#[test]
fn every_message_has_a_decided_outcome_in_every_state() {
    use Outcome::{Answers, Closes, Hears, Ignored};
    // Columns: AwaitingAck, Ready with the operation 1, Closed.
    let rows = [
        (ACK, [Hears, Ignored, Ignored]),
        (r#"{"type":"ping"}"#, [Answers, Answers, Ignored]),
        (r#"{"type":"pong"}"#, [Hears, Hears, Ignored]),
        (r#"{"id":"1","type":"next","payload":{}}"#, [Closes, Hears, Ignored]),
        (r#"{"id":"1","type":"error","payload":[{"message":"m"}]}"#, [Closes, Hears, Ignored]),
        (r#"{"id":"1","type":"complete"}"#, [Closes, Hears, Ignored]),
        (r#"{"id":"2","type":"next","payload":{}}"#, [Closes, Ignored, Ignored]),
        (r#"{"id":"2","type":"error","payload":[{"message":"m"}]}"#, [Closes, Ignored, Ignored]),
        (r#"{"id":"2","type":"complete"}"#, [Closes, Ignored, Ignored]),
        (r#"{"id":"01","type":"complete"}"#, [Closes, Ignored, Ignored]),
        (r#"{"id":"+1","type":"complete"}"#, [Closes, Ignored, Ignored]),
        (r#"{"type":"connection_init"}"#, [Closes, Closes, Ignored]),
        (r#"{"id":"1","type":"subscribe","payload":{"query":"q"}}"#, [Closes, Closes, Ignored]),
        (r#"{"type":"data"}"#, [Closes, Closes, Ignored]),
        ("hello", [Closes, Closes, Ignored]),
    ];
    for (text, outcomes) in rows {
        let mut awaiting = Connection::connect(&Config::default(), start(), None);
        transmits(&mut awaiting);
        let (ready, _) = subscribed();
        let (mut closed, _) = subscribed();
        closed.handle_closed();
        for (mut connection, expected) in [awaiting, ready, closed].into_iter().zip(outcomes) {
            connection.handle_text(text);
            assert_eq!(outcome(&mut connection), expected, "{text}");
        }
    }
}

#[test]
fn operations_hear_their_results_until_they_end() {
    let (mut connection, key) = subscribed();
    connection.handle_text(r#"{"id":"1","type":"next","payload":{"data":{"tick":1}}}"#);
    let Some(Event::Next { key: heard, payload }) = connection.poll_event() else { panic!("a result came") };
    assert_eq!((heard, payload.get()), (key, r#"{"data":{"tick":1}}"#));
    assert_eq!(payload.read::<serde_json::Value>().ok(), Some(json!({ "data": { "tick": 1 } })));

    connection.handle_text(r#"{"id":"1","type":"complete"}"#);
    assert_eq!(connection.poll_event(), Some(Event::Complete { key }));
    connection.handle_text(r#"{"id":"1","type":"next","payload":{}}"#);
    connection.complete(key);
    assert_eq!((outcome(&mut connection), connection.operations()), (Outcome::Ignored, 0));
}

#[test]
fn error_ends_the_operation() {
    let (mut connection, key) = subscribed();
    connection.handle_text(r#"{"id":"1","type":"error","payload":[{"message":"no"}]}"#);
    assert_eq!(connection.poll_event(), Some(Event::Error { key, errors: vec![json!({ "message": "no" })] }));
    connection.handle_text(r#"{"id":"1","type":"complete"}"#);
    assert_eq!(outcome(&mut connection), Outcome::Ignored);
}

#[test]
fn completed_operations_are_heard_of_no_more() {
    let (mut connection, key) = subscribed();
    connection.complete(key);
    assert_eq!(transmits(&mut connection), [Transmit::Text(r#"{"id":"1","type":"complete"}"#.to_owned())]);
    connection.complete(key);
    connection.handle_text(r#"{"id":"1","type":"next","payload":{}}"#);
    connection.handle_text(r#"{"id":"1","type":"complete"}"#);
    assert_eq!(outcome(&mut connection), Outcome::Ignored);
}

#[test]
fn ping_is_answered_with_its_payload_even_before_the_ack() {
    let mut connection = Connection::connect(&Config::default(), start(), None);
    transmits(&mut connection);
    connection.handle_text(r#"{"type":"ping","payload":{"n":1.10}}"#);
    assert_eq!(
        transmits(&mut connection),
        [Transmit::Text(r#"{"type":"pong","payload":{"n":1.10}}"#.to_owned())]
    );
}

#[test]
fn gap_notices_are_events_and_other_pings_are_not() {
    let gap = |gap: serde_json::Value| json!({ "type": "ping", "payload": { "stentor": { "gap": gap } } });
    let rows = [
        (
            gap(json!({ "id": "1", "dropped": 3, "reason": "SLOW_CONSUMER" })),
            Some((Some(3), "SLOW_CONSUMER")),
        ),
        (gap(json!({ "id": "1", "dropped": null, "reason": "FAILOVER" })), Some((None, "FAILOVER"))),
        (gap(json!({ "id": "2", "dropped": 3, "reason": "SLOW_CONSUMER" })), None),
        (gap(json!({ "id": "1", "dropped": 3 })), None),
        (json!({ "type": "ping", "payload": { "ackId": "1" } }), None),
        (json!({ "type": "ping" }), None),
    ];
    for (message, expected) in rows {
        let (mut connection, key) = subscribed();
        connection.handle_text(&message.to_string());
        let payload = message.get("payload").and_then(|payload| payload.as_object().cloned());
        let expected = match expected {
            Some((dropped, reason)) => Event::Gap { key, dropped, reason: reason.to_owned() },
            None => Event::Ping { payload },
        };
        assert_eq!(connection.poll_event(), Some(expected), "{message}");
    }
}

#[test]
fn close_is_the_last_thing_sent() {
    let (mut connection, key) = subscribed();
    connection.close(CloseCode::NormalClosure.into());
    connection.complete(key);
    connection.ping(None);
    connection.close(CloseCode::BadResponse.into());
    connection.handle_binary();
    assert_eq!(codes(&mut connection), [CloseCode::NormalClosure]);
}

#[test]
fn what_waits_is_dropped_when_the_socket_is_gone() {
    let (mut connection, _) = subscribed();
    connection.ping(None);
    connection.handle_text(r#"{"type":"pong"}"#);
    connection.handle_closed();
    assert_eq!((connection.poll_transmit(), connection.poll_event()), (None, None));
    assert_eq!((connection.operations(), connection.is_closed()), (0, true));
}

#[test]
fn binary_message_closes_4004() {
    let (mut connection, _) = subscribed();
    connection.handle_binary();
    assert_eq!(codes(&mut connection), [CloseCode::BadResponse]);
}

#[test]
fn close_codes_are_retried_as_the_reference_client_does() {
    let retryable = [1000, 1001, 1005, 1006, 1012, 1013, 1014, 3000, 4000, 4403, 4408, 4499, 4504];
    let fatal = [
        1002, 1003, 1007, 1008, 1009, 1010, 1011, 1015, 1999, 4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500,
    ];
    for code in retryable {
        assert!(is_retryable(code), "{code}");
    }
    for code in fatal {
        assert!(!is_retryable(code), "{code}");
    }
}

fn request() -> SubscribePayload {
    SubscribePayload { query: "subscription { tick }".to_owned(), ..SubscribePayload::default() }
}

/// An accepted connection with the operation `1`, and nothing left to poll.
fn subscribed() -> (Connection, OperationKey) {
    let mut connection = Connection::connect(&Config::default(), start(), None);
    connection.handle_text(ACK);
    assert_eq!(connection.poll_event(), Some(Event::Ack { payload: None }));
    let key = connection.subscribe(request()).expect("the connection is accepted");
    let sent = transmits(&mut connection);
    let subscribe = r#"{"id":"1","type":"subscribe","payload":{"query":"subscription { tick }"}}"#;
    assert_eq!(sent.last(), Some(&Transmit::Text(subscribe.to_owned())));
    (connection, key)
}

fn transmits(connection: &mut Connection) -> Vec<Transmit> {
    std::iter::from_fn(|| connection.poll_transmit()).collect()
}

/// The codes of the closes that go out; nothing else may go out with them.
fn codes(connection: &mut Connection) -> Vec<CloseCode> {
    let code = |transmit| match transmit {
        Transmit::Close(close) => close.code,
        other => panic!("{other:?} is no close"),
    };
    transmits(connection).into_iter().map(code).collect()
}

fn outcome(connection: &mut Connection) -> Outcome {
    let events = std::iter::from_fn(|| connection.poll_event()).count();
    match (events, transmits(connection).as_slice()) {
        (0, []) => Outcome::Ignored,
        (0, [Transmit::Close(close)]) if close.code == CloseCode::BadResponse => Outcome::Closes,
        (1, []) => Outcome::Hears,
        (1, [Transmit::Text(_)]) => Outcome::Answers,
        (events, sent) => panic!("{events} events and {sent:?}"),
    }
}
