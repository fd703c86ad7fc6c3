//! Every topic of a node, and the way of its events: [`Topics`].

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    era::{Clock, Era},
    topic::{Input, Topic},
};
use crate::{Broker, BrokerEvent, PublishError, Sink};

/// The topics that somebody listens to. Knows nothing of Redis but what its relays hear.
///
/// Locks are taken in this order: a listener's, the map's, those of Redis. Redis tells nothing inside `subscribe`.
pub(super) struct Topics {
    clock: Arc<Clock>,
    by_name: Mutex<ByName>,
}

#[derive(Default)]
struct ByName {
    listeners: HashMap<Arc<str>, Arc<Listener>>,
    closed: bool,
}

/// One topic's sink. Locked while the sink is told something: whoever has the lock and finds an era still there knows
/// that nothing of the next one was said.
struct Listener {
    name: Arc<str>,
    turn: Mutex<Turn>,
}

struct Turn {
    topic: Topic,
    /// Empty once the topic was refused, or the broker is closed.
    sink: Option<Arc<dyn Sink>>,
}

/// Hears a topic on Redis.
struct Relay {
    topics: Arc<Topics>,
    listener: Arc<Listener>,
}

impl Topics {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self { clock, by_name: Mutex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.lock().listeners.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.by_name.lock().closed
    }

    /// Listens to `name` for `sink`, on `redis` and in memory.
    pub(super) fn subscribe(self: &Arc<Self>, redis: &dyn Broker, name: &str, sink: Arc<dyn Sink>) {
        let turn = Mutex::new(Turn { topic: Topic::new(self.clock.now()), sink: Some(sink) });
        let listener = Arc::new(Listener { name: name.into(), turn });
        let relay = Relay { topics: Arc::clone(self), listener: Arc::clone(&listener) };
        // Bound to a name, so that a replaced sink is dropped after the lock on the map is released.
        let _replaced = {
            let mut by_name = self.by_name.lock();
            if by_name.closed {
                return;
            }
            let replaced = by_name.listeners.insert(Arc::clone(&listener.name), Arc::clone(&listener));
            // Under the same lock, so that two subscribers of one topic come in the same order here and there.
            redis.subscribe(name, Arc::new(relay));
            replaced
        };
        self.tell(&listener, |_| Some(Input::Switched));
    }

    pub(super) fn unsubscribe(&self, redis: &dyn Broker, name: &str) {
        let _dropped_unlocked = {
            let mut by_name = self.by_name.lock();
            redis.unsubscribe(name);
            by_name.listeners.remove(name)
        };
    }

    /// Hands `payload` to this node's listener if memory carries events now; whether it does.
    pub(super) fn publish(&self, name: &str, payload: &Bytes) -> Result<bool, PublishError> {
        if !self.clock.now().is_memory() {
            return Ok(false);
        }
        let listener = {
            let by_name = self.by_name.lock();
            if by_name.closed {
                return Err(PublishError::NotSent("the broker is closed".into()));
            }
            by_name.listeners.get(name).cloned()
        };
        let Some(listener) = listener else { return Ok(true) };
        let told = self.tell(&listener, |era| era.is_memory().then(|| Input::Memory(payload.clone())));
        Ok(told)
    }

    /// Tells every topic that a new era has begun.
    pub(super) fn switched(&self) {
        // Those that come later begin in the new era.
        let listeners: Vec<_> = self.by_name.lock().listeners.values().cloned().collect();
        for listener in listeners {
            self.tell(&listener, |_| Some(Input::Switched));
        }
    }

    pub(super) fn close(&self) {
        let listeners = {
            let mut by_name = self.by_name.lock();
            std::mem::replace(&mut *by_name, ByName { closed: true, ..ByName::default() }).listeners
        };
        for listener in listeners.into_values() {
            let _dropped_unlocked = listener.turn.lock().sink.take();
        }
    }

    /// Tells `listener` what it has to hear of the input that belongs to the present era, if any; whether there was one.
    fn tell(&self, listener: &Arc<Listener>, input: impl FnOnce(Era) -> Option<Input>) -> bool {
        let mut refused = false;
        let mut turn = listener.turn.lock();
        let Turn { topic, sink } = &mut *turn;
        let era = self.clock.now();
        let Some(input) = input(era) else { return false };
        if let Some(sink) = sink {
            topic.handle(era, input, |event| {
                refused |= matches!(event, BrokerEvent::Refused(_));
                sink.deliver(event);
            });
        }
        let _dropped_unlocked = if refused { sink.take() } else { None };
        drop(turn);
        if refused {
            self.forget(listener);
        }
        true
    }

    /// Removes a refused topic, unless somebody has subscribed to it again.
    fn forget(&self, listener: &Arc<Listener>) {
        let mut by_name = self.by_name.lock();
        if by_name.listeners.get(&listener.name).is_some_and(|known| Arc::ptr_eq(known, listener)) {
            by_name.listeners.remove(&listener.name);
        }
    }
}

impl Sink for Relay {
    fn deliver(&self, event: BrokerEvent) {
        self.topics.tell(&self.listener, |_| Some(Input::Redis(event)));
    }
}
