//! What waits for one subscription: [`Mailbox`].

use std::{collections::VecDeque, sync::Arc};

use stentor_schema::{ExecutionResult, Overflow};
use tokio::time::Instant;

use crate::gap::{Gap, GapReason, Gaps};

/// The bounded queue of one subscription. Allocates nothing until a second event waits.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Waiting,
    bytes: usize,
    /// Losses behind the last waiting event, and when the first of them happened.
    behind: Gaps,
    behind_since: Option<Instant>,
    capacity: Capacity,
}

/// How much may wait, and what gives way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    pub(crate) events: u32,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

/// One event on its way to one subscription.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) result: ExecutionResult,
    /// Losses just before it.
    pub(crate) gaps: Gaps,
    /// What it is a newer state of, for [`Overflow::Latest`].
    key: Option<Arc<str>>,
}

/// What became of an event that was put in.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Put {
    /// It waits, and nothing was lost.
    Kept,
    /// That many events gave way, perhaps this one.
    Dropped(u64),
    /// The mailbox is full, and its rule is to close the connection.
    Overflowed,
}

#[derive(Debug)]
enum Waiting {
    Nothing,
    One(Item),
    Several(VecDeque<Item>),
}

impl Mailbox {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { waiting: Waiting::Nothing, bytes: 0, behind: Gaps::default(), behind_since: None, capacity }
    }

    /// Puts one event in; `room` is how many bytes the connection's other mailboxes leave.
    pub(crate) fn put(
        &mut self,
        result: &ExecutionResult,
        key: Option<&Arc<str>>,
        room: usize,
        now: Instant,
    ) -> Put {
        let size = result.bytes().len();
        if self.capacity.overflow == Overflow::Latest {
            self.remove_older(key);
        }
        let allowed = self.capacity.bytes.min(self.bytes.saturating_add(room));
        if self.fits(size, allowed) {
            self.push(result.clone(), key.cloned());
            return Put::Kept;
        }
        match self.capacity.overflow {
            Overflow::Close => Put::Overflowed,
            Overflow::DropNewest => {
                self.lose(Gap { dropped: Some(1), reason: GapReason::SlowConsumer }, now);
                Put::Dropped(1)
            }
            Overflow::DropOldest | Overflow::Latest => self.push_over_oldest(result, key, allowed, now),
        }
    }

    /// Notes a loss behind everything that waits.
    pub(crate) fn lose(&mut self, gap: Gap, now: Instant) {
        self.behind.add(gap);
        self.behind_since.get_or_insert(now);
    }

    /// The event that waited longest.
    pub(crate) fn take(&mut self) -> Option<Item> {
        let item = match &mut self.waiting {
            Waiting::Nothing => return None,
            Waiting::One(_) => match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
                Waiting::One(item) => item,
                Waiting::Nothing | Waiting::Several(_) => return None,
            },
            Waiting::Several(items) => {
                let item = items.pop_front()?;
                if items.is_empty() {
                    self.waiting = Waiting::Nothing;
                }
                item
            }
        };
        self.bytes -= item.size();
        Some(item)
    }

    /// A loss that has no event to ride on, once its time has come.
    pub(crate) fn take_lone_gap(&mut self, now: Instant, patience: std::time::Duration) -> Option<Gap> {
        if self.lone_gap_since()? + patience > now {
            return None;
        }
        let gap = self.behind.pop();
        if self.behind.is_empty() {
            self.behind_since = None;
        }
        gap
    }

    /// Since when a loss waits for an event to ride on, with no event before it.
    pub(crate) fn lone_gap_since(&self) -> Option<Instant> {
        if matches!(self.waiting, Waiting::Nothing) { self.behind_since } else { None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.waiting, Waiting::Nothing)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn len(&self) -> usize {
        match &self.waiting {
            Waiting::Nothing => 0,
            Waiting::One(_) => 1,
            Waiting::Several(items) => items.len(),
        }
    }

    fn fits(&self, size: usize, allowed: usize) -> bool {
        self.len() < self.capacity.events as usize && self.bytes + size <= allowed
    }

    fn push(&mut self, result: ExecutionResult, key: Option<Arc<str>>) {
        self.behind_since = None;
        let item = Item { result, gaps: std::mem::take(&mut self.behind), key };
        self.bytes += item.size();
        self.waiting = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => Waiting::One(item),
            Waiting::One(first) => Waiting::Several(VecDeque::from([first, item])),
            Waiting::Several(mut items) => {
                items.push_back(item);
                Waiting::Several(items)
            }
        };
    }

    fn push_over_oldest(
        &mut self,
        result: &ExecutionResult,
        key: Option<&Arc<str>>,
        allowed: usize,
        now: Instant,
    ) -> Put {
        let size = result.bytes().len();
        let mut lost = Gaps::default();
        let mut dropped = 0;
        while !self.fits(size, allowed) {
            let Some(oldest) = self.take() else { break };
            lost.merge(oldest.gaps);
            lost.add(Gap { dropped: Some(1), reason: GapReason::SlowConsumer });
            dropped += 1;
        }
        if self.fits(size, allowed) {
            self.push(result.clone(), key.cloned());
        } else {
            // Larger than everything that may wait: it is itself what gives way.
            self.lose(Gap { dropped: Some(1), reason: GapReason::SlowConsumer }, now);
            dropped += 1;
        }
        self.lose_before_first(lost, now);
        Put::Dropped(dropped)
    }

    fn lose_before_first(&mut self, lost: Gaps, now: Instant) {
        match &mut self.waiting {
            Waiting::One(first) => first.gaps.merge(lost),
            Waiting::Several(items) => {
                if let Some(first) = items.front_mut() {
                    first.gaps.merge(lost);
                }
            }
            Waiting::Nothing => {
                self.behind.merge(lost);
                self.behind_since.get_or_insert(now);
            }
        }
    }

    /// Removes the waiting event that has the same key. Its losses move to the one behind it.
    fn remove_older(&mut self, key: Option<&Arc<str>>) {
        match &mut self.waiting {
            Waiting::Nothing => {}
            Waiting::One(item) => {
                if item.key.as_ref() == key
                    && let Some(older) = self.take()
                {
                    self.behind.merge(older.gaps);
                }
            }
            Waiting::Several(items) => {
                let Some(place) = items.iter().position(|item| item.key.as_ref() == key) else { return };
                let Some(older) = items.remove(place) else { return };
                self.bytes -= older.size();
                match items.get_mut(place) {
                    Some(next) => next.gaps.merge(older.gaps),
                    None => self.behind.merge(older.gaps),
                }
                if items.is_empty() {
                    self.waiting = Waiting::Nothing;
                }
            }
        }
    }
}

impl Item {
    fn size(&self) -> usize {
        self.result.bytes().len()
    }
}
