//! The broker's contract, kept by the Redis broker, and what is true of Redis alone.

use std::sync::Arc;

use stentor_broker::{
    Broker, BrokerEvent, PublishError, RedisBroker, RedisConfig,
    testing::{Heard, PATIENCE, RecordingSink, RedisServer, conformance::World, eventually},
};

stentor_broker::broker_conformance!(world);

async fn world() -> World {
    let server = RedisServer::start().await;
    World::new(node(&server).await, node(&server).await, server)
}

async fn node(server: &RedisServer) -> RedisBroker {
    connect(&RedisConfig::new(server.url())).await
}

async fn connect(config: &RedisConfig) -> RedisBroker {
    let broker = RedisBroker::connect(config).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker
}

async fn subscribed(broker: &dyn Broker, topic: &str) -> Heard {
    let mut heard = RecordingSink::subscribe(broker, topic);
    heard.expect_subscribed().await;
    heard
}

#[tokio::test]
async fn every_node_hears_every_publisher() {
    let server = RedisServer::start().await;
    let nodes = [node(&server).await, node(&server).await];
    let mut heard = [subscribed(&nodes[0], "a").await, subscribed(&nodes[1], "a").await];
    nodes[0].publish("a", "from 0".into()).await.unwrap();
    nodes[1].publish("a", "from 1".into()).await.unwrap();
    server.publish("a", "from outside").await;
    for heard in &mut heard {
        for payload in ["from 0", "from 1", "from outside"] {
            heard.expect_message(payload).await;
        }
        heard.expect_nothing();
    }
}

#[tokio::test]
async fn the_prefix_is_on_the_server_and_nowhere_else() {
    let server = RedisServer::start().await;
    let config = |prefix: &str| RedisConfig { prefix: prefix.into(), ..RedisConfig::new(server.url()) };
    let (stage, live) = (connect(&config("stage:")).await, connect(&config("live:")).await);
    let mut on_stage = subscribed(&stage, "a").await;
    let mut on_live = subscribed(&live, "a").await;
    live.publish("a", "to the audience".into()).await.unwrap();
    assert_eq!(server.publish("stage:a", "to the actors").await, 1);
    assert_eq!(server.publish("a", "to nobody").await, 0);
    on_live.expect_message("to the audience").await;
    on_stage.expect_message("to the actors").await;
    stage.unsubscribe("a");
    eventually("the prefixed channel is left", async || server.listeners("stage:a").await == 0).await;
    assert_eq!(server.listeners("live:a").await, 1);
}

#[tokio::test]
async fn the_last_unsubscribe_leaves_no_listener_on_the_server() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let _heard = subscribed(&broker, "a").await;
    assert_eq!(server.listeners("a").await, 1);
    broker.unsubscribe("a");
    eventually("nobody listens", async || server.listeners("a").await == 0).await;
}

#[tokio::test]
async fn a_thousand_topics_are_two_connections_and_few_commands() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all: Vec<_> = (0..1000).map(|i| RecordingSink::subscribe(&broker, &i.to_string())).collect();
    for heard in &mut all {
        heard.expect_subscribed().await;
    }
    assert_eq!(server.text(&["PUBSUB", "NUMPAT"]).await, "0");
    let clients = server.text(&["CLIENT", "LIST"]).await;
    let listening: Vec<_> = clients.lines().filter(|client| client.contains(" sub=1000 psub=0 ")).collect();
    // The third connection is the one that asks.
    assert_eq!((clients.lines().count(), listening.len()), (3, 1), "{clients}");

    (0..1000).for_each(|i| broker.unsubscribe(&i.to_string()));
    eventually("nobody listens", async || server.command(&["PUBSUB", "CHANNELS"]).await == empty()).await;
    let statistics = server.text(&["INFO", "commandstats"]).await;
    assert!(calls(&statistics, "subscribe") <= 4, "{statistics}");
    assert!(calls(&statistics, "unsubscribe") <= 4, "{statistics}");
    assert_eq!(calls(&statistics, "psubscribe"), 0, "{statistics}");
}

fn empty() -> redis::Value {
    redis::Value::Array(Vec::new())
}

/// How often the server ran a command, from `INFO commandstats`.
fn calls(statistics: &str, command: &str) -> u64 {
    let line = statistics.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn forbidden_topics_are_refused_and_the_others_of_their_batch_work() {
    let server = RedisServer::start().await;
    server.command(&["ACL", "SETUSER", "node", "on", ">pw", "resetchannels", "&ok:*", "+@all"]).await;
    let url = server.url().replace("//", "//node:pw@");
    let broker = connect(&RedisConfig::new(url)).await;
    let topics: Vec<_> =
        (0..20).map(|i| if i % 7 == 3 { format!("no:{i}") } else { format!("ok:{i}") }).collect();
    let heard: Vec<_> = topics.iter().map(|topic| RecordingSink::subscribe(&broker, topic)).collect();
    for (topic, mut heard) in topics.iter().zip(heard) {
        if topic.starts_with("ok:") {
            heard.expect_subscribed().await;
            server.publish(topic, "heard").await;
            heard.expect_message("heard").await;
            continue;
        }
        let event = heard.next(PATIENCE).await;
        let Some(BrokerEvent::Refused(reason)) = &event else { panic!("{topic}: heard {event:?}") };
        assert!(reason.contains("NOPERM"), "{reason}");
        heard.expect_dropped().await;
    }
}

#[tokio::test]
async fn a_forbidden_publish_is_not_sent() {
    let server = RedisServer::start().await;
    server.command(&["ACL", "SETUSER", "node", "on", ">pw", "resetchannels", "+@all"]).await;
    let broker = connect(&RedisConfig::new(server.url().replace("//", "//node:pw@"))).await;
    let refused = broker.publish("a", "unheard".into()).await;
    assert!(
        matches!(&refused, Err(PublishError::NotSent(reason)) if reason.contains("NOPERM")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_publish_more_than_the_limit_is_refused_at_once() {
    let server = RedisServer::start().await;
    let broker =
        Arc::new(connect(&RedisConfig { max_commands_in_flight: 3, ..RedisConfig::new(server.url()) }).await);
    server.stop();
    let publish = || broker.publish("a", "waiting".into());
    let refused = tokio::select! {
        biased;
        waiting = async { tokio::join!(publish(), publish(), publish()) } => panic!("{waiting:?}"),
        refused = publish() => refused,
    };
    let expected = "too many commands are under way (limit 3)";
    assert_eq!(refused, Err(PublishError::NotSent(expected.into())));
    server.cont();
    publish().await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_ends_both_connections() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let clone = broker.clone();
    let mut heard = subscribed(&broker, "a").await;
    drop(broker);
    clone.publish("a", "still here".into()).await.unwrap();
    heard.expect_message("still here").await;
    drop(clone);
    heard.expect_dropped().await;
    eventually("only the asking connection is left", async || {
        server.text(&["CLIENT", "LIST"]).await.lines().count() == 1
    })
    .await;
}

#[tokio::test]
async fn closing_ends_both_connections() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    broker.close().await;
    eventually("only the asking connection is left", async || {
        server.text(&["CLIENT", "LIST"]).await.lines().count() == 1
    })
    .await;
}
