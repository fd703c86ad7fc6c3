//! Moments at which something is due, computed without overflow.

use std::time::{Duration, Instant};

/// The moment `wait` after `start`; none if `wait` is zero, which switches a timer off, or beyond what a clock can say.
pub(crate) fn after(start: Instant, wait: Duration) -> Option<Instant> {
    if wait.is_zero() { None } else { start.checked_add(wait) }
}

/// Whether the deadline exists and `now` has reached it.
pub(crate) fn is_due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| now >= deadline)
}
