//! Where events come from. Start at [`Broker`].
//!
//! Speaks topics and bytes, and nothing else: no GraphQL, no identities, no HTTP.

mod broker;

pub use broker::{Broker, BrokerEvent, BrokerState, GapReason, PublishError, Sink};
