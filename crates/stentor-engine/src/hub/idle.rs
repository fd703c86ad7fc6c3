//! When audiences with an `idleTimeout` are to be looked at: [`IdleDeadlines`].

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::membership::AudienceKey;

/// One deadline for each audience that has an `idleTimeout`: neither a member nor an audience owns a timer.
#[derive(Debug, Default)]
pub(super) struct IdleDeadlines(BTreeSet<(Instant, u64, AudienceKey)>);

impl IdleDeadlines {
    pub(super) fn insert(&mut self, due: Instant, topic: u64, audience: AudienceKey) {
        self.0.insert((due, topic, audience));
    }

    pub(super) fn remove(&mut self, due: Instant, topic: u64, audience: AudienceKey) {
        self.0.remove(&(due, topic, audience));
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|(due, ..)| *due)
    }

    /// Takes out one audience whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(u64, AudienceKey)> {
        if self.first()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, topic, audience)| (topic, audience))
    }
}
