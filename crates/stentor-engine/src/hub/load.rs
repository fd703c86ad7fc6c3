//! Events of one audience that wait for their values: [`LoadQueue`].

use std::{collections::VecDeque, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::Value;
use stentor_schema::{ErrorCode, Event, GraphQLError};
use tokio::{sync::Semaphore, task::AbortHandle, time::timeout};

use super::arrivals::Arrivals;
use crate::{Gap, GapReason, LoadCall, Loader, Metrics, membership::AudienceKey};

/// What every load of a shard is run by.
pub(super) struct LoadRunner {
    /// Loads of the node that may be in flight.
    pub(super) permits: Arc<Semaphore>,
    pub(super) limits: LoadLimits,
    /// Where the values go.
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) metrics: Arc<Metrics>,
}

/// The bounds of one audience's loads.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadLimits {
    /// Events that wait for their values, or behind one that does.
    pub(super) waiting: usize,
    /// Loads in flight.
    pub(super) in_flight: usize,
    /// How long a load may take.
    pub(super) timeout: Duration,
}

/// The events of one audience whose values are loaded, and the losses between them, in the order of arrival.
///
/// Loads overlap; their events leave in order. It owns nothing while nothing waits.
pub(super) struct LoadQueue {
    loader: Arc<dyn Loader>,
    place: Place,
    waiting: VecDeque<Waiting>,
    /// How many of them are events.
    events: usize,
    in_flight: usize,
    /// The number of the next event or loss. A member hears those from the one that was next when it joined.
    next: u64,
    /// What `next` was when the last member joined.
    last_join: u64,
}

/// Which queue a value belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) topic: u64,
    pub(super) audience: AudienceKey,
    /// Told from an earlier audience of the same key, whose values may still be under way.
    pub(super) epoch: u64,
}

/// The outcome of one load, on its way back to the shard.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) place: Place,
    number: u64,
    outcome: Outcome,
}

pub(super) type Outcome = Result<Option<Value>, GraphQLError>;

/// What is next for the members that joined before `number`.
#[derive(Debug)]
pub(super) enum Ready {
    Event { number: u64, event: Arc<Event>, outcome: Outcome },
    Lost { number: u64, gap: Gap },
}

/// What became of an event.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Pushed {
    Waits,
    /// Too much waits: it is lost, and the loss has its place in the queue.
    Lost,
}

enum Waiting {
    Event { number: u64, event: Arc<Event>, state: State },
    Lost { number: u64, gap: Gap },
}

enum State {
    Loaded(Outcome),
    Loading(#[expect(dead_code, reason = "what it does, it does when it is dropped")] InFlight),
    Queued,
}

/// A load that is not worth finishing once nobody waits for it.
struct InFlight(AbortHandle);

impl LoadQueue {
    pub(super) fn new(loader: Arc<dyn Loader>, place: Place) -> Self {
        Self { loader, place, waiting: VecDeque::new(), events: 0, in_flight: 0, next: 0, last_join: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A member joins; the number from which on it hears.
    pub(super) fn join(&mut self) -> u64 {
        self.last_join = self.next;
        self.next
    }

    /// Puts in an event, unless too much waits.
    pub(super) fn push(&mut self, event: &Arc<Event>, limits: LoadLimits) -> Pushed {
        if self.events >= limits.waiting {
            self.lose(Gap { dropped: Some(1), reason: GapReason::Source }, limits);
            return Pushed::Lost;
        }
        let number = self.number();
        self.events += 1;
        self.waiting.push_back(Waiting::Event { number, event: Arc::clone(event), state: State::Queued });
        Pushed::Waits
    }

    /// Puts in a loss.
    pub(super) fn lose(&mut self, gap: Gap, limits: LoadLimits) {
        let full = self.waiting.len() >= 2 * limits.waiting;
        let last_join = self.last_join;
        let number = self.number();
        let Some(Waiting::Lost { number: last, gap: known }) = self.waiting.back_mut() else {
            return self.waiting.push_back(Waiting::Lost { number, gap });
        };
        let same_members = last_join <= *last;
        if known.reason == gap.reason && (same_members || full) {
            // Where members come and go while nothing moves, some are told of losses before their time: then nobody is
            // told a count that is not its own.
            let sum = |before: u64, more| before.saturating_add(more);
            known.dropped = known
                .dropped
                .zip(gap.dropped)
                .filter(|_| same_members)
                .map(|(before, more)| sum(before, more));
            *last = number;
            return;
        }
        self.waiting.push_back(Waiting::Lost { number, gap });
    }

    /// Starts as many loads as may be in flight.
    pub(super) fn start(&mut self, runner: &LoadRunner, call: impl Fn(&Arc<Event>) -> LoadCall) {
        for waiting in &mut self.waiting {
            if self.in_flight >= runner.limits.in_flight {
                return;
            }
            if let Waiting::Event { number, event, state: state @ State::Queued } = waiting {
                let handle = runner.spawn(&self.loader, self.place, *number, call(event));
                *state = State::Loading(InFlight(handle));
                self.in_flight += 1;
            }
        }
    }

    /// Takes in the outcome of a load. One of an earlier audience is nobody's.
    pub(super) fn settle(&mut self, loaded: Loaded) {
        if loaded.place != self.place {
            return;
        }
        for waiting in &mut self.waiting {
            if let Waiting::Event { number, state: state @ State::Loading(_), .. } = waiting
                && *number == loaded.number
            {
                *state = State::Loaded(loaded.outcome);
                self.in_flight -= 1;
                return;
            }
        }
    }

    /// What nothing waits for any more, in order.
    pub(super) fn pop_ready(&mut self) -> Option<Ready> {
        let ready = match self.waiting.pop_front()? {
            Waiting::Event { number, event, state: State::Loaded(outcome) } => {
                self.events -= 1;
                Ready::Event { number, event, outcome }
            }
            Waiting::Lost { number, gap } => Ready::Lost { number, gap },
            unready => {
                self.waiting.push_front(unready);
                return None;
            }
        };
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some(ready)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

impl LoadRunner {
    fn spawn(&self, loader: &Arc<dyn Loader>, place: Place, number: u64, call: LoadCall) -> AbortHandle {
        let (permits, loader) = (Arc::clone(&self.permits), Arc::clone(loader));
        let (arrivals, metrics) = (Arc::clone(&self.arrivals), Arc::clone(&self.metrics));
        let patience = self.limits.timeout;
        let work = async move {
            // The semaphore is never closed; if it were, there would be no bound to keep.
            let permit = permits.acquire_owned().await;
            metrics.loads.increment(1);
            let load = AssertUnwindSafe(async { loader.load(call).await }).catch_unwind();
            let outcome = match timeout(patience, load).await {
                Ok(Ok(outcome)) => outcome.map_err(GraphQLError::from),
                Ok(Err(_)) => {
                    tracing::error!("a load panicked; its field failed");
                    Err(failed(ErrorCode::InternalServerError, "the value could not be loaded"))
                }
                Err(_) => Err(failed(ErrorCode::Unavailable, "the value took too long to load")),
            };
            drop(permit);
            arrivals.loaded(Loaded { place, number, outcome });
        };
        tokio::spawn(work).abort_handle()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for LoadQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoadQueue").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoadRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoadRunner").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn failed(code: ErrorCode, message: &str) -> GraphQLError {
    GraphQLError::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResolverError;

    struct Never;

    #[async_trait::async_trait]
    impl Loader for Never {
        async fn load(&self, _event: LoadCall) -> Result<Option<Value>, ResolverError> {
            std::future::pending().await
        }
    }

    const LIMITS: LoadLimits = LoadLimits { waiting: 2, in_flight: 1, timeout: Duration::from_secs(1) };

    fn full_queue() -> (LoadQueue, Arc<Event>) {
        let place = Place { topic: 0, audience: AudienceKey([0; 32]), epoch: 0 };
        let (mut queue, event) = (LoadQueue::new(Arc::new(Never), place), Arc::new(Event::from_text("e")));
        assert_eq!(queue.push(&event, LIMITS), Pushed::Waits);
        assert_eq!(queue.push(&event, LIMITS), Pushed::Waits);
        (queue, event)
    }

    fn last_loss(queue: &LoadQueue) -> (u64, Gap) {
        match queue.waiting.back() {
            Some(Waiting::Lost { number, gap }) => (*number, *gap),
            _ => panic!("the last is no loss"),
        }
    }

    #[test]
    fn losses_that_the_same_members_had_are_one() {
        let (mut queue, event) = full_queue();
        for _ in 0..1_000 {
            assert_eq!(queue.push(&event, LIMITS), Pushed::Lost);
        }
        assert_eq!(queue.waiting.len(), 3);
        assert_eq!(last_loss(&queue).1, Gap { dropped: Some(1_000), reason: GapReason::Source });
    }

    #[test]
    fn members_that_come_between_losses_do_not_make_the_queue_grow_without_end() {
        let (mut queue, event) = full_queue();
        let mut joined = 0;
        for _ in 0..1_000 {
            joined = queue.join();
            assert_eq!(queue.push(&event, LIMITS), Pushed::Lost);
        }
        assert_eq!(queue.waiting.len(), 2 * LIMITS.waiting);
        let (number, gap) = last_loss(&queue);
        assert_eq!(
            gap,
            Gap { dropped: None, reason: GapReason::Source },
            "no count is told that is not one's own"
        );
        assert!(number >= joined, "the last to join hears of its loss too");
    }
}
