//! The task that owns a part of the node's topics: [`Shard`].

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use stentor_broker::Broker;
use stentor_schema::{ErrorCode, Event};
use tokio::time::Instant;

use super::{
    arrivals::{Arrival, Arrivals, TopicEvent, TopicInlet, TopicSink},
    audience::{Audience, Verdict},
    command::{Command, Join},
    idle::IdleDeadlines,
    topic::{Fault, Seat, Topic},
};
use crate::{
    Gap, Metrics,
    membership::{AudienceKey, MemberId},
};

/// Deliveries after which the shard lets connections write before it goes on; it does so at once when a mailbox is
/// filling. Without pauses a burst would fill mailboxes whose readers are not slow at all; with one after each event,
/// no two messages would leave in one write.
const DELIVERIES_BEFORE_PAUSE: usize = 4_096;

/// Topics, their audiences, and the queue that moves them.
#[derive(Debug)]
pub(super) struct Shard {
    broker: Arc<dyn Broker>,
    arrivals: Arc<Arrivals>,
    metrics: Arc<Metrics>,
    topics: HashMap<u64, Topic>,
    ids: HashMap<Arc<str>, u64>,
    next_id: u64,
    idle: IdleDeadlines,
}

impl Shard {
    pub(super) fn new(broker: Arc<dyn Broker>, arrivals: Arc<Arrivals>, metrics: Arc<Metrics>) -> Self {
        Self {
            broker,
            arrivals,
            metrics,
            topics: HashMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            idle: IdleDeadlines::default(),
        }
    }

    /// Works through the queue until the task is aborted.
    pub(super) async fn run(mut self) {
        let arrivals = Arc::clone(&self.arrivals);
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
        }
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join(join) => self.join(*join, now),
            Command::Leave { topic, audience, member } => self.leave(&topic, audience, member),
        }
    }

    fn join(&mut self, join: Join, now: Instant) {
        let id = self.topic_id(&join.topic);
        let Some(topic) = self.topics.get_mut(&id) else { return };
        if topic.subscribed {
            join.member.outbox.live(join.member.operation);
        }
        match topic.audiences.get_mut(&join.audience) {
            Some(seat) => seat.audience.add(join.id, join.member, now),
            None => {
                let key = join.audience;
                let audience = Audience::new(join, now);
                let idle_deadline = audience.idle_deadline(now);
                if let Some(due) = idle_deadline {
                    self.idle.insert(due, id, key);
                }
                topic.audiences.insert(key, Seat { audience, idle_deadline });
                self.metrics.audiences.increment(1.0);
            }
        }
    }

    /// The topic's number; a topic that nobody here listened to is subscribed to.
    fn topic_id(&mut self, name: &Arc<str>) -> u64 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(Arc::clone(name), id);
        self.topics.insert(id, Topic::new(Arc::clone(name)));
        self.metrics.topics.increment(1.0);
        let inlet = Arc::new(TopicInlet::new(id));
        let arrivals = Arc::clone(&self.arrivals);
        self.broker.subscribe(name, Arc::new(TopicSink { inlet, arrivals }));
        id
    }

    fn leave(&mut self, topic: &str, key: AudienceKey, member: MemberId) {
        let Some(&id) = self.ids.get(topic) else { return };
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
            self.metrics.audiences.decrement(1.0);
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
            self.ids.remove(&topic.name);
            self.metrics.topics.decrement(1.0);
            self.broker.unsubscribe(&topic.name);
        }
    }

    fn hear(&mut self, id: u64, event: TopicEvent, now: Instant) -> usize {
        match event {
            TopicEvent::Message(payload) => self.execute(id, &payload, now),
            TopicEvent::Gap(gap) => self.lose(id, gap, now),
            TopicEvent::Subscribed => self.live(id),
            TopicEvent::Refused(reason) => self.refuse(id, &reason),
        }
    }

    /// Decodes an event once, and lets every audience of its topic hear it.
    fn execute(&mut self, id: u64, payload: &Bytes, now: Instant) -> usize {
        self.metrics.events.increment(1);
        let Some(topic) = self.topics.get_mut(&id) else { return 0 };
        let event = match Event::decode(payload) {
            Ok(event) => event,
            Err(malformed) => {
                self.metrics.malformed.increment(1);
                topic.log.tell(&topic.name, Fault::Malformed, &malformed.0, now);
                return 0;
            }
        };
        let mut members = 0;
        let mut over = Vec::new();
        for (key, seat) in &mut topic.audiences {
            members += seat.audience.len();
            match seat.audience.hear(&event, &self.metrics, now) {
                Verdict::Nothing => {}
                Verdict::ForeignTenant => self.metrics.foreign_tenant.increment(1),
                Verdict::Malformed(reason) => {
                    self.metrics.malformed.increment(1);
                    topic.log.tell(&topic.name, Fault::Malformed, &reason, now);
                }
                Verdict::Undecided(reason) => {
                    self.metrics.condition_errors.increment(1);
                    topic.log.tell(&topic.name, Fault::Undecided, &reason, now);
                }
                Verdict::Sent(sent) => {
                    if sent.filling {
                        members = members.max(DELIVERIES_BEFORE_PAUSE);
                    }
                    if let Some(reason) = sent.undecided {
                        self.metrics.condition_errors.increment(1);
                        topic.log.tell(&topic.name, Fault::Undecided, &reason, now);
                    }
                    if sent.last {
                        seat.audience.complete();
                        over.push(*key);
                    }
                }
                Verdict::Broken => {
                    tracing::error!(topic = %topic.name, "making a result panicked; its subscriptions were ended");
                    seat.audience.fail(ErrorCode::InternalServerError, "the result could not be made");
                    over.push(*key);
                }
            }
        }
        for key in over {
            self.dissolve(id, key);
        }
        members
    }

    fn lose(&mut self, id: u64, gap: Gap, now: Instant) -> usize {
        let Some(topic) = self.topics.get(&id) else { return 0 };
        tracing::debug!(topic = %topic.name, reason = gap.reason.as_str(), dropped = gap.dropped, "gap");
        for seat in topic.audiences.values() {
            seat.audience.lose(gap, &self.metrics, now);
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
        tracing::error!(topic = %topic.name, reason, "the broker refuses this topic");
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
            self.broker.unsubscribe(&topic.name);
        }
    }
}

fn broken() -> usize {
    tracing::error!("an event or a command could not be handled: its handling panicked");
    0
}
