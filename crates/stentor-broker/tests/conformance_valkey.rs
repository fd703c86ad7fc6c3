//! The contracts of brokers and of hash stores, kept on a Valkey server as on a Redis one.

use std::time::Duration;

use stentor_broker::{
    RedisBroker, RedisConfig,
    testing::{PATIENCE, RedisServer, conformance::World, hash_conformance::HashWorld},
};

mod topics {
    stentor_broker::broker_conformance!(super::topics);
}

mod announced_hashes {
    stentor_broker::hash_conformance!(super::announced_hashes);
}

mod polled_hashes {
    stentor_broker::hash_conformance!(super::polled_hashes);
}

async fn topics() -> World {
    let server = RedisServer::start_valkey().await;
    let poll = Duration::from_secs(60);
    World::new(node(&server, poll).await, node(&server, poll).await, server)
}

async fn announced_hashes() -> HashWorld {
    let server = RedisServer::start_valkey().await;
    server.command(&["CONFIG", "SET", "notify-keyspace-events", "Kh"]).await;
    hashes(server, Duration::from_secs(60)).await
}

async fn polled_hashes() -> HashWorld {
    hashes(RedisServer::start_valkey().await, Duration::from_millis(20)).await
}

async fn hashes(server: RedisServer, poll: Duration) -> HashWorld {
    let (here, there) = (node(&server, poll).await, node(&server, poll).await);
    HashWorld::new(here.hashes(), there.hashes(), server)
}

async fn node(server: &RedisServer, hash_poll: Duration) -> RedisBroker {
    let url = server.url().replace("redis://", "valkey://");
    let broker = RedisBroker::connect(&RedisConfig { hash_poll, ..RedisConfig::new(url) }).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker
}

#[tokio::test]
async fn it_is_valkey() {
    let server = RedisServer::start_valkey().await;
    let information = server.text(&["INFO", "server"]).await;
    assert!(information.contains("valkey_version:"), "{information}");
}

#[tokio::test]
async fn a_restart_is_a_gap() {
    let mut server = RedisServer::start_valkey().await;
    let broker = node(&server, Duration::from_secs(60)).await;
    let mut heard = stentor_broker::testing::RecordingSink::subscribe(&broker, "a");
    heard.expect_subscribed().await;
    server.restart().await;
    heard.expect_gap().await;
}
