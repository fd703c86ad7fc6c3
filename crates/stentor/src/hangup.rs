//! Which connections are open, and how they are asked to close: [`Connections`], [`Hangup`].

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

/// The open WebSocket connections of one node. At most as many as the configuration allows.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<Hangup>>>,
    limit: usize,
    next_number: AtomicU64,
    gauge: metrics::Gauge,
    last_left: Notify,
}

/// A place among the open connections; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    pub(crate) number: u64,
    pub(crate) hangup: Arc<Hangup>,
}

/// The server's wish that one connection should close, with 1012.
#[derive(Debug, Default)]
pub(crate) struct Hangup {
    asked: AtomicBool,
    waker: AtomicWaker,
}

impl Connections {
    pub(crate) fn new(limit: usize, gauge: metrics::Gauge) -> Self {
        Self {
            open: Mutex::default(),
            limit,
            next_number: AtomicU64::new(1),
            gauge,
            last_left: Notify::new(),
        }
    }

    /// A place for a new connection, unless all are taken.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.open.lock();
        if open.len() >= self.limit {
            return None;
        }
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let hangup = Arc::new(Hangup::default());
        open.insert(number, Arc::clone(&hangup));
        self.gauge.increment(1.0);
        Some(Place { connections: Arc::clone(self), number, hangup })
    }

    /// Asks every connection to close with 1012, spread evenly over `window`, and waits until all have left.
    ///
    /// Clients come back within seconds of their close, so a node that closed all at once would send the whole
    /// fleet to its neighbours at once.
    pub(crate) async fn drain(&self, window: Duration) {
        let hangups: Vec<_> = self.open.lock().values().cloned().collect();
        let pause = window / u32::try_from(hangups.len().max(1)).unwrap_or(u32::MAX);
        let mut owed = Duration::ZERO;
        for hangup in hangups {
            hangup.ask();
            owed += pause;
            // A timer has a resolution of a millisecond; shorter pauses are taken together.
            if owed >= Duration::from_millis(5) {
                sleep(std::mem::take(&mut owed)).await;
            }
        }
        loop {
            let left = self.last_left.notified();
            if self.open.lock().is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.remove(&self.number);
        self.connections.gauge.decrement(1.0);
        if open.is_empty() {
            self.connections.last_left.notify_waiters();
        }
    }
}

impl Hangup {
    fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the connection was asked to close.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Has the task of `context` woken when it is asked.
    pub(crate) fn watch(&self, context: &Context<'_>) {
        self.waker.register(context.waker());
    }
}
