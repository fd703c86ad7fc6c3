//! What one subscription received, and what it was told it lost: [`Ledger`].

use serde_json::Value;

/// The account of one subscription to events numbered `n` from 1: every one of them is received, or part of a gap at
/// its place.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Events received.
    pub(crate) received: u64,
    /// Events that gaps have told of.
    pub(crate) dropped: u64,
    /// Events received since the last gap.
    pub(crate) since_gap: u64,
}

impl Ledger {
    /// Every number up to here is accounted for.
    pub(crate) fn total(&self) -> u64 {
        self.received + self.dropped
    }

    /// Takes a `next`, or a ping that tells a gap, into the account.
    ///
    /// # Panics
    ///
    /// When a number is missing, doubled or out of order, or when the loss is not that of a slow consumer.
    pub(crate) fn note(&mut self, message: &Value) {
        let ping = &message["payload"]["stentor"]["gap"];
        let rider = &message["payload"]["extensions"]["stentor"]["gap"];
        for gap in [ping, rider].into_iter().filter(|gap| !gap.is_null()) {
            assert_eq!(gap["reason"], "SLOW_CONSUMER", "{message}");
            let dropped = gap["dropped"].as_u64().filter(|count| *count > 0);
            self.dropped += dropped.unwrap_or_else(|| panic!("a gap of nothing: {message}"));
            self.since_gap = 0;
        }
        if message["type"] == "next" {
            let number = number(message).unwrap_or_else(|| panic!("no number: {message}"));
            assert_eq!(number, self.total() + 1, "{self:?}, then {message}");
            self.received += 1;
            self.since_gap += 1;
        }
    }
}

/// The `n` of the one field of a `next`.
pub(crate) fn number(message: &Value) -> Option<u64> {
    message["payload"]["data"].as_object()?.values().next()?["n"].as_u64()
}
