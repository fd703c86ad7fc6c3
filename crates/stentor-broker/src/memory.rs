//! Events that stay in this process. Start at [`MemoryBroker`].

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use crate::{Broker, BrokerEvent, BrokerMode, BrokerState, PublishError, Sink};

/// A broker for one process: what is published here is heard here, and nowhere else.
///
/// Clones share everything; two brokers made by [`MemoryBroker::new`] share nothing. `publish` hands the event to the
/// topic's sink before it returns, and [`BrokerEvent::Subscribed`] is said inside `subscribe`. It is always up until
/// it is closed, and it loses nothing, so it never says a gap.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

struct Shared {
    topics: RwLock<Topics>,
    state: Mutex<BrokerState>,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<Box<str>, Arc<Listener>>,
    closed: bool,
}

/// One topic's sink.
struct Listener {
    /// Locked while the sink is told something, so that `Subscribed` comes before every message and publishers take
    /// turns. Empty once the broker is closed.
    sink: Mutex<Option<Arc<dyn Sink>>>,
}

impl MemoryBroker {
    /// Makes a broker that nobody listens to yet.
    pub fn new() -> Self {
        let state = BrokerState::now(BrokerMode::Up);
        Self { shared: Arc::new(Shared { topics: RwLock::default(), state: Mutex::new(state) }) }
    }

    fn listener(&self, topic: &str) -> Result<Option<Arc<Listener>>, PublishError> {
        let topics = self.shared.topics.read();
        if topics.closed {
            return Err(PublishError::NotSent("the broker is closed".into()));
        }
        Ok(topics.by_name.get(topic).cloned())
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.shared.topics.read().by_name.len();
        f.debug_struct("MemoryBroker").field("topics", &topics).finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>) {
        let listener = Arc::new(Listener { sink: Mutex::new(Some(sink)) });
        let turn = listener.sink.lock();
        // Bound to a name, so that a replaced sink is dropped after the lock on the topics is released.
        let _replaced = {
            let mut topics = self.shared.topics.write();
            if topics.closed {
                return;
            }
            topics.by_name.insert(topic.into(), Arc::clone(&listener))
        };
        if let Some(sink) = &*turn {
            sink.deliver(BrokerEvent::Subscribed);
        }
    }

    fn unsubscribe(&self, topic: &str) {
        let _dropped_unlocked = self.shared.topics.write().by_name.remove(topic);
    }

    async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        let Some(listener) = self.listener(topic)? else { return Ok(()) };
        if let Some(sink) = &*listener.sink.lock() {
            sink.deliver(BrokerEvent::Message(payload));
        }
        Ok(())
    }

    fn state(&self) -> BrokerState {
        *self.shared.state.lock()
    }

    async fn close(&self) {
        let topics = {
            let mut topics = self.shared.topics.write();
            if topics.closed {
                return;
            }
            std::mem::replace(&mut *topics, Topics { closed: true, ..Topics::default() })
        };
        *self.shared.state.lock() = BrokerState::now(BrokerMode::Down);
        for listener in topics.by_name.into_values() {
            let _dropped_unlocked = listener.sink.lock().take();
        }
    }
}
