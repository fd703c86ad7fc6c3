//! What feeds subscriptions besides events: hashes, values that are loaded after events, streams.

mod hashes;
mod loads;
mod streams;
mod support;
