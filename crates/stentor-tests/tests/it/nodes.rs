//! Several nodes on one Redis server.

use serde_json::json;
use stentor::config::BrokerUrl;
use stentor_tests::{RedisServer, Served, TestServer, eventually};

const SCHEMA: &str = r#"
    type Subscription { price(pair: String!): Price! @subscribe(topic: "price:{{ args.pair }}") }
    type Price { value: Int! }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_either_node_hears_every_publisher() {
    let redis = RedisServer::start().await;
    let nodes = [
        TestServer::on_redis(&redis, SCHEMA, |_| {}).await,
        TestServer::on_redis(&redis, SCHEMA, |_| {}).await,
    ];
    let mut clients = Vec::new();
    for node in [0, 0, 1, 1] {
        let mut client = nodes[node].client().await;
        client.listen("1", r#"subscription { price(pair: "a") { value } }"#).await;
        clients.push(client);
    }
    assert_eq!(redis.listeners("price:a").await, 2, "each node listens once");

    nodes[0].publish("price:a", &json!({ "value": 1 })).await;
    nodes[1].publish("price:a", &json!({ "value": 2 })).await;
    assert_eq!(redis.publish("price:a", r#"{"value":3}"#).await, 2);
    for client in &mut clients {
        for value in 1..=3 {
            client.expect_data("1", json!({ "price": { "value": value } })).await;
        }
        client.expect_nothing().await;
    }
    for node in &nodes {
        assert_eq!(node.metric("stentor_executions_total").await, 3);
    }
    clients.truncate(2);
    eventually("only the first node listens", async || redis.listeners("price:a").await == 1).await;
    clients.clear();
    eventually("nobody listens", async || redis.listeners("price:a").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_different_prefixes_do_not_hear_each_other() {
    let redis = RedisServer::start().await;
    let blue = TestServer::on_redis(&redis, SCHEMA, |config| config.broker.prefix = "blue:".into()).await;
    let green = TestServer::on_redis(&redis, SCHEMA, |config| config.broker.prefix = "green:".into()).await;
    let mut client = blue.client().await;
    client.listen("1", r#"subscription { price(pair: "a") { value } }"#).await;
    assert_eq!(redis.listeners("blue:price:a").await, 1);
    green.publish("price:a", &json!({ "value": 1 })).await;
    assert_eq!(redis.publish("price:a", r#"{"value":2}"#).await, 0);
    blue.publish("price:a", &json!({ "value": 3 })).await;
    client.expect_data("1", json!({ "price": { "value": 3 } })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_speaks_tls_to_redis_and_trusts_whom_it_is_told_to() {
    let redis = RedisServer::start_with_tls().await;
    let server = TestServer::on_redis(&redis, SCHEMA, |config| {
        config.broker.url = BrokerUrl::new(redis.tls_url()).ok();
        config.broker.ca_file = Some(redis.ca_file());
        config.broker.required = true;
    })
    .await;
    let mut client = server.client().await;
    client.listen("1", r#"subscription { price(pair: "a") { value } }"#).await;
    redis.publish("price:a", r#"{"value":1}"#).await;
    client.expect_data("1", json!({ "price": { "value": 1 } })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_come_and_go_leave_nothing_behind_in_redis() {
    let redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, SCHEMA, |_| {}).await;
    let mut client = server.client().await;
    for round in 0..1_000 {
        client.subscribe("1", &format!(r#"subscription {{ price(pair: "{round}") {{ value }} }}"#)).await;
        client.complete("1").await;
    }
    client.drain().await;
    for figure in ["stentor_operations", "stentor_audiences", "stentor_topics"] {
        server.expect_metric(figure, 0).await;
    }
    let empty = redis::Value::Array(Vec::new());
    eventually("redis has no channel", async || redis.command(&["PUBSUB", "CHANNELS"]).await == empty).await;
    // And a topic that was left a moment ago can be listened to again.
    client.listen("1", r#"subscription { price(pair: "999") { value } }"#).await;
    redis.publish("price:999", r#"{"value":1}"#).await;
    client.expect_data("1", json!({ "price": { "value": 1 } })).await;
}
