//! Clients that do not read, and what that costs them and nobody else.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stentor::config::{ByteSize, Period};
use stentor_tests::{
    Dial, Incoming, Process, Publisher, RedisServer, Served, TestServer, WsClient, eventually,
};
use tokio::task::JoinHandle;

use crate::ledger::{Ledger, number};

/// Subscribers that read, beside the one that does not.
const HEALTHY: usize = 99;

/// Events that are published meanwhile.
const EVENTS: u64 = 10_000;

/// Events that are published at once; fewer than a mailbox takes, so that only who does not read loses any.
const BURST: u64 = 50;

/// Dials that do not read stop at about this much, the system's least.
const SMALL_BUFFER: Dial = Dial {
    path: "/graphql",
    subprotocol: Some("graphql-transport-ws"),
    headers: Vec::new(),
    token: None,
    receive_buffer: Some(4 << 10),
};

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_loses_what_it_is_told_and_the_others_lose_nothing() {
    let redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, &schema(""), |_| {}).await;
    let heard = Arc::new(AtomicU64::new(0));
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        let mut client = server.client().await;
        client.listen("1", TICKS).await;
        healthy.push(read_everything(client, Arc::clone(&heard)));
    }
    let mut stalled = WsClient::connect(server.address(), &SMALL_BUFFER).await;
    stalled.listen("1", TICKS).await;

    let mut publisher = Publisher::connect(&redis).await;
    for burst in 0..EVENTS / BURST {
        let numbers = burst * BURST + 1..=(burst + 1) * BURST;
        let taken = publisher.publish(numbers.map(|n| ("ticks", tick(n, 200).to_string()))).await;
        assert!(taken.iter().all(|listeners| *listeners == 1));
        let expected = (burst + 1) * BURST * HEALTHY as u64;
        eventually("all who read have read", async || heard.load(Ordering::Relaxed) == expected).await;
    }
    for reader in healthy {
        reader.await.expect("a reader misses nothing");
    }
    assert!(server.metric(SLOW_DROPPED).await > 0, "the client was not slow");

    let ledger = settle(&mut stalled, EVENTS).await;
    assert_eq!(ledger.received + ledger.dropped, EVENTS);
    assert_eq!(server.metric(SLOW_DROPPED).await, ledger.dropped);
    stalled.expect_nothing().await;
    drop(stalled);
    eventually("nobody listens", async || redis.listeners("ticks").await == 0).await;
}

/// Reads [`EVENTS`] events, each exactly once and in order.
fn read_everything(mut client: WsClient, heard: Arc<AtomicU64>) -> JoinHandle<()> {
    tokio::spawn(async move {
        for expected in 1..=EVENTS {
            let text = client.next_text().await;
            let place = text.find(r#""n":"#).expect("an event has a number") + 4;
            let digits = text[place..].bytes().take_while(u8::is_ascii_digit).count();
            assert_eq!(text[place..place + digits].parse(), Ok(expected), "{text}");
            assert!(!text.contains("gap"), "{text}");
            heard.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_way_is_told_at_its_place() {
    for overflow in ["DROP_OLDEST", "DROP_NEWEST"] {
        let server =
            TestServer::start(&schema(&format!("@delivery(buffer: 10, overflow: {overflow})"))).await;
        let mut client = stalled_client(&server).await;
        flood(&server, 1..=FLOOD).await;
        // Once it has read what was lost behind, it hears what comes next, at once.
        let ledger = settle(&mut client, FLOOD).await;
        assert!(ledger.dropped > 0 && ledger.received >= 10, "{overflow}: {ledger:?}");
        server.publish("ticks", &tick(FLOOD + 1, 10)).await;
        client.expect_data("1", json!({ "tick": { "n": FLOOD + 1, "text": "x".repeat(10) } })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_oldest_keeps_the_newest_events_and_drop_newest_the_oldest() {
    for (overflow, kept) in [("DROP_OLDEST", FLOOD), ("DROP_NEWEST", 0)] {
        let server =
            TestServer::start(&schema(&format!("@delivery(buffer: 10, overflow: {overflow})"))).await;
        let mut client = stalled_client(&server).await;
        flood(&server, 1..=FLOOD).await;
        let mut ledger = Ledger::default();
        let mut last = 0;
        while ledger.total() < FLOOD {
            let message = client.next_json().await;
            last = number(&message).unwrap_or(0);
            ledger.note(&message);
        }
        // With DROP_NEWEST the last thing told is the gap itself.
        assert_eq!(last, kept, "{overflow}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_keeps_the_newest_event_of_each_key_and_loses_nothing_else() {
    let rows = [
        ("@delivery(overflow: LATEST)", 1),
        (r#"@delivery(overflow: LATEST, key: "symbol")"#, 5),
        (r#"@delivery(overflow: LATEST, key: "{{ event.symbol }}/x")"#, 5),
        // Where the event lacks the key, all such events are one.
        (r#"@delivery(overflow: LATEST, key: "missing")"#, 1),
    ];
    for (delivery, keys) in rows {
        let server = TestServer::start(&schema(delivery)).await;
        let mut client = stalled_client(&server).await;
        flood(&server, 1..=FLOOD).await;
        let (mut numbers, mut last) = (Vec::new(), 0);
        while last < FLOOD {
            let message = client.next_json().await;
            assert!(message["payload"]["extensions"].is_null(), "{delivery}: {message}");
            last = number(&message).expect("nothing but events");
            numbers.push(last);
        }
        let newest: Vec<_> = (FLOOD - keys + 1..=FLOOD).collect();
        assert!(numbers.ends_with(&newest), "{delivery}: {numbers:?}");
        assert!(numbers.is_sorted() && (numbers.len() as u64) < FLOOD, "{delivery}: {numbers:?}");
        client.expect_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_must_not_lose_closes_its_connection_with_1013() {
    let server = TestServer::start(&schema("@delivery(buffer: 10, overflow: CLOSE)")).await;
    let mut client = stalled_client(&server).await;
    flood(&server, 1..=FLOOD).await;
    let mut ledger = Ledger::default();
    let (code, reason) = loop {
        match client.next().await {
            Incoming::Json(message) => ledger.note(&message),
            Incoming::Close(code, reason) => break (code, reason),
            Incoming::Lost => panic!("no close frame"),
        }
    };
    assert_eq!((code, ledger.dropped), (1013, 0), "{reason}");
    assert!(ledger.received < FLOOD);
    server.expect_metric("stentor_operations", 0).await;
    server.expect_metric("stentor_topics", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_wait_for_a_subscription_are_bounded() {
    let server = TestServer::configured(&schema("@delivery(buffer: 1000)"), |config| {
        config.limits.mailbox_bytes = ByteSize::kib(10);
    })
    .await;
    let mut client = stalled_client(&server).await;
    flood(&server, 1..=FLOOD).await;
    let ledger = settle(&mut client, FLOOD).await;
    // Each is a little more than a KiB.
    assert!((1..=10).contains(&ledger.since_gap), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_wait_for_all_subscriptions_of_a_connection_are_bounded() {
    let server = TestServer::configured(&schema("@delivery(buffer: 1000)"), |config| {
        config.limits.connection_bytes = ByteSize::kib(20);
    })
    .await;
    let mut client = stalled_client(&server).await;
    client.listen("2", TICKS).await;
    flood(&server, 1..=FLOOD).await;
    let mut ledgers = [Ledger::default(), Ledger::default()];
    while ledgers.iter().any(|ledger| ledger.total() < FLOOD) {
        let message = client.next_json().await;
        let id = message["id"].as_str().or_else(|| message["payload"]["stentor"]["gap"]["id"].as_str());
        ledgers[usize::from(id == Some("2"))].note(&message);
    }
    let waited: u64 = ledgers.iter().map(|ledger| ledger.since_gap).sum();
    assert!((1..=20).contains(&waited), "{ledgers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_a_mailbox_gives_way_alone() {
    let server = TestServer::configured(&schema(""), |config| {
        config.limits.mailbox_bytes = ByteSize::kib(10);
    })
    .await;
    let mut client = stalled_client(&server).await;
    flood(&server, 1..=FLOOD).await;
    server.publish("ticks", &tick(FLOOD + 1, 11 << 10)).await;
    server.publish("ticks", &tick(FLOOD + 2, 10)).await;
    let before = settle(&mut client, FLOOD).await;
    assert!(before.dropped > 0 && before.since_gap > 1, "{before:?}");
    let message = client.next_json().await;
    assert_eq!(number(&message), Some(FLOOD + 2), "{message}");
    assert_eq!(message["payload"]["extensions"]["stentor"]["gap"]["dropped"], 1, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_before_its_subscription_completes() {
    let schema = r#"
        type Subscription {
            tick: Tick! @subscribe(topic: "ticks", until: "event.n == 2000")
                @delivery(buffer: 10, overflow: DROP_NEWEST)
        }
        type Tick { n: Int! text: String! }
    "#;
    let server = TestServer::start(schema).await;
    let mut client = stalled_client(&server).await;
    flood(&server, 1..=FLOOD).await;
    let mut ledger = Ledger::default();
    loop {
        let message = client.next_json().await;
        if message["type"] == "complete" {
            break;
        }
        ledger.note(&message);
    }
    assert_eq!(ledger.total(), FLOOD, "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_no_event_follows_is_told_by_a_ping_within_a_second() {
    let server = TestServer::start(&schema("@delivery(buffer: 10, overflow: DROP_NEWEST)")).await;
    let mut client = stalled_client(&server).await;
    flood(&server, 1..=FLOOD).await;
    let mut ledger = Ledger::default();
    let mut last_event = Instant::now();
    while ledger.total() < FLOOD {
        let message = client.next_json().await;
        ledger.note(&message);
        if message["type"] == "next" {
            last_event = Instant::now();
        } else {
            assert_eq!(ledger.total(), FLOOD, "{message}");
            client.send(json!({ "type": "pong", "payload": message["payload"] })).await;
        }
    }
    assert!(last_event.elapsed() < Duration::from_secs(2));
    assert_eq!(ledger.since_gap, 0, "the last thing told is the gap");
    client.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_to_read_for_too_long_is_dropped() {
    let server = TestServer::configured(&schema(""), |config| {
        config.limits.stall_timeout = Period::seconds(1);
    })
    .await;
    let _stalled = stalled_client(&server).await;
    let mut healthy = server.client().await;
    flood(&server, 1..=FLOOD).await;
    server.expect_metric("stentor_connections", 1).await;
    server.expect_metric("stentor_topics", 0).await;
    healthy.expect_nothing().await;
}

/// Stalled clients whose cost is measured together, so that an allocator's own habits weigh little.
const STALLED: u64 = 100;

/// Bytes of an event's text in that measurement.
const TEXT: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_client_costs_its_buffer_and_64_kib_at_most_and_its_successor_nothing_more() {
    let redis = RedisServer::start().await;
    let schema = r#"
        type Subscription { tick(of: Int!): Tick! @subscribe(topic: "ticks:{{ args.of }}") }
        type Tick { n: Int! text: String! }
    "#;
    let server = Process::start(schema, &format!("[broker]\nurl = \"{}\"", redis.url()));
    let mut publisher = Publisher::connect(&redis).await;
    let mut clients = stalled_clients(&server).await;
    // A round that everybody reads, after which what every server needs once is there.
    publish_to_all(&server, &mut publisher, 1..=20).await;
    for client in &mut clients {
        for n in 1..=20 {
            let message = client.next_json().await;
            assert_eq!(number(&message), Some(n));
        }
    }
    let idle = server.memory();
    publish_to_all(&server, &mut publisher, 21..=520).await;
    let dropped = server.metric(SLOW_DROPPED).await;
    assert!(dropped > 250 * STALLED, "only {dropped} were dropped: the clients were not slow");
    let cost = server.memory().saturating_sub(idle) / STALLED;
    let event = tick(100, TEXT).to_string().len() as u64;
    let allowed = 100 * event + (64 << 10);
    assert!(cost <= allowed, "{cost} bytes each, {allowed} are allowed");

    // The allocator keeps what they leave, but whoever comes next lives in it.
    drop(clients);
    server.expect_metric("stentor_topics", 0).await;
    let successors = stalled_clients(&server).await;
    publish_to_all(&server, &mut publisher, 521..=1_020).await;
    assert!(server.metric(SLOW_DROPPED).await > dropped + 250 * STALLED, "the clients were not slow");
    let more = server.memory().saturating_sub(idle + cost * STALLED) / STALLED;
    assert!(more < allowed / 4, "each successor costs {more} bytes more");
    drop(successors);
}

/// Clients that listen to a topic each.
async fn stalled_clients(server: &Process) -> Vec<WsClient> {
    let mut clients = Vec::new();
    for of in 0..STALLED {
        let mut client = WsClient::connect(server.address(), &SMALL_BUFFER).await;
        client.listen("1", &format!("subscription {{ tick(of: {of}) {{ n text }} }}")).await;
        clients.push(client);
    }
    clients
}

/// Publishes to every client's topic, no faster than the server takes it in: what waits before it was heard by the
/// audiences is another queue's business.
async fn publish_to_all(server: &Process, publisher: &mut Publisher, numbers: RangeInclusive<u64>) {
    for n in numbers {
        let event = tick(n, TEXT).to_string();
        let taken = publisher.publish((0..STALLED).map(|of| (format!("ticks:{of}"), event.clone()))).await;
        assert!(taken.iter().all(|listeners| *listeners == 1));
        if n % 5 == 0 {
            server.expect_metric("stentor_events_total", n * STALLED).await;
        }
    }
}

const TICKS: &str = "subscription { tick { n text } }";
const SLOW_DROPPED: &str = r#"stentor_dropped_total{reason="SLOW_CONSUMER"}"#;

/// Events that are more than all buffers of the system on the way to one client take.
const FLOOD: u64 = 2_000;

fn schema(delivery: &str) -> String {
    format!(
        r#"
        type Subscription {{ tick: Tick! @subscribe(topic: "ticks") {delivery} }}
        type Tick {{ n: Int! text: String! }}
        "#
    )
}

fn tick(n: u64, text: usize) -> Value {
    json!({ "n": n, "text": "x".repeat(text), "symbol": format!("s{}", n % 5) })
}

/// A client that listens, and reads only what it is asked to.
async fn stalled_client(server: &TestServer) -> WsClient {
    let mut client = WsClient::connect(server.address(), &SMALL_BUFFER).await;
    client.listen("1", TICKS).await;
    client
}

/// Publishes the events, and waits until they have reached every mailbox or given way there.
async fn flood(server: &TestServer, numbers: RangeInclusive<u64>) {
    let executed = server.metric("stentor_executions_total").await;
    let count = numbers.end() - numbers.start() + 1;
    for n in numbers {
        server.publish("ticks", &tick(n, 1_000)).await;
    }
    server.expect_metric("stentor_executions_total", executed + count).await;
}

/// Reads until `events` are accounted for.
async fn settle(client: &mut WsClient, events: u64) -> Ledger {
    let mut ledger = Ledger::default();
    while ledger.total() < events {
        ledger.note(&client.next_json().await);
    }
    ledger
}
