//! The contract of hash stores, kept by the Redis store, whether the server announces changes or not.

use std::time::Duration;

use stentor_broker::{
    RedisBroker, RedisConfig,
    testing::{PATIENCE, RedisServer, hash_conformance::HashWorld},
};

mod announced {
    stentor_broker::hash_conformance!(super::announced);
}

mod polled {
    stentor_broker::hash_conformance!(super::polled);
}

async fn announced() -> HashWorld {
    let server = RedisServer::start().await;
    server.command(&["CONFIG", "SET", "notify-keyspace-events", "Kh"]).await;
    // So long that no poll can be what a fact sees.
    world(server, Duration::from_secs(60)).await
}

async fn polled() -> HashWorld {
    world(RedisServer::start().await, Duration::from_millis(20)).await
}

async fn world(server: RedisServer, hash_poll: Duration) -> HashWorld {
    let (here, there) = (node(&server, hash_poll).await, node(&server, hash_poll).await);
    HashWorld::new(here.hashes(), there.hashes(), server)
}

async fn node(server: &RedisServer, hash_poll: Duration) -> RedisBroker {
    let config = RedisConfig { hash_poll, ..RedisConfig::new(server.url()) };
    let broker = RedisBroker::connect(&config).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker
}
