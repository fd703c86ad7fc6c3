//! The task that owns a part of the node's topics: [`Shard`].

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use stentor_broker::{Broker, HashStore, HashValue};
use stentor_schema::{ErrorCode, Event};
use tokio::time::Instant;

use super::{
    arrivals::{Arrival, Arrivals, TopicEvent, TopicInlet, TopicSink},
    audience::{Audience, EVERYONE, Verdict},
    command::{Command, Join},
    idle::IdleDeadlines,
    load::{LoadRunner, Loaded, Place},
    topic::{Fault, Seat, Topic},
};
use crate::{
    Gap,
    membership::{Address, AudienceKey, MemberId},
};

/// Deliveries after which the shard lets connections write before it goes on; it does so at once when a mailbox is
/// filling. Without pauses a burst would fill mailboxes whose readers are not slow at all; with one after each event,
/// no two messages would leave in one write.
const DELIVERIES_BEFORE_PAUSE: usize = 4_096;

/// Topics and hashes, their audiences, and the queue that moves them.
#[derive(Debug)]
pub(super) struct Shard {
    broker: Arc<dyn Broker>,
    hashes: Arc<dyn HashStore>,
    runner: LoadRunner,
    topics: HashMap<u64, Topic>,
    ids: HashMap<Address, u64>,
    next_id: u64,
    /// How many audiences there were.
    epoch: u64,
    idle: IdleDeadlines,
}

impl Shard {
    pub(super) fn new(broker: Arc<dyn Broker>, hashes: Arc<dyn HashStore>, runner: LoadRunner) -> Self {
        Self {
            broker,
            hashes,
            runner,
            topics: HashMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            epoch: 0,
            idle: IdleDeadlines::default(),
        }
    }

    /// Works through the queue until the task is aborted.
    pub(super) async fn run(mut self) {
        let arrivals: Arc<Arrivals> = Arc::clone(&self.runner.arrivals);
        let mut deliveries = 0;
        loop {
            let arrival = match self.idle.first() {
                None => Some(arrivals.next().await),
                Some(due) => tokio::time::timeout_at(due, arrivals.next()).await.ok(),
            };
            let now = Instant::now();
            if self.idle.first().is_some_and(|due| due <= now) {
                self.expire(now);
            }
            if let Some(arrival) = arrival {
                // A fault that one arrival provokes must not silence every other topic of the shard.
                let handled = catch_unwind(AssertUnwindSafe(|| self.handle(arrival, now)));
                deliveries += handled.unwrap_or_else(|_| broken()).max(1);
            }
            if deliveries >= DELIVERIES_BEFORE_PAUSE {
                deliveries = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Handles one arrival; how many mailboxes it touched.
    fn handle(&mut self, arrival: Arrival, now: Instant) -> usize {
        match arrival {
            Arrival::Command(command, ticket) => {
                self.obey(command, now);
                drop(ticket);
                1
            }
            Arrival::Event(inlet, event) => self.hear(inlet.id, event, now),
            Arrival::Loaded(loaded) => self.settle(*loaded, now),
        }
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join(join) => self.join(*join, now),
            Command::Leave { address, audience, member } => self.leave(&address, audience, member),
        }
    }

    fn join(&mut self, join: Join, now: Instant) {
        let id = self.topic_id(&join.address);
        let Some(topic) = self.topics.get_mut(&id) else { return };
        if topic.subscribed {
            join.member.outbox.live(join.member.operation);
        }
        let key = join.audience;
        if let Some(seat) = topic.audiences.get_mut(&key) {
            return seat.audience.add(join.id, join.member, now);
        }
        self.epoch += 1;
        let audience = Audience::new(join, Place { topic: id, audience: key, epoch: self.epoch }, now);
        let idle_deadline = audience.idle_deadline(now);
        if let Some(due) = idle_deadline {
            self.idle.insert(due, id, key);
        }
        topic.audiences.insert(key, Seat { audience, idle_deadline });
        self.runner.metrics.audiences.increment(1.0);
        if let Some(value) = topic.latest.clone() {
            self.each_audience(id, Some(key), now, |audience, runner| {
                audience.behold(&value, &runner.metrics, now)
            });
        }
    }

    /// The number of a topic or hash; one that nobody here listened to is subscribed to.
    fn topic_id(&mut self, address: &Address) -> u64 {
        if let Some(id) = self.ids.get(address) {
            return *id;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(address.clone(), id);
        self.topics.insert(id, Topic::new(address.clone()));
        let inlet = Arc::new(TopicInlet::new(id));
        let sink = Arc::new(TopicSink { inlet, arrivals: Arc::clone(&self.runner.arrivals) });
        match address {
            Address::Hash(key) => {
                self.runner.metrics.hashes.increment(1.0);
                self.hashes.watch(key, sink);
            }
            Address::Topic(topic) => {
                self.runner.metrics.topics.increment(1.0);
                self.broker.subscribe(topic, sink);
            }
        }
        id
    }

    fn leave(&mut self, address: &Address, key: AudienceKey, member: MemberId) {
        let Some(&id) = self.ids.get(address) else { return };
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let Some(seat) = topic.audiences.get_mut(&key) else { return };
        seat.audience.remove(member);
        if seat.audience.is_empty() {
            self.dissolve(id, key);
        }
    }

    /// Forgets an audience, and its topic after the last one.
    fn dissolve(&mut self, id: u64, key: AudienceKey) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        if let Some(seat) = topic.audiences.swap_remove(&key) {
            self.runner.metrics.audiences.decrement(1.0);
            if let Some(due) = seat.idle_deadline {
                self.idle.remove(due, id, key);
            }
        }
        if topic.audiences.is_empty() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(topic) = self.topics.remove(&id) {
            self.ids.remove(&topic.address);
            match &topic.address {
                Address::Hash(_) => self.runner.metrics.hashes.decrement(1.0),
                Address::Topic(_) => self.runner.metrics.topics.decrement(1.0),
            }
            self.unsubscribe(&topic.address);
        }
    }

    fn unsubscribe(&self, address: &Address) {
        match address {
            Address::Hash(key) => self.hashes.unwatch(key),
            Address::Topic(topic) => self.broker.unsubscribe(topic),
        }
    }

    fn hear(&mut self, id: u64, event: TopicEvent, now: Instant) -> usize {
        match event {
            TopicEvent::Message(payload) => self.execute(id, &payload, now),
            TopicEvent::Value(Some(value)) => self.behold(id, &value, now),
            TopicEvent::Value(None) => self.forget_value(id),
            TopicEvent::Gap(gap) => self.lose(id, gap, now),
            TopicEvent::Subscribed => self.live(id),
            TopicEvent::Refused(reason) => self.refuse(id, &reason),
        }
    }

    /// Decodes an event once, and lets every audience of its topic hear it.
    fn execute(&mut self, id: u64, payload: &Bytes, now: Instant) -> usize {
        self.runner.metrics.events.increment(1);
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        match Event::decode(payload) {
            Ok(event) => {
                let event = Arc::new(event);
                self.each_audience(id, None, now, |audience, runner| audience.hear(&event, runner, now))
            }
            Err(malformed) => {
                self.runner.metrics.malformed.increment(1);
                topic.log.tell(&topic.address, Fault::Malformed, &malformed.0, now);
                0
            }
        }
    }

    /// Lets every audience of a hash see its new value, and keeps it for those that come later.
    fn behold(&mut self, id: u64, value: &Arc<HashValue>, now: Instant) -> usize {
        self.runner.metrics.hash_values.increment(1);
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        topic.latest = Some(Arc::clone(value));
        self.each_audience(id, None, now, |audience, runner| audience.behold(value, &runner.metrics, now))
    }

    /// A hash holds nothing any more, or nobody knows what: who joins waits for its next value.
    fn forget_value(&mut self, id: u64) -> usize {
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        topic.latest = None;
        for seat in topic.audiences.values_mut() {
            seat.audience.forget_value();
        }
        0
    }

    /// A value has been loaded: sends what no longer waits for any.
    fn settle(&mut self, loaded: Loaded, now: Instant) -> usize {
        let Place { topic: id, audience: key, .. } = loaded.place;
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        let Some((place, _, seat)) = topic.audiences.get_full_mut(&key) else { return 0 };
        seat.audience.settle(loaded, &self.runner);
        let mut members = 0;
        while let Some((_, seat)) = topic.audiences.get_index_mut(place)
            && let Some((verdict, number)) = seat.audience.next_loaded(now)
        {
            members += seat.audience.len();
            let judged = topic.judge(place, verdict, number, &self.runner.metrics, now);
            if judged.filling {
                members = members.max(DELIVERIES_BEFORE_PAUSE);
            }
            if judged.over {
                self.dissolve(id, key);
                break;
            }
        }
        members
    }

    /// Lets the audiences of a topic, or one of them, act; how many mailboxes that touched.
    fn each_audience(
        &mut self,
        id: u64,
        only: Option<AudienceKey>,
        now: Instant,
        act: impl Fn(&mut Audience, &LoadRunner) -> Verdict,
    ) -> usize {
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        let mut members = 0;
        let mut over = Vec::new();
        for place in 0..topic.audiences.len() {
            let Some((&key, seat)) = topic.audiences.get_index_mut(place) else { break };
            if only.is_some_and(|only| only != key) {
                continue;
            }
            members += seat.audience.len();
            let verdict = act(&mut seat.audience, &self.runner);
            let judged = topic.judge(place, verdict, EVERYONE, &self.runner.metrics, now);
            if judged.filling {
                members = members.max(DELIVERIES_BEFORE_PAUSE);
            }
            if judged.over {
                over.push(key);
            }
        }
        for key in over {
            self.dissolve(id, key);
        }
        members
    }

    fn lose(&mut self, id: u64, gap: Gap, now: Instant) -> usize {
        self.forget_value(id);
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        tracing::debug!(topic = %topic.address, reason = gap.reason.as_str(), dropped = gap.dropped, "gap");
        for seat in topic.audiences.values_mut() {
            seat.audience.lose(gap, &self.runner, now);
        }
        topic.audiences.values().map(|seat| seat.audience.len()).sum()
    }

    fn live(&mut self, id: u64) -> usize {
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        topic.subscribed = true;
        for seat in topic.audiences.values() {
            seat.audience.live();
        }
        topic.audiences.values().map(|seat| seat.audience.len()).sum()
    }

    fn refuse(&mut self, id: u64, reason: &str) -> usize {
        let Some(topic) = self.topics.get(&id) else { return 0 };
        tracing::error!(topic = %topic.address, reason, "the broker refuses this topic");
        let keys: Vec<_> = topic.audiences.keys().copied().collect();
        for seat in topic.audiences.values() {
            seat.audience.fail(ErrorCode::Unavailable, "this subscription's topic cannot be listened to");
        }
        for key in &keys {
            self.dissolve(id, *key);
        }
        keys.len()
    }

    /// Completes what has been idle for too long.
    fn expire(&mut self, now: Instant) {
        while let Some((id, key)) = self.idle.pop_due(now) {
            let Some(seat) = self.topics.get_mut(&id).and_then(|topic| topic.audiences.get_mut(&key)) else {
                continue;
            };
            seat.idle_deadline = seat.audience.expire(now);
            match seat.idle_deadline {
                Some(due) => self.idle.insert(due, id, key),
                None => self.dissolve(id, key),
            }
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        for topic in self.topics.values() {
            self.unsubscribe(&topic.address);
        }
    }
}

fn broken() -> usize {
    tracing::error!("an event or a command could not be handled: its handling panicked");
    0
}
