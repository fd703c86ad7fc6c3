//! What happens when Redis goes away, and when it comes back.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use stentor_broker::{
    Broker, BrokerEvent, PublishError, RedisBroker, RedisConfig,
    testing::{Heard, PATIENCE, RecordingSink, RedisServer, eventually},
};
use tokio::time::sleep;

/// How soon after the server's return every topic is told its gap.
const RETURN_DEADLINE: Duration = Duration::from_secs(2);

async fn node(server: &RedisServer) -> RedisBroker {
    let broker = RedisBroker::connect(&RedisConfig::new(server.url())).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker
}

async fn subscribe(broker: &RedisBroker, topics: usize) -> Vec<Heard> {
    let mut all: Vec<_> = (0..topics).map(|i| RecordingSink::subscribe(broker, &topic(i))).collect();
    for heard in &mut all {
        heard.expect_subscribed().await;
    }
    all
}

fn topic(i: usize) -> String {
    format!("bot:{i}")
}

async fn until(broker: &RedisBroker, up: bool) {
    eventually(if up { "the broker is up" } else { "the broker is down" }, async || {
        broker.state().is_up() == up
    })
    .await;
}

/// Every sink is told its gap, and from then on hears each event once: from outside, and from this node.
async fn expect_a_whole_return(server: &RedisServer, broker: &RedisBroker, all: &mut [Heard]) {
    let returned = Instant::now();
    for heard in all.iter_mut() {
        heard.expect_gap().await;
    }
    let took = returned.elapsed();
    assert!(took < RETURN_DEADLINE, "the gaps took {took:?}");
    broker.ready(PATIENCE).await.unwrap();
    for i in 0..all.len() {
        assert_eq!(server.publish(&topic(i), "from outside").await, 1, "{}", topic(i));
        broker.publish(&topic(i), "from here".into()).await.unwrap();
    }
    for heard in all.iter_mut() {
        heard.expect_message("from outside").await;
        heard.expect_message("from here").await;
    }
    for heard in all {
        heard.expect_nothing();
    }
}

#[tokio::test]
async fn a_killed_and_restarted_server_is_a_gap_for_every_topic_quiet_or_not() {
    let mut server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 1200).await;
    server.publish(&topic(0), "before").await;
    all[0].expect_message("before").await;
    for _ in 0..2 {
        server.kill();
        until(&broker, false).await;
        server.restart().await;
        expect_a_whole_return(&server, &broker, &mut all).await;
    }
}

#[tokio::test]
async fn the_broker_is_up_again_only_when_every_topic_was_told() {
    let mut server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 3000).await;
    server.restart().await;
    until(&broker, false).await;
    broker.ready(PATIENCE).await.unwrap();
    for heard in &mut all {
        let event = heard.next(Duration::ZERO).await;
        assert!(matches!(event, Some(BrokerEvent::Gap { .. })), "{event:?}");
    }
}

#[tokio::test]
async fn a_server_stopped_for_10_s_is_noticed_and_is_one_gap() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 100).await;
    server.stop();
    let stopped = Instant::now();
    let unknown = broker.publish(&topic(0), "in flight".into()).await;
    assert!(matches!(unknown, Err(PublishError::Unknown(_))), "{unknown:?}");
    until(&broker, false).await;
    assert!(stopped.elapsed() < Duration::from_secs(5), "it took {:?} to notice", stopped.elapsed());
    // The length of the stop is what is tried here.
    sleep(Duration::from_secs(10).saturating_sub(stopped.elapsed())).await;
    server.cont();
    expect_a_whole_return(&server, &broker, &mut all).await;
}

#[tokio::test]
async fn a_stop_shorter_than_the_deadline_loses_nothing_and_is_no_gap() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 10).await;
    server.stop();
    let patient = topic(3);
    let (published, ()) = tokio::join!(broker.publish(&patient, "patient".into()), async {
        sleep(Duration::from_millis(1200)).await;
        server.cont();
    });
    published.unwrap();
    all[3].expect_message("patient").await;
    server.publish(&topic(3), "after").await;
    all[3].expect_message("after").await;
    for heard in &mut all {
        heard.expect_nothing();
    }
    assert!(broker.state().is_up());
}

#[tokio::test]
async fn while_the_server_is_away_publishes_are_not_sent_and_the_state_says_since_when() {
    let mut server = RedisServer::start().await;
    let broker = node(&server).await;
    let up = broker.state();
    server.kill();
    until(&broker, false).await;
    let down = broker.state();
    assert!(down.since >= up.since);
    let begin = Instant::now();
    let refused = broker.publish("a", "unheard".into()).await;
    assert!(matches!(refused, Err(PublishError::NotSent(_))), "{refused:?}");
    assert!(begin.elapsed() < Duration::from_millis(100), "it took {:?} to refuse", begin.elapsed());
    assert!(broker.ready(Duration::from_millis(200)).await.is_err());
    assert_eq!(broker.state(), down, "attempts change nothing");
    server.restart().await;
    until(&broker, true).await;
    assert!(broker.state().since > down.since);
}

#[tokio::test]
async fn topics_that_change_while_the_server_is_away_are_as_wanted_on_its_return() {
    let mut server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 3).await;
    server.kill();
    until(&broker, false).await;
    broker.unsubscribe(&topic(0));
    let mut replaced = RecordingSink::subscribe(&broker, &topic(1));
    let mut new = RecordingSink::subscribe(&broker, &topic(3));
    server.restart().await;
    all[0].expect_dropped().await;
    all[1].expect_dropped().await;
    all[2].expect_gap().await;
    replaced.expect_subscribed().await;
    new.expect_subscribed().await;
    let mut listeners = Vec::new();
    for i in 0..4 {
        listeners.push(server.listeners(&topic(i)).await);
    }
    assert_eq!(listeners, [0, 1, 1, 1]);
}

#[tokio::test]
async fn a_lost_connection_of_either_kind_is_made_anew() {
    let server = RedisServer::start().await;
    let broker = node(&server).await;
    let mut all = subscribe(&broker, 5).await;
    for kind in ["pubsub", "normal"] {
        let since = broker.state().since;
        // The asking connection is spared: a server skips the caller unless told otherwise.
        server.command(&["CLIENT", "KILL", "TYPE", kind]).await;
        eventually("the broker was down and is up", async || {
            let state = broker.state();
            state.is_up() && state.since > since
        })
        .await;
        expect_a_whole_return(&server, &broker, &mut all).await;
    }
}

#[tokio::test]
async fn events_that_flow_during_the_return_arrive_once() {
    let server = RedisServer::start().await;
    let (broker, outside) = (node(&server).await, node(&server).await);
    let mut heard = subscribe(&broker, 1).await.remove(0);
    let flood = tokio::spawn(async move {
        for i in 0_u64.. {
            // The flood's own connection is spared, so every event is sent.
            outside.publish(&topic(0), i.to_string().into()).await.unwrap();
        }
    });
    for _ in 0..5 {
        heard.next(PATIENCE).await.expect("events flow");
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        expect_one_gap_between_whole_runs(&mut heard).await;
    }
    flood.abort();
}

/// Before the gap and after it, each event is the one after the last; over the gap none comes twice.
async fn expect_one_gap_between_whole_runs(heard: &mut Heard) {
    let (mut last, mut gaps, mut after) = (None, 0, 0);
    while after < 50 {
        match heard.next(PATIENCE).await.expect("events flow") {
            BrokerEvent::Gap { .. } => gaps += 1,
            BrokerEvent::Message(payload) => {
                let number: u64 = std::str::from_utf8(&payload).unwrap().parse().unwrap();
                let lost = last.map_or(0, |last| number - (last + 1));
                assert!(lost == 0 || after == 0 && gaps == 1, "{lost} lost before {number}, {gaps} gaps");
                last = Some(number);
                after += gaps;
            }
            other => panic!("heard {other:?}"),
        }
        assert!(gaps <= 1);
    }
}

#[tokio::test]
async fn a_topic_that_becomes_forbidden_is_refused() {
    let server = RedisServer::start().await;
    server.command(&["ACL", "SETUSER", "node", "on", ">pw", "resetchannels", "&*", "+@all"]).await;
    let broker = RedisBroker::connect(&RedisConfig::new(server.url().replace("//", "//node:pw@"))).unwrap();
    let mut all = subscribe(&broker, 2).await;
    server.command(&["ACL", "SETUSER", "node", "resetchannels", &format!("&{}", topic(1))]).await;
    let event = all[0].next(PATIENCE).await;
    assert!(matches!(event, Some(BrokerEvent::Refused(_))), "{event:?}");
    all[0].expect_dropped().await;
    all[1].expect_gap().await;
}

#[tokio::test]
async fn a_server_that_comes_late_is_found() {
    let mut server = RedisServer::start().await;
    server.kill();
    let broker = RedisBroker::connect(&RedisConfig::new(server.url())).unwrap();
    let mut heard = RecordingSink::subscribe(&broker, "a");
    let late = broker.ready(Duration::from_millis(100)).await.unwrap_err();
    assert!(late.to_string().contains("refused"), "{late}");
    server.restart().await;
    heard.expect_subscribed().await;
    broker.ready(PATIENCE).await.unwrap();
    server.publish("a", "heard").await;
    heard.expect_message("heard").await;
}

#[tokio::test]
async fn an_outage_is_two_log_lines_and_no_text_holds_the_password() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // The test's runtime has this thread only, so the broker's background task logs here too.
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut server = RedisServer::start().await;
    server.command(&["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let wrong = RedisBroker::connect(&RedisConfig::new(server.url().replace("//", "//:hunter3@"))).unwrap();
    let refused = wrong.ready(Duration::from_millis(500)).await.unwrap_err();
    assert!(refused.to_string().contains("assword"), "{refused}");
    let refusal = wrong.publish("a", "unheard".into()).await.unwrap_err();
    drop(wrong);
    log.take();

    let broker = RedisBroker::connect(&RedisConfig::new(server.url().replace("//", "//:hunter2@"))).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    server.kill();
    until(&broker, false).await;
    assert!(broker.ready(Duration::from_millis(500)).await.is_err());
    server.restart().await;
    until(&broker, true).await;

    let text = log.take();
    let lines: Vec<_> = text.lines().collect();
    let expected = ["redis is connected", "redis is away", "redis is connected"];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{text}");
    }
    for text in [text, refused.to_string(), refusal.to_string(), format!("{broker:?}")] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
