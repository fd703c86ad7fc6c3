//! Where events come from. Start at [`Broker`].
//!
//! Speaks topics and bytes, and nothing else: no GraphQL, no identities, no HTTP.

mod broker;
mod memory;
mod redis;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::{
    broker::{Broker, BrokerEvent, BrokerMode, BrokerState, GapReason, PublishError, Sink},
    memory::MemoryBroker,
    redis::{ConfigError, NotReady, RedisBroker, RedisConfig},
};
