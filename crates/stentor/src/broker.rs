//! Where events and hashes come from, as the configuration says: [`open`].

use std::{sync::Arc, time::Duration};

use stentor_broker::{
    Broker, FallbackBroker, HashStore, MemoryBroker, MemoryHashStore, RedisBroker, RedisConfig,
};

use crate::{BuildError, Config};

/// A broker, and the hash store beside it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hashes: Arc<dyn HashStore>,
}

impl Opened {
    /// This process's own memory.
    pub(crate) fn memory() -> Self {
        Self { broker: Arc::new(MemoryBroker::new()), hashes: Arc::new(MemoryHashStore::new()) }
    }
}

/// Opens what is configured: memory, Redis alone where it is required, else Redis with memory beside it.
pub(crate) async fn open(config: &Config) -> Result<Opened, BuildError> {
    let Some(redis) = redis_config(config) else { return Ok(Opened::memory()) };
    let redis = RedisBroker::connect(&redis)?;
    if config.broker.required {
        redis.ready(REQUIRED_PATIENCE).await.map_err(BuildError::BrokerAway)?;
        let hashes = Arc::new(redis.hashes());
        return Ok(Opened { broker: Arc::new(redis), hashes });
    }
    if let Err(away) = redis.ready(PATIENCE).await {
        tracing::warn!(reason = away.reason, "the broker does not answer yet; starting without it");
    }
    let broker = FallbackBroker::new(redis, config.broker.fallback_after.get());
    let hashes = Arc::new(broker.hashes());
    Ok(Opened { broker: Arc::new(broker), hashes })
}

/// Where the configured server is, if there is one.
pub(crate) fn redis_config(config: &Config) -> Option<RedisConfig> {
    let broker = &config.broker;
    let url = broker.url.as_ref()?;
    Some(RedisConfig {
        ca_file: broker.ca_file.clone(),
        prefix: broker.prefix.clone(),
        hash_poll: broker.hash_poll.get(),
        ..RedisConfig::new(url.expose())
    })
}

/// How long start-up waits for a server that must be there, and for one that may come later.
const REQUIRED_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1);
