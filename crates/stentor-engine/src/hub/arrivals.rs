//! What came from the broker and waits for its audiences: [`Arrivals`].

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use stentor_broker::{BrokerEvent, HashEvent, HashSink, HashValue, Sink};
use tokio::sync::Notify;

use super::{
    command::{Command, Ticket},
    load::Loaded,
};
use crate::{Gap, Limits};

/// Room for arrivals that a drained queue keeps; what a larger burst needed is given back.
const KEPT_CAPACITY: usize = 1_024;

/// The queue of one shard of the hub: events of its topics, and commands about them, in one order.
///
/// Events are bounded, in number and bytes, for the shard and for each topic; one too many becomes a gap at its place.
/// Commands are bounded by the connections that give them.
#[derive(Debug)]
pub(crate) struct Arrivals {
    queue: Mutex<Queue>,
    news: Notify,
    limits: QueueLimits,
}

/// The bounds of one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) topic_events: usize,
}

/// One thing for the shard to do.
#[derive(Debug)]
pub(crate) enum Arrival {
    Command(Command, Ticket),
    Event(Arc<TopicInlet>, TopicEvent),
    Loaded(Box<Loaded>),
}

/// What happened on a topic, or to a hash.
#[derive(Debug)]
pub(crate) enum TopicEvent {
    Gap(Gap),
    Message(Bytes),
    Refused(String),
    Subscribed,
    /// What a hash holds now; `None` when it is absent.
    Value(Option<Arc<HashValue>>),
}

/// One topic or hash, as its shard's queue knows it.
#[derive(Debug)]
pub(crate) struct TopicInlet {
    pub(crate) id: u64,
    /// Messages of this topic in the queue.
    waiting: AtomicUsize,
    /// Where messages that are refused now are counted: at a place in the queue behind everything of this topic.
    refused: Mutex<Option<Marker>>,
    /// The value of a hash that waits: a newer one takes its place, unless a gap lies between them.
    value: Mutex<Option<Arc<Latest>>>,
}

/// What a hash holds, as far as it has come.
type Latest = Mutex<Option<Arc<HashValue>>>;

/// A place in the queue where messages were refused.
#[derive(Clone, Debug)]
struct Marker {
    count: Arc<AtomicU64>,
    /// What [`Queue::commands`] was: a member that joins later did not lose these messages.
    commands: u64,
}

#[derive(Debug, Default)]
struct Queue {
    queued: VecDeque<Queued>,
    events: usize,
    bytes: usize,
    /// How many commands have come.
    commands: u64,
}

#[derive(Debug)]
enum Queued {
    Arrival(Arrival),
    /// Messages of this topic were refused here; their number may still grow until the entry is taken out.
    Refused(Arc<TopicInlet>, Arc<AtomicU64>),
    /// The value of this hash.
    Value(Arc<TopicInlet>, Arc<Latest>),
}

impl Arrivals {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { queue: Mutex::default(), news: Notify::new(), limits }
    }

    pub(crate) fn command(&self, command: Command, ticket: Ticket) {
        let mut queue = self.queue.lock();
        queue.commands += 1;
        queue.queued.push_back(Queued::Arrival(Arrival::Command(command, ticket)));
        drop(queue);
        self.news.notify_one();
    }

    /// Takes the outcome of a load. As many come as were started.
    pub(super) fn loaded(&self, loaded: Loaded) {
        self.queue.lock().queued.push_back(Queued::Arrival(Arrival::Loaded(Box::new(loaded))));
        self.news.notify_one();
    }

    /// The next arrival, in order.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an arrival is taken out only when it is returned.
    pub(crate) async fn next(&self) -> Arrival {
        loop {
            if let Some(arrival) = self.pop() {
                return arrival;
            }
            self.news.notified().await;
        }
    }

    fn pop(&self) -> Option<Arrival> {
        let mut queue = self.queue.lock();
        match queue.queued.pop_front() {
            Some(Queued::Arrival(arrival)) => {
                if let Arrival::Event(inlet, TopicEvent::Message(payload)) = &arrival {
                    queue.events -= 1;
                    queue.bytes -= payload.len();
                    inlet.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                Some(arrival)
            }
            Some(Queued::Refused(inlet, count)) => {
                let mut open = inlet.refused.lock();
                if open.as_ref().is_some_and(|marker| Arc::ptr_eq(&marker.count, &count)) {
                    *open = None;
                }
                drop(open);
                let dropped = Some(count.load(Ordering::Relaxed));
                let gap = TopicEvent::Gap(Gap { dropped, reason: crate::GapReason::Source });
                Some(Arrival::Event(inlet, gap))
            }
            Some(Queued::Value(inlet, latest)) => {
                inlet.value.lock().take_if(|waiting| Arc::ptr_eq(waiting, &latest));
                let value = latest.lock().take();
                Some(Arrival::Event(inlet, TopicEvent::Value(value)))
            }
            None => {
                if queue.queued.capacity() > KEPT_CAPACITY {
                    queue.queued = VecDeque::new();
                }
                None
            }
        }
    }

    fn accept(&self, inlet: &Arc<TopicInlet>, event: TopicEvent) {
        let mut queue = self.queue.lock();
        if let TopicEvent::Message(payload) = &event {
            if self.is_full(&queue, inlet, payload.len()) {
                queue.refuse(inlet);
                return;
            }
            queue.events += 1;
            queue.bytes += payload.len();
            inlet.waiting.fetch_add(1, Ordering::Relaxed);
            *inlet.refused.lock() = None;
        } else {
            // What a hash holds from here on must not come before this.
            *inlet.value.lock() = None;
        }
        queue.queued.push_back(Queued::Arrival(Arrival::Event(Arc::clone(inlet), event)));
        drop(queue);
        self.news.notify_one();
    }

    fn accept_value(&self, inlet: &Arc<TopicInlet>, value: Option<Arc<HashValue>>) {
        let mut queue = self.queue.lock();
        let mut waiting = inlet.value.lock();
        if let Some(latest) = &*waiting {
            *latest.lock() = value;
            return;
        }
        let latest = Arc::new(Mutex::new(value));
        *waiting = Some(Arc::clone(&latest));
        queue.queued.push_back(Queued::Value(Arc::clone(inlet), latest));
        drop(waiting);
        drop(queue);
        self.news.notify_one();
    }

    fn is_full(&self, queue: &Queue, inlet: &TopicInlet, size: usize) -> bool {
        queue.events >= self.limits.events
            || queue.bytes + size > self.limits.bytes
            || inlet.waiting.load(Ordering::Relaxed) >= self.limits.topic_events
    }
}

impl Queue {
    fn refuse(&mut self, inlet: &Arc<TopicInlet>) {
        let mut open = inlet.refused.lock();
        if let Some(marker) = open.as_ref().filter(|marker| marker.commands == self.commands) {
            marker.count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let count = Arc::new(AtomicU64::new(1));
        *open = Some(Marker { count: Arc::clone(&count), commands: self.commands });
        self.queued.push_back(Queued::Refused(Arc::clone(inlet), count));
    }
}

impl TopicInlet {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, waiting: AtomicUsize::new(0), refused: Mutex::new(None), value: Mutex::new(None) }
    }
}

/// What the broker holds of a topic, and the store of a hash: its way into the queue.
pub(crate) struct TopicSink {
    pub(crate) inlet: Arc<TopicInlet>,
    pub(crate) arrivals: Arc<Arrivals>,
}

impl Sink for TopicSink {
    fn deliver(&self, event: BrokerEvent) {
        let event = match event {
            BrokerEvent::Gap { dropped, reason } => TopicEvent::Gap(Gap { dropped, reason: reason.into() }),
            BrokerEvent::Message(payload) => TopicEvent::Message(payload),
            BrokerEvent::Refused(text) => TopicEvent::Refused(text),
            BrokerEvent::Subscribed => TopicEvent::Subscribed,
        };
        self.arrivals.accept(&self.inlet, event);
    }
}

impl HashSink for TopicSink {
    fn deliver(&self, event: HashEvent) {
        let event = match event {
            HashEvent::Gap { reason } => TopicEvent::Gap(Gap { dropped: None, reason: reason.into() }),
            HashEvent::Refused(text) => TopicEvent::Refused(text),
            HashEvent::Absent => return self.arrivals.accept_value(&self.inlet, None),
            HashEvent::Value(value) => return self.arrivals.accept_value(&self.inlet, Some(value)),
            HashEvent::Watching => TopicEvent::Subscribed,
        };
        self.arrivals.accept(&self.inlet, event);
    }
}

impl Limits {
    /// The bounds of one of `shards` queues.
    pub(crate) fn queue(&self, shards: usize) -> QueueLimits {
        QueueLimits {
            events: self.queue_events.div_ceil(shards),
            bytes: self.queue_bytes.div_ceil(shards),
            topic_events: self.topic_queue_events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Address, AudienceKey, MemberId};

    fn queue(events: usize, bytes: usize, topic_events: usize) -> Arc<Arrivals> {
        Arc::new(Arrivals::new(QueueLimits { events, bytes, topic_events }))
    }

    fn sink(arrivals: &Arc<Arrivals>, id: u64) -> TopicSink {
        TopicSink { inlet: Arc::new(TopicInlet::new(id)), arrivals: Arc::clone(arrivals) }
    }

    fn send(sink: &TopicSink, text: &str) {
        Sink::deliver(sink, BrokerEvent::Message(text.to_owned().into()));
    }

    /// Everything that waits, as `topic:text` or `topic:-lost`.
    fn drain(arrivals: &Arrivals) -> Vec<String> {
        std::iter::from_fn(|| arrivals.pop()).map(|arrival| show(&arrival)).collect()
    }

    fn show(arrival: &Arrival) -> String {
        match arrival {
            Arrival::Event(inlet, TopicEvent::Message(text)) => {
                format!("{}:{}", inlet.id, String::from_utf8_lossy(text))
            }
            Arrival::Event(inlet, TopicEvent::Gap(gap)) => {
                format!("{}:-{}", inlet.id, gap.dropped.unwrap_or(0))
            }
            Arrival::Event(inlet, TopicEvent::Value(value)) => {
                let stage = value.as_ref().and_then(|value| value.get("stage"));
                format!("{}={}", inlet.id, stage.unwrap_or_default())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn of_the_values_of_a_hash_only_the_newest_waits_at_the_place_of_the_first() {
        let arrivals = queue(100, 1_000, 100);
        let (one, other) = (sink(&arrivals, 1), sink(&arrivals, 2));
        let value = |stage: &str| HashEvent::Value(Arc::new(HashValue::new([("stage", stage)]).unwrap()));
        for _ in 0..1_000 {
            HashSink::deliver(&one, value("a"));
        }
        HashSink::deliver(&other, value("x"));
        HashSink::deliver(&one, value("b"));
        assert_eq!(arrivals.queue.lock().queued.len(), 2);
        assert_eq!(drain(&arrivals), ["1=b", "2=x"]);
        HashSink::deliver(&one, value("c"));
        HashSink::deliver(&one, HashEvent::Absent);
        assert_eq!(drain(&arrivals), ["1="]);
        HashSink::deliver(&one, value("d"));
        HashSink::deliver(&one, HashEvent::Gap { reason: stentor_broker::GapReason::Failover });
        HashSink::deliver(&one, value("e"));
        assert_eq!(drain(&arrivals), ["1=d", "1:-0", "1=e"]);
    }

    #[test]
    fn one_topic_cannot_take_the_room_of_another() {
        let arrivals = queue(100, 1_000, 2);
        let (busy, quiet) = (sink(&arrivals, 1), sink(&arrivals, 2));
        for text in ["a", "b", "c", "d"] {
            send(&busy, text);
        }
        send(&quiet, "x");
        assert_eq!(drain(&arrivals), ["1:a", "1:b", "1:-2", "2:x"]);
    }

    #[test]
    fn a_loss_stands_between_the_events_it_came_between() {
        let arrivals = queue(100, 1_000, 2);
        let topic = sink(&arrivals, 1);
        for text in ["a", "b", "lost", "lost"] {
            send(&topic, text);
        }
        assert_eq!(arrivals.pop().as_ref().map(show).as_deref(), Some("1:a"));
        for text in ["c", "lost"] {
            send(&topic, text);
        }
        assert_eq!(drain(&arrivals), ["1:b", "1:-2", "1:c", "1:-1"]);
        send(&topic, "d");
        assert_eq!(drain(&arrivals), ["1:d"]);
    }

    #[test]
    fn what_is_lost_after_a_command_does_not_stand_before_it() {
        let arrivals = queue(100, 1_000, 1);
        let topic = sink(&arrivals, 1);
        for text in ["a", "lost"] {
            send(&topic, text);
        }
        let (address, audience, ticket) = (Address::Topic("t".into()), AudienceKey([0; 32]), Arc::default());
        arrivals.command(Command::Leave { address, audience, member: MemberId(1) }, ticket);
        for text in ["lost", "lost"] {
            send(&topic, text);
        }
        let order: Vec<_> =
            drain(&arrivals).iter().map(|line| line.chars().take(4).collect::<String>()).collect();
        assert_eq!(order, ["1:a", "1:-1", "Comm", "1:-2"]);
    }

    #[test]
    fn a_losing_topic_grows_by_one_entry_however_much_it_loses() {
        let arrivals = queue(100, 1_000, 1);
        let topic = sink(&arrivals, 1);
        for _ in 0..10_000 {
            send(&topic, "x");
        }
        assert_eq!(arrivals.queue.lock().queued.len(), 2);
        assert_eq!(drain(&arrivals), ["1:x", "1:-9999"]);
    }

    #[test]
    fn events_and_bytes_of_all_topics_are_bounded() {
        let arrivals = queue(2, 1_000, 100);
        for id in 1..=3 {
            send(&sink(&arrivals, id), "x");
        }
        assert_eq!(drain(&arrivals), ["1:x", "2:x", "3:-1"]);

        let arrivals = queue(100, 5, 100);
        let topic = sink(&arrivals, 1);
        for text in ["abc", "defg", "de"] {
            send(&topic, text);
        }
        assert_eq!(drain(&arrivals), ["1:abc", "1:-1", "1:de"]);
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let arrivals = queue(100_000, 1_000_000, 100_000);
        let topic = sink(&arrivals, 1);
        for _ in 0..50_000 {
            send(&topic, "x");
        }
        drain(&arrivals);
        assert!(arrivals.queue.lock().queued.capacity() <= KEPT_CAPACITY);
    }
}
