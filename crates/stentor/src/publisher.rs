//! A publisher without a server: [`Publisher`].

use std::time::Duration;

use bytes::Bytes;
use stentor_broker::{
    Broker, ConfigError as BrokerConfigError, HashError, HashStore, NotReady, PublishError, RedisBroker,
};

use crate::{Config, broker::redis_config, config::BrokerUrl};

/// Sends events to the subscribers of servers that run with the same configuration, from a program that serves nobody.
///
/// A server publishes by itself: [`Stentor::publish`](crate::Stentor::publish).
///
/// ```no_run
/// use stentor::{Config, Publisher, config::environment};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load(Some("stentor.toml".as_ref()), environment())?;
/// let publisher = Publisher::connect(&config).await?;
/// publisher.publish("bot:42", r#"{"bot_id": "42", "status": "running"}"#).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Publisher {
    broker: RedisBroker,
}

/// Why nothing can be published from here; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The broker does not answer.
    #[error("{away} ({url}); start it, or mend [broker] url")]
    Away {
        /// The broker, without its secrets.
        url: BrokerUrl,
        /// What went wrong last.
        away: NotReady,
    },
    /// The broker's URL cannot be used.
    #[error("[broker] {0}")]
    Broker(#[from] BrokerConfigError),
    /// The server's broker is its own memory.
    #[error(
        "the configured broker is the server's own memory, which no other process can reach: \
         set [broker] url = \"redis://127.0.0.1:6379\", or STENTOR_BROKER__URL, for the server and here"
    )]
    Memory,
}

impl Publisher {
    /// Connects to the configured broker, and waits up to 3 s for it.
    ///
    /// # Errors
    ///
    /// [`PublisherError`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(config: &Config) -> Result<Self, PublisherError> {
        let redis = redis_config(config).ok_or(PublisherError::Memory)?;
        let broker = RedisBroker::connect(&redis)?;
        match (broker.ready(PATIENCE).await, &config.broker.url) {
            (Err(away), Some(url)) => Err(PublisherError::Away { url: url.clone(), away }),
            _ => Ok(Self { broker }),
        }
    }

    /// Sends `payload`, JSON or text, to the subscribers of `topic`; the configured prefix goes before it.
    ///
    /// # Errors
    ///
    /// As [`Broker::publish`](crate::Broker::publish).
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>) -> Result<(), PublishError> {
        self.broker.publish(topic, payload.into()).await
    }

    /// Sets these fields of the hash `key`, behind the configured prefix, and keeps its others.
    ///
    /// # Errors
    ///
    /// [`HashError::Unknown`] when it may have been written, the others when it was not.
    pub async fn set_hash(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        self.broker.hashes().write(key, fields).await
    }
}

const PATIENCE: Duration = Duration::from_secs(3);
