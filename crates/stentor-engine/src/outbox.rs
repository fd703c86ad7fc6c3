//! What waits for one connection: [`Outbox`].

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use stentor_schema::{ErrorCode, ExecutionResult, GraphQLError};
use tokio::time::Instant;

use crate::{
    Delivery, Gap, Metrics, OperationId, Summary,
    mailbox::{Capacity, Mailbox, Put},
    membership::Membership,
    running::{Ending, Liveness, Running},
};

/// How long a loss waits for an event to ride on before it is told by itself.
const LONE_GAP_PATIENCE: Duration = Duration::from_secs(1);

/// How often one operation's losses are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The mailboxes of one connection. The hub puts in, the connection's driver takes out; both hold it briefly.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    /// Bytes that may wait in all mailboxes together.
    bytes_limit: usize,
    /// The connection's number in the log.
    connection: u64,
    /// One reference more for each command to the hub that is under way.
    commands: Arc<()>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their ids, which count up.
    operations: Vec<(OperationId, Box<Running>)>,
    schedule: Schedule,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Schedule {
    /// Those that have something to deliver, in turn.
    ready: VecDeque<OperationId>,
    /// Bytes in all mailboxes.
    bytes: usize,
    /// When the first lone gap must be told.
    gap_deadline: Option<Instant>,
    waker: Option<Waker>,
    /// The task that filled the mailbox which was read just now.
    filler: Option<Waker>,
    /// Something was added that the connection's task does not know of.
    news: bool,
}

impl Outbox {
    pub(crate) fn new(connection: u64, bytes_limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), metrics, bytes_limit, connection, commands: Arc::default() }
    }

    /// Makes room for an operation; `id` is larger than every earlier one.
    pub(crate) fn open(&self, id: OperationId, field: Arc<str>, capacity: Capacity) {
        let running = Running::new(field, capacity);
        let mut state = self.state.lock();
        debug_assert!(state.operations.last().is_none_or(|(last, _)| *last < id), "ids count up");
        if state.operations.len() == state.operations.capacity() {
            // Most connections run one operation: growth from none to four would waste three of them.
            let more = state.operations.len().max(1);
            state.operations.reserve_exact(more);
        }
        state.operations.push((id, Box::new(running)));
        self.metrics.operations.increment(1.0);
    }

    /// Notes where an operation is a member; `false` if it has ended.
    pub(crate) fn set_membership(&self, id: OperationId, membership: Membership) -> bool {
        self.with(id, |_, running| running.membership = Some(membership)).is_some()
    }

    /// Whether the operation has not ended.
    pub(crate) fn runs(&self, id: OperationId) -> bool {
        self.state.lock().place(id).is_some()
    }

    /// Takes an operation out, with everything that waits for it.
    pub(crate) fn remove(&self, id: OperationId) -> Option<(Summary, Option<Membership>)> {
        let mut state = self.state.lock();
        let place = state.place(id)?;
        let running = state.remove(place);
        state.schedule.bytes -= running.mailbox.bytes();
        self.metrics.operations.decrement(1.0);
        Some((running.summary, running.membership))
    }

    /// Takes every operation out.
    pub(crate) fn remove_all(&self) -> Vec<(OperationId, Summary, Option<Membership>)> {
        let ids: Vec<_> = self.state.lock().operations.iter().map(|(id, _)| *id).collect();
        ids.into_iter()
            .filter_map(|id| self.remove(id).map(|(summary, membership)| (id, summary, membership)))
            .collect()
    }

    /// Puts an event into an operation's mailbox; one for an operation that has ended is nobody's.
    ///
    /// Whether the mailbox is filling, so that its reader should be let to read.
    pub(crate) fn put(
        &self,
        id: OperationId,
        result: &ExecutionResult,
        key: Option<&Arc<str>>,
        now: Instant,
    ) -> bool {
        let filling = self.with(id, |schedule, running| {
            if running.ending.is_some() {
                return false;
            }
            let others = schedule.bytes - running.mailbox.bytes();
            let room = self.bytes_limit.saturating_sub(others);
            let outcome = running.mailbox.put(result, key, room, now);
            schedule.bytes = others + running.mailbox.bytes();
            schedule.list(id, running);
            match outcome {
                Put::Kept { filling } => return filling,
                Put::Dropped(count) => self.count_dropped(running, count),
                Put::Overflowed => {
                    self.count_dropped(running, 1);
                    running.ending = Some(Ending::Overflow);
                }
            }
            false
        });
        filling.unwrap_or(false)
    }

    /// Puts in the one result of a query or mutation, and ends it. A result that the connection has no room for is an
    /// error instead.
    pub(crate) fn answer(&self, id: OperationId, result: &ExecutionResult, now: Instant) {
        self.with(id, |schedule, running| {
            let room = self.bytes_limit.saturating_sub(schedule.bytes);
            running.ending = Some(match running.mailbox.put(result, None, room, now) {
                Put::Kept { .. } => Ending::Complete,
                Put::Dropped(_) | Put::Overflowed => Ending::Error(vec![too_much()]),
            });
            schedule.bytes += running.mailbox.bytes();
            schedule.list(id, running);
        });
    }

    /// Ready once an event more may wait for the operation; until then the task of `context` is woken when its mailbox is
    /// read. For an operation that has ended that is never.
    pub(crate) fn poll_room(&self, id: OperationId, context: &Context<'_>) -> Poll<()> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(place) = state.place(id) else { return Poll::Pending };
        let running = &mut state.operations[place].1;
        // Where other operations fill the connection, one that has nothing waiting is not woken by its reader: it goes on, and
        // its overflow decides.
        let shared = running.mailbox.is_empty() || state.schedule.bytes < self.bytes_limit;
        if running.ending.is_none() && running.mailbox.has_room() && shared {
            return Poll::Ready(());
        }
        running.filler = Some(context.waker().clone());
        Poll::Pending
    }

    /// What a command to the hub holds until it has been carried out.
    pub(crate) fn ticket(&self) -> Arc<()> {
        Arc::clone(&self.commands)
    }

    /// Commands to the hub that have not been carried out.
    pub(crate) fn commands_under_way(&self) -> usize {
        Arc::strong_count(&self.commands) - 1
    }

    /// Whether no byte more may wait for the connection.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().schedule.bytes >= self.bytes_limit
    }

    /// Notes a loss of the operation's topic behind everything that waits.
    pub(crate) fn lose(&self, id: OperationId, gap: Gap, now: Instant) {
        self.with(id, |schedule, running| {
            running.summary.dropped += gap.dropped.unwrap_or(0);
            running.mailbox.lose(gap, now);
            schedule.await_gap(&running.mailbox);
            schedule.news = true;
        });
    }

    /// The operation's topic is listened to.
    pub(crate) fn live(&self, id: OperationId) {
        self.with(id, |schedule, running| {
            if running.liveness == Liveness::Waiting {
                running.liveness = Liveness::Untold;
                schedule.list(id, running);
            }
        });
    }

    /// The operation ends once what waits for it has been delivered.
    pub(crate) fn complete(&self, id: OperationId) {
        self.end(id, Ending::Complete);
    }

    /// The operation fails once what waits for it has been delivered.
    pub(crate) fn fail(&self, id: OperationId, errors: Vec<GraphQLError>) {
        self.end(id, Ending::Error(errors));
    }

    /// What to do next; when there is nothing, the task of `context` is woken once there is.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>, now: Instant) -> Poll<Delivery> {
        let mut state = self.state.lock();
        while let Some(id) = state.schedule.ready.pop_front() {
            if let Some(delivery) = self.take(&mut state, id, now) {
                let filler = state.schedule.filler.take();
                drop(state);
                if let Some(filler) = filler {
                    filler.wake();
                }
                return Poll::Ready(delivery);
            }
        }
        if let Some(delivery) = self.take_lone_gap(&mut state, now) {
            return Poll::Ready(delivery);
        }
        state.schedule.rest(context.waker());
        Poll::Pending
    }

    /// When `poll_next` must be called again although nothing woke the task.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state.lock().schedule.gap_deadline
    }

    fn end(&self, id: OperationId, ending: Ending) {
        self.with(id, |schedule, running| {
            running.ending.get_or_insert(ending);
            schedule.list(id, running);
        });
    }

    /// Acts on one operation, then wakes the connection's task if that gave it something to do; not before the lock
    /// is free, or the task would start by waiting for it.
    fn with<T>(&self, id: OperationId, act: impl FnOnce(&mut Schedule, &mut Running) -> T) -> Option<T> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let place = state.place(id)?;
        let outcome = act(&mut state.schedule, &mut state.operations[place].1);
        let waker = state.schedule.news.then(|| state.schedule.waker.take()).flatten();
        state.schedule.news = false;
        drop(guard);
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(outcome)
    }

    fn take(&self, state: &mut State, id: OperationId, now: Instant) -> Option<Delivery> {
        let place = state.place(id)?;
        let running = &mut state.operations[place].1;
        running.listed = false;
        let delivery = self.take_from(&mut state.schedule, id, running, now);
        if matches!(delivery, Some(Delivery::Complete(..) | Delivery::Error(..))) {
            state.remove(place);
            self.metrics.operations.decrement(1.0);
            return delivery;
        }
        if delivery.is_some() && running.has_more() {
            state.schedule.list(id, running);
        }
        state.schedule.await_gap(&running.mailbox);
        delivery
    }

    fn take_from(
        &self,
        schedule: &mut Schedule,
        id: OperationId,
        running: &mut Running,
        now: Instant,
    ) -> Option<Delivery> {
        if running.liveness == Liveness::Untold {
            running.liveness = Liveness::Told;
            return Some(Delivery::Live(id));
        }
        if running.held.is_none()
            && let Some(item) = running.mailbox.take()
        {
            schedule.bytes -= item.result.bytes().len();
            schedule.filler = running.filler.take();
            running.gaps = item.gaps;
            running.held = Some(item.result);
        }
        if let Some(result) = running.take_held(id, |running, gap| self.tell(id, running, gap, now)) {
            return Some(result);
        }
        if running.ending.is_some()
            && let Some(gap) = running.mailbox.take_last_gap()
        {
            self.tell(id, running, gap, now);
            return Some(Delivery::Gap(id, gap));
        }
        match running.ending.take()? {
            Ending::Complete => Some(Delivery::Complete(id, running.summary.clone())),
            Ending::Error(errors) => Some(Delivery::Error(id, errors, running.summary.clone())),
            Ending::Overflow => Some(Delivery::Overflow(id)),
        }
    }

    fn take_lone_gap(&self, state: &mut State, now: Instant) -> Option<Delivery> {
        if state.schedule.gap_deadline? > now {
            return None;
        }
        state.schedule.gap_deadline = None;
        let mut delivery = None;
        for (id, running) in &mut state.operations {
            if delivery.is_none()
                && let Some(gap) = running.mailbox.take_lone_gap(now, LONE_GAP_PATIENCE)
            {
                self.tell(*id, running, gap, now);
                delivery = Some(Delivery::Gap(*id, gap));
            }
            state.schedule.await_gap(&running.mailbox);
        }
        delivery
    }

    fn count_dropped(&self, running: &mut Running, count: u64) {
        running.summary.dropped += count;
        self.metrics.dropped(crate::GapReason::SlowConsumer, count);
    }

    /// A gap is about to be told to the client: the metric and the log see it too.
    fn tell(&self, id: OperationId, running: &mut Running, gap: Gap, now: Instant) {
        self.metrics.gap(gap.reason);
        if running.logged.is_some_and(|logged| now < logged + LOG_INTERVAL) {
            return;
        }
        running.logged = Some(now);
        tracing::warn!(
            connection = self.connection,
            operation = id.0,
            field = %running.summary.field,
            reason = gap.reason.as_str(),
            dropped = gap.dropped,
            "a subscription was told that it lost events"
        );
    }
}

impl State {
    fn remove(&mut self, place: usize) -> Box<Running> {
        let (_, running) = self.operations.remove(place);
        if self.operations.len() * 4 <= self.operations.capacity() {
            self.operations.shrink_to(self.operations.len() * 2);
        }
        running
    }

    fn place(&self, id: OperationId) -> Option<usize> {
        self.operations.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}

impl Schedule {
    /// Nothing is ready: remembers whom to wake, and gives back what a burst needed.
    fn rest(&mut self, waker: &Waker) {
        if self.ready.capacity() > 16 {
            self.ready = VecDeque::new();
        }
        self.news = false;
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    fn list(&mut self, id: OperationId, running: &mut Running) {
        if !running.listed {
            running.listed = true;
            self.ready.push_back(id);
            self.news = true;
        }
    }

    fn await_gap(&mut self, mailbox: &Mailbox) {
        if let Some(since) = mailbox.lone_gap_since() {
            let due = since + LONE_GAP_PATIENCE;
            self.gap_deadline = Some(self.gap_deadline.map_or(due, |known| known.min(due)));
        }
    }
}

fn too_much() -> GraphQLError {
    let message = "the result is larger than what may wait for this connection";
    GraphQLError::new(ErrorCode::LimitExceeded, message)
}
