//! The contract of [`Broker`], one fact a function, for every implementation.
//!
//! Start at [`broker_conformance!`](crate::broker_conformance), which makes a test of each fact. A fact takes a
//! [`World`] of its own and waits for what it expects, never for time to pass.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{Heard, PATIENCE, RecordingSink};
use crate::{Broker, BrokerEvent, BrokerMode, PublishError, Sink};

/// Makes a `#[tokio::test]` of every fact, each in a new world from `$world`, an async function without arguments.
#[macro_export]
macro_rules! broker_conformance {
    ($world:path) => {
        $crate::conformance! { conformance $world:
            a_thousand_topics_each_hear_their_own
            close_stops_everything
            closing_twice_is_closing_once
            events_arrive_once_and_in_order
            many_publishers_are_each_heard_once_and_in_their_order
            nothing_arrives_after_unsubscribing_has_settled
            payload_bytes_arrive_unchanged
            publishing_where_nobody_listens_is_fine
            racing_subscriptions_end_as_the_last_call_says
            second_subscribe_replaces_the_sink
            sinks_may_use_the_broker_while_they_are_told
            state_says_that_events_flow_and_since_when
            subscribed_comes_first_and_nothing_is_lost_after_it
            subscribed_is_said_once
            topic_names_are_any_text
            topics_are_values_not_patterns
            unsubscribing_from_an_unknown_topic_is_ignored
        }
    };
}

/// A broker, and what a fact needs around it.
pub struct World {
    /// The broker that is tested.
    pub broker: Arc<dyn Broker>,
    /// A publisher in the same world: another node's broker, or another handle where there can be but one node.
    pub other: Arc<dyn Broker>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl World {
    /// A world of two brokers that lives as long as `keep`, the server that both use, say.
    pub fn new(broker: impl Broker, other: impl Broker, keep: impl Any + Send + Sync) -> Self {
        Self { broker: Arc::new(broker), other: Arc::new(other), _keep: Box::new(keep) }
    }

    fn subscribe(&self, topic: &str) -> Heard {
        RecordingSink::subscribe(&*self.broker, topic)
    }

    async fn subscribed(&self, topic: &str) -> Heard {
        let mut heard = self.subscribe(topic);
        heard.expect_subscribed().await;
        heard
    }

    async fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        self.other.publish(topic, payload.into()).await.expect("the broker is up");
    }

    /// Returns when everything that was asked of the broker before is settled. Two rounds, since a broker may work on
    /// its topics in any order within one.
    async fn settle(&self) {
        for _ in 0..2 {
            self.subscribed("settle").await;
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("broker", &self.broker).finish_non_exhaustive()
    }
}

/// The names of all facts in this module, in the order of the alphabet.
pub fn facts() -> Vec<&'static str> {
    super::facts(include_str!("conformance.rs"))
}

/// A thousand topics at one time: each is confirmed, and hears its own events and no others.
pub async fn a_thousand_topics_each_hear_their_own(world: &World) {
    let names: Vec<_> = (0..1000).map(|i| format!("bot:{i}")).collect();
    let mut all: Vec<_> = names.iter().map(|name| world.subscribe(name)).collect();
    for heard in &mut all {
        heard.expect_subscribed().await;
    }
    for name in &names {
        world.publish(name, name.clone()).await;
    }
    for (name, heard) in names.iter().zip(&mut all) {
        heard.expect_message(name.clone()).await;
        heard.expect_nothing();
    }
}

/// After `close` no sink is held or told anything, publishes are not sent, and the state is down.
pub async fn close_stops_everything(world: &World) {
    let mut heard = world.subscribed("a").await;
    world.broker.close().await;
    heard.expect_dropped().await;
    assert_eq!(world.broker.state().mode, BrokerMode::Down);
    let refused = world.broker.publish("a", Bytes::new()).await;
    assert!(matches!(refused, Err(PublishError::NotSent(_))), "{refused:?}");
    world.subscribe("b").expect_dropped().await;
}

/// A second `close` changes nothing.
pub async fn closing_twice_is_closing_once(world: &World) {
    world.broker.close().await;
    let state = world.broker.state();
    world.broker.close().await;
    assert_eq!(world.broker.state(), state);
}

/// What one publisher sends to one topic arrives once and in the order of sending.
pub async fn events_arrive_once_and_in_order(world: &World) {
    let mut heard = world.subscribed("a").await;
    for i in 0..1000 {
        world.publish("a", i.to_string()).await;
    }
    for i in 0..1000 {
        heard.expect_message(i.to_string()).await;
    }
    heard.expect_nothing();
}

/// Publishers on two nodes that all publish at the same time are each heard whole, once and in their own order.
pub async fn many_publishers_are_each_heard_once_and_in_their_order(world: &World) {
    const PUBLISHERS: usize = 16;
    const EVENTS: usize = 50;
    let mut heard = world.subscribed("a").await;
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let broker = Arc::clone(if publisher % 2 == 0 { &world.broker } else { &world.other });
        publishers.spawn(async move {
            for i in 0..EVENTS {
                broker.publish("a", format!("{publisher} {i}").into()).await.expect("the broker is up");
            }
        });
    }
    publishers.join_all().await;
    let mut next = [0; PUBLISHERS];
    for _ in 0..PUBLISHERS * EVENTS {
        let (publisher, i) = pair(heard.next(PATIENCE).await.as_ref());
        assert_eq!(i, next[publisher], "publisher {publisher}");
        next[publisher] += 1;
    }
    heard.expect_nothing();
}

/// After `unsubscribe` the sink is let go and hears nothing, while other topics hear on.
pub async fn nothing_arrives_after_unsubscribing_has_settled(world: &World) {
    let mut left = world.subscribed("left").await;
    let mut stays = world.subscribed("stays").await;
    world.broker.unsubscribe("left");
    world.settle().await;
    world.publish("left", "unheard").await;
    world.publish("stays", "heard").await;
    stays.expect_message("heard").await;
    left.expect_dropped().await;
}

/// Payloads of any bytes, from none to 1 MiB, arrive as they were sent.
pub async fn payload_bytes_arrive_unchanged(world: &World) {
    let mebibyte: Vec<u8> =
        (0..1 << 20).map(|i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\0"),
        Bytes::from_static(b"\r\n$3\r\n+OK\r\n"),
        Bytes::from_static("Στέντωρ 📣 \u{2028}".as_bytes()),
        Bytes::from_static(b"\xff\xfe not UTF-8 \xc3\x28"),
        (0..=255).collect(),
        mebibyte.into(),
        Bytes::from_static(b"and small again"),
    ];
    let mut heard = world.subscribed("a").await;
    for payload in &payloads {
        world.publish("a", payload.clone()).await;
    }
    for payload in payloads {
        heard.expect_message(payload).await;
    }
}

/// A topic without a listener takes events, and a listener who comes later does not hear them.
pub async fn publishing_where_nobody_listens_is_fine(world: &World) {
    world.publish("a", "early").await;
    let mut heard = world.subscribed("a").await;
    world.publish("a", "late").await;
    heard.expect_message("late").await;
}

/// However subscribing and unsubscribing follow each other, the last call decides, and no earlier sink hears an event.
pub async fn racing_subscriptions_end_as_the_last_call_says(world: &World) {
    for round in 0..100 {
        let mut earlier = Vec::new();
        for turn in 0..round % 4 {
            earlier.push(world.subscribe("a"));
            if turn % 2 == 0 {
                world.broker.unsubscribe("a");
            }
            if round % 5 == 0 {
                // Lets the broker begin its work, so that the next call finds it half done.
                tokio::task::yield_now().await;
            }
        }
        let mut last = world.subscribed("a").await;
        world.publish("a", round.to_string()).await;
        last.expect_message(round.to_string()).await;
        for mut heard in earlier {
            let first = heard.next(PATIENCE).await;
            assert!(matches!(first, None | Some(BrokerEvent::Subscribed)), "an earlier sink heard {first:?}");
            heard.expect_dropped().await;
        }
        last.expect_nothing();
        if round % 3 == 0 {
            world.broker.unsubscribe("a");
            last.expect_dropped().await;
        }
    }
}

/// A second `subscribe` to a topic lets the first sink go and confirms the second one.
pub async fn second_subscribe_replaces_the_sink(world: &World) {
    let mut first = world.subscribed("a").await;
    let mut second = world.subscribed("a").await;
    world.publish("a", "once").await;
    second.expect_message("once").await;
    first.expect_dropped().await;
    world.broker.unsubscribe("a");
    second.expect_dropped().await;
}

/// A sink may publish nothing while it is told something, but it may subscribe, unsubscribe and ask for the state.
pub async fn sinks_may_use_the_broker_while_they_are_told(world: &World) {
    struct Busy {
        broker: Arc<dyn Broker>,
        next: Mutex<Option<Arc<dyn Sink>>>,
    }
    impl Sink for Busy {
        fn deliver(&self, event: BrokerEvent) {
            assert_ne!(self.broker.state().mode, BrokerMode::Down);
            let BrokerEvent::Message(_) = event else { return };
            self.broker.unsubscribe("busy");
            if let Some(next) = self.next.lock().take() {
                self.broker.subscribe("next", next);
            }
        }
    }
    let (next, mut heard) = RecordingSink::new();
    let mut other = world.subscribed("other").await;
    let busy = Busy { broker: Arc::clone(&world.broker), next: Mutex::new(Some(next)) };
    world.broker.subscribe("busy", Arc::new(busy));
    world.settle().await;
    world.publish("busy", "go").await;
    heard.expect_subscribed().await;
    world.publish("next", "heard").await;
    heard.expect_message("heard").await;
    world.publish("other", "heard too").await;
    other.expect_message("heard too").await;
}

/// A broker that works says so, and since when; whether in fallback or not, events flow.
pub async fn state_says_that_events_flow_and_since_when(world: &World) {
    let state = world.broker.state();
    let age = SystemTime::now().duration_since(state.since).expect("it is not in the future");
    assert!(state.mode != BrokerMode::Down && age < Duration::from_secs(60), "{state:?}");
}

/// Under a flood of events a new sink first hears `Subscribed`, and from then on every event.
pub async fn subscribed_comes_first_and_nothing_is_lost_after_it(world: &World) {
    let other = Arc::clone(&world.other);
    let flood = tokio::spawn(async move {
        for i in 0_usize.. {
            other.publish("a", format!("0 {i}").into()).await.expect("the broker is up");
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..20 {
        let mut heard = world.subscribed("a").await;
        let (_, first) = pair(heard.next(PATIENCE).await.as_ref());
        for i in first + 1..first + 20 {
            heard.expect_message(format!("0 {i}")).await;
        }
    }
    flood.abort();
}

/// `Subscribed` is said once for each `subscribe`, not once for each broker's own reasons.
pub async fn subscribed_is_said_once(world: &World) {
    let mut heard = world.subscribed("a").await;
    world.settle().await;
    world.publish("a", "next").await;
    heard.expect_message("next").await;
    heard.expect_nothing();
}

/// A topic is any text: with spaces, line ends, other alphabets, and as long as 256 bytes.
pub async fn topic_names_are_any_text(world: &World) {
    let long = "x".repeat(256);
    let names = ["org:bots:1", "two words", "line\r\nend", "Στέντωρ", "📣", "{tag}", "a", "A", &long];
    for name in names {
        let mut heard = world.subscribed(name).await;
        world.publish(name, name.to_owned()).await;
        heard.expect_message(name.to_owned()).await;
        heard.expect_nothing();
    }
}

/// A topic that looks like a pattern hears the topic of that very name, and none that the pattern would match.
pub async fn topics_are_values_not_patterns(world: &World) {
    let rows = [
        ("a*", "ab"),
        ("*", "b"),
        ("?", "c"),
        ("[x]", "x"),
        ("b[1-3]", "b2"),
        ("\\d", "d"),
        ("bot:*", "bot:1"),
    ];
    for (topic, matched) in rows {
        let mut heard = world.subscribed(topic).await;
        world.publish(matched, "another's").await;
        world.publish(topic, "its own").await;
        heard.expect_message("its own").await;
        world.broker.unsubscribe(topic);
        heard.expect_dropped().await;
    }
}

/// `unsubscribe` where nobody has subscribed is no mistake, and neither is a second one.
pub async fn unsubscribing_from_an_unknown_topic_is_ignored(world: &World) {
    world.broker.unsubscribe("a");
    let mut heard = world.subscribed("a").await;
    world.broker.unsubscribe("a");
    world.broker.unsubscribe("a");
    heard.expect_dropped().await;
    let mut heard = world.subscribed("a").await;
    world.publish("a", "heard").await;
    heard.expect_message("heard").await;
}

/// Reads a payload of two numbers.
fn pair(event: Option<&BrokerEvent>) -> (usize, usize) {
    let Some(BrokerEvent::Message(payload)) = event else { panic!("expected a message, heard {event:?}") };
    let text = std::str::from_utf8(payload).ok();
    let pair = text.and_then(|text| text.split_once(' '));
    let numbers = pair.and_then(|(first, second)| Some((first.parse().ok()?, second.parse().ok()?)));
    numbers.unwrap_or_else(|| panic!("expected two numbers, heard {event:?}"))
}
