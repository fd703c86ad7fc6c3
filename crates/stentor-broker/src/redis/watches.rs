//! Which hashes are watched, and which must be read now: [`Watches`]. No I/O.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{HashEvent, HashSink, HashValue};

/// Every key that somebody watches, and what its sink knows.
///
/// A key is read once its channel is confirmed, and again after each change that the server announces. One read of a key
/// runs at a time; changes meanwhile cause one more. Where the server announces nothing, [`Watches::poll`] makes keys due.
#[derive(Default)]
pub(super) struct Watches {
    by_key: HashMap<Arc<str>, Watch>,
    /// The keys to read, by their tickets: first come, first served.
    due: BTreeMap<u64, Arc<str>>,
    tickets: u64,
    /// Whether the server is believed to announce changes.
    announces: bool,
    closed: bool,
}

struct Watch {
    key: Arc<str>,
    sink: Arc<dyn HashSink>,
    channel: Channel,
    reading: Reading,
    told: Told,
}

/// What the server said to the channel on which it announces a key's changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Channel {
    Unconfirmed,
    Confirmed,
    /// The channel is forbidden: only polls find changes.
    Forbidden,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Idle,
    /// The server could not answer; the next poll tries again.
    Failed,
    Due {
        ticket: u64,
        cause: Cause,
    },
    Running {
        ticket: u64,
        cause: Cause,
        again: bool,
    },
}

/// Why a key is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The server announced a change, or is asked for the first time.
    Change,
    /// It was time to look.
    Poll,
}

/// What the sink has been told last.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Told {
    Nothing,
    /// That it watches, and no value since, or that there is none any more.
    Watching,
    Value(Arc<HashValue>),
    /// A value, and the key was absent since, for a moment at least.
    Gone,
}

/// One read that is to be made now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Read {
    pub(super) key: Arc<str>,
    ticket: u64,
}

/// What a read found.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    Absent,
    /// The server could not answer now.
    Later(String),
    /// The key will never work.
    Refused(String),
    Value(HashValue),
}

/// What a sink is to be told, in this order.
pub(super) struct News {
    pub(super) sink: Arc<dyn HashSink>,
    pub(super) watching: bool,
    pub(super) event: Option<HashEvent>,
}

impl Watches {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(|key| &**key)
    }

    /// Watches `key` for `sink`. The sink it had is handed back, to be dropped where no lock is held.
    pub(super) fn watch(&mut self, key: &str, sink: Arc<dyn HashSink>) -> Option<Arc<dyn HashSink>> {
        if self.closed {
            return Some(sink);
        }
        let before = self.unwatch(key);
        let key = Arc::<str>::from(key);
        let watch = Watch {
            key: Arc::clone(&key),
            sink,
            channel: Channel::Unconfirmed,
            reading: Reading::Idle,
            told: Told::Nothing,
        };
        self.by_key.insert(key, watch);
        before
    }

    /// Watches `key` no longer. Its sink is handed back, to be dropped where no lock is held.
    pub(super) fn unwatch(&mut self, key: &str) -> Option<Arc<dyn HashSink>> {
        let watch = self.by_key.remove(key)?;
        if let Reading::Due { ticket, .. } = watch.reading {
            self.due.remove(&ticket);
        }
        Some(watch.sink)
    }

    /// Forgets everything, for good. What was forgotten is handed back, to be dropped where no lock is held.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::default() })
    }

    /// From here on the server announces what changes at `key`.
    pub(super) fn confirmed(&mut self, key: &str) {
        self.settle(key, Channel::Confirmed);
    }

    /// The server will not say what changes at `key`.
    pub(super) fn forbidden(&mut self, key: &str) {
        self.settle(key, Channel::Forbidden);
    }

    fn settle(&mut self, key: &str, channel: Channel) {
        if let Some(watch) = self.by_key.get_mut(key) {
            watch.channel = channel;
            self.request(key, Cause::Change);
        }
    }

    /// The server announces that `key` changed; `gone` if it was absent, for a moment at least.
    pub(super) fn changed(&mut self, key: &str, gone: bool) {
        self.announces = true;
        let Some(watch) = self.by_key.get_mut(key) else { return };
        if gone && matches!(watch.told, Told::Value(_)) {
            watch.told = Told::Gone;
        }
        self.request(key, Cause::Change);
    }

    /// What the server says of its own announcements.
    pub(super) fn announces(&mut self, announces: bool) {
        self.announces = announces;
    }

    /// It is time to look at the keys whose changes are not announced, or at every key, for `safety`.
    pub(super) fn poll(&mut self, safety: bool) {
        let all = safety || !self.announces;
        let unheard = |watch: &Watch| watch.channel == Channel::Forbidden || watch.reading == Reading::Failed;
        let keys = self.by_key.iter().filter(|(_, watch)| watch.channel != Channel::Unconfirmed);
        let keys = keys.filter(|(_, watch)| all || unheard(watch)).map(|(key, _)| Arc::clone(key));
        for key in keys.collect::<Vec<_>>() {
            self.request(&key, Cause::Poll);
        }
    }

    fn request(&mut self, key: &str, cause: Cause) {
        let Some(watch) = self.by_key.get_mut(key) else { return };
        match &mut watch.reading {
            Reading::Idle | Reading::Failed => {
                self.tickets += 1;
                watch.reading = Reading::Due { ticket: self.tickets, cause };
                self.due.insert(self.tickets, Arc::clone(&watch.key));
            }
            Reading::Due { cause: before, .. } if cause == Cause::Change => *before = cause,
            // A poll that finds its key being read has nothing to add.
            Reading::Running { again, .. } if cause == Cause::Change => *again = true,
            Reading::Due { .. } | Reading::Running { .. } => {}
        }
    }

    /// At most `count` reads to make now; count as being made.
    pub(super) fn take_due(&mut self, count: usize) -> Vec<Read> {
        let mut reads = Vec::new();
        while reads.len() < count
            && let Some((ticket, key)) = self.due.pop_first()
        {
            let Some(watch) = self.by_key.get_mut(&key) else { continue };
            if let Reading::Due { cause, .. } = watch.reading {
                watch.reading = Reading::Running { ticket, cause, again: false };
                reads.push(Read { key, ticket });
            }
        }
        reads
    }

    /// What `read` found: whom to tell, and what. Says nothing to a watch that began after the read.
    pub(super) fn answered(&mut self, read: &Read, found: Found) -> Option<News> {
        let watch = self.by_key.get_mut(&read.key)?;
        let Reading::Running { ticket, cause, again } = watch.reading else { return None };
        if ticket != read.ticket {
            return None;
        }
        watch.reading = if matches!(found, Found::Later(_)) { Reading::Failed } else { Reading::Idle };
        let sink = Arc::clone(&watch.sink);
        let watching = watch.told == Told::Nothing;
        let event = match found {
            Found::Later(_) => None,
            Found::Refused(reason) => {
                self.unwatch(&read.key);
                return Some(News { sink, watching: false, event: Some(HashEvent::Refused(reason)) });
            }
            Found::Absent => {
                let known = std::mem::replace(&mut watch.told, Told::Watching);
                matches!(known, Told::Value(_) | Told::Gone).then_some(HashEvent::Absent)
            }
            Found::Value(value) => watch.tell(value).map(HashEvent::Value),
        };
        if event.is_some() && !watching && cause == Cause::Poll && !again {
            // Nobody announced this.
            self.announces = false;
        }
        if again {
            self.request(&read.key, Cause::Change);
        }
        let told = self.by_key.get(&read.key).is_some_and(|watch| watch.told != Told::Nothing);
        (event.is_some() || watching && told).then_some(News { sink, watching, event })
    }

    /// The connection is lost, and with it every read and every announcement.
    pub(super) fn disconnected(&mut self) {
        self.due.clear();
        self.announces = false;
        let mut forbidden = Vec::new();
        for (key, watch) in &mut self.by_key {
            watch.reading = Reading::Idle;
            match watch.channel {
                Channel::Confirmed | Channel::Unconfirmed => watch.channel = Channel::Unconfirmed,
                // Nobody asks for the channel again, so nothing else would make the key due.
                Channel::Forbidden => forbidden.push(Arc::clone(key)),
            }
        }
        for key in forbidden {
            self.request(&key, Cause::Change);
        }
    }
}

impl Watch {
    /// The value, if it is news.
    fn tell(&mut self, value: HashValue) -> Option<Arc<HashValue>> {
        if matches!(&self.told, Told::Value(before) if **before == value) {
            return None;
        }
        let value = Arc::new(value);
        self.told = Told::Value(Arc::clone(&value));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to one key, and what must be seen, in words:
    ///
    /// - `watch:1`, `leave`, `lost`: sink 1 watches, the sink unwatches, the connection is lost;
    /// - `confirmed`, `forbidden`: what the server says to the key's channel;
    /// - `changed`, `gone`: the server announces a change, or an absence;
    /// - `announces`, `silent`: the server says whether it announces anything;
    /// - `poll`, `safety`: it is time to look, or to look at everything;
    /// - `READ`, `quiet`: the key is read now, or nothing is;
    /// - `found:x>…`, `absent>…`, `later>…`, `refused>…`: the read's answer, and what is told: `1` for sink 1, then `w` for
    ///   `Watching`, a value, `absent` or `refused`; `-` for nothing;
    /// - `empty`: nothing is remembered.
    const TABLE: &[(&str, &str)] = &[
        (
            "a key lives and ends",
            "watch:1 quiet confirmed READ found:x>1wx quiet changed READ found:y>1y leave quiet empty",
        ),
        ("an absent key is waited for", "watch:1 confirmed READ absent>1w quiet changed READ found:x>1x"),
        ("equal values are told once", "watch:1 confirmed READ found:x>1wx changed READ found:x>- quiet"),
        (
            "changes while a read runs cause one more",
            "watch:1 confirmed READ changed changed quiet found:x>1wx READ found:y>1y quiet",
        ),
        ("changes before a read runs cause one", "watch:1 confirmed changed changed READ found:x>1wx quiet"),
        (
            "what was seen to be absent is new",
            "watch:1 confirmed READ found:x>1wx changed READ absent>1absent changed READ found:x>1x",
        ),
        (
            "what was said to be absent is new",
            "watch:1 confirmed READ found:x>1wx gone changed READ found:x>1x",
        ),
        (
            "what was said to be absent, and is, is told so once",
            "watch:1 confirmed READ found:x>1wx gone READ absent>1absent gone READ absent>- changed READ found:x>1x",
        ),
        ("absent before it was ever there", "watch:1 confirmed gone READ absent>1w"),
        ("nothing is polled that is announced", "watch:1 confirmed READ absent>1w announces poll quiet"),
        (
            "all is polled where nothing is announced",
            "watch:1 confirmed READ absent>1w silent poll READ found:x>1x poll READ found:x>- quiet",
        ),
        ("all is polled for safety", "watch:1 confirmed READ absent>1w announces safety READ absent>- quiet"),
        (
            "one announcement says that the server announces",
            "watch:1 confirmed READ absent>1w changed READ absent>- poll quiet",
        ),
        (
            "a change that nobody announced says that the server does not",
            "watch:1 confirmed READ absent>1w announces safety READ found:x>1x poll READ found:x>- quiet",
        ),
        (
            "a change that is announced while a poll reads it says nothing",
            "watch:1 confirmed READ absent>1w announces safety READ changed found:x>1x READ found:x>- poll quiet",
        ),
        (
            "a forbidden channel is polled",
            "watch:1 forbidden READ absent>1w announces poll READ found:x>1x quiet",
        ),
        ("an unconfirmed channel is not polled", "watch:1 poll safety quiet"),
        ("a poll while a read runs is no second one", "watch:1 confirmed READ poll safety found:x>1wx quiet"),
        (
            "a server that cannot answer is asked at the next poll",
            "watch:1 confirmed READ later>- announces quiet poll READ absent>1w poll quiet",
        ),
        (
            "a first value that comes late was not kept silent",
            "watch:1 confirmed READ later>- announces poll READ found:x>1wx poll quiet",
        ),
        ("a change makes a failed read due", "watch:1 confirmed READ later>- changed READ found:x>1wx quiet"),
        ("refused", "watch:1 confirmed READ refused>1refused quiet empty"),
        ("refused later", "watch:1 confirmed READ absent>1w changed READ refused>1refused quiet empty"),
        ("refused while it changes", "watch:1 confirmed READ changed refused>1refused quiet empty"),
        ("left while it is due", "watch:1 confirmed leave quiet empty"),
        ("left while it is read", "watch:1 confirmed READ leave found:x>- quiet empty"),
        (
            "replaced while it is read",
            "watch:1 confirmed READ watch:2 found:x>- quiet confirmed READ found:x>2wx",
        ),
        (
            "replaced and read again while it is read",
            "watch:1 confirmed READ watch:2 confirmed found:x>- READ found:y>2wy",
        ),
        ("replaced while it is due", "watch:1 confirmed watch:2 quiet confirmed READ absent>2w quiet"),
        (
            "a lost connection is no gap: the key is read again",
            "watch:1 confirmed READ found:x>1wx lost quiet confirmed READ found:x>- changed READ found:y>1y",
        ),
        ("lost while it is due", "watch:1 confirmed lost quiet confirmed READ found:x>1wx quiet"),
        ("lost while it is read", "watch:1 confirmed READ lost found:x>- quiet confirmed READ found:y>1wy"),
        ("lost with a forbidden channel", "watch:1 forbidden READ absent>1w lost READ found:x>1x quiet"),
        (
            "a loss forgets that changes are announced",
            "watch:1 announces lost confirmed READ absent>1w poll READ",
        ),
        ("nobody watches", "confirmed forbidden changed gone poll safety leave quiet empty"),
    ];

    #[test]
    fn keys_are_read_when_they_may_have_changed_and_no_more() {
        for (fact, steps) in TABLE {
            let mut table = Table::default();
            for step in steps.split_whitespace() {
                assert_eq!(table.step(step), step, "{fact}: {steps}");
            }
        }
    }

    #[test]
    fn keys_are_read_in_the_order_in_which_they_became_due() {
        let mut watches = Watches::default();
        for key in ["a", "b", "c"] {
            watches.watch(key, Arc::new(Silent));
        }
        for key in ["b", "c", "a", "b"] {
            watches.confirmed(key);
        }
        let first = watches.take_due(2);
        watches.changed("b", false);
        watches.answered(&first[0], Found::Absent);
        let second = watches.take_due(2);
        let keys = |reads: &[Read]| reads.iter().map(|read| read.key.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (keys(&first), keys(&second)),
            (vec!["b".into(), "c".into()], vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn a_closed_store_watches_nothing() {
        let mut watches = Watches::default();
        watches.watch("a", Arc::new(Silent));
        assert_eq!(watches.close().by_key.len(), 1);
        assert!(watches.watch("a", Arc::new(Silent)).is_some(), "the sink is handed back");
        assert!(watches.is_empty() && watches.is_closed());
    }

    struct Silent;

    impl HashSink for Silent {
        fn deliver(&self, _: HashEvent) {}
    }

    #[derive(Default)]
    struct Table {
        watches: Watches,
        /// Every sink that was used; the first one is number 1.
        sinks: Vec<Arc<dyn HashSink>>,
        read: Option<Read>,
    }

    impl Table {
        /// Does what `step` says, and says what was seen in the same words.
        fn step(&mut self, step: &str) -> String {
            let (word, rest) = step.split_once([':', '>']).unwrap_or((step, ""));
            match word {
                "watch" => {
                    self.sinks.push(Arc::new(Silent));
                    assert_eq!(self.sinks.len().to_string(), rest);
                    self.watches.watch("k", Arc::clone(&self.sinks[self.sinks.len() - 1]));
                }
                "leave" => drop(self.watches.unwatch("k")),
                "lost" => self.watches.disconnected(),
                "confirmed" => self.watches.confirmed("k"),
                "forbidden" => self.watches.forbidden("k"),
                "changed" | "gone" => self.watches.changed("k", word == "gone"),
                "announces" | "silent" => self.watches.announces(word == "announces"),
                "poll" | "safety" => self.watches.poll(word == "safety"),
                "READ" | "quiet" => {
                    let reads = self.watches.take_due(9);
                    let word = if reads.is_empty() { "quiet" } else { "READ" };
                    self.read = reads.into_iter().next().or_else(|| self.read.take());
                    return word.into();
                }
                "found" => {
                    let name = rest.split_once('>').expect("a value, and what is told").0;
                    let told = self.answer(Found::Value(value(name)));
                    return format!("found:{name}>{told}");
                }
                "absent" => return format!("absent>{}", self.answer(Found::Absent)),
                "later" => return format!("later>{}", self.answer(Found::Later("busy".into()))),
                "refused" => return format!("refused>{}", self.answer(Found::Refused("no".into()))),
                "empty" => assert!(self.watches.is_empty() && !self.watches.is_due()),
                _ => panic!("no such step: {step}"),
            }
            step.into()
        }

        fn answer(&mut self, found: Found) -> String {
            let read = self.read.take().expect("a read was made");
            let Some(news) = self.watches.answered(&read, found) else { return "-".into() };
            let number = self.sinks.iter().position(|known| Arc::ptr_eq(known, &news.sink));
            let mut told = (number.expect("only known sinks are used") + 1).to_string();
            if news.watching {
                told.push('w');
            }
            match news.event {
                None => {}
                Some(HashEvent::Value(value)) => told.push_str(value.get("name").expect("it has a name")),
                Some(HashEvent::Absent) => told.push_str("absent"),
                Some(HashEvent::Refused(_)) => told.push_str("refused"),
                Some(other) => panic!("{other:?}"),
            }
            told
        }
    }

    fn value(name: &str) -> HashValue {
        HashValue::new([("name", name)]).expect("it is small")
    }
}
