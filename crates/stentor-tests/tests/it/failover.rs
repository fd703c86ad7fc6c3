//! Redis goes away for long, and memory takes over until it is back.

use serde_json::{Value, json};
use stentor::{
    Config,
    config::{BrokerUrl, Period},
};
use stentor_tests::{Process, RedisServer, Served, TestServer, WsClient, eventually};

const TICKS: &str = r#"
    type Subscription { tick(of: String!): Tick! @subscribe(topic: "ticks:{{ args.of }}") }
    type Tick { n: Int! }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_parted_while_redis_is_away_and_no_socket_notices_but_by_its_gaps() {
    let mut redis = RedisServer::start().await;
    let nodes =
        [TestServer::on_redis(&redis, TICKS, quick).await, TestServer::on_redis(&redis, TICKS, quick).await];
    let mut clients = [listener(&nodes[0]).await, listener(&nodes[1]).await];
    for outage in 1..=2_u64 {
        nodes[0].publish("ticks:a", &json!({ "n": 0 })).await;
        for client in &mut clients {
            client.expect_data("1", json!({ "tick": { "n": 0 } })).await;
        }
        redis.kill();
        for (n, (node, client)) in nodes.iter().zip(&mut clients).enumerate() {
            expect_state(node, "fallback", 2).await;
            node.publish("ticks:a", &json!({ "n": n })).await;
            expect_after_failover(client, n).await;
            client.expect_nothing().await;
        }
        redis.restart().await;
        for node in &nodes {
            expect_state(node, "up", 1).await;
        }
        assert_eq!(redis.publish("ticks:a", r#"{"n":3}"#).await, 2);
        for (node, client) in nodes.iter().zip(&mut clients) {
            expect_after_failover(client, 3).await;
            client.expect_nothing().await;
            assert_eq!(node.metric(r#"stentor_gaps_total{reason="FAILOVER"}"#).await, 2 * outage);
            assert_eq!(node.metric(r#"stentor_gaps_total{reason="BROKER_RECONNECT"}"#).await, 0);
            assert_eq!(node.metric("stentor_connections").await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_without_redis_serves_its_own_clients_and_finds_redis() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let server = TestServer::on_redis(&redis, TICKS, |_| {}).await;
    expect_state(&server, "fallback", 2).await;
    let mut client = listener(&server).await;
    server.publish("ticks:a", &json!({ "n": 1 })).await;
    client.expect_data("1", json!({ "tick": { "n": 1 } })).await;
    redis.restart().await;
    expect_state(&server, "up", 1).await;
    let told = client.expect_gap_ping("1").await;
    assert_eq!(told, json!({ "id": "1", "dropped": null, "reason": "FAILOVER" }));
    assert_eq!(redis.publish("ticks:a", r#"{"n":2}"#).await, 1);
    client.expect_data("1", json!({ "tick": { "n": 2 } })).await;
    client.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_counts_as_away() {
    let redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, TICKS, quick).await;
    let mut client = listener(&server).await;
    redis.stop();
    let unknown = server.stentor().publish("ticks:a", &json!({ "n": 1 })).await;
    assert!(unknown.is_err(), "nobody knows whether it was taken");
    expect_state(&server, "fallback", 2).await;
    let mut newcomer = listener(&server).await;
    server.publish("ticks:a", &json!({ "n": 2 })).await;
    expect_after_failover(&mut client, 2).await;
    newcomer.expect_data("1", json!({ "tick": { "n": 2 } })).await;
    redis.cont();
    expect_state(&server, "up", 1).await;
    server.publish("ticks:a", &json!({ "n": 3 })).await;
    expect_after_failover(&mut client, 3).await;
    expect_after_failover(&mut newcomer, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_alone_cannot_reach_redis_is_parted_from_the_others() {
    let redis = RedisServer::start().await;
    redis.command(&["ACL", "SETUSER", "outcast", "on", ">pw", "allkeys", "allchannels", "+@all"]).await;
    let url = BrokerUrl::new(redis.url().replace("//", "//outcast:pw@")).expect("its own URL is right");
    let outcast = TestServer::on_redis(&redis, TICKS, |config| {
        quick(config);
        config.broker.url = Some(url);
    })
    .await;
    let other = TestServer::on_redis(&redis, TICKS, quick).await;
    let (mut here, mut there) = (listener(&outcast).await, listener(&other).await);

    redis.command(&["ACL", "SETUSER", "outcast", "off"]).await;
    redis.command(&["CLIENT", "KILL", "USER", "outcast"]).await;
    expect_state(&outcast, "fallback", 2).await;
    expect_state(&other, "up", 1).await;
    outcast.publish("ticks:a", &json!({ "n": 1 })).await;
    other.publish("ticks:a", &json!({ "n": 2 })).await;
    expect_after_failover(&mut here, 1).await;
    there.expect_data("1", json!({ "tick": { "n": 2 } })).await;

    redis.command(&["ACL", "SETUSER", "outcast", "on"]).await;
    expect_state(&outcast, "up", 1).await;
    other.publish("ticks:a", &json!({ "n": 3 })).await;
    expect_after_failover(&mut here, 3).await;
    there.expect_data("1", json!({ "tick": { "n": 3 } })).await;
    here.expect_nothing().await;
    there.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_tells_its_state_once_each_way_and_never_the_password() {
    let mut redis = RedisServer::start().await;
    let url = redis.url().replace("//", "//default:hunter2@");
    let config = format!("[broker]\nurl = \"{url}\"\nfallback_after = \"200ms\"\n");
    redis.command(&["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let program = Process::start(TICKS, &config);
    expect_state(&program, "up", 1).await;
    let mut client = listener(&program).await;
    redis.kill();
    expect_state(&program, "fallback", 2).await;
    redis.restart().await;
    redis.command(&["CONFIG", "SET", "requirepass", "hunter2"]).await;
    expect_state(&program, "up", 1).await;
    eventually("the program listens", async || program.metric("stentor_topics").await == 1).await;
    let told = client.expect_gap_ping("1").await;
    assert_eq!(told["reason"], "FAILOVER");
    let log = program.log();
    let lines =
        |level: &str| log.lines().filter(|line| line.contains(level) && line.contains("fallback")).count();
    assert_eq!((lines("WARN"), lines("INFO")), (1, 1), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

fn quick(config: &mut Config) {
    config.broker.fallback_after = Period::millis(100);
}

async fn listener(server: &impl Served) -> WsClient {
    let mut client = server.client().await;
    client.listen("1", r#"subscription { tick(of: "a") { n } }"#).await;
    client
}

/// Health and metrics come to say this state; a node in fallback is ready.
async fn expect_state(server: &impl Served, state: &str, figure: u64) {
    eventually(state, async || server.get("/readyz").await.json()["broker"]["state"] == state).await;
    let readiness = server.get("/readyz").await;
    assert_eq!(readiness.status, 200, "{readiness:?}");
    let readiness = readiness.json();
    assert_eq!((&readiness["status"], &readiness["broker"]["kind"]), (&json!("ready"), &json!("redis")));
    assert_eq!(server.metric("stentor_broker_state").await, figure);
}

/// The next event is this one, with the gap of a switch before it, told by itself or together with it.
async fn expect_after_failover(client: &mut WsClient, n: usize) {
    let failover = json!({ "dropped": null, "reason": "FAILOVER" });
    let mut message = client.next_json().await;
    let alone = message["type"] == "ping";
    if alone {
        let gap = &message["payload"]["stentor"]["gap"];
        assert_eq!(
            (&gap["dropped"], &gap["reason"]),
            (&failover["dropped"], &failover["reason"]),
            "{message}"
        );
        message = client.next_json().await;
    }
    assert_eq!(message["payload"]["data"], json!({ "tick": { "n": n } }), "{message}");
    let told = &message["payload"]["extensions"]["stentor"]["gap"];
    assert_eq!(*told, if alone { Value::Null } else { failover }, "{message}");
}
