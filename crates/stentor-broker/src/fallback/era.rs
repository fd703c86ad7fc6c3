//! Who carries events at this moment: [`Era`].

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use parking_lot::Mutex;

/// The time between two switches. Redis and memory take turns, so that an era also says whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Era(u64);

/// The present era, read by everyone and ended by one task.
pub(super) struct Clock {
    era: AtomicU64,
    since: Mutex<SystemTime>,
}

impl Era {
    pub(super) const REDIS: Self = Self(0);
    pub(super) const MEMORY: Self = Self(1);

    pub(super) fn is_memory(self) -> bool {
        self.0 % 2 == 1
    }

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Clock {
    pub(super) fn new(first: Era) -> Self {
        Self { era: AtomicU64::new(first.0), since: Mutex::new(SystemTime::now()) }
    }

    pub(super) fn now(&self) -> Era {
        Era(self.era.load(Ordering::SeqCst))
    }

    /// When the present era began.
    pub(super) fn since(&self) -> SystemTime {
        *self.since.lock()
    }

    pub(super) fn switch(&self) {
        *self.since.lock() = SystemTime::now();
        self.era.store(self.now().next().0, Ordering::SeqCst);
    }
}
