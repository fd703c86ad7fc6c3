//! The contract of [`HashStore`], one fact a function, for every implementation.
//!
//! Start at [`hash_conformance!`](crate::hash_conformance), which makes a test of each fact. A fact takes a
//! [`HashWorld`] of its own and waits for what it expects, never for time to pass.

use std::{any::Any, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{Heard, PATIENCE, RecordingSink};
use crate::{HashError, HashEvent, HashSink, HashStore, HashValue};

/// Makes a `#[tokio::test]` of every fact, each in a new world from `$world`, an async function without arguments.
#[macro_export]
macro_rules! hash_conformance {
    ($world:path) => {
        $crate::conformance! { hash_conformance $world:
            a_thousand_keys_each_tell_their_own
            a_write_sets_its_fields_and_keeps_the_others
            a_write_too_large_is_refused_and_changes_nothing
            absent_keys_are_waited_for
            close_stops_everything
            closing_twice_is_closing_once
            equal_values_are_told_once
            keys_and_fields_are_any_text
            keys_are_values_not_patterns
            many_writers_end_in_one_value_that_all_agree_on
            nothing_arrives_after_unwatching_has_settled
            quick_writes_end_with_the_last_and_never_go_back
            racing_watches_end_as_the_last_call_says
            reading_says_what_was_written
            second_watch_replaces_the_sink
            sinks_may_use_the_store_while_they_are_told
            the_present_value_comes_first
            unwatching_an_unknown_key_is_ignored
            watching_is_said_once
            writing_no_fields_changes_nothing
        }
    };
}

/// A hash store, and what a fact needs around it.
pub struct HashWorld {
    /// The store that is tested.
    pub store: Arc<dyn HashStore>,
    /// A writer in the same world: another node's store, or another handle where there can be but one node.
    pub other: Arc<dyn HashStore>,
    _keep: Box<dyn Any + Send + Sync>,
}

type HeardHash = Heard<HashEvent>;

impl HashWorld {
    /// A world of two stores that lives as long as `keep`, the server that both use, say.
    pub fn new(store: impl HashStore, other: impl HashStore, keep: impl Any + Send + Sync) -> Self {
        Self { store: Arc::new(store), other: Arc::new(other), _keep: Box::new(keep) }
    }

    fn watch(&self, key: &str) -> HeardHash {
        RecordingSink::watch(&*self.store, key)
    }

    async fn watched(&self, key: &str) -> HeardHash {
        let mut heard = self.watch(key);
        heard.expect_watching().await;
        heard
    }

    async fn write(&self, key: &str, fields: &[(&str, &str)]) {
        write(&*self.other, key, fields).await;
    }

    /// Returns when everything that was asked of the store before is settled. Two rounds, since a store may work on
    /// its keys in any order within one.
    async fn settle(&self) {
        for _ in 0..2 {
            self.watched("settle").await;
        }
    }
}

impl fmt::Debug for HashWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashWorld").field("store", &self.store).finish_non_exhaustive()
    }
}

async fn write(store: &dyn HashStore, key: &str, fields: &[(&str, &str)]) {
    store.write(key, &owned(fields)).await.expect("the store is up");
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The names of all facts in this module, in the order of the alphabet.
pub fn facts() -> Vec<&'static str> {
    super::facts(include_str!("hash_conformance.rs"))
}

/// A thousand keys at one time: each tells its own values and no others.
pub async fn a_thousand_keys_each_tell_their_own(world: &HashWorld) {
    let keys: Vec<_> = (0..1000).map(|i| format!("progress:{i}")).collect();
    let mut all: Vec<_> = keys.iter().map(|key| world.watch(key)).collect();
    for heard in &mut all {
        heard.expect_watching().await;
    }
    for key in &keys {
        world.write(key, &[("key", key)]).await;
    }
    for (key, heard) in keys.iter().zip(&mut all) {
        heard.expect_value(&[("key", key)]).await;
        heard.expect_nothing();
    }
}

/// A write sets the fields it names, and the others stay.
pub async fn a_write_sets_its_fields_and_keeps_the_others(world: &HashWorld) {
    world.write("a", &[("stage", "received"), ("progress", "0")]).await;
    let mut heard = world.watched("a").await;
    heard.expect_value(&[("stage", "received"), ("progress", "0")]).await;
    world.write("a", &[("progress", "0.25"), ("message", "")]).await;
    heard.expect_value(&[("stage", "received"), ("progress", "0.25"), ("message", "")]).await;
}

/// A write that is larger than any hash may be is an error, and the hash is as it was.
pub async fn a_write_too_large_is_refused_and_changes_nothing(world: &HashWorld) {
    let mut heard = world.watched("a").await;
    world.write("a", &[("text", "small")]).await;
    heard.expect_value(&[("text", "small")]).await;
    let large = "x".repeat(HashValue::MAX_BYTES);
    let refused = world.other.write("a", &owned(&[("text", &large)])).await;
    assert!(matches!(refused, Err(HashError::Refused(_))), "{refused:?}");
    world.write("a", &[("more", "text")]).await;
    heard.expect_value(&[("text", "small"), ("more", "text")]).await;
}

/// A key that does not exist says nothing until it does.
pub async fn absent_keys_are_waited_for(world: &HashWorld) {
    assert_eq!(world.store.read("a").await, Ok(None));
    let mut heard = world.watched("a").await;
    world.settle().await;
    heard.expect_nothing();
    world.write("a", &[("stage", "received")]).await;
    heard.expect_value(&[("stage", "received")]).await;
}

/// After `close` no sink is held or told anything, and nothing can be read or written.
pub async fn close_stops_everything(world: &HashWorld) {
    let mut heard = world.watched("a").await;
    world.store.close().await;
    heard.expect_dropped().await;
    let read = world.store.read("a").await;
    assert!(matches!(read, Err(HashError::Away(_))), "{read:?}");
    let write = world.store.write("a", &owned(&[("text", "x")])).await;
    assert!(matches!(write, Err(HashError::Away(_))), "{write:?}");
    world.watch("b").expect_dropped().await;
}

/// A second `close` changes nothing.
pub async fn closing_twice_is_closing_once(world: &HashWorld) {
    world.store.close().await;
    world.store.close().await;
    let read = world.store.read("a").await;
    assert!(matches!(read, Err(HashError::Away(_))), "{read:?}");
}

/// A write that changes nothing is not told.
pub async fn equal_values_are_told_once(world: &HashWorld) {
    let mut heard = world.watched("a").await;
    for _ in 0..3 {
        world.write("a", &[("stage", "received")]).await;
    }
    heard.expect_value(&[("stage", "received")]).await;
    for _ in 0..3 {
        world.write("a", &[("stage", "received")]).await;
    }
    world.write("a", &[("stage", "completed")]).await;
    heard.expect_value(&[("stage", "completed")]).await;
    world.settle().await;
    heard.expect_nothing();
}

/// Keys, names and texts are any text, the empty one too.
pub async fn keys_and_fields_are_any_text(world: &HashWorld) {
    let long = "x".repeat(256);
    let texts = ["progress:1", "two words", "line\r\nend", "Στέντωρ", "📣", "{tag}", "a", "A", "0", &long];
    for text in texts {
        let mut heard = world.watched(text).await;
        world.write(text, &[(text, text), ("empty", "")]).await;
        heard.expect_value(&[(text, text), ("empty", "")]).await;
    }
}

/// A key that looks like a pattern tells the hash of that very name, and none that the pattern would match.
pub async fn keys_are_values_not_patterns(world: &HashWorld) {
    let rows = [("a*", "ab"), ("*", "b"), ("?", "c"), ("[x]", "x"), ("progress:*", "progress:1")];
    for (key, matched) in rows {
        let mut heard = world.watched(key).await;
        world.write(matched, &[("whose", "another's")]).await;
        world.write(key, &[("whose", "its own")]).await;
        heard.expect_value(&[("whose", "its own")]).await;
        world.store.unwatch(key);
        heard.expect_dropped().await;
    }
}

/// When writers on two nodes have all written, the last value told is the one that is read.
pub async fn many_writers_end_in_one_value_that_all_agree_on(world: &HashWorld) {
    let mut heard = world.watched("a").await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(if writer % 2 == 0 { &world.store } else { &world.other });
        writers.spawn(async move {
            for i in 0..25 {
                let (name, text) = (writer.to_string(), i.to_string());
                write(&*store, "a", &[(&name, &text), ("last", &name)]).await;
            }
        });
    }
    writers.join_all().await;
    let end = world.other.read("a").await.expect("the store is up").expect("it was written");
    assert_eq!(end.fields().len(), 9);
    while heard.next(PATIENCE).await.expect("the end is told") != HashEvent::Value(Arc::clone(&end)) {}
    world.settle().await;
    heard.expect_nothing();
}

/// After `unwatch` the sink is let go and hears nothing, while other keys are told on.
pub async fn nothing_arrives_after_unwatching_has_settled(world: &HashWorld) {
    let mut left = world.watched("left").await;
    let mut stays = world.watched("stays").await;
    world.store.unwatch("left");
    world.settle().await;
    world.write("left", &[("text", "untold")]).await;
    world.write("stays", &[("text", "told")]).await;
    stays.expect_value(&[("text", "told")]).await;
    left.expect_dropped().await;
}

/// Of values that follow each other quickly some may be missing, but not the last, and none comes after a newer one.
pub async fn quick_writes_end_with_the_last_and_never_go_back(world: &HashWorld) {
    const LAST: usize = 500;
    let mut heard = world.watched("a").await;
    for i in 1..=LAST {
        world.write("a", &[("i", &i.to_string())]).await;
    }
    let mut last = 0;
    while last < LAST {
        let i = number(heard.next(PATIENCE).await.as_ref());
        assert!(i > last, "{i} after {last}");
        last = i;
    }
    world.settle().await;
    heard.expect_nothing();
}

/// However watching and unwatching follow each other, the last call decides, and no earlier sink hears a new value.
pub async fn racing_watches_end_as_the_last_call_says(world: &HashWorld) {
    for round in 0..100_usize {
        let mut earlier = Vec::new();
        for turn in 0..round % 4 {
            earlier.push(world.watch("a"));
            if turn % 2 == 0 {
                world.store.unwatch("a");
            }
            if round % 5 == 0 {
                // Lets the store begin its work, so that the next call finds it half done.
                tokio::task::yield_now().await;
            }
        }
        let mut last = world.watched("a").await;
        let present = world.store.read("a").await.expect("the store is up");
        if let Some(present) = present {
            last.expect(HashEvent::Value(present)).await;
        }
        world.write("a", &[("i", &round.to_string())]).await;
        last.expect_value(&[("i", &round.to_string())]).await;
        for mut heard in earlier {
            while let Some(event) = heard.next(PATIENCE).await {
                let old = event == HashEvent::Watching || number(Some(&event)) < round;
                assert!(old, "an earlier sink heard {event:?}");
            }
        }
        last.expect_nothing();
        if round % 3 == 0 {
            world.store.unwatch("a");
            last.expect_dropped().await;
        }
    }
}

/// Whoever reads finds what was written before, by whichever node.
pub async fn reading_says_what_was_written(world: &HashWorld) {
    for (writer, reader) in [(&world.store, &world.other), (&world.other, &world.store)] {
        write(&**writer, "a", &[("text", "Στέντωρ"), ("empty", "")]).await;
        let value = reader.read("a").await.expect("the store is up").expect("it was written");
        assert_eq!(value.fields().collect::<Vec<_>>(), [("empty", ""), ("text", "Στέντωρ")]);
    }
    assert_eq!(world.store.read("b").await, Ok(None));
}

/// A second `watch` of the same key lets the first sink go, and tells the second one from the beginning.
pub async fn second_watch_replaces_the_sink(world: &HashWorld) {
    let mut first = world.watched("a").await;
    world.write("a", &[("i", "1")]).await;
    first.expect_value(&[("i", "1")]).await;
    let mut second = world.watched("a").await;
    second.expect_value(&[("i", "1")]).await;
    world.write("a", &[("i", "2")]).await;
    second.expect_value(&[("i", "2")]).await;
    first.expect_dropped().await;
    world.store.unwatch("a");
    second.expect_dropped().await;
}

/// A sink may watch and unwatch while it is told something.
pub async fn sinks_may_use_the_store_while_they_are_told(world: &HashWorld) {
    struct Busy {
        store: Arc<dyn HashStore>,
        next: Mutex<Option<Arc<dyn HashSink>>>,
    }
    impl HashSink for Busy {
        fn deliver(&self, event: HashEvent) {
            let HashEvent::Value(_) = event else { return };
            self.store.unwatch("busy");
            if let Some(next) = self.next.lock().take() {
                self.store.watch("next", next);
            }
        }
    }
    let (next, mut heard) = RecordingSink::<HashEvent>::new();
    let mut other = world.watched("other").await;
    let busy = Busy { store: Arc::clone(&world.store), next: Mutex::new(Some(next)) };
    world.store.watch("busy", Arc::new(busy));
    world.settle().await;
    world.write("busy", &[("go", "")]).await;
    heard.expect_watching().await;
    world.write("next", &[("text", "told")]).await;
    heard.expect_value(&[("text", "told")]).await;
    world.write("other", &[("text", "told too")]).await;
    other.expect_value(&[("text", "told too")]).await;
}

/// What a key holds when it is watched is told at once after `Watching`.
pub async fn the_present_value_comes_first(world: &HashWorld) {
    world.write("a", &[("stage", "completed")]).await;
    let mut heard = world.watched("a").await;
    heard.expect_value(&[("stage", "completed")]).await;
    world.settle().await;
    heard.expect_nothing();
}

/// `unwatch` where nobody watches is no mistake, and neither is a second one.
pub async fn unwatching_an_unknown_key_is_ignored(world: &HashWorld) {
    world.store.unwatch("a");
    let mut heard = world.watched("a").await;
    world.store.unwatch("a");
    world.store.unwatch("a");
    heard.expect_dropped().await;
    let mut heard = world.watched("a").await;
    world.write("a", &[("text", "told")]).await;
    heard.expect_value(&[("text", "told")]).await;
}

/// `Watching` is said once for each `watch`, not once for each store's own reasons.
pub async fn watching_is_said_once(world: &HashWorld) {
    let mut heard = world.watched("a").await;
    world.settle().await;
    world.write("a", &[("text", "next")]).await;
    heard.expect_value(&[("text", "next")]).await;
    heard.expect_nothing();
}

/// A write of no fields is no mistake, and makes no key.
pub async fn writing_no_fields_changes_nothing(world: &HashWorld) {
    assert_eq!(world.store.write("a", &[]).await, Ok(()));
    assert_eq!(world.store.read("a").await, Ok(None));
}

/// Reads a value's number.
fn number(event: Option<&HashEvent>) -> usize {
    let Some(HashEvent::Value(value)) = event else { panic!("expected a value, heard {event:?}") };
    let number = value.get("i").and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("expected a number, heard {event:?}"))
}
