//! Redis that dies, hangs and comes back.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stentor::{
    BuildError, Config, Stentor,
    config::{BrokerUrl, Period},
};
use stentor_tests::{Dial, Publisher, RedisServer, Served, TestServer, WsClient, eventually};

use crate::ledger::number;

const TICKS: &str = r#"
    type Subscription { tick(of: String!): Tick! @subscribe(topic: "ticks:{{ args.of }}") }
    type Tick { n: Int! text: String }
"#;

/// A node that waits for Redis, however long it is away; what happens if it does not is told in `failover`.
fn patient(config: &mut Config) {
    config.broker.fallback_after = Period::hours(1);
}

/// How soon after the return of Redis a subscription is to know that it may have lost events.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_every_subscription_hears_of_its_gap_and_every_event_once() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, patient).await;
    let mut busy = listener(&server, "busy").await;
    let mut quiet = listener(&server, "quiet").await;
    for n in 1..=3 {
        redis.publish("ticks:busy", &tick(n)).await;
        busy.expect_data("1", json!({ "tick": { "n": n } })).await;
    }
    redis.kill();
    server.expect_metric("stentor_broker_state", 0).await;
    // Long enough for the pauses between attempts to have grown to their longest.
    tokio::time::sleep(Duration::from_secs(4)).await;
    redis.restart().await;
    let returned = Instant::now();

    let mut taken = Vec::new();
    let mut n = 100;
    while taken.len() < 200 {
        if redis.publish("ticks:busy", &tick(n)).await == 1 {
            taken.push(n);
        }
        n += 1;
    }
    let first = busy.next_json().await;
    assert_eq!(gap_of(&first), reconnect(), "{first}");
    let mut heard: Vec<_> = number(&first).into_iter().collect();
    while heard.len() < taken.len() {
        let message = busy.next_json().await;
        assert!(message["payload"]["extensions"].is_null(), "{message}");
        heard.extend(number(&message));
    }
    assert_eq!(heard, taken);
    let told = quiet.expect_gap_ping("1").await;
    assert!(returned.elapsed() < TOLD_WITHIN, "the gap was told {:?} after the return", returned.elapsed());
    assert_eq!(told, json!({ "id": "1", "dropped": null, "reason": "BROKER_RECONNECT" }));
    redis.publish("ticks:quiet", &tick(1)).await;
    quiet.expect_data("1", json!({ "tick": { "n": 1 } })).await;
    assert_eq!(server.metric(r#"stentor_gaps_total{reason="BROKER_RECONNECT"}"#).await, 2);
    assert_eq!(server.metric("stentor_connections").await, 2);
    assert_eq!(server.metric("stentor_broker_state").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_left_and_found_again() {
    let redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, patient).await;
    let mut busy = listener(&server, "busy").await;
    let mut quiet = listener(&server, "quiet").await;
    redis.stop();
    server.expect_metric("stentor_broker_state", 0).await;
    // Attempts to connect hang as well, the last one while it returns.
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.cont();
    let returned = Instant::now();
    let told = quiet.expect_gap_ping("1").await;
    assert!(returned.elapsed() < TOLD_WITHIN, "the gap was told {:?} after the return", returned.elapsed());
    assert_eq!(told["reason"], "BROKER_RECONNECT");
    let told = busy.expect_gap_ping("1").await;
    assert_eq!(told["reason"], "BROKER_RECONNECT");
    for n in 1..=200 {
        assert_eq!(redis.publish("ticks:busy", &tick(n)).await, 1, "the node listens once");
    }
    for n in 1..=200 {
        busy.expect_data("1", json!({ "tick": { "n": n } })).await;
    }
    quiet.expect_nothing().await;
    assert_eq!(server.metric("stentor_connections").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_one_breath_is_a_gap_too() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, patient).await;
    let mut client = listener(&server, "a").await;
    client.listen("2", r#"subscription { tick(of: "a") { n } }"#).await;
    client.listen("3", r#"subscription { tick(of: "b") { n } }"#).await;
    redis.restart().await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let message = client.next_json().await;
        assert_eq!(gap_of(&message), reconnect(), "{message}");
        told.push(message["payload"]["stentor"]["gap"]["id"].clone());
    }
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, ["1", "2", "3"]);
    client.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_for_two_reasons_at_one_place_are_both_told() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, patient).await;
    let dial = Dial { receive_buffer: Some(4 << 10), ..Dial::default() };
    let mut client = WsClient::connect(server.address(), &dial).await;
    client.listen("1", r#"subscription { tick(of: "a") { n text } }"#).await;
    flood(&redis, 1..=FLOOD).await;
    server.expect_metric("stentor_events_total", FLOOD).await;
    redis.restart().await;
    eventually("the node listens again", async || redis.listeners("ticks:a").await == 1).await;
    flood(&redis, FLOOD + 1..=2 * FLOOD).await;
    server.expect_metric("stentor_events_total", 2 * FLOOD).await;

    let (mut accounted, mut reconnects) = (0, 0);
    while accounted < 2 * FLOOD {
        let message = client.next_json().await;
        let gap = gap_of(&message);
        if gap == reconnect() {
            reconnects += 1;
        } else if !gap.is_null() {
            assert_eq!(gap["reason"], "SLOW_CONSUMER", "{message}");
            accounted += gap["dropped"].as_u64().expect("the node counts what it drops itself");
        }
        if let Some(n) = number(&message) {
            accounted += 1;
            assert_eq!(n, accounted, "{message}");
        }
    }
    assert_eq!(reconnects, 1);
    client.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_begins_without_redis_becomes_live_at_its_return_and_has_no_gap() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, patient).await;
    redis.kill();
    server.expect_metric("stentor_broker_state", 0).await;
    let mut client = server.client().await;
    client.begin_to_listen("1", json!({ "query": r#"subscription { tick(of: "a") { n } }"# })).await;
    client.expect_nothing().await;
    let error = server.stentor().publish("ticks:a", &json!({ "n": 0 })).await;
    assert!(error.is_err(), "nobody can have taken it");
    redis.restart().await;
    client.expect_live("1").await;
    assert_eq!(redis.publish("ticks:a", &tick(1)).await, 1);
    client.expect_data("1", json!({ "tick": { "n": 1 } })).await;
    client.expect_nothing().await;
    assert_eq!(server.metric(r#"stentor_gaps_total{reason="BROKER_RECONNECT"}"#).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_required_broker_new_sockets_wait_outside_and_running_ones_stay() {
    let mut redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, |config| config.broker.required = true).await;
    let mut client = listener(&server, "a").await;
    assert_eq!(server.get("/readyz").await.status, 200);
    redis.kill();
    eventually("the node is not ready", async || server.get("/readyz").await.status == 503).await;
    let mut refused = WsClient::open(server.address(), &Dial::default()).await;
    assert_eq!(refused.expect_close().await.0, 1013);
    client.expect_nothing().await;
    redis.restart().await;
    client.expect_gap_ping("1").await;
    assert_eq!(server.get("/readyz").await.status, 200);
    let _welcome = server.client().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_required_broker_there_is_no_start() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let mut config = Config::default();
    config.broker.url = BrokerUrl::new(redis.url()).ok();
    config.broker.required = true;
    let refused = Stentor::builder().schema(TICKS).config(config).build().await;
    assert!(matches!(refused, Err(BuildError::BrokerAway(_))), "{refused:?}");
}

async fn listener(server: &TestServer, of: &str) -> WsClient {
    let mut client = server.client().await;
    client.listen("1", &format!("subscription {{ tick(of: \"{of}\") {{ n }} }}")).await;
    client
}

fn tick(n: u64) -> String {
    json!({ "n": n }).to_string()
}

/// Events that are more than all buffers of the system on the way to one client take.
const FLOOD: u64 = 2_000;

async fn flood(redis: &RedisServer, numbers: RangeInclusive<u64>) {
    let event = |n| json!({ "n": n, "text": "x".repeat(1_000) }).to_string();
    let taken = Publisher::connect(redis).await.publish(numbers.map(|n| ("ticks:a", event(n)))).await;
    assert!(taken.iter().all(|listeners| *listeners == 1));
}

/// What a message tells of a gap, by itself or with its event.
fn gap_of(message: &Value) -> Value {
    let mut gap = match message["type"].as_str() {
        Some("ping") => message["payload"]["stentor"]["gap"].clone(),
        _ => message["payload"]["extensions"]["stentor"]["gap"].clone(),
    };
    if let Value::Object(gap) = &mut gap {
        gap.shift_remove("id");
    }
    gap
}

fn reconnect() -> Value {
    json!({ "dropped": null, "reason": "BROKER_RECONNECT" })
}
