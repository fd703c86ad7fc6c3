//! Redis over TLS, with user, password, database and prefix.

use std::time::Duration;

use stentor_broker::{
    Broker, HashStore, RedisBroker, RedisConfig,
    testing::{PATIENCE, RecordingSink, RedisServer, conformance::World, hash_conformance::HashWorld},
};

mod topics {
    stentor_broker::broker_conformance!(super::topics);
}

mod hashes {
    stentor_broker::hash_conformance!(super::hashes);
}

/// Everything that a URL and the keys beside it can say, at once.
fn everything(server: &RedisServer) -> RedisConfig {
    RedisConfig {
        ca_file: Some(server.ca_file()),
        prefix: "stage:".into(),
        hash_poll: Duration::from_millis(20),
        ..RedisConfig::new(server.tls_url().replace("//", "//node:p%2Fw@") + "/3")
    }
}

async fn server() -> RedisServer {
    let server = RedisServer::start_with_tls().await;
    let rules =
        ["on", ">p/w", "resetkeys", "~stage:*", "resetchannels", "&stage:*", "&__keyspace@3__:stage:*"];
    let commands = ["+hgetall", "+hset", "+subscribe", "+unsubscribe", "+publish", "+ping", "+select"];
    server.command(&[&["ACL", "SETUSER", "node"], &rules[..], &commands[..]].concat()).await;
    server
}

async fn connect(config: &RedisConfig) -> RedisBroker {
    let broker = RedisBroker::connect(config).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker
}

async fn topics() -> World {
    let server = server().await;
    let config = everything(&server);
    World::new(connect(&config).await, connect(&config).await, server)
}

async fn hashes() -> HashWorld {
    let server = server().await;
    let config = everything(&server);
    HashWorld::new(connect(&config).await.hashes(), connect(&config).await.hashes(), server)
}

#[tokio::test]
async fn what_goes_over_tls_is_what_others_see_without() {
    let server = server().await;
    let broker = connect(&everything(&server)).await;
    let mut heard = RecordingSink::subscribe(&broker, "a");
    heard.expect_subscribed().await;
    assert_eq!(server.publish("stage:a", "in the clear").await, 1);
    heard.expect_message("in the clear").await;
    broker.hashes().write("a", &[("i".into(), "1".into())]).await.unwrap();
    let mut program = server.client().await;
    let ask = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).clone();
    ask(&["SELECT", "3"]).query_async::<()>(&mut program).await.unwrap();
    let text: String = ask(&["HGET", "stage:a", "i"]).query_async(&mut program).await.unwrap();
    assert_eq!(text, "1");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    let (server, other) = (RedisServer::start_with_tls().await, RedisServer::start_with_tls().await);
    for ca_file in [None, Some(other.ca_file())] {
        let config = RedisConfig { ca_file, ..RedisConfig::new(server.tls_url()) };
        let broker = RedisBroker::connect(&config).unwrap();
        let refused = broker.ready(Duration::from_secs(1)).await.unwrap_err();
        assert!(refused.reason.contains("invalid peer certificate"), "{refused}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_plain_port_are_told_apart() {
    let server = server().await;
    let config = everything(&server);
    let wrong = RedisConfig { url: config.url.replace("p%2Fw", "hunter2"), ..config.clone() };
    let refused = RedisBroker::connect(&wrong).unwrap().ready(Duration::from_secs(1)).await.unwrap_err();
    assert!(refused.reason.contains("WRONGPASS"), "{refused}");
    assert!(!refused.reason.contains("hunter2"), "{refused}");
    let plain = RedisConfig { url: server.url().replace("redis://", "rediss://"), ..config };
    let refused = RedisBroker::connect(&plain).unwrap().ready(Duration::from_secs(1)).await.unwrap_err();
    assert!(!refused.reason.contains("WRONGPASS"), "{refused}");
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_over_tls() {
    let mut server = RedisServer::start_with_tls().await;
    let config = RedisConfig { ca_file: Some(server.ca_file()), ..RedisConfig::new(server.tls_url()) };
    let broker = connect(&config).await;
    let mut heard = RecordingSink::subscribe(&broker, "a");
    heard.expect_subscribed().await;
    server.restart().await;
    heard.expect_gap().await;
    broker.ready(PATIENCE).await.unwrap();
    broker.publish("a", "heard".into()).await.unwrap();
    heard.expect_message("heard").await;
}
