//! Which events a subscription hears, and in which order.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stentor::{Broker, Call, MemoryBroker, ResolverError, Stentor};
use stentor_tests::{Served, TestServer, WsClient};
use tokio::sync::Barrier;

use crate::ledger::number;

const TICK: &str = "type Tick { n: Int! text: String }";

#[tokio::test]
async fn a_member_hears_only_events_that_come_after_it_joined() {
    let server = TestServer::start(&ticks(r#"@subscribe(topic: "ticks")"#)).await;
    let mut clients: Vec<WsClient> = Vec::new();
    for n in 1..=3 {
        let mut client = server.client().await;
        server.publish("ticks", &json!({ "n": 10 * n })).await;
        client.listen("1", "subscription { tick { n } }").await;
        clients.push(client);
        server.publish("ticks", &json!({ "n": 10 * n + 1 })).await;
    }
    for (place, client) in clients.iter_mut().enumerate() {
        let all = [11, 20, 21, 30, 31];
        for n in &all[2 * place..] {
            client.expect_data("1", json!({ "tick": { "n": n } })).await;
        }
        client.expect_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_for_every_topic_and_subscriber() {
    const TOPICS: usize = 2;
    const SUBSCRIBERS: usize = 50;
    const EVENTS: u64 = 5_000;
    let schema = r#"
        type Subscription { tick(of: Int!): Tick! @subscribe(topic: "ticks:{{ args.of }}") @delivery(buffer: 10000) }
        type Tick { n: Int! }
    "#;
    let server = TestServer::start(schema).await;
    let mut readers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = server.client().await;
        for of in 0..TOPICS {
            client.listen(&of.to_string(), &format!("subscription {{ tick(of: {of}) {{ n }} }}")).await;
        }
        readers.push(tokio::spawn(async move {
            let mut last = [0; TOPICS];
            for _ in 0..EVENTS * TOPICS as u64 {
                let message = client.next_json().await;
                let topic: usize = message["id"].as_str().and_then(|id| id.parse().ok()).expect("a known id");
                assert_eq!(number(&message), Some(last[topic] + 1), "{message}");
                assert!(message["payload"]["extensions"].is_null(), "{message}");
                last[topic] += 1;
            }
        }));
    }
    for n in 1..=EVENTS {
        for of in 0..TOPICS {
            server.publish(&format!("ticks:{of}"), &json!({ "n": n })).await;
        }
    }
    for reader in readers {
        reader.await.expect("a reader hears everything in order");
    }
}

#[tokio::test]
async fn until_sends_its_event_and_completes_every_member() {
    let server = TestServer::start(&ticks(
        r#"@subscribe(topic: "ticks", where: "event.n != 2", until: "event.n >= 2")"#,
    ))
    .await;
    let mut clients = [server.client().await, server.client().await];
    for client in &mut clients {
        client.listen("1", "subscription { tick { n } }").await;
    }
    for n in 1..=4 {
        server.publish("ticks", &json!({ "n": n })).await;
    }
    for client in &mut clients {
        // What `where` keeps back does not end it either.
        client.expect_data("1", json!({ "tick": { "n": 1 } })).await;
        client.expect_data("1", json!({ "tick": { "n": 3 } })).await;
        client.expect_complete("1").await;
        client.expect_nothing().await;
    }
    for figure in ["stentor_operations", "stentor_audiences", "stentor_topics"] {
        server.expect_metric(figure, 0).await;
    }
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n } }").await;
    server.publish("ticks", &json!({ "n": 5 })).await;
    client.expect_data("1", json!({ "tick": { "n": 5 } })).await;
    client.expect_complete("1").await;
}

#[tokio::test]
async fn idle_timeout_completes_a_subscription_that_hears_nothing_for_so_long() {
    let schema = r#"
        type Subscription {
            tick: Tick! @subscribe(topic: "ticks", where: "event.n > 0", idleTimeout: "1s")
        }
        type Tick { n: Int! }
    "#;
    let server = TestServer::start(schema).await;
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n } }").await;
    let begin = Instant::now();
    client.expect_complete("1").await;
    assert!(begin.elapsed() >= Duration::from_millis(900) && begin.elapsed() < Duration::from_secs(3));

    client.listen("1", "subscription { tick { n } }").await;
    let mut last = Instant::now();
    // Events that come in time keep it, for longer than the time-out altogether.
    for n in 1..=4 {
        tokio::time::sleep_until((last + Duration::from_millis(400)).into()).await;
        last = Instant::now();
        server.publish("ticks", &json!({ "n": n })).await;
        client.expect_data("1", json!({ "tick": { "n": n } })).await;
    }
    server.publish("ticks", &json!({ "n": 0 })).await;
    client.expect_complete("1").await;
    assert!(last.elapsed() >= Duration::from_millis(900) && last.elapsed() < Duration::from_secs(3));
    server.expect_metric("stentor_topics", 0).await;
}

#[tokio::test]
async fn a_condition_that_errs_is_false_and_counted_and_nothing_else() {
    let server =
        TestServer::start(&ticks(r#"@subscribe(topic: "ticks", where: "event.n > 1", until: "event.last")"#))
            .await;
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n } }").await;
    let undecided = [json!({ "m": 5 }), json!({ "n": "text" }), json!({}), json!([1])];
    for event in &undecided {
        server.publish("ticks", event).await;
    }
    server.publish("ticks", &json!({ "n": 2, "last": false })).await;
    client.expect_data("1", json!({ "tick": { "n": 2 } })).await;
    assert_eq!(server.metric("stentor_condition_errors_total").await, undecided.len() as u64);
    // `until` errs after the event was sent.
    server.publish("ticks", &json!({ "n": 3 })).await;
    client.expect_data("1", json!({ "tick": { "n": 3 } })).await;
    server.publish("ticks", &json!({ "n": 4, "last": true })).await;
    client.expect_data("1", json!({ "tick": { "n": 4 } })).await;
    client.expect_complete("1").await;
    assert_eq!(server.metric("stentor_condition_errors_total").await, undecided.len() as u64 + 1);
}

#[tokio::test]
async fn a_malformed_event_is_counted_and_skipped_and_the_subscription_lives() {
    let broker = MemoryBroker::new();
    let builder = Stentor::builder().schema(ticks(r#"@subscribe(topic: "ticks")"#)).broker(broker.clone());
    let server = TestServer::build(builder).await;
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n } }").await;
    let deep = "[".repeat(100_000);
    let malformed = [
        "",
        "{",
        "text",
        "\"n\"",
        "{\"n\":1}x",
        "[1",
        "{\"n\":}",
        "\u{0}",
        " {\"n\":1}",
        &deep,
        "[{\"n\":1}]",
    ];
    for payload in malformed {
        broker.publish("ticks", payload.to_owned().into()).await.expect("memory takes everything");
    }
    broker.publish("ticks", vec![b'{', 0xff, b'}'].into()).await.expect("memory takes everything");
    broker.publish("ticks", "{\"n\":7}".into()).await.expect("memory takes everything");
    client.expect_data("1", json!({ "tick": { "n": 7 } })).await;
    assert_eq!(server.metric("stentor_malformed_total").await, malformed.len() as u64 + 1);
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_an_error_in_its_next_and_the_stream_goes_on() {
    let server = TestServer::start(
        "type Subscription { tick: Tick @subscribe(topic: \"ticks\") } type Tick { n: Int! text: String }",
    )
    .await;
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n text } }").await;
    server.publish("ticks", &json!({ "n": 1, "text": { "not": "text" } })).await;
    let payload = client.expect_next("1").await;
    assert_eq!(payload["data"], json!({ "tick": { "n": 1, "text": null } }));
    assert_eq!(payload["errors"][0]["path"], json!(["tick", "text"]));
    server.publish("ticks", &json!({ "text": "no n" })).await;
    let payload = client.expect_next("1").await;
    assert_eq!(payload["data"], json!({ "tick": null }));
    assert_eq!(payload["errors"][0]["path"], json!(["tick", "n"]));
    server.publish("ticks", &json!({ "n": 2 })).await;
    client.expect_data("1", json!({ "tick": { "n": 2, "text": null } })).await;
}

#[tokio::test]
async fn a_text_payload_is_the_value_of_a_scalar_field() {
    let broker = MemoryBroker::new();
    let schema = r#"type Subscription { note: String! @subscribe(topic: "notes", where: "event != 'no'") }"#;
    let server = TestServer::build(Stentor::builder().schema(schema).broker(broker.clone())).await;
    let mut client = server.client().await;
    client.listen("1", "subscription { note }").await;
    for payload in ["no", "a \"b\"\n\u{1}ü", "42"] {
        broker.publish("notes", payload.into()).await.expect("memory takes everything");
    }
    client.expect_data("1", json!({ "note": "a \"b\"\n\u{1}ü" })).await;
    client.expect_data("1", json!({ "note": "42" })).await;
}

#[tokio::test]
async fn an_id_can_be_used_again_after_the_end_of_its_operation() {
    let server = TestServer::start(&ticks(r#"@subscribe(topic: "ticks", until: "event.n == 9")"#)).await;
    let mut client = server.client().await;
    // The client ends it, and begins again without waiting for anything.
    for _ in 0..50 {
        client.subscribe("1", "subscription { tick { n } }").await;
        client.complete("1").await;
    }
    client.listen("1", "subscription { tick { n text } }").await;
    server.publish("ticks", &json!({ "n": 1, "text": "once" })).await;
    client.expect_data("1", json!({ "tick": { "n": 1, "text": "once" } })).await;
    client.expect_nothing().await;
    // The server ends it.
    server.publish("ticks", &json!({ "n": 9 })).await;
    client.expect_data("1", json!({ "tick": { "n": 9, "text": null } })).await;
    client.expect_complete("1").await;
    client.listen("1", "subscription { tick { n } }").await;
    server.publish("ticks", &json!({ "n": 2 })).await;
    client.expect_data("1", json!({ "tick": { "n": 2 } })).await;
    assert_eq!(server.metric("stentor_operations").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_a_complete_in_the_middle_of_a_flood() {
    let server = Arc::new(TestServer::start(&ticks(r#"@subscribe(topic: "ticks")"#)).await);
    let mut client = server.client().await;
    client.listen("leaves", "subscription { tick { n } }").await;
    client.listen("stays", "subscription { tick { n text } }").await;
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
        async move {
            for n in 1_u64.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                server.publish("ticks", &json!({ "n": n })).await;
                tokio::task::yield_now().await;
            }
        }
    });
    let message_of = |message: &Value, id: &str| message["type"] == "next" && message["id"] == id;
    while !message_of(&client.next_json().await, "leaves") {}
    client.complete("leaves").await;
    // What crossed the `complete` may still come; once its ping is answered nothing does.
    client.drain().await;
    let mut heard = 0;
    while heard < 500 {
        let message = client.next_json().await;
        assert!(message["id"] != "leaves", "{message}");
        heard += u64::from(message_of(&message, "stays"));
    }
    stop.store(true, Ordering::Relaxed);
    publisher.await.expect("the publisher does not panic");
    assert_eq!(server.metric("stentor_operations").await, 1);
    assert_eq!(server.metric("stentor_audiences").await, 1);
}

#[tokio::test]
async fn a_thousand_topics_that_come_and_go_on_one_socket_leave_nothing_behind() {
    let schema = r#"
        type Subscription { tick(of: Int!): Tick! @subscribe(topic: "ticks:{{ args.of }}", idleTimeout: "1h") }
        type Tick { n: Int! }
    "#;
    let server = TestServer::start(schema).await;
    let mut client = server.client().await;
    for of in 0..1_000 {
        client.listen(&of.to_string(), &format!("subscription {{ tick(of: {of}) {{ n }} }}")).await;
        client.complete(&of.to_string()).await;
    }
    client.expect_nothing().await;
    for figure in ["stentor_operations", "stentor_audiences", "stentor_topics"] {
        server.expect_metric(figure, 0).await;
    }
}

#[tokio::test]
async fn a_panicking_resolver_ends_its_own_operation_alone() {
    let schema = format!(
        "{} type Query {{ broken: Int @resolver fine: Int @resolver }}",
        ticks(r#"@subscribe(topic: "ticks")"#)
    );
    let builder = Stentor::builder()
        .schema(schema)
        .resolver("Query.broken", |arguments: Value, _: Call| async move {
            let missing = arguments["missing"].as_i64();
            Ok::<_, ResolverError>(missing.expect("a resolver that panics"))
        })
        .resolver("Query.fine", |_: Value, _: Call| async { Ok::<_, ResolverError>(1) });
    let server = TestServer::build(builder).await;
    let mut client = server.client().await;
    client.listen("s", "subscription { tick { n } }").await;
    client.subscribe("q", "{ broken fine }").await;
    let payload = client.expect_next("q").await;
    assert_eq!(payload["data"], json!({ "broken": null, "fine": 1 }));
    assert_eq!(payload["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    assert!(!payload.to_string().contains("a resolver that panics"), "{payload}");
    client.expect_complete("q").await;
    client.subscribe("q", "{ fine }").await;
    client.expect_data("q", json!({ "fine": 1 })).await;
    client.expect_complete("q").await;
    server.publish("ticks", &json!({ "n": 1 })).await;
    client.expect_data("s", json!({ "tick": { "n": 1 } })).await;
}

#[tokio::test]
async fn fields_of_a_query_are_resolved_together_and_those_of_a_mutation_in_turn() {
    let schema =
        "type Query { meet: Boolean @resolver } type Mutation { step(name: String!): Boolean @resolver }";
    let (barrier, log) = (Arc::new(Barrier::new(3)), Arc::new(Mutex::new(Vec::new())));
    let steps = Arc::clone(&log);
    let builder = Stentor::builder()
        .schema(schema)
        .resolver("Query.meet", move |_: Value, _: Call| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                Ok::<_, ResolverError>(true)
            }
        })
        .resolver("Mutation.step", move |arguments: Value, _: Call| {
            let steps = Arc::clone(&steps);
            let note = move |what: &str| {
                steps.lock().expect("nobody panics").push(format!("{} {what}", arguments["name"]));
            };
            async move {
                note("begins");
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                note("ends");
                Ok::<_, ResolverError>(true)
            }
        });
    let server = TestServer::build(builder).await;
    let mut client = server.client().await;
    client.subscribe("q", "{ a: meet b: meet c: meet }").await;
    client.expect_data("q", json!({ "a": true, "b": true, "c": true })).await;
    client.expect_complete("q").await;
    client.subscribe("m", r#"mutation { a: step(name: "a") b: step(name: "b") }"#).await;
    client.expect_data("m", json!({ "a": true, "b": true })).await;
    client.expect_complete("m").await;
    let answer = server.post("/graphql", r#"{"query":"{ a: meet b: meet c: meet }"}"#).await;
    assert_eq!(answer.json(), json!({ "data": { "a": true, "b": true, "c": true } }));
    let body = json!({ "query": r#"mutation { c: step(name: "c") d: step(name: "d") }"# });
    assert_eq!(
        server.post("/graphql", &body.to_string()).await.json(),
        json!({ "data": { "c": true, "d": true } })
    );
    let expected =
        ["a", "b", "c", "d"].map(|name| [format!("\"{name}\" begins"), format!("\"{name}\" ends")]);
    assert_eq!(*log.lock().expect("nobody panics"), expected.concat());
}

/// A schema with a field `tick` that is fed as `directive` says.
fn ticks(directive: &str) -> String {
    format!("type Subscription {{ tick: Tick! {directive} }} {TICK}")
}
