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
    Kept {
        /// With it, a quarter of what may wait does, or more: its reader should be let to read now. A reader that has
        /// stopped altogether never says so: its mailbox is full, or holds one state of each key.
        filling: bool,
    },
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

    /// Puts one event in; `room` is how many bytes the connection's other mailboxes leave to this one.
    pub(crate) fn put(
        &mut self,
        result: &ExecutionResult,
        key: Option<&Arc<str>>,
        room: usize,
        now: Instant,
    ) -> Put {
        let size = result.bytes().len();
        let before = self.len();
        if self.capacity.overflow == Overflow::Latest {
            self.remove_older(key);
        }
        let allowed = self.capacity.bytes.min(room);
        if self.fits(size, allowed) {
            self.push(result.clone(), key.cloned());
            return Put::Kept { filling: self.len() > before && self.is_quarter_full() };
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
        self.take_last_gap()
    }

    /// A loss behind the last event, once nothing waits and nothing will.
    pub(crate) fn take_last_gap(&mut self) -> Option<Gap> {
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

    /// Whether an event more may wait, of whatever size it is.
    pub(crate) fn has_room(&self) -> bool {
        self.fits(1, self.capacity.bytes)
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

    fn is_quarter_full(&self) -> bool {
        self.len() * 4 >= self.capacity.events as usize || self.bytes.saturating_mul(4) >= self.capacity.bytes
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
        if size > allowed {
            // Nothing that could give way would make room for it.
            self.lose(Gap { dropped: Some(1), reason: GapReason::SlowConsumer }, now);
            return Put::Dropped(1);
        }
        let mut lost = Gaps::default();
        let mut dropped = 0;
        while !self.fits(size, allowed) {
            let Some(oldest) = self.take() else { break };
            lost.merge(oldest.gaps);
            lost.add(Gap { dropped: Some(1), reason: GapReason::SlowConsumer });
            dropped += 1;
        }
        self.push(result.clone(), key.cloned());
        self.lose_before_first(lost);
        Put::Dropped(dropped)
    }

    fn lose_before_first(&mut self, lost: Gaps) {
        let first = match &mut self.waiting {
            Waiting::Nothing => None,
            Waiting::One(first) => Some(first),
            Waiting::Several(items) => items.front_mut(),
        };
        if let Some(first) = first {
            first.gaps.merge(lost);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn result(text: &str) -> ExecutionResult {
        ExecutionResult::from_encoded(text.to_owned().into()).expect("an object")
    }

    const KEPT: Put = Put::Kept { filling: false };

    fn mailbox(events: u32, bytes: usize, overflow: Overflow) -> Mailbox {
        Mailbox::new(Capacity { events, bytes, overflow })
    }

    fn put(mailbox: &mut Mailbox, text: &str) -> Put {
        mailbox.put(&result(text), None, usize::MAX, Instant::now())
    }

    fn put_keyed(mailbox: &mut Mailbox, key: &str, text: &str) -> Put {
        mailbox.put(&result(text), Some(&key.into()), usize::MAX, Instant::now())
    }

    /// What waits, each with the number of events lost just before it, and what was lost behind the last.
    fn drain(mailbox: &mut Mailbox) -> (Vec<(String, u64)>, u64) {
        let mut taken = Vec::new();
        while let Some(mut item) = mailbox.take() {
            let dropped = item.gaps.pop().and_then(|gap| gap.dropped).unwrap_or(0);
            taken.push((String::from_utf8_lossy(item.result.bytes()).into_owned(), dropped));
        }
        (taken, mailbox.behind.pop().and_then(|gap| gap.dropped).unwrap_or(0))
    }

    fn texts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|(text, dropped)| ((*text).to_owned(), *dropped)).collect()
    }

    #[test]
    fn a_mailbox_that_holds_nothing_or_one_event_owns_no_queue() {
        let mut mailbox = mailbox(10, 100, Overflow::DropOldest);
        assert!(matches!(mailbox.waiting, Waiting::Nothing));
        put(&mut mailbox, "{a}");
        assert!(matches!(mailbox.waiting, Waiting::One(_)));
        put(&mut mailbox, "{b}");
        drain(&mut mailbox);
        assert!(matches!(mailbox.waiting, Waiting::Nothing));
        assert_eq!(mailbox.bytes(), 0);
    }

    #[test]
    fn what_gives_way_is_counted_at_its_place() {
        type Row<'a> = (&'a str, Overflow, &'a [&'a str], &'a [(&'a str, u64)], u64);
        let rows: [Row<'_>; 4] = [
            ("nothing is lost in time", Overflow::DropOldest, &["{1}", "{2}"], &[("{1}", 0), ("{2}", 0)], 0),
            (
                "the oldest gives way",
                Overflow::DropOldest,
                &["{1}", "{2}", "{3}", "{4}"],
                &[("{3}", 2), ("{4}", 0)],
                0,
            ),
            (
                "the newest gives way",
                Overflow::DropNewest,
                &["{1}", "{2}", "{3}", "{4}"],
                &[("{1}", 0), ("{2}", 0)],
                2,
            ),
            ("all of no key are one", Overflow::Latest, &["{1}", "{2}", "{3}"], &[("{3}", 0)], 0),
        ];
        for (name, overflow, events, waiting, behind) in rows {
            let mut mailbox = mailbox(2, 1_000, overflow);
            for event in events {
                put(&mut mailbox, event);
            }
            assert_eq!(drain(&mut mailbox), (texts(waiting), behind), "{name}");
        }
    }

    #[test]
    fn a_loss_of_the_newest_rides_on_the_next_event() {
        let mut mailbox = mailbox(1, 1_000, Overflow::DropNewest);
        assert_eq!(put(&mut mailbox, "{1}"), Put::Kept { filling: true });
        assert_eq!(put(&mut mailbox, "{2}"), Put::Dropped(1));
        assert!(mailbox.take().is_some());
        put(&mut mailbox, "{3}");
        assert_eq!(drain(&mut mailbox), (texts(&[("{3}", 1)]), 0));
    }

    #[test]
    fn only_an_event_of_the_same_key_is_replaced() {
        let mut mailbox = mailbox(3, 1_000, Overflow::Latest);
        for (key, event) in [("a", "{a1}"), ("b", "{b1}"), ("a", "{a2}"), ("c", "{c1}"), ("b", "{b2}")] {
            assert!(matches!(put_keyed(&mut mailbox, key, event), Put::Kept { .. }), "{event}");
        }
        assert_eq!(drain(&mut mailbox), (texts(&[("{a2}", 0), ("{c1}", 0), ("{b2}", 0)]), 0));
    }

    #[test]
    fn too_many_keys_push_out_the_oldest_and_are_told() {
        let mut mailbox = mailbox(2, 1_000, Overflow::Latest);
        for (key, event) in [("a", "{a}"), ("b", "{b}"), ("c", "{c}")] {
            put_keyed(&mut mailbox, key, event);
        }
        assert_eq!(drain(&mut mailbox), (texts(&[("{b}", 1), ("{c}", 0)]), 0));
    }

    #[test]
    fn a_mailbox_that_must_not_lose_says_so_instead() {
        let mut mailbox = mailbox(1, 1_000, Overflow::Close);
        assert_eq!(put(&mut mailbox, "{1}"), Put::Kept { filling: true });
        assert_eq!(put(&mut mailbox, "{2}"), Put::Overflowed);
    }

    #[test]
    fn bytes_are_bounded_for_the_mailbox_and_for_what_the_connection_leaves() {
        let mut own = mailbox(10, 7, Overflow::DropOldest);
        put(&mut own, "{1}");
        put(&mut own, "{2}");
        assert_eq!(put(&mut own, "{3}"), Put::Dropped(1));
        assert_eq!(own.bytes(), 6);

        let mut shared = mailbox(10, 1_000, Overflow::DropOldest);
        shared.put(&result("{1}"), None, 3, Instant::now());
        assert_eq!(shared.put(&result("{2}"), None, 3, Instant::now()), Put::Dropped(1));
        assert_eq!(drain(&mut shared), (texts(&[("{2}", 1)]), 0));
    }

    #[test]
    fn a_newer_state_takes_the_room_of_the_one_it_replaces() {
        let mut mailbox = mailbox(10, 1_000, Overflow::Latest);
        mailbox.put(&result("{1}"), None, 3, Instant::now());
        assert_eq!(mailbox.put(&result("{2}"), None, 3, Instant::now()), KEPT);
        assert_eq!(drain(&mut mailbox), (texts(&[("{2}", 0)]), 0));
    }

    #[test]
    fn a_mailbox_says_that_it_fills_from_a_quarter_on_and_not_while_it_is_full() {
        let mut mailbox = mailbox(8, 1_000, Overflow::DropOldest);
        let outcomes: Vec<_> = (0..20).map(|_| put(&mut mailbox, "{1}")).collect();
        assert_eq!(outcomes[0], KEPT);
        assert!(outcomes[1..8].iter().all(|outcome| *outcome == Put::Kept { filling: true }));
        assert!(outcomes[8..].iter().all(|outcome| *outcome == Put::Dropped(1)));
    }

    #[test]
    fn an_event_larger_than_the_mailbox_is_a_loss_of_itself_alone() {
        let mut mailbox = mailbox(10, 5, Overflow::DropOldest);
        put(&mut mailbox, "{1}");
        assert_eq!(put(&mut mailbox, "{0123456789}"), Put::Dropped(1));
        assert_eq!(drain(&mut mailbox), (texts(&[("{1}", 0)]), 1));
    }

    #[test]
    fn a_loss_without_an_event_waits_for_its_time() {
        let start = Instant::now();
        let patience = Duration::from_secs(1);
        let mut mailbox = mailbox(1, 1_000, Overflow::DropOldest);
        let gap = Gap { dropped: None, reason: GapReason::BrokerReconnect };
        mailbox.lose(gap, start);
        assert_eq!(mailbox.take_lone_gap(start + patience / 2, patience), None);
        assert_eq!(mailbox.take_lone_gap(start + patience, patience), Some(gap));
        assert_eq!(mailbox.lone_gap_since(), None);
    }

    #[test]
    fn whatever_order_things_come_in_every_event_is_taken_or_counted() {
        let mut seed = 7_u64;
        for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
            let mut mailbox = mailbox(5, 40, overflow);
            let (mut sent, mut taken, mut dropped) = (0, 0, 0);
            for _ in 0..10_000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if seed >> 62 == 0 {
                    if let Some(mut item) = mailbox.take() {
                        taken += 1;
                        dropped += item.gaps.pop().and_then(|gap| gap.dropped).unwrap_or(0);
                    }
                } else {
                    sent += 1;
                    put(&mut mailbox, &format!("{{{}}}", "x".repeat((seed >> 32) as usize % 12)));
                }
            }
            let (rest, behind) = drain(&mut mailbox);
            taken += rest.len() as u64;
            dropped += behind + rest.iter().map(|(_, dropped)| dropped).sum::<u64>();
            assert_eq!(taken + dropped, sent, "{overflow:?}");
        }
    }
}
