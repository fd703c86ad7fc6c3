//! The running operations of a connection, by key and by id.

use serde_json::Value;

use crate::message::escape;

/// Names one operation of a connection. It counts up and is never used again, unlike the client's ids.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OperationKey(u64);

impl OperationKey {
    /// The number behind the key; the first one on a connection is 1.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The key with that number, for callers that keep numbers; whether it names an operation is the connection's to say.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// All operations that run; none of them owns memory once it has ended.
#[derive(Debug, Default)]
pub(super) struct Operations {
    last_key: u64,
    /// Ascending by key: keys count up, so a new operation goes to the end.
    running: Vec<Operation>,
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn insert(&mut self, id: &str, ack_id: Option<Value>) -> OperationKey {
        self.last_key += 1;
        let key = OperationKey(self.last_key);
        // Most connections have one operation, and `push` would make room for four.
        if self.running.capacity() == 0 {
            self.running.reserve_exact(1);
        }
        self.running.push(Operation { key, id: OperationId::new(id), ack_id: ack_id.map(Box::new) });
        key
    }

    pub(super) fn get(&self, key: OperationKey) -> Option<&Operation> {
        self.position(key).map(|position| &self.running[position])
    }

    /// Looks through all of them: a map would cost every connection memory, and a thousand short strings take
    /// some microseconds, a fraction of what the request behind them takes.
    pub(super) fn find(&self, id: &str) -> Option<OperationKey> {
        self.running.iter().find(|operation| operation.id.as_str() == id).map(|operation| operation.key)
    }

    pub(super) fn take_ack_id(&mut self, key: OperationKey) -> Option<Value> {
        let position = self.position(key)?;
        self.running[position].ack_id.take().map(|ack_id| *ack_id)
    }

    pub(super) fn remove(&mut self, key: OperationKey) -> Option<Operation> {
        let position = self.position(key)?;
        let operation = self.running.remove(position);
        if self.running.len() * 4 <= self.running.capacity() {
            self.running.shrink_to(self.running.len() * 2);
        }
        Some(operation)
    }

    fn position(&self, key: OperationKey) -> Option<usize> {
        self.running.binary_search_by_key(&key, |operation| operation.key).ok()
    }
}

/// One running operation.
#[derive(Debug)]
pub(super) struct Operation {
    key: OperationKey,
    pub(super) id: OperationId,
    /// Kept until the operation is live; see [`Connection::live`](super::Connection::live).
    ack_id: Option<Box<Value>>,
}

/// A client's id, as it is and as it stands in JSON.
///
/// Escaping once here is what lets each result go out without looking at the id again.
#[derive(Debug)]
pub(super) struct OperationId {
    /// The id; then, only if that differs, the id escaped.
    text: Box<str>,
    id_bytes: u32,
}

impl OperationId {
    fn new(id: &str) -> Self {
        let mut text = escape(id);
        if text != id {
            text.insert_str(0, id);
        }
        debug_assert!(id.len() <= MAX_ID_BYTES);
        Self { text: text.into_boxed_str(), id_bytes: id.len() as u32 }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text[..self.id_bytes as usize]
    }

    /// The id between the quotes of JSON text.
    pub(super) fn escaped(&self) -> &str {
        let id_bytes = self.id_bytes as usize;
        if id_bytes == self.text.len() { &self.text } else { &self.text[id_bytes..] }
    }
}

/// How long an operation's id may be, in bytes. Clients use UUIDs, which have 36.
pub const MAX_ID_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_once_unless_json_escapes_it() {
        let plain = OperationId::new("a-1");
        assert_eq!((plain.as_str(), plain.escaped(), plain.text.len()), ("a-1", "a-1", 3));
        let quoted = OperationId::new("\"é\n");
        assert_eq!((quoted.as_str(), quoted.escaped()), ("\"é\n", r#"\"é\n"#));
    }

    #[test]
    fn one_operation_takes_room_for_one() {
        let mut operations = Operations::default();
        operations.insert("a", None);
        assert_eq!(operations.running.capacity(), 1);
    }

    #[test]
    fn room_is_given_back_when_operations_end() {
        let mut operations = Operations::default();
        let keys: Vec<_> = (0..1_000).map(|number| operations.insert(&number.to_string(), None)).collect();
        for key in &keys {
            assert!(operations.remove(*key).is_some());
            assert!(operations.running.capacity() <= 16 + 4 * operations.len());
        }
        assert_eq!(operations.running.capacity(), 0);
    }
}
