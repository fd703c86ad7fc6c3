//! A node that leaves.

use std::time::{Duration, Instant};

use serde_json::json;
use stentor::config::Period;
use stentor_tests::{Dial, Incoming, Process, Served, TestServer, WsClient, eventually};

const SCHEMA: &str = r#"
    type Subscription { tick: Tick! @subscribe(topic: "ticks") }
    type Tick { n: Int! text: String }
"#;

const CLIENTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn running_clients_are_closed_with_1012_over_the_window_and_new_ones_turned_away() {
    let window = Duration::from_secs(1);
    let mut server =
        TestServer::configured(SCHEMA, |config| config.shutdown.window = Period::seconds(1)).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = server.client().await;
        client.listen("1", "subscription { tick { n } }").await;
        clients.push(client);
    }
    let begin = Instant::now();
    let closes = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            // Neither `complete` nor `error` comes before it, or the client would not subscribe again.
            let (code, _) = client.expect_close().await;
            (code, begin.elapsed(), client.next().await)
        })
    });
    let closes: Vec<_> = closes.collect();
    server.begin_shutdown();
    eventually("it is not ready", async || server.get("/readyz").await.status == 503).await;
    assert!(begin.elapsed() < Duration::from_millis(500), "readiness flips first");
    assert_eq!(server.get("/readyz").await.json()["status"], "draining");
    assert_eq!(server.get("/healthz").await.status, 200);
    let mut late = WsClient::open(server.address(), &Dial::default()).await;
    assert_eq!(late.expect_close().await.0, 1012);

    let mut times = Vec::new();
    for close in closes {
        let (code, time, end) = close.await.expect("a client is told");
        assert_eq!((code, end), (1012, Incoming::Lost));
        times.push(time);
    }
    times.sort();
    assert!(times[CLIENTS / 2] > window / 4, "half of them left at once: {times:?}");
    assert!(times[CLIENTS - 1] > window / 2, "all of them left at once: {times:?}");
    assert!(times[CLIENTS - 1] < window + Duration::from_secs(1), "{times:?}");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_delivered_until_the_close() {
    let mut server =
        TestServer::configured(SCHEMA, |config| config.shutdown.window = Period::seconds(2)).await;
    let mut clients = [server.client().await, server.client().await];
    for client in &mut clients {
        client.listen("1", "subscription { tick { n } }").await;
    }
    server.begin_shutdown();
    let [mut one, mut other] = clients;
    let (closed, remaining) = tokio::select! {
        close = one.expect_close() => (close, &mut other),
        close = other.expect_close() => (close, &mut one),
    };
    assert_eq!(closed.0, 1012);
    server.publish("ticks", &json!({ "n": 1 })).await;
    remaining.expect_data("1", json!({ "tick": { "n": 1 } })).await;
    assert_eq!(remaining.expect_close().await.0, 1012);
    drop((one, other));
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_clients_leaves_at_once() {
    let mut server = TestServer::start(SCHEMA).await;
    let begin = Instant::now();
    server.begin_shutdown();
    server.ended().await;
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_the_node_no_longer_than_the_timeout() {
    let mut server = TestServer::configured(SCHEMA, |config| {
        config.shutdown.window = Period::millis(100);
        config.shutdown.timeout = Period::seconds(1);
    })
    .await;
    let dial = Dial { receive_buffer: Some(4 << 10), ..Dial::default() };
    let mut stalled = WsClient::connect(server.address(), &dial).await;
    stalled.listen("1", "subscription { tick { n text } }").await;
    for n in 0..2_000 {
        server.publish("ticks", &json!({ "n": n, "text": "x".repeat(1_000) })).await;
    }
    let dropped = r#"stentor_dropped_total{reason="SLOW_CONSUMER"}"#;
    eventually("it is stalled", async || server.metric(dropped).await > 0).await;
    let begin = Instant::now();
    server.begin_shutdown();
    server.ended().await;
    assert!(begin.elapsed() >= Duration::from_millis(900), "nobody waited for it");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_drains_on_sigterm_and_ends_with_success() {
    let server = Process::start(SCHEMA, "[shutdown]\nwindow = \"200ms\"");
    let mut client = server.client().await;
    client.listen("1", "subscription { tick { n } }").await;
    server.terminate();
    assert_eq!(client.expect_close().await.0, 1012);
    client.close().await;
    assert!(server.wait().await, "it ended with an error");
}
