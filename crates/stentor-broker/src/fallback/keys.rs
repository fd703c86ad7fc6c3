//! Every key of a node, and the way of its values: [`Keys`].

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::{
    era::{Clock, Era},
    key::{Input, Key},
};
use crate::{HashError, HashEvent, HashSink, HashStore, MemoryHashStore};

/// The keys that somebody watches. Knows nothing of Redis but what its relays hear.
///
/// Locks are taken in this order: a watcher's, the map's, those of Redis. Redis tells nothing inside `watch`; memory does,
/// so it is called where no lock is held.
pub(super) struct Keys {
    clock: Arc<Clock>,
    by_key: Mutex<ByKey>,
}

struct ByKey {
    watchers: HashMap<Arc<str>, Arc<Watcher>>,
    home: Home,
    closed: bool,
}

/// Where hashes are kept in an era.
#[derive(Clone)]
struct Home {
    era: Era,
    /// The hashes of an era of memory, forgotten at its end; `None` for Redis.
    memory: Option<MemoryHashStore>,
}

/// One key's sink. Only the map holds it for long, so that it goes when it is unwatched, whatever memory still holds.
struct Watcher {
    key: Arc<str>,
    turn: Mutex<Turn>,
}

struct Turn {
    key: Key,
    /// Empty once the key was refused, or the store is closed.
    sink: Option<Arc<dyn HashSink>>,
}

/// Hears a key in one era, on Redis or in memory.
struct Relay {
    era: Era,
    keys: Arc<Keys>,
    watcher: Weak<Watcher>,
}

impl Keys {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        let home = Home::of(clock.now());
        Self { clock, by_key: Mutex::new(ByKey { watchers: HashMap::new(), home, closed: false }) }
    }

    /// Where hashes are kept now, if that is not Redis.
    pub(super) fn memory(&self) -> Result<Option<MemoryHashStore>, HashError> {
        let by_key = self.by_key.lock();
        if by_key.closed {
            return Err(HashError::Away("the hash store is closed".into()));
        }
        Ok(by_key.home.memory.clone())
    }

    pub(super) fn watch(self: &Arc<Self>, redis: &dyn HashStore, key: &str, sink: Arc<dyn HashSink>) {
        let turn = Mutex::new(Turn { key: Key::new(self.clock.now()), sink: Some(sink) });
        let watcher = Arc::new(Watcher { key: key.into(), turn });
        // Bound to a name, so that a replaced sink is dropped after the lock on the map is released.
        let _replaced = {
            let mut by_key = self.by_key.lock();
            if by_key.closed {
                return;
            }
            by_key.watchers.insert(Arc::clone(&watcher.key), Arc::clone(&watcher))
        };
        self.attach(redis, &watcher);
    }

    pub(super) fn unwatch(&self, redis: &dyn HashStore, key: &str) {
        let (_dropped_unlocked, memory) = {
            let mut by_key = self.by_key.lock();
            redis.unwatch(key);
            (by_key.watchers.remove(key), by_key.home.memory.clone())
        };
        if let Some(memory) = memory {
            memory.unwatch(key);
        }
    }

    /// Lets the new era's hashes take the place of the old one's, and watches every key there.
    pub(super) fn switched(self: &Arc<Self>, redis: &dyn HashStore) {
        let home = Home::of(self.clock.now());
        let (watchers, _dropped_unlocked) = {
            let mut by_key = self.by_key.lock();
            let before = std::mem::replace(&mut by_key.home, home);
            // Those that come later find the new home.
            (by_key.watchers.values().cloned().collect::<Vec<_>>(), before)
        };
        for watcher in watchers {
            self.tell(&watcher, Input::Switched);
            self.attach(redis, &watcher);
        }
    }

    /// Watches the key where hashes are kept now, if it is still `watcher` who wants it.
    fn attach(self: &Arc<Self>, redis: &dyn HashStore, watcher: &Arc<Watcher>) {
        let key = &*watcher.key;
        let by_key = self.by_key.lock();
        if !by_key.wants(watcher) {
            return;
        }
        let Home { era, memory } = by_key.home.clone();
        let relay = Arc::new(Relay { era, keys: Arc::clone(self), watcher: Arc::downgrade(watcher) });
        match memory {
            None => redis.watch(key, relay),
            Some(memory) => {
                redis.unwatch(key);
                drop(by_key);
                memory.watch(key, relay);
            }
        }
    }

    pub(super) fn close(&self) {
        let watchers = {
            let mut by_key = self.by_key.lock();
            by_key.closed = true;
            std::mem::take(&mut by_key.watchers)
        };
        for watcher in watchers.into_values() {
            let _dropped_unlocked = watcher.turn.lock().sink.take();
        }
    }

    fn tell(&self, watcher: &Arc<Watcher>, input: Input) {
        let mut refused = false;
        let mut turn = watcher.turn.lock();
        let Turn { key, sink } = &mut *turn;
        if let Some(sink) = sink {
            key.handle(self.clock.now(), input, |event| {
                refused |= matches!(event, HashEvent::Refused(_));
                sink.deliver(event);
            });
        }
        let _dropped_unlocked = if refused { sink.take() } else { None };
        drop(turn);
        if refused {
            self.forget(watcher);
        }
    }

    /// Removes a refused key, unless somebody watches it again.
    fn forget(&self, watcher: &Arc<Watcher>) {
        let mut by_key = self.by_key.lock();
        if by_key.wants(watcher) {
            by_key.watchers.remove(&watcher.key);
        }
    }
}

impl Home {
    fn of(era: Era) -> Self {
        Self { era, memory: era.is_memory().then(MemoryHashStore::new) }
    }
}

impl ByKey {
    fn wants(&self, watcher: &Arc<Watcher>) -> bool {
        self.watchers.get(&watcher.key).is_some_and(|known| Arc::ptr_eq(known, watcher))
    }
}

impl HashSink for Relay {
    fn deliver(&self, event: HashEvent) {
        if let Some(watcher) = self.watcher.upgrade() {
            self.keys.tell(&watcher, Input::Told(self.era, event));
        }
    }
}
