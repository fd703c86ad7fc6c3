//! One topic that this node listens to, or one hash that it watches: [`Topic`].

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use stentor_broker::HashValue;
use stentor_schema::ErrorCode;
use tokio::time::Instant;

use super::audience::{Audience, Verdict};
use crate::{
    Metrics,
    membership::{Address, AudienceKey},
};

/// How often one kind of fault on one topic is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A topic, or the key of a hash, with its audiences.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) address: Address,
    /// Whether the broker, or the store, has confirmed that it listens.
    pub(super) subscribed: bool,
    /// The latest value of a hash: what an audience begins with.
    pub(super) latest: Option<Arc<HashValue>>,
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
    last: [Option<Instant>; 3],
    silent: [u64; 3],
}

/// What publishers, schema authors or loads got wrong on a topic.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Malformed,
    NotLoaded,
    Undecided,
}

impl Topic {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            subscribed: false,
            latest: None,
            audiences: IndexMap::new(),
            log: FaultLog::default(),
        }
    }
}

/// What became of an audience.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Nobody is left in it.
    pub(super) over: bool,
    /// A member's mailbox is filling.
    pub(super) filling: bool,
}

impl Topic {
    /// Counts and logs what an event was to the audience at this place, and ends it if it was the last. `number` says which
    /// members heard it.
    pub(super) fn judge(
        &mut self,
        place: usize,
        verdict: Verdict,
        number: u64,
        metrics: &Metrics,
        now: Instant,
    ) -> Judged {
        let Self { address, audiences, log, .. } = self;
        let Some((_, Seat { audience, .. })) = audiences.get_index_mut(place) else {
            return Judged::default();
        };
        let mut filling = false;
        match verdict {
            Verdict::Nothing => {}
            Verdict::ForeignTenant => metrics.foreign_tenant.increment(1),
            Verdict::Malformed(reason) => {
                metrics.malformed.increment(1);
                log.tell(address, Fault::Malformed, &reason, now);
            }
            Verdict::Undecided(reason) => {
                metrics.condition_errors.increment(1);
                log.tell(address, Fault::Undecided, &reason, now);
            }
            Verdict::Sent(sent) => {
                filling = sent.filling;
                if let Some(reason) = sent.undecided {
                    metrics.condition_errors.increment(1);
                    log.tell(address, Fault::Undecided, &reason, now);
                }
                if let Some(reason) = sent.not_loaded {
                    metrics.load_errors.increment(1);
                    log.tell(address, Fault::NotLoaded, &reason, now);
                }
                if sent.last {
                    audience.complete(number);
                }
            }
            Verdict::Gone => audience.complete(number),
            Verdict::Broken => {
                tracing::error!(topic = %address, "making a result panicked; its subscriptions were ended");
                audience.fail(ErrorCode::InternalServerError, "the result could not be made");
                return Judged { over: true, filling };
            }
        }
        Judged { over: audience.is_empty(), filling }
    }
}

impl FaultLog {
    pub(super) fn tell(&mut self, topic: &Address, fault: Fault, reason: &str, now: Instant) {
        let kind = fault as usize;
        if self.last[kind].is_some_and(|last| now < last + LOG_INTERVAL) {
            self.silent[kind] += 1;
            return;
        }
        self.last[kind] = Some(now);
        let before = std::mem::take(&mut self.silent[kind]);
        match fault {
            Fault::Malformed => tracing::warn!(%topic, reason, before, "a malformed event was skipped"),
            Fault::NotLoaded => tracing::warn!(%topic, reason, before, "a value could not be loaded"),
            Fault::Undecided => {
                tracing::warn!(
                    %topic,
                    reason,
                    before,
                    "a condition could not be decided and counted as false"
                );
            }
        }
    }
}
