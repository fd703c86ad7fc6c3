//! Where events and hashes come from. Start at [`Broker`] and [`HashStore`].
//!
//! Speaks topics and bytes, keys and texts, and nothing else: no GraphQL, no identities, no HTTP.

mod broker;
mod fallback;
mod hash;
mod memory;
mod memory_hash;
mod redis;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::{
    broker::{Broker, BrokerEvent, BrokerMode, BrokerState, GapReason, PublishError, Sink},
    fallback::{FallbackBroker, FallbackHashStore},
    hash::{HashError, HashEvent, HashSink, HashStore, HashTooLarge, HashValue},
    memory::MemoryBroker,
    memory_hash::MemoryHashStore,
    redis::{ConfigError, HASH_SAFETY_POLLS, NotReady, RedisBroker, RedisConfig, RedisHashStore},
};
