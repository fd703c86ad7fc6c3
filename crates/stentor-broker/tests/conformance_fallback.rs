//! The contracts of brokers and of hash stores, kept by Redis with memory beside it in each of its states.

use std::time::Duration;

use stentor_broker::{
    Broker, BrokerMode, FallbackBroker, RedisBroker, RedisConfig,
    testing::{RedisServer, conformance::World, eventually, hash_conformance::HashWorld},
};

/// Both suites in one state.
macro_rules! in_state {
    ($state:ident) => {
        mod $state {
            use super::*;

            mod topics {
                stentor_broker::broker_conformance!(super::topics);
            }

            mod hashes {
                stentor_broker::hash_conformance!(super::hashes);
            }

            async fn topics() -> World {
                let Node { here, there, server } = super::$state().await;
                World::new(here, there, server)
            }

            async fn hashes() -> HashWorld {
                let Node { here, there, server } = super::$state().await;
                HashWorld::new(here.hashes(), there.hashes(), (here, there, server))
            }
        }
    };
}

in_state!(up);
in_state!(fallback_from_the_start);
in_state!(fallback_after_a_loss);
in_state!(returned);

struct Node {
    here: FallbackBroker,
    /// Another node where nodes hear each other, or another handle where they do not.
    there: FallbackBroker,
    server: RedisServer,
}

async fn up() -> Node {
    let server = RedisServer::start().await;
    let (here, there) = (connect(&server), connect(&server));
    both(BrokerMode::Up, here, there, server).await
}

async fn fallback_from_the_start() -> Node {
    let mut server = RedisServer::start().await;
    server.kill();
    let here = connect(&server);
    both(BrokerMode::Fallback, here.clone(), here, server).await
}

async fn fallback_after_a_loss() -> Node {
    let Node { here, mut server, .. } = up().await;
    server.kill();
    both(BrokerMode::Fallback, here.clone(), here, server).await
}

async fn returned() -> Node {
    let Node { here, mut server, .. } = fallback_after_a_loss().await;
    server.restart().await;
    let there = connect(&server);
    both(BrokerMode::Up, here, there, server).await
}

fn connect(server: &RedisServer) -> FallbackBroker {
    let config = RedisConfig { hash_poll: Duration::from_millis(20), ..RedisConfig::new(server.url()) };
    FallbackBroker::new(RedisBroker::connect(&config).unwrap(), Duration::from_millis(50))
}

async fn both(mode: BrokerMode, here: FallbackBroker, there: FallbackBroker, server: RedisServer) -> Node {
    for broker in [&here, &there] {
        eventually(mode.as_str(), async || broker.state().mode == mode).await;
    }
    assert_eq!(here.kind(), "redis");
    Node { here, there, server }
}
