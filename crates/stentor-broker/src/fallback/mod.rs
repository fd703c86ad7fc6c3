//! Redis with memory beside it. Start at [`FallbackBroker`].
//!
//! Time is divided into eras ([`era`]) in which Redis and memory take turns, for topics and hashes together. What that means
//! for one topic is decided in [`topic`], for one key in [`key`], without I/O; [`topics`] and [`keys`] hold the sinks and
//! their locks. One task follows Redis, and is the only one that ends an era.

mod era;
mod key;
mod keys;
mod topic;
mod topics;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{task::JoinHandle, time::timeout};

use self::{
    era::{Clock, Era},
    keys::Keys,
    topics::Topics,
};
use crate::{
    Broker, BrokerMode, BrokerState, HashError, HashSink, HashStore, HashValue, PublishError, RedisBroker,
    RedisHashStore, Sink,
};

/// A [`RedisBroker`] that gives way to this node's memory while its server is away.
///
/// - While Redis is up, a node delivers only what comes back from Redis.
/// - From the loss of Redis on until the fallback, publishes fail. One whose outcome is unknown is an error at any time: it
///   is neither retried nor delivered here.
/// - When Redis has been away for as long as the broker was told to wait, or is away when it is made, the state is
///   [`BrokerMode::Fallback`]: what is published here reaches this node's subscribers, and nobody else, ever.
/// - Redis is back once it has confirmed every topic. From then on it carries all events again.
/// - Each of these two switches is a gap [`Failover`](crate::GapReason::Failover) on every topic, at its place in the order.
///   An outage that ends earlier is Redis' own gap, and no switch.
///
/// Nodes may find different things, so that some are in fallback and others are not: they are parted then, and hear each
/// other again when all of them are up.
///
/// Clones share everything. [`FallbackBroker::hashes`] gives the hash store that switches with it.
#[derive(Clone)]
pub struct FallbackBroker {
    parts: Arc<Parts>,
    follower: Arc<Follower>,
}

/// The hashes on Redis, or in this node's memory while Redis is away.
///
/// Each fallback begins with no hashes at all, and those written in it are forgotten at its end, not copied to Redis. At
/// every switch each watch is told a gap, and then what its key holds in the new place.
#[derive(Clone)]
pub struct FallbackHashStore {
    parts: Arc<Parts>,
    /// Both switch as long as one handle of either lives.
    _follower: Arc<Follower>,
}

struct Parts {
    redis: RedisBroker,
    redis_hashes: RedisHashStore,
    clock: Arc<Clock>,
    topics: Arc<Topics>,
    keys: Arc<Keys>,
}

/// The task that follows Redis; it ends with the last handle.
struct Follower(JoinHandle<()>);

impl FallbackBroker {
    /// Puts memory beside `redis`; it takes over when `redis` has been away for `patience`, or at once if it is away now.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(redis: RedisBroker, patience: Duration) -> Self {
        let first = if redis.state().is_up() { Era::REDIS } else { Era::MEMORY };
        let clock = Arc::new(Clock::new(first));
        let parts = Arc::new(Parts {
            redis_hashes: redis.hashes(),
            redis,
            topics: Arc::new(Topics::new(Arc::clone(&clock))),
            keys: Arc::new(Keys::new(Arc::clone(&clock))),
            clock,
        });
        let follower = Follower(tokio::spawn(follow(Arc::clone(&parts), patience)));
        Self { parts, follower: Arc::new(follower) }
    }

    /// The hashes that switch together with the topics. It may be asked for any number of times; all are one store.
    pub fn hashes(&self) -> FallbackHashStore {
        FallbackHashStore { parts: Arc::clone(&self.parts), _follower: Arc::clone(&self.follower) }
    }
}

/// Ends eras, for ever.
async fn follow(parts: Arc<Parts>, patience: Duration) {
    loop {
        if !parts.clock.now().is_memory() {
            parts.redis.until(false).await;
            if timeout(patience, parts.redis.until(true)).await.is_ok() {
                continue;
            }
            parts.switch();
        }
        tracing::warn!(
            topics = parts.topics.len(),
            "fallback: while redis is away, events reach only subscribers of the node that publishes them"
        );
        let begin = Instant::now();
        parts.redis.until(true).await;
        parts.switch();
        let (topics, lasted) = (parts.topics.len(), begin.elapsed());
        tracing::info!(topics, ?lasted, "the fallback is over; redis carries all events again");
    }
}

impl Parts {
    fn switch(&self) {
        self.clock.switch();
        self.topics.switched();
        self.keys.switched(&self.redis_hashes);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for FallbackBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBroker")
            .field("state", &self.state())
            .field("redis", &self.parts.redis)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FallbackHashStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackHashStore")
            .field("in_memory", &self.parts.clock.now().is_memory())
            .field("redis", &self.parts.redis_hashes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for FallbackBroker {
    /// What it is while all is well.
    fn kind(&self) -> &'static str {
        self.parts.redis.kind()
    }

    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>) {
        self.parts.topics.subscribe(&self.parts.redis, topic, sink);
    }

    fn unsubscribe(&self, topic: &str) {
        self.parts.topics.unsubscribe(&self.parts.redis, topic);
    }

    async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        if self.parts.topics.publish(topic, &payload)? {
            return Ok(());
        }
        self.parts.redis.publish(topic, payload).await
    }

    fn state(&self) -> BrokerState {
        if self.parts.clock.now().is_memory() && !self.parts.topics.is_closed() {
            return BrokerState { mode: BrokerMode::Fallback, since: self.parts.clock.since() };
        }
        self.parts.redis.state()
    }

    async fn close(&self) {
        self.follower.0.abort();
        self.parts.topics.close();
        self.parts.keys.close();
        self.parts.redis.close().await;
    }
}

#[async_trait]
impl HashStore for FallbackHashStore {
    fn watch(&self, key: &str, sink: Arc<dyn HashSink>) {
        self.parts.keys.watch(&self.parts.redis_hashes, key, sink);
    }

    fn unwatch(&self, key: &str) {
        self.parts.keys.unwatch(&self.parts.redis_hashes, key);
    }

    async fn read(&self, key: &str) -> Result<Option<Arc<HashValue>>, HashError> {
        match self.parts.keys.memory()? {
            Some(memory) => memory.read(key).await,
            None => self.parts.redis_hashes.read(key).await,
        }
    }

    async fn write(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        match self.parts.keys.memory()? {
            Some(memory) => memory.write(key, fields).await,
            None => self.parts.redis_hashes.write(key, fields).await,
        }
    }

    fn reads(&self) -> u64 {
        self.parts.redis_hashes.reads()
    }

    /// Stops watching. The connections are the broker's, and stay.
    async fn close(&self) {
        self.parts.keys.close();
        self.parts.redis_hashes.close().await;
    }
}
