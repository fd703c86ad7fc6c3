//! Tests for every broker and every hash store, and what they need. Start at [`conformance`] and [`hash_conformance`].
//!
//! Everything here panics, with what was heard so far, when an expectation is not met.

pub mod conformance;
pub mod hash_conformance;
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

/// Makes a `#[tokio::test]` of every fact of a suite, each in a new world.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance {
    ($suite:ident $world:path: $($fact:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                $crate::testing::$suite::$fact(&$world().await).await;
            }
        )+

        #[test]
        fn every_fact_is_tested() {
            assert_eq!([$(stringify!($fact)),+].as_slice(), $crate::testing::$suite::facts());
        }
    };
}

/// The names of all facts in a suite's source, in the order of the alphabet.
fn facts(source: &'static str) -> Vec<&'static str> {
    let names = source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
    let mut facts: Vec<_> = names.collect();
    facts.sort_unstable();
    facts
}

const ASK_AGAIN: Duration = Duration::from_millis(10);
