//! A first-in, first-out queue that owns no memory while it is empty.

use std::collections::VecDeque;

/// What waits to be polled.
///
/// Thousands of connections are idle at a time. A `VecDeque` alone keeps the room of its fullest moment.
#[derive(Debug)]
pub(crate) struct Queue<T>(VecDeque<T>);

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, item: T) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(1);
        }
        self.0.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.0.pop_front();
        if self.0.is_empty() {
            self.clear();
        }
        item
    }

    pub(crate) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_queue_owns_nothing() {
        let mut queue = Queue::default();
        for number in 0..100 {
            queue.push(number);
        }
        for number in 0..100 {
            assert_eq!(queue.pop(), Some(number));
        }
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.0.capacity(), 0);
    }
}
