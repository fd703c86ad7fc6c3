//! Redis with memory beside it: who hears what when Redis goes away and comes back.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use stentor_broker::{
    Broker, BrokerEvent, BrokerMode, FallbackBroker, GapReason, HashError, HashEvent, HashStore,
    PublishError, RedisBroker, RedisConfig,
    testing::{Heard, PATIENCE, RecordingSink, RedisServer, eventually},
};
use tokio::time::sleep;

/// How long Redis must be away, where a test does not need it to be longer.
const SOON: Duration = Duration::from_millis(50);

async fn node(server: &RedisServer, patience: Duration) -> FallbackBroker {
    let config = RedisConfig { hash_poll: Duration::from_millis(20), ..RedisConfig::new(server.url()) };
    let redis = RedisBroker::connect(&config).unwrap();
    redis.ready(PATIENCE).await.unwrap();
    FallbackBroker::new(redis, patience)
}

fn node_without_redis(server: &RedisServer) -> FallbackBroker {
    let config = RedisConfig { hash_poll: Duration::from_millis(20), ..RedisConfig::new(server.url()) };
    FallbackBroker::new(RedisBroker::connect(&config).unwrap(), SOON)
}

async fn until(broker: &FallbackBroker, mode: BrokerMode) {
    eventually(mode.as_str(), async || broker.state().mode == mode).await;
}

async fn subscribed(broker: &FallbackBroker, topic: &str) -> Heard {
    let mut heard = RecordingSink::subscribe(broker, topic);
    heard.expect_subscribed().await;
    heard
}

async fn publish(broker: &FallbackBroker, topic: &str, payload: &str) {
    broker.publish(topic, payload.to_owned().into()).await.unwrap();
}

#[tokio::test]
async fn nodes_are_parted_while_redis_is_away_and_hear_each_other_again_on_its_return() {
    let mut server = RedisServer::start().await;
    let nodes = [node(&server, SOON).await, node(&server, SOON).await];
    let mut heard = [subscribed(&nodes[0], "a").await, subscribed(&nodes[1], "a").await];
    for _ in 0..2 {
        publish(&nodes[0], "a", "to all").await;
        for heard in &mut heard {
            heard.expect_message("to all").await;
        }
        server.kill();
        for (node, heard) in nodes.iter().zip(&mut heard) {
            until(node, BrokerMode::Fallback).await;
            heard.expect_failover().await;
        }
        for (i, (node, heard)) in nodes.iter().zip(&mut heard).enumerate() {
            publish(node, "a", &format!("on {i} alone")).await;
            heard.expect_message(format!("on {i} alone")).await;
        }
        server.restart().await;
        for (node, heard) in nodes.iter().zip(&mut heard) {
            until(node, BrokerMode::Up).await;
            heard.expect_failover().await;
        }
        server.publish("a", "from outside").await;
        for heard in &mut heard {
            heard.expect_message("from outside").await;
            heard.expect_nothing();
        }
    }
}

#[tokio::test]
async fn a_node_that_starts_without_redis_serves_itself_and_finds_redis() {
    let mut server = RedisServer::start().await;
    server.kill();
    let broker = node_without_redis(&server);
    assert_eq!(broker.state().mode, BrokerMode::Fallback);
    let mut heard = subscribed(&broker, "a").await;
    publish(&broker, "a", "here").await;
    heard.expect_message("here").await;
    publish(&broker, "b", "where nobody listens").await;
    server.restart().await;
    heard.expect_failover().await;
    assert_eq!(broker.state().mode, BrokerMode::Up);
    assert_eq!(server.publish("a", "from outside").await, 1);
    heard.expect_message("from outside").await;
    heard.expect_nothing();
}

#[tokio::test]
async fn an_outage_shorter_than_the_patience_is_a_reconnect_and_no_failover() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, PATIENCE * 6).await;
    let mut heard = subscribed(&broker, "a").await;
    server.kill();
    until(&broker, BrokerMode::Down).await;
    let lost = broker.publish("a", "lost".into()).await;
    assert!(matches!(lost, Err(PublishError::NotSent(_))), "{lost:?}");
    let mut waiting = RecordingSink::subscribe(&broker, "b");
    waiting.expect_nothing();
    server.restart().await;
    heard.expect_gap().await;
    waiting.expect_subscribed().await;
    until(&broker, BrokerMode::Up).await;
    publish(&broker, "a", "heard").await;
    heard.expect_message("heard").await;
    heard.expect_nothing();
}

#[tokio::test]
async fn a_topic_that_waits_for_redis_is_served_by_memory_once_that_takes_over() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, Duration::from_millis(500)).await;
    server.kill();
    until(&broker, BrokerMode::Down).await;
    let mut heard = RecordingSink::subscribe(&broker, "a");
    heard.expect_nothing();
    heard.expect_subscribed().await;
    assert_eq!(broker.state().mode, BrokerMode::Fallback);
    publish(&broker, "a", "here").await;
    heard.expect_message("here").await;
    server.restart().await;
    heard.expect_failover().await;
}

#[tokio::test]
async fn a_server_that_stands_still_counts_as_away_and_what_was_under_way_is_heard_by_nobody_here() {
    let server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let mut heard = subscribed(&broker, "a").await;
    server.stop();
    let unknown = broker.publish("a", "of unknown fate".into()).await;
    assert!(matches!(unknown, Err(PublishError::Unknown(_))), "{unknown:?}");
    until(&broker, BrokerMode::Fallback).await;
    heard.expect_failover().await;
    publish(&broker, "a", "here").await;
    heard.expect_message("here").await;
    server.cont();
    heard.expect_failover().await;
    publish(&broker, "a", "everywhere").await;
    heard.expect_message("everywhere").await;
    heard.expect_nothing();
}

#[tokio::test]
async fn every_one_of_many_topics_hears_of_both_switches_and_then_each_event_once() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let topics: Vec<_> = (0..300).map(|i| format!("bot:{i}")).collect();
    let mut all: Vec<_> = topics.iter().map(|topic| RecordingSink::subscribe(&broker, topic)).collect();
    for heard in &mut all {
        heard.expect_subscribed().await;
    }
    server.kill();
    until(&broker, BrokerMode::Fallback).await;
    for (topic, heard) in topics.iter().zip(&mut all) {
        publish(&broker, topic, "here").await;
        heard.expect_failover().await;
        heard.expect_message("here").await;
    }
    server.restart().await;
    until(&broker, BrokerMode::Up).await;
    for (topic, heard) in topics.iter().zip(&mut all) {
        heard.expect_failover().await;
        assert_eq!(server.publish(topic, "from outside").await, 1);
        publish(&broker, topic, "from here").await;
        heard.expect_message("from outside").await;
        heard.expect_message("from here").await;
        heard.expect_nothing();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_and_goes_loses_nothing_without_a_gap_and_repeats_nothing() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let mut heard = subscribed(&broker, "a").await;
    let taken = Arc::new(Mutex::new(Vec::new()));
    let publisher = tokio::spawn(publish_for_ever(broker.clone(), Arc::clone(&taken)));
    for round in 0..12_u64 {
        server.kill();
        // In some rounds Redis is back before memory has taken over, in others long after, in some about then.
        sleep(Duration::from_millis(25 * (round % 5))).await;
        server.restart().await;
        sleep(Duration::from_millis(40 * (round % 3))).await;
    }
    until(&broker, BrokerMode::Up).await;
    publisher.abort();
    let _ = publisher.await;
    let taken = std::mem::take(&mut *taken.lock());
    publish(&broker, "a", "end").await;
    expect_each_once_or_a_gap(&mut heard, &taken).await;
}

/// Publishes 1, 2, 3 and so on, and remembers which of them the broker has taken.
async fn publish_for_ever(broker: FallbackBroker, taken: Arc<Mutex<Vec<u64>>>) {
    for n in 1_u64.. {
        if broker.publish("a", n.to_string().into()).await.is_ok() {
            taken.lock().push(n);
        }
        tokio::task::yield_now().await;
    }
}

/// Numbers grow, each one that was taken is heard, unless a gap stands where it would be.
async fn expect_each_once_or_a_gap(heard: &mut Heard, taken: &[u64]) {
    let (mut last, mut gap, mut failovers) = (0, false, 0);
    let mut taken = taken.iter().copied().peekable();
    loop {
        let event = heard.next(PATIENCE).await.expect("the end is told");
        let payload = match event {
            BrokerEvent::Gap { reason, .. } => {
                gap = true;
                failovers += u32::from(reason == GapReason::Failover);
                continue;
            }
            BrokerEvent::Message(payload) => payload,
            other => panic!("heard {other:?}"),
        };
        let end = payload == "end";
        let number: u64 =
            if end { u64::MAX } else { std::str::from_utf8(&payload).unwrap().parse().unwrap() };
        assert!(number > last, "{number} after {last}");
        let mut missed = 0;
        while taken.next_if(|n| *n < number).is_some() {
            missed += 1;
        }
        assert!(gap || missed == 0, "{missed} that were taken are missing before {number}, without a gap");
        taken.next_if_eq(&number);
        if end {
            break;
        }
        (last, gap) = (number, false);
    }
    assert!(failovers >= 2, "it was no failover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_begin_during_the_switches_are_live_when_they_are_told_so() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let beginner = broker.clone();
    let begin = tokio::spawn(async move {
        let mut all = Vec::new();
        for i in 0..500 {
            let topic = format!("bot:{i}");
            all.push((RecordingSink::subscribe(&beginner, &topic), topic));
            sleep(Duration::from_millis(2)).await;
        }
        all
    });
    for _ in 0..3 {
        server.kill();
        until(&broker, BrokerMode::Fallback).await;
        server.restart().await;
        until(&broker, BrokerMode::Up).await;
    }
    for (mut heard, topic) in begin.await.unwrap() {
        heard.expect_subscribed().await;
        eventually("redis knows the topic", async || server.listeners(&topic).await == 1).await;
        publish(&broker, &topic, "everywhere").await;
        let mut event = heard.next(PATIENCE).await;
        while let Some(BrokerEvent::Gap { .. }) = event {
            event = heard.next(PATIENCE).await;
        }
        assert_eq!(event, Some(BrokerEvent::Message("everywhere".into())), "{topic}");
        heard.expect_nothing();
    }
}

#[tokio::test]
async fn a_topic_that_is_forbidden_on_the_return_is_refused_then() {
    let mut server = RedisServer::start().await;
    server.kill();
    let broker = node_without_redis(&server);
    let mut heard = subscribed(&broker, "no:1").await;
    server.restart().await;
    heard.expect_failover().await;
    server.command(&["ACL", "SETUSER", "default", "resetchannels", "&ok:*"]).await;
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let event = heard.next(PATIENCE).await;
    assert!(matches!(&event, Some(BrokerEvent::Refused(reason)) if reason.contains("NOPERM")), "{event:?}");
    heard.expect_dropped().await;
}

#[tokio::test]
async fn hashes_begin_empty_in_each_fallback_and_are_read_anew_on_the_return() {
    let mut server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let store = broker.hashes();
    let write = async |key: &str, text: &str| store.write(key, &[("text".into(), text.into())]).await;
    let mut heard = RecordingSink::watch(&store, "a");
    heard.expect_watching().await;
    write("a", "on redis").await.unwrap();
    heard.expect_value(&[("text", "on redis")]).await;
    for _ in 0..2 {
        server.kill();
        until(&broker, BrokerMode::Fallback).await;
        heard.expect_failover().await;
        assert_eq!(store.read("a").await, Ok(None));
        write("a", "in memory").await.unwrap();
        heard.expect_value(&[("text", "in memory")]).await;
        let mut late = RecordingSink::watch(&store, "late");
        late.expect_watching().await;
        write("late", "in memory").await.unwrap();
        late.expect_value(&[("text", "in memory")]).await;

        server.restart().await;
        server.command(&["HSET", "late", "text", "elsewhere"]).await;
        until(&broker, BrokerMode::Up).await;
        heard.expect_failover().await;
        late.expect_failover().await;
        late.expect_value(&[("text", "elsewhere")]).await;
        assert_eq!(store.read("a").await, Ok(None));
        write("a", "on redis").await.unwrap();
        heard.expect_value(&[("text", "on redis")]).await;
        heard.expect_nothing();
        store.unwatch("late");
        late.expect_dropped().await;
    }
}

#[tokio::test]
async fn a_hash_that_did_not_change_is_told_again_after_the_return() {
    let server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let store = broker.hashes();
    store.write("a", &[("i".into(), "1".into())]).await.unwrap();
    let mut heard = RecordingSink::watch(&store, "a");
    heard.expect_watching().await;
    heard.expect_value(&[("i", "1")]).await;
    server.stop();
    until(&broker, BrokerMode::Down).await;
    let write = store.write("a", &[("i".into(), "2".into())]).await;
    assert!(matches!(write, Err(HashError::Away(_))), "{write:?}");
    heard.expect_failover().await;
    server.cont();
    heard.expect_failover().await;
    heard.expect_value(&[("i", "1")]).await;
    assert_eq!(heard.next(SOON).await, None::<HashEvent>);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_both_connections_and_lets_every_sink_go() {
    let server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let (clone, store) = (broker.clone(), broker.hashes());
    let mut heard = subscribed(&broker, "a").await;
    let mut watch = RecordingSink::watch(&store, "a");
    watch.expect_watching().await;
    drop(broker);
    publish(&clone, "a", "still here").await;
    heard.expect_message("still here").await;
    drop(clone);
    store.write("a", &[("still".into(), "here".into())]).await.unwrap();
    watch.expect_value(&[("still", "here")]).await;
    drop(store);
    heard.expect_dropped().await;
    watch.expect_dropped().await;
    eventually("only the asking connection is left", async || {
        server.text(&["CLIENT", "LIST"]).await.lines().count() == 1
    })
    .await;
}

#[tokio::test]
async fn each_switch_is_one_line_in_the_log_and_says_since_when() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // The test's runtime has this thread only, so the background tasks log here too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut server = RedisServer::start().await;
    let broker = node(&server, SOON).await;
    let up = broker.state();
    server.kill();
    until(&broker, BrokerMode::Fallback).await;
    let fallback = broker.state();
    assert!(fallback.since > up.since);
    let begin = Instant::now();
    publish(&broker, "a", "here").await;
    assert!(begin.elapsed() < Duration::from_millis(100));
    server.restart().await;
    until(&broker, BrokerMode::Up).await;
    assert!(broker.state().since > fallback.since);

    let text = || String::from_utf8(log.0.lock().clone()).unwrap();
    eventually("the return is logged", async || text().contains("the fallback is over")).await;
    let text = text();
    let lines: Vec<_> = text.lines().collect();
    let expected = ["redis is connected", "redis is away", "WARN", "redis is connected", "INFO"];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{text}");
    }
    assert!(lines[2].contains("fallback") && lines[4].contains("fallback"), "{text}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
