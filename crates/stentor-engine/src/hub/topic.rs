//! One topic that this node listens to: [`Topic`].

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use tokio::time::Instant;

use super::audience::Audience;
use crate::membership::AudienceKey;

/// How often one kind of fault on one topic is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A topic with its audiences.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Whether the broker has confirmed that it listens.
    pub(super) subscribed: bool,
    pub(super) audiences: IndexMap<AudienceKey, Seat>,
    pub(super) log: FaultLog,
}

/// An audience, and the deadline under which it stands in the shard's list.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) audience: Audience,
    pub(super) idle_deadline: Option<Instant>,
}

/// Tells each kind of fault at most once a minute, with what was passed over meanwhile.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    last: [Option<Instant>; 2],
    silent: [u64; 2],
}

/// What publishers or schema authors got wrong on a topic.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Malformed,
    Undecided,
}

impl Topic {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, subscribed: false, audiences: IndexMap::new(), log: FaultLog::default() }
    }
}

impl FaultLog {
    pub(super) fn tell(&mut self, topic: &str, fault: Fault, reason: &str, now: Instant) {
        let kind = fault as usize;
        if self.last[kind].is_some_and(|last| now < last + LOG_INTERVAL) {
            self.silent[kind] += 1;
            return;
        }
        self.last[kind] = Some(now);
        let before = std::mem::take(&mut self.silent[kind]);
        match fault {
            Fault::Malformed => tracing::warn!(topic, reason, before, "a malformed event was skipped"),
            Fault::Undecided => {
                tracing::warn!(
                    topic,
                    reason,
                    before,
                    "a condition could not be decided and counted as false"
                );
            }
        }
    }
}
