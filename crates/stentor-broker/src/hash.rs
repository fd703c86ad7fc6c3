//! Hashes whose latest value counts: [`HashStore`] on one side, [`HashSink`] on the other.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;

use crate::GapReason;

/// A place that keeps hashes, each a set of named texts under a key, and tells what becomes of them.
///
/// # Contract
///
/// - **Watching** never waits. The sink first hears [`HashEvent::Watching`]: what the key holds then is told next, and so
///   is every value after it. Until then, while the store is away, the key simply waits; [`HashEvent::Refused`] is the
///   answer to a key that will never work, and ends the watch.
/// - **One sink per key.** A second `watch` of the same key replaces the first sink and begins anew.
/// - **Values**: the latest one counts. Those that follow each other quickly may merge into the last of them, equal ones
///   are told once, and none older comes after a newer one.
/// - **Absence** is told once after a value, when it is seen: [`HashEvent::Absent`]. A key that is absent from the beginning is
///   waited for; one that was gone and is back is told, whatever it holds.
/// - **Loss** is an event where values may have been missed for good: [`HashEvent::Gap`]. The value that counts follows
///   it. A connection that was lost and made anew is none: values may merge, and the latest is read again.
/// - **Unwatching** never waits. The sink may hear what was already under way; the store drops its sink soon after.
/// - **Writing** sets the given fields and keeps the key's others. It returns once the store has taken it; an error says
///   whether it may have been taken anyway. Nothing is retried.
/// - **Sinks** of one key are told one thing at a time, and may call `watch` and `unwatch` meanwhile. They may be told
///   before `watch` returns, so its caller holds no lock that the sink takes.
/// - **Memory** held for a key is its name, a handle and its latest value, of at most [`HashValue::MAX_BYTES`]. A larger
///   one is refused: to the writer where the store can know, else to the watch.
#[async_trait]
pub trait HashStore: fmt::Debug + Send + Sync + 'static {
    /// Starts to watch `key`; what becomes of it is told to `sink`.
    fn watch(&self, key: &str, sink: Arc<dyn HashSink>);

    /// Stops watching `key`. A key that nobody watches is ignored.
    fn unwatch(&self, key: &str);

    /// What `key` holds at this moment; `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`HashError::Away`] and [`HashError::Refused`].
    async fn read(&self, key: &str) -> Result<Option<Arc<HashValue>>, HashError>;

    /// Sets `fields` of `key` and keeps its others; no fields at all change nothing.
    ///
    /// # Errors
    ///
    /// [`HashError::Unknown`] when it may have been written, the others when it was not.
    async fn write(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError>;

    /// How many hashes were read from a server so far, for watches and for [`read`](Self::read).
    fn reads(&self) -> u64;

    /// Stops everything; sinks hear nothing more, reads and writes are [`HashError::Away`].
    async fn close(&self);
}

/// Where a store puts what it sees at one key.
pub trait HashSink: Send + Sync + 'static {
    /// Takes one event. Called from the store's own reader, so it must neither block nor wait.
    fn deliver(&self, event: HashEvent);
}

/// What a sink hears about its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HashEvent {
    /// The key holds nothing any more.
    Absent,
    /// Values may have been missed at this place in the order.
    Gap {
        /// Why.
        reason: GapReason,
    },
    /// The key will never work (it holds no hash, say); text for the operator.
    Refused(String),
    /// What the key holds now.
    Value(Arc<HashValue>),
    /// From here on every change is seen. Said once per `watch`.
    Watching,
}

/// What a hash holds: texts by their names, in the order of the names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HashValue {
    fields: BTreeMap<Box<str>, Box<str>>,
    bytes: usize,
}

/// A read or write that was not done, or not confirmed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The store was not reached, and nothing was done; it may be tried again.
    #[error("the hash store was not reached: {0}")]
    Away(String),
    /// The store refuses it, and would again.
    #[error("the hash store refuses it: {0}")]
    Refused(String),
    /// The store may or may not have taken the write.
    #[error("it is not known whether the hash was written: {0}")]
    Unknown(String),
}

/// A hash of more than [`HashValue::MAX_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the hash is larger than {} bytes", HashValue::MAX_BYTES)]
pub struct HashTooLarge;

impl HashValue {
    /// How large the names and texts of one hash may be together, with [`Self::FIELD_BYTES`] for each.
    pub const MAX_BYTES: usize = 1 << 20;

    /// What a field counts beside its name and text, so that many small ones are not free.
    pub const FIELD_BYTES: usize = 64;

    /// A hash of these fields; of two with one name the later counts.
    ///
    /// # Errors
    ///
    /// [`HashTooLarge`].
    pub fn new<N: Into<Box<str>>, T: Into<Box<str>>>(
        fields: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, HashTooLarge> {
        let mut hash = Self::default();
        for (name, text) in fields {
            hash.set(name.into(), text.into())?;
        }
        Ok(hash)
    }

    /// The text of one field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|text| &**text)
    }

    /// All names and texts, in the order of the names.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, text)| (&**name, &**text))
    }

    /// Its size, as [`Self::MAX_BYTES`] counts it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn set(&mut self, name: Box<str>, text: Box<str>) -> Result<(), HashTooLarge> {
        let size = |text: &str| Self::FIELD_BYTES + name.len() + text.len();
        let before = self.fields.get(&name).map_or(0, |before| size(before));
        self.bytes = self.bytes - before + size(&text);
        if self.bytes > Self::MAX_BYTES {
            return Err(HashTooLarge);
        }
        self.fields.insert(name, text);
        Ok(())
    }

    /// This hash with `fields` set.
    pub(crate) fn with(&self, fields: &[(String, String)]) -> Result<Self, HashTooLarge> {
        let mut hash = self.clone();
        for (name, text) in fields {
            hash.set(name.as_str().into(), text.as_str().into())?;
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_hash_is_that_of_its_names_and_texts_and_something_for_each() {
        let hash = HashValue::new([("a", "1"), ("bc", "23"), ("a", "456")]).unwrap();
        assert_eq!(hash.fields().collect::<Vec<_>>(), [("a", "456"), ("bc", "23")]);
        assert_eq!(hash.bytes(), 8 + 2 * HashValue::FIELD_BYTES);
        let hash = hash.with(&[("a".into(), String::new())]).unwrap();
        assert_eq!((hash.get("a"), hash.bytes()), (Some(""), 5 + 2 * HashValue::FIELD_BYTES));
    }

    #[test]
    fn a_hash_is_refused_from_one_byte_above_the_limit_on() {
        let longest = HashValue::MAX_BYTES - HashValue::FIELD_BYTES - 1;
        let text = |length| "x".repeat(length);
        let hash = HashValue::new([("a", text(longest))]).unwrap();
        assert_eq!(hash.bytes(), HashValue::MAX_BYTES);
        assert_eq!(hash.with(&[("b".into(), String::new())]), Err(HashTooLarge));
        assert!(hash.with(&[("a".into(), text(longest))]).is_ok());
        assert_eq!(HashValue::new([("a", text(longest + 1))]), Err(HashTooLarge));
    }
}
