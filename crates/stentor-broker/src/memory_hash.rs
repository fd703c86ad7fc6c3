//! Hashes that stay in this process. Start at [`MemoryHashStore`].

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use lru::LruCache;
use parking_lot::Mutex;

use crate::{HashError, HashEvent, HashSink, HashStore, HashTooLarge, HashValue};

/// A hash store for one process: what is written here is seen here, and nowhere else.
///
/// Clones share everything; two stores made by [`MemoryHashStore::new`] share nothing. `write` tells the key's sink
/// before it returns, and [`HashEvent::Watching`] is said inside `watch`.
///
/// # Limits
///
/// All hashes together hold at most [`MemoryHashStore::MAX_BYTES`], keys included. Where a write would exceed that, the
/// hashes that were not written for longest are forgotten, as if they had expired.
#[derive(Clone, Default)]
pub struct MemoryHashStore {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    hashes: Hashes,
    watched: HashMap<Box<str>, Arc<Watcher>>,
    closed: bool,
}

/// Every hash, the one that was written last in front.
struct Hashes {
    by_key: LruCache<Box<str>, Arc<HashValue>>,
    bytes: usize,
}

/// One key's sink.
struct Watcher {
    /// Locked while the sink is told something. Always taken before the lock on the store.
    told: Mutex<Told>,
}

struct Told {
    /// Empty once the store is closed.
    sink: Option<Arc<dyn HashSink>>,
    /// The last value that was told. The very one: an equal value that was written anew after the key's absence counts.
    value: Option<Arc<HashValue>>,
}

impl MemoryHashStore {
    /// How large all hashes may be together, with their keys and a hundred bytes for each.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Makes a store that holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the watcher of `key` what the key holds now, unless it knows. Whoever comes last tells the latest value, so
    /// that writers who overtake each other on the way here do no harm.
    fn tell(&self, key: &str, watcher: &Watcher) {
        let mut told = watcher.told.lock();
        let value = self.shared.lock().hashes.by_key.peek(key).cloned();
        let Some(sink) = &told.sink else { return };
        match (&told.value, &value) {
            (None, None) => return,
            (Some(before), Some(value)) if Arc::ptr_eq(before, value) => return,
            (_, Some(value)) => sink.deliver(HashEvent::Value(Arc::clone(value))),
            (Some(_), None) => sink.deliver(HashEvent::Absent),
        }
        told.value = value;
    }
}

impl fmt::Debug for MemoryHashStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared.lock();
        f.debug_struct("MemoryHashStore")
            .field("hashes", &shared.hashes.by_key.len())
            .field("bytes", &shared.hashes.bytes)
            .field("watched", &shared.watched.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HashStore for MemoryHashStore {
    fn watch(&self, key: &str, sink: Arc<dyn HashSink>) {
        let watcher = Arc::new(Watcher { told: Mutex::new(Told { sink: Some(sink), value: None }) });
        let told = watcher.told.lock();
        // Bound to a name, so that a replaced sink is dropped after the lock on the store is released.
        let _replaced = {
            let mut shared = self.shared.lock();
            if shared.closed {
                return;
            }
            shared.watched.insert(key.into(), Arc::clone(&watcher))
        };
        if let Some(sink) = &told.sink {
            sink.deliver(HashEvent::Watching);
        }
        drop(told);
        self.tell(key, &watcher);
    }

    fn unwatch(&self, key: &str) {
        let _dropped_unlocked = self.shared.lock().watched.remove(key);
    }

    async fn read(&self, key: &str) -> Result<Option<Arc<HashValue>>, HashError> {
        let shared = self.shared.lock();
        shared.check_open()?;
        Ok(shared.hashes.by_key.peek(key).cloned())
    }

    async fn write(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        let watchers: Vec<_> = {
            let mut shared = self.shared.lock();
            shared.check_open()?;
            let forgotten =
                shared.hashes.write(key, fields).map_err(|large| HashError::Refused(large.to_string()))?;
            let changed = std::iter::once(key.into()).chain(forgotten);
            changed.filter_map(|key| Some((Arc::clone(shared.watched.get(&key)?), key))).collect()
        };
        for (watcher, key) in watchers {
            self.tell(&key, &watcher);
        }
        Ok(())
    }

    /// None: there is no server.
    fn reads(&self) -> u64 {
        0
    }

    async fn close(&self) {
        let watched = {
            let mut shared = self.shared.lock();
            std::mem::replace(&mut *shared, Shared { closed: true, ..Shared::default() }).watched
        };
        for watcher in watched.into_values() {
            let _dropped_unlocked = watcher.told.lock().sink.take();
        }
    }
}

impl Default for Shared {
    fn default() -> Self {
        let hashes = Hashes { by_key: LruCache::unbounded(), bytes: 0 };
        Self { hashes, watched: HashMap::new(), closed: false }
    }
}

impl Shared {
    fn check_open(&self) -> Result<(), HashError> {
        if self.closed { Err(HashError::Away("the hash store is closed".into())) } else { Ok(()) }
    }
}

impl Hashes {
    /// Sets fields of a hash; the keys that were forgotten to make room.
    fn write(&mut self, key: &str, fields: &[(String, String)]) -> Result<Vec<Box<str>>, HashTooLarge> {
        let mut forgotten = Vec::new();
        if fields.is_empty() {
            return Ok(forgotten);
        }
        let before = self.by_key.get(key);
        let value = before.map_or_else(HashValue::default, |before| (**before).clone()).with(fields)?;
        if before.is_some_and(|before| **before == value) {
            return Ok(forgotten);
        }
        self.bytes += cost(key, &value);
        if let Some((key, before)) = self.by_key.push(key.into(), Arc::new(value)) {
            self.bytes -= cost(&key, &before);
        }
        while self.bytes > MemoryHashStore::MAX_BYTES
            && let Some((key, value)) = self.by_key.pop_lru()
        {
            self.bytes -= cost(&key, &value);
            forgotten.push(key);
        }
        Ok(forgotten)
    }
}

fn cost(key: &str, value: &HashValue) -> usize {
    OVERHEAD + key.len() + value.bytes()
}

/// What a hash costs beside its key and fields, about.
const OVERHEAD: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> [(String, String); 1] {
        [("text".into(), text.into())]
    }

    #[test]
    fn what_was_not_written_for_longest_is_forgotten_at_the_limit() {
        let mut hashes = Shared::default().hashes;
        let mebibyte = "x".repeat(HashValue::MAX_BYTES - HashValue::FIELD_BYTES - 4);
        for i in 0..1000 {
            hashes.write(&i.to_string(), &fields(&mebibyte)).unwrap();
            hashes.write("0", &fields(&i.to_string())).unwrap();
        }
        assert!(hashes.bytes <= MemoryHashStore::MAX_BYTES);
        assert!(hashes.bytes > MemoryHashStore::MAX_BYTES - HashValue::MAX_BYTES);
        assert_eq!(hashes.by_key.len(), 64, "63 that are large, and the small one");
        assert_eq!(hashes.by_key.peek("0").unwrap().get("text"), Some("999"));
        assert!(hashes.by_key.peek("1").is_none());
        let bytes: usize = hashes.by_key.iter().map(|(key, value)| cost(key, value)).sum();
        assert_eq!(bytes, hashes.bytes);
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<HashEvent>>);

    impl HashSink for Heard {
        fn deliver(&self, event: HashEvent) {
            self.0.lock().push(event);
        }
    }

    #[tokio::test]
    async fn the_watcher_of_a_hash_that_is_forgotten_is_told_that_it_is_absent() {
        let (store, heard) = (MemoryHashStore::new(), Arc::new(Heard::default()));
        store.watch("a", Arc::clone(&heard) as Arc<dyn HashSink>);
        store.write("a", &fields("1")).await.unwrap();
        let mebibyte = "x".repeat(HashValue::MAX_BYTES - HashValue::FIELD_BYTES - 4);
        for i in 0..64 {
            store.write(&i.to_string(), &fields(&mebibyte)).await.unwrap();
        }
        let value = HashEvent::Value(HashValue::new([("text", "1")]).unwrap().into());
        assert_eq!(*heard.0.lock(), [HashEvent::Watching, value, HashEvent::Absent]);
    }

    #[test]
    fn a_write_that_changes_nothing_keeps_the_very_value() {
        let mut hashes = Shared::default().hashes;
        hashes.write("a", &fields("1")).unwrap();
        let before = Arc::clone(hashes.by_key.peek("a").unwrap());
        let bytes = hashes.bytes;
        hashes.write("a", &fields("1")).unwrap();
        hashes.write("a", &[]).unwrap();
        assert!(Arc::ptr_eq(&before, hashes.by_key.peek("a").unwrap()));
        assert_eq!(hashes.bytes, bytes);
    }
}
