//! Where the node's own events go out: [`Publisher`].

use std::{fmt, sync::Arc};

use bytes::Bytes;
use stentor_broker::{Broker, HashError, HashStore, PublishError};

/// Sends events and writes hashes, for every node's subscribers. A handle: clones share.
#[derive(Clone)]
pub struct Publisher {
    broker: Arc<dyn Broker>,
    hashes: Arc<dyn HashStore>,
}

impl Publisher {
    pub(crate) fn new(broker: Arc<dyn Broker>, hashes: Arc<dyn HashStore>) -> Self {
        Self { broker, hashes }
    }

    /// Sends an event to every node's subscribers of `topic`.
    ///
    /// # Errors
    ///
    /// As [`Broker::publish`].
    pub async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        self.broker.publish(topic, payload).await
    }

    /// Sets fields of a hash, whose other fields stay, for every node's subscribers of `key`.
    ///
    /// # Errors
    ///
    /// As [`HashStore::write`].
    pub async fn set_hash(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        self.hashes.write(key, fields).await
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Publisher").field("broker", &self.broker.kind()).finish_non_exhaustive()
    }
}
