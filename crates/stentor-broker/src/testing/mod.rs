//! Tests for every broker, and what they need. Start at [`conformance`].
//!
//! Everything here panics, with what was heard so far, when an expectation is not met.

pub mod conformance;
mod redis_server;
mod sink;

use std::time::{Duration, Instant};

pub use self::{
    redis_server::RedisServer,
    sink::{Heard, RecordingSink},
};

/// How long an expectation waits for what it expects, before it panics.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asks `holds` again and again until it is true.
///
/// # Panics
///
/// After [`PATIENCE`], with `fact`.
pub async fn eventually(fact: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "not true within {PATIENCE:?}: {fact}");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

const ASK_AGAIN: Duration = Duration::from_millis(10);
