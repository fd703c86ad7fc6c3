//! One row per rule of PROTOCOL.md and per promise of the crate. The name of a row is the rule.

use std::time::Duration;

use serde_json::{Value, json};
use stentor_protocol::{CloseCode, Config, Connection, Event, Transmit};

use crate::script::{
    App, Bench, Heard, INIT, Step, accepted, app, client, complete, expect, expect_close, expect_event,
    expect_text, start, subscribe, subscribed,
};

/// A table of rows `name: steps`, or `name with config: steps`; each becomes a test.
macro_rules! rules {
    ($($name:ident $(with $config:expr)? => $($steps:expr),+;)+) => {$(
        #[test]
        fn $name() {
            #[allow(unused_mut, unused_assignments, reason = "most rows take the default")]
            let mut config = Config::default();
            $(config = $config;)?
            Bench::new(config).run(&[$($steps.to_vec()),+].concat());
        }
    )+};
}

rules! {
    // ConnectionInit
    init_is_acknowledged_once_the_application_accepts =>
        [client(INIT), expect_event(Heard::Init(None)), Step::ExpectNothing],
        [app(App::Accept(None)), expect_text(r#"{"type":"connection_ack"}"#)];
    init_payload_reaches_the_application =>
        [client(r#"{"type":"connection_init","payload":{"token":"t"}}"#)],
        [expect_event(Heard::Init(Some(json!({ "token": "t" }))))];
    init_payload_null_is_no_payload =>
        [client(r#"{"type":"connection_init","payload":null}"#), expect_event(Heard::Init(None))];
    ack_carries_the_payload_of_the_application =>
        [client(INIT), expect_event(Heard::Init(None)), app(App::Accept(Some(json!({ "node": 1 }))))],
        [expect_text(r#"{"type":"connection_ack","payload":{"node":1}}"#)];
    ack_payload_that_is_no_object_is_left_out =>
        [client(INIT), expect_event(Heard::Init(None)), app(App::Accept(Some(json!([1]))))],
        [expect_text(r#"{"type":"connection_ack"}"#)];
    missing_init_closes_4408 =>
        [Step::ExpectTimer(Some(3_000)), Step::Advance(2_999), Step::ExpectNothing, Step::Advance(1)],
        [expect_close(CloseCode::ConnectionInitialisationTimeout, "Connection initialisation timeout")];
    pings_do_not_postpone_4408 =>
        [Step::Advance(2_000), client(r#"{"type":"ping"}"#), expect_text(r#"{"type":"pong"}"#)],
        [Step::ClientBytes, Step::ExpectTimer(Some(1_000)), Step::Advance(1_000)],
        [Step::ExpectClose(CloseCode::ConnectionInitialisationTimeout, None)];
    a_slow_decision_does_not_close_4408 =>
        [client(INIT), expect_event(Heard::Init(None)), Step::ExpectTimer(None), Step::Advance(3_600_000)],
        [Step::ExpectNothing];
    init_timeout_zero_waits_for_ever with Config { init_timeout: Duration::ZERO, ..Config::default() } =>
        [Step::ExpectTimer(None), Step::Advance(3_600_000), client(INIT), expect_event(Heard::Init(None))];
    second_connection_init_closes_4429 =>
        accepted(), [client(INIT)],
        [expect_close(CloseCode::TooManyInitialisationRequests, "Too many initialisation requests")];
    second_connection_init_before_the_ack_closes_4429 =>
        [client(INIT), expect_event(Heard::Init(None)), client(INIT)],
        [Step::ExpectClose(CloseCode::TooManyInitialisationRequests, None)];
    refused_init_closes_4403 =>
        [client(INIT), expect_event(Heard::Init(None)), app(App::Close(CloseCode::Forbidden, "the token expired"))],
        [expect_close(CloseCode::Forbidden, "the token expired")];
    accept_before_init_does_nothing =>
        [app(App::Accept(None)), Step::ExpectNothing],
        [subscribe("a"), Step::ExpectClose(CloseCode::Unauthorized, None)];
    second_accept_does_nothing => accepted(), [app(App::Accept(None)), Step::ExpectNothing];
    accept_after_close_does_nothing =>
        [client(INIT), expect_event(Heard::Init(None)), Step::SocketClosed, app(App::Accept(None))],
        [Step::ExpectNothing];

    // Ping and Pong
    ping_is_answered_with_its_payload =>
        accepted(), [client(r#"{"type":"ping","payload":{"seq":7}}"#)],
        [expect_text(r#"{"type":"pong","payload":{"seq":7}}"#)];
    ping_is_answered_before_init =>
        [client(r#"{"type":"ping","payload":{"a":1}}"#), expect_text(r#"{"type":"pong","payload":{"a":1}}"#)];
    ping_is_answered_before_the_ack =>
        [client(INIT), expect_event(Heard::Init(None)), client(r#"{"type":"ping"}"#)],
        [expect_text(r#"{"type":"pong"}"#)];
    ping_payload_null_is_no_payload =>
        [client(r#"{"type":"ping","payload":null}"#), expect_text(r#"{"type":"pong"}"#)];
    pong_repeats_every_digit_of_the_ping =>
        [client(r#"{"payload":{"n":123456789012345678901234567890, "f":1.10},"type":"ping"}"#)],
        [expect_text(r#"{"type":"pong","payload":{"n":123456789012345678901234567890, "f":1.10}}"#)];
    unasked_pong_is_welcome =>
        [client(r#"{"type":"pong"}"#), expect_event(Heard::Pong(None))],
        [client(INIT), expect_event(Heard::Init(None)), client(r#"{"type":"pong"}"#), expect_event(Heard::Pong(None))];
    ping_of_the_application_comes_back_as_an_event =>
        accepted(), [app(App::Ping(Some(json!({ "seq": 1 })))), expect_text(r#"{"type":"ping","payload":{"seq":1}}"#)],
        [client(r#"{"type":"pong","payload":{"seq":1}}"#), expect_event(Heard::Pong(Some(json!({ "seq": 1 }))))];
    silent_client_gets_a_ping_then_is_aborted =>
        accepted(), [Step::ExpectTimer(Some(30_000)), Step::Advance(29_999), Step::ExpectNothing, Step::Advance(1)],
        [expect_text(r#"{"type":"ping"}"#), Step::ExpectTimer(Some(30_000)), Step::Advance(29_999)],
        [Step::ExpectNothing, Step::Advance(1), Step::ExpectAbort, Step::ExpectTimer(None)];
    pong_in_time_keeps_the_connection =>
        accepted(), [Step::Advance(30_000), expect_text(r#"{"type":"ping"}"#), Step::Advance(29_999)],
        [client(r#"{"type":"pong"}"#), expect_event(Heard::Pong(None)), Step::ExpectTimer(Some(30_000))],
        [Step::Advance(30_000), expect_text(r#"{"type":"ping"}"#)];
    any_byte_proves_life =>
        accepted(), [Step::Advance(29_999), Step::ClientBytes, Step::Advance(29_999), Step::ExpectNothing],
        [Step::Advance(1), expect_text(r#"{"type":"ping"}"#), Step::ClientBytes, Step::Advance(29_999)],
        [Step::ExpectNothing];
    what_the_server_sends_does_not_prove_life =>
        subscribed(), [Step::Advance(29_999), app(App::Next(1, "{}")), expect(json!({"id":"a","type":"next","payload":{}}))],
        [Step::Advance(1), expect_text(r#"{"type":"ping"}"#)];
    silence_is_counted_through_a_slow_decision =>
        [client(INIT), expect_event(Heard::Init(None)), Step::Advance(20_000), app(App::Accept(None))],
        [expect_text(r#"{"type":"connection_ack"}"#), Step::ExpectTimer(Some(10_000))];
    ping_interval_zero_sends_no_pings with Config { ping_interval: Duration::ZERO, ..Config::default() } =>
        accepted(), [Step::ExpectTimer(None), Step::Advance(3_600_000), Step::ExpectNothing];
    pong_timeout_zero_pings_without_a_deadline with Config { pong_timeout: Duration::ZERO, ..Config::default() } =>
        accepted(), [Step::Advance(30_000), expect_text(r#"{"type":"ping"}"#), Step::ExpectTimer(Some(30_000))],
        [Step::Advance(30_000), expect_text(r#"{"type":"ping"}"#)];
    timers_beyond_the_clock_never_fire with Config {
        init_timeout: Duration::MAX, ping_interval: Duration::MAX, pong_timeout: Duration::MAX, ..Config::default()
    } => [Step::ExpectTimer(None)], accepted(), [Step::ExpectTimer(None)];

    // Subscribe
    subscribe_before_init_closes_4401 => [subscribe("a"), expect_close(CloseCode::Unauthorized, "Unauthorized")];
    subscribe_before_the_ack_closes_4401 =>
        [client(INIT), expect_event(Heard::Init(None)), subscribe("a")],
        [expect_close(CloseCode::Unauthorized, "Unauthorized")];
    operations_interleave =>
        subscribed(), [subscribe("b"), expect_event(Heard::Subscribe(2)), app(App::Next(2, "{}"))],
        [expect_text(r#"{"id":"b","type":"next","payload":{}}"#), app(App::Next(1, "{}"))],
        [expect_text(r#"{"id":"a","type":"next","payload":{}}"#)];
    running_id_closes_4409 =>
        subscribed(), [subscribe("a"), expect_close(CloseCode::SubscriberAlreadyExists, "Subscriber for a already exists")];
    id_is_free_after_the_clients_complete =>
        subscribed(), [complete("a"), expect_event(Heard::Complete(1)), subscribe("a"), expect_event(Heard::Subscribe(2))],
        [app(App::Next(2, "{}")), expect_text(r#"{"id":"a","type":"next","payload":{}}"#)];
    id_is_free_after_the_servers_complete =>
        subscribed(), [app(App::Complete(1)), expect_text(r#"{"id":"a","type":"complete"}"#)],
        [subscribe("a"), expect_event(Heard::Subscribe(2))];
    id_is_free_after_error =>
        subscribed(), [app(App::Error(1, r#"[{"message":"m"}]"#))],
        [expect_text(r#"{"id":"a","type":"error","payload":[{"message":"m"}]}"#)],
        [subscribe("a"), expect_event(Heard::Subscribe(2))];
    ids_differ_by_case_and_space =>
        subscribed(), [subscribe("A"), expect_event(Heard::Subscribe(2)), subscribe("a "), expect_event(Heard::Subscribe(3))];
    escapes_name_the_same_id =>
        subscribed(), [client(r#"{"id":"\u0061","type":"complete"}"#), expect_event(Heard::Complete(1))];
    ids_are_escaped_in_every_message =>
        accepted(), [subscribe("\"\\\n\u{1}é\u{1f600}"), expect_event(Heard::Subscribe(1)), app(App::Next(1, "{}"))],
        [expect(json!({ "id": "\"\\\n\u{1}é\u{1f600}", "type": "next", "payload": {} }))],
        [app(App::Gap(1, None, "SOURCE"))],
        [expect(json!({ "type": "ping", "payload": { "stentor": { "gap": {
            "id": "\"\\\n\u{1}é\u{1f600}", "dropped": null, "reason": "SOURCE"
        } } } }))],
        [app(App::Complete(1)), expect(json!({ "id": "\"\\\n\u{1}é\u{1f600}", "type": "complete" }))];
    id_of_1024_bytes_is_accepted =>
        accepted(), [subscribe(&"x".repeat(1024)), expect_event(Heard::Subscribe(1))];
    id_of_1025_bytes_closes_4400 =>
        accepted(), [subscribe(&"x".repeat(1025))],
        [expect_close(CloseCode::BadRequest, "an operation's \"id\" may have 1024 bytes, this one has 1025")];
    reason_with_a_long_id_is_cut_between_characters =>
        accepted(), [subscribe(&"é".repeat(100)), expect_event(Heard::Subscribe(1)), subscribe(&"é".repeat(100))],
        [expect_close(CloseCode::SubscriberAlreadyExists, &format!("Subscriber for {}", "é".repeat(54)))];
    operation_beyond_the_limit_fails_alone with Config { max_operations: 1, ..Config::default() } =>
        subscribed(), [subscribe("b"), expect(json!({ "id": "b", "type": "error", "payload": [{
            "message": "this connection may run 1 operations at a time; complete one first",
            "extensions": { "code": "LIMIT_EXCEEDED" },
        }] }))],
        [app(App::Next(1, "{}")), expect_text(r#"{"id":"a","type":"next","payload":{}}"#)],
        [complete("b"), Step::ExpectNothing, complete("a"), expect_event(Heard::Complete(1))],
        [subscribe("b"), expect_event(Heard::Subscribe(2))];
    running_id_closes_4409_even_at_the_limit with Config { max_operations: 1, ..Config::default() } =>
        subscribed(), [subscribe("a"), Step::ExpectClose(CloseCode::SubscriberAlreadyExists, None)];

    // Next, Error, Complete
    single_result_is_next_then_complete =>
        subscribed(), [app(App::Next(1, r#"{"data":{"tick":1}}"#))],
        [expect_text(r#"{"id":"a","type":"next","payload":{"data":{"tick":1}}}"#)],
        [app(App::Complete(1)), expect_text(r#"{"id":"a","type":"complete"}"#)];
    error_is_never_followed_by_anything =>
        subscribed(), [app(App::Error(1, "[]")), expect(json!({ "id": "a", "type": "error", "payload": [] }))],
        [app(App::Complete(1)), app(App::Error(1, "[]")), app(App::Next(1, "{}")), app(App::Gap(1, None, "SOURCE"))],
        [app(App::Live(1)), Step::ExpectNothing];
    servers_complete_is_never_followed_by_anything =>
        subscribed(), [app(App::Complete(1)), expect_text(r#"{"id":"a","type":"complete"}"#)],
        [app(App::Complete(1)), app(App::Error(1, "[]")), app(App::Next(1, "{}")), Step::ExpectNothing];
    clients_complete_is_never_followed_by_anything =>
        subscribed(), [complete("a"), expect_event(Heard::Complete(1)), app(App::Next(1, "{}"))],
        [app(App::Error(1, "[]")), app(App::Complete(1)), app(App::Gap(1, Some(1), "SOURCE")), Step::ExpectNothing];
    dead_key_stays_dead_when_its_id_runs_again =>
        subscribed(), [complete("a"), expect_event(Heard::Complete(1)), subscribe("a"), expect_event(Heard::Subscribe(2))],
        [app(App::Next(1, "{}")), app(App::Error(1, "[]")), app(App::Complete(1)), Step::ExpectNothing];
    crossing_completes_are_ignored =>
        subscribed(), [app(App::Complete(1)), expect_text(r#"{"id":"a","type":"complete"}"#)],
        [complete("a"), Step::ExpectNothing];
    complete_crossing_error_is_ignored =>
        subscribed(), [app(App::Error(1, "[]")), Step::Expect(json!({ "id": "a", "type": "error", "payload": [] }))],
        [complete("a"), Step::ExpectNothing];
    complete_for_an_unknown_id_is_ignored => accepted(), [complete("nobody"), Step::ExpectNothing];
    complete_before_the_ack_is_ignored =>
        [complete("a"), client(INIT), expect_event(Heard::Init(None)), complete("a"), app(App::Accept(None))],
        [expect_text(r#"{"type":"connection_ack"}"#)];

    // The recipes on top of ping
    live_tells_a_client_that_asked =>
        accepted(), [subscribe_with_ack_id(&json!("x1"))],
        [expect_event(Heard::Subscribe(1)), app(App::Live(1)), expect_text(r#"{"type":"ping","payload":{"ackId":"x1"}}"#)],
        [app(App::Live(1)), Step::ExpectNothing];
    live_takes_a_number_for_ack_id =>
        accepted(), [subscribe_with_ack_id(&json!(0))],
        [expect_event(Heard::Subscribe(1)), app(App::Live(1)), expect_text(r#"{"type":"ping","payload":{"ackId":0}}"#)];
    live_is_silent_to_a_client_that_did_not_ask => subscribed(), [app(App::Live(1)), Step::ExpectNothing];
    live_is_silent_for_an_ack_id_of_another_kind =>
        accepted(), [subscribe_with_ack_id(&json!({}))],
        [expect_event(Heard::Subscribe(1)), app(App::Live(1)), Step::ExpectNothing];
    live_is_silent_for_an_ack_id_of_1025_bytes =>
        accepted(), [subscribe_with_ack_id(&json!("x".repeat(1025))), expect_event(Heard::Subscribe(1))],
        [app(App::Live(1)), Step::ExpectNothing];
    gap_names_the_operation_the_count_and_the_reason =>
        subscribed(), [app(App::Gap(1, Some(3), "SLOW_CONSUMER"))],
        [expect(json!({ "type": "ping", "payload": { "stentor": { "gap": { "id": "a", "dropped": 3, "reason": "SLOW_CONSUMER" } } } }))];

    // Invalid message, and the end
    malformed_message_closes_4400 =>
        accepted(), [client(r#"{"type":"subscribe","payload":{"query":"q"}}"#)],
        [expect_close(CloseCode::BadRequest, r#"in "subscribe", "id" must be a non-empty string"#)];
    binary_message_closes_4400 =>
        accepted(), [Step::ClientBinary, expect_close(CloseCode::BadRequest, "messages must be text, not binary")];
    drain_closes_1012_without_complete_or_error =>
        subscribed(), [app(App::Close(CloseCode::ServiceRestart, "")), expect_close(CloseCode::ServiceRestart, "Service restart")],
        [app(App::Complete(1)), app(App::Error(1, "[]")), app(App::Next(1, "{}")), app(App::Ping(None))],
        [client(r#"{"type":"ping"}"#), Step::ClientBinary, Step::Advance(3_600_000), Step::ExpectNothing];
    second_close_does_nothing =>
        [app(App::Close(CloseCode::TryAgainLater, "")), Step::ExpectClose(CloseCode::TryAgainLater, None)],
        [app(App::Close(CloseCode::InternalServerError, "")), Step::ExpectNothing];
    reason_of_the_application_is_cut_to_123_bytes =>
        [app(App::Close(CloseCode::Forbidden, LONG_REASON))],
        [expect_close(CloseCode::Forbidden, &"x".repeat(122))];
    nothing_happens_after_the_socket_is_gone =>
        subscribed(), [Step::SocketClosed, Step::ExpectTimer(None), app(App::Next(1, "{}")), app(App::Complete(1))],
        [app(App::Close(CloseCode::ServiceRestart, "")), client(INIT), Step::Advance(3_600_000), Step::ExpectNothing];
    abort_is_followed_by_nothing =>
        subscribed(), [Step::Advance(30_000), expect_text(r#"{"type":"ping"}"#), Step::Advance(30_000), Step::ExpectAbort],
        [app(App::Next(1, "{}")), app(App::Complete(1)), app(App::Close(CloseCode::ServiceRestart, "")), Step::ExpectNothing];
}

#[test]
fn what_was_sent_before_the_close_still_goes_out_first() {
    let mut bench = Bench::new(Config::default());
    bench.run(&subscribed());
    let connection = &mut bench.connection;
    connection.ping(None);
    connection.close(CloseCode::ServiceRestart.into());
    let sent = [connection.poll_transmit(), connection.poll_transmit(), connection.poll_transmit()];
    let [Some(Transmit::Text(_)), Some(Transmit::Close(_)), None] = sent else {
        panic!("{sent:?}");
    };
}

#[test]
fn what_waits_is_dropped_when_nobody_can_read_it() {
    let lose: [fn(&mut Connection); 2] = [
        Connection::handle_closed,
        // The first call sends the ping, the second finds it unanswered.
        |connection| {
            (1..=2).for_each(|hours| connection.handle_timeout(start() + Duration::from_hours(hours)))
        },
    ];
    for (lose, left) in lose.into_iter().zip([None, Some(Transmit::Abort)]) {
        let mut bench = Bench::new(Config::default());
        bench.run(&accepted());
        bench.connection.ping(None);
        lose(&mut bench.connection);
        assert_eq!((bench.connection.poll_transmit(), bench.connection.poll_transmit()), (left, None));
    }
}

#[test]
fn events_nobody_fetched_are_gone_after_the_close() {
    let mut bench = Bench::new(Config::default());
    bench.connection.handle_text(start(), INIT);
    bench.connection.close(CloseCode::ServiceRestart.into());
    assert_eq!(bench.connection.poll_event(), None);
}

#[test]
fn getters_follow_the_operation() {
    let mut bench = Bench::new(Config::default());
    assert!(!bench.connection.is_ready());
    bench.run(&accepted());
    assert!(bench.connection.is_ready());
    bench.connection.handle_text(start(), r#"{"id":"\"","type":"subscribe","payload":{"query":"q"}}"#);
    let Some(Event::Subscribe { key, .. }) = bench.connection.poll_event() else { panic!() };
    assert_eq!((bench.connection.id(key), bench.connection.operations(), key.get()), (Some("\""), 1, 1));
    bench.connection.complete(key);
    assert_eq!((bench.connection.id(key), bench.connection.operations()), (None, 0));
    bench.connection.handle_closed();
    assert!(bench.connection.is_closed() && !bench.connection.is_ready());
}

#[test]
fn what_ended_with_the_connection_keeps_its_id() {
    let mut bench = Bench::new(Config::default());
    bench.run(&accepted());
    let [ended, cut_off] = ["a", "b"].map(|id| {
        let text = format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"q"}}}}"#);
        bench.connection.handle_text(start(), &text);
        let Some(Event::Subscribe { key, .. }) = bench.connection.poll_event() else { panic!("{id} starts") };
        key
    });
    bench.connection.complete(ended);
    bench.connection.handle_closed();
    assert_eq!((bench.connection.id(ended), bench.connection.id(cut_off)), (None, Some("b")));
    assert_eq!(
        (bench.connection.operations(), bench.connection.next_envelope(cut_off).is_some()),
        (0, false)
    );
}

#[test]
fn an_idle_connection_is_small() {
    // 100,000 of them are 17 MB; each operation adds 48 bytes and its id.
    let bytes = size_of::<Connection>();
    assert!(bytes <= 176, "{bytes}");
}

/// A `subscribe` of id `a` that asks to be told when the operation is live.
fn subscribe_with_ack_id(ack_id: &Value) -> Step {
    let payload = json!({ "query": "q", "extensions": { "ackId": ack_id } });
    client(json!({ "id": "a", "type": "subscribe", "payload": payload }).to_string())
}

/// 122 bytes, then a character of two of which only the first would fit.
const LONG_REASON: &str = concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxé",
);
