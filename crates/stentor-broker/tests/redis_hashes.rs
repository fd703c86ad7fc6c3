//! What is true of hashes on Redis alone: how changes are found, and at what cost.

use std::time::Duration;

use stentor_broker::{
    HashError, HashEvent, HashStore, HashValue, RedisBroker, RedisConfig, RedisHashStore,
    testing::{Heard, PATIENCE, RecordingSink, RedisServer, eventually},
};
use tokio::time::sleep;

type HeardHash = Heard<HashEvent>;

const QUICK: Duration = Duration::from_millis(20);
/// So seldom that nothing which a test sees can come from a poll but the first.
const NEVER: Duration = Duration::from_secs(60);

async fn node(server: &RedisServer, hash_poll: Duration) -> RedisHashStore {
    connect(&RedisConfig { hash_poll, ..RedisConfig::new(server.url()) }).await
}

async fn connect(config: &RedisConfig) -> RedisHashStore {
    let broker = RedisBroker::connect(config).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    broker.hashes()
}

async fn announcing(classes: &str) -> RedisServer {
    let server = RedisServer::start().await;
    announce(&server, classes).await;
    server
}

async fn announce(server: &RedisServer, classes: &str) {
    server.command(&["CONFIG", "SET", "notify-keyspace-events", classes]).await;
}

async fn watched(store: &RedisHashStore, key: &str) -> HeardHash {
    let mut heard = RecordingSink::watch(store, key);
    heard.expect_watching().await;
    heard
}

/// Sets fields as a program of its own would do.
async fn hset(server: &RedisServer, key: &str, fields: &[&str]) {
    server.command(&[&["HSET", key], fields].concat()).await;
}

#[tokio::test]
async fn a_program_that_knows_nothing_of_stentor_is_heard() {
    let server = announcing("KA").await;
    let store = node(&server, NEVER).await;
    let mut heard = watched(&store, "progress:1").await;
    hset(&server, "progress:1", &["stage", "received", "progress", "0.0"]).await;
    heard.expect_value(&[("stage", "received"), ("progress", "0.0")]).await;
    hset(&server, "progress:1", &["stage", "completed"]).await;
    heard.expect_value(&[("stage", "completed"), ("progress", "0.0")]).await;
}

#[tokio::test]
async fn an_announced_change_costs_one_read() {
    const CHANGES: u64 = 20;
    let server = announcing("Kh").await;
    let store = node(&server, NEVER).await;
    let mut heard = watched(&store, "a").await;
    let before = store.reads();
    for i in 1..=CHANGES {
        let i = i.to_string();
        hset(&server, "a", &["i", &i]).await;
        heard.expect_value(&[("i", &i)]).await;
    }
    // The first poll may fall into this time; the next is far away.
    let reads = store.reads() - before;
    assert!((CHANGES..=CHANGES + 1).contains(&reads), "{reads} reads");
}

#[tokio::test]
async fn changes_in_quick_succession_cost_far_fewer_reads() {
    let server = announcing("Kh").await;
    let store = node(&server, NEVER).await;
    let mut heard = watched(&store, "a").await;
    let before = store.reads();
    let mut pipeline = redis::pipe();
    for i in 1..=5000 {
        pipeline.hset("a", "i", i).ignore();
    }
    pipeline.query_async::<()>(&mut server.client().await).await.unwrap();
    let last = HashValue::new([("i", "5000")]).unwrap();
    while heard.next(PATIENCE).await.expect("the last is told") != HashEvent::Value(last.clone().into()) {}
    let reads = store.reads() - before;
    assert!(reads < 2500, "{reads} reads for 5000 changes");
}

#[tokio::test]
async fn without_announcements_each_poll_costs_one_read_for_each_key() {
    let server = RedisServer::start().await;
    let store = node(&server, QUICK).await;
    let _all = [watched(&store, "a").await, watched(&store, "b").await, watched(&store, "c").await];
    for heard in ["a", "b", "c"] {
        hset(&server, heard, &["i", "1"]).await;
    }
    let (before, gets) = (store.reads(), hgetalls(&server).await);
    eventually("it polls", async || store.reads() >= before + 30).await;
    let (reads, gets) = (store.reads() - before, hgetalls(&server).await - gets);
    assert!(reads <= gets && gets <= reads + 6, "{reads} reads are counted, the server saw {gets}");
    store.unwatch("a");
    store.unwatch("b");
    store.unwatch("c");
    let rest = store.reads();
    sleep(QUICK * 5).await;
    assert!(store.reads() <= rest + 3, "nothing is read that nobody watches");
}

/// How often the server was asked for a whole hash.
async fn hgetalls(server: &RedisServer) -> u64 {
    let statistics = server.text(&["INFO", "commandstats"]).await;
    let line = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_hgetall:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn where_changes_are_announced_nothing_is_polled_but_for_safety() {
    let server = announcing("Kh").await;
    let store = node(&server, QUICK).await;
    let _heard = watched(&store, "a").await;
    let before = store.reads();
    eventually("it polls for safety", async || store.reads() > before + 1).await;
    let before = store.reads();
    // Twenty polls are one for safety.
    sleep(QUICK * 40).await;
    let reads = store.reads() - before;
    assert!((1..=4).contains(&reads), "{reads} reads");
}

#[tokio::test]
async fn announcements_may_be_switched_on_and_off_at_run_time() {
    let server = RedisServer::start().await;
    let store = node(&server, QUICK).await;
    let mut heard = watched(&store, "a").await;
    hset(&server, "a", &["i", "1"]).await;
    heard.expect_value(&[("i", "1")]).await;
    for (i, classes) in ["Kh", "", "KA", "Ex"].into_iter().enumerate() {
        announce(&server, classes).await;
        let text = format!("{i} {classes}");
        hset(&server, "a", &["i", &text]).await;
        heard.expect_value(&[("i", &text)]).await;
        let polled = !classes.contains('K');
        eventually(&format!("it polls: {polled}, for {classes:?}"), async || {
            let before = store.reads();
            sleep(QUICK * 10).await;
            (store.reads() - before > 4) == polled
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_or_has_expired_is_told_as_absent_and_when_it_is_back() {
    for (classes, poll) in [("KA", NEVER), ("", QUICK)] {
        let server = announcing(classes).await;
        let store = node(&server, poll).await;
        let mut heard = watched(&store, "a").await;
        for end in [&["DEL", "a"][..], &["PEXPIRE", "a", "1"], &["HDEL", "a", "i"], &["RENAME", "a", "b"]] {
            hset(&server, "a", &["i", "1"]).await;
            heard.expect_value(&[("i", "1")]).await;
            server.command(end).await;
            heard.expect_absent().await;
        }
        heard.expect_nothing();
    }
}

#[tokio::test]
async fn a_key_that_holds_something_else_is_refused() {
    let server = announcing("KA").await;
    let store = node(&server, NEVER).await;
    server.command(&["SET", "text", "x"]).await;
    for (key, exists) in [("text", true), ("later", false)] {
        let mut heard = RecordingSink::watch(&store, key);
        if !exists {
            heard.expect_watching().await;
            server.command(&["SET", key, "x"]).await;
        }
        expect_refused(&mut heard, "WRONGTYPE").await;
        let read = store.read(key).await;
        assert!(matches!(&read, Err(HashError::Refused(reason)) if reason.contains("WRONGTYPE")), "{read:?}");
        let write = store.write(key, &[("i".into(), "1".into())]).await;
        assert!(matches!(write, Err(HashError::Refused(_))), "{write:?}");
    }
    eventually("nobody listens", async || server.listeners("__keyspace@0__:later").await == 0).await;
}

async fn expect_refused(heard: &mut HeardHash, word: &str) {
    let event = heard.next(PATIENCE).await;
    assert!(matches!(&event, Some(HashEvent::Refused(reason)) if reason.contains(word)), "{event:?}");
    heard.expect_dropped().await;
}

#[tokio::test]
async fn a_forbidden_key_is_refused_and_the_others_of_its_batch_work() {
    let server = announcing("KA").await;
    server.command(&["ACL", "SETUSER", "node", "on", ">pw", "~ok:*", "allchannels", "+@all"]).await;
    let url = server.url().replace("//", "//node:pw@");
    let store = connect(&RedisConfig { hash_poll: NEVER, ..RedisConfig::new(url) }).await;
    let keys: Vec<_> = (0..20).map(|i| format!("{}:{i}", if i % 7 == 3 { "no" } else { "ok" })).collect();
    let all: Vec<_> = keys.iter().map(|key| RecordingSink::watch(&store, key)).collect();
    for (key, mut heard) in keys.iter().zip(all) {
        if key.starts_with("no:") {
            expect_refused(&mut heard, "NOPERM").await;
        } else {
            heard.expect_watching().await;
            hset(&server, key, &["i", "1"]).await;
            heard.expect_value(&[("i", "1")]).await;
        }
    }
    let write = store.write("no:1", &[("i".into(), "1".into())]).await;
    assert!(matches!(&write, Err(HashError::Refused(reason)) if reason.contains("NOPERM")), "{write:?}");
}

#[tokio::test]
async fn a_user_who_may_neither_configure_nor_listen_to_keys_is_served_by_polls() {
    let server = announcing("KA").await;
    let rules = ["on", ">pw", "allkeys", "resetchannels", "&bot:*"];
    let commands = ["+hgetall", "+hset", "+subscribe", "+unsubscribe", "+publish", "+ping"];
    server.command(&[&["ACL", "SETUSER", "node"], &rules[..], &commands[..]].concat()).await;
    let url = server.url().replace("//", "//node:pw@");
    let store = connect(&RedisConfig { hash_poll: QUICK, ..RedisConfig::new(url) }).await;
    let mut heard = watched(&store, "a").await;
    store.write("a", &[("i".into(), "1".into())]).await.unwrap();
    heard.expect_value(&[("i", "1")]).await;
    hset(&server, "a", &["i", "2"]).await;
    heard.expect_value(&[("i", "2")]).await;
    let before = store.reads();
    eventually("it polls", async || store.reads() > before + 50).await;
    // One line for the channel, one for the configuration: polls must not fill the log of the server.
    let log = server.command(&["ACL", "LOG"]).await;
    let redis::Value::Array(lines) = log else { panic!("{log:?}") };
    assert!(lines.len() <= 2, "{lines:?}");
}

#[tokio::test]
async fn a_user_who_may_not_configure_learns_from_the_first_announcement() {
    let server = announcing("KA").await;
    server
        .command(&["ACL", "SETUSER", "node", "on", ">pw", "allkeys", "allchannels", "+@all", "-config"])
        .await;
    let url = server.url().replace("//", "//node:pw@");
    let store = connect(&RedisConfig { hash_poll: QUICK, ..RedisConfig::new(url) }).await;
    let mut heard = watched(&store, "a").await;
    let before = store.reads();
    eventually("it polls, since it knows no better", async || store.reads() > before + 5).await;
    hset(&server, "a", &["i", "1"]).await;
    heard.expect_value(&[("i", "1")]).await;
    eventually("it polls no more", async || {
        let before = store.reads();
        sleep(QUICK * 10).await;
        store.reads() - before <= 1
    })
    .await;
}

#[tokio::test]
async fn prefix_and_database_are_where_programs_expect_them() {
    let server = announcing("KA").await;
    let url = format!("{}/3", server.url());
    let store =
        connect(&RedisConfig { prefix: "stage:".into(), hash_poll: NEVER, ..RedisConfig::new(url) }).await;
    let mut heard = watched(&store, "a").await;
    let mut program = server.client().await;
    let command = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
    };
    hset(&server, "stage:a", &["database", "0"]).await;
    command(&["SELECT", "3"]).query_async::<()>(&mut program).await.unwrap();
    command(&["HSET", "a", "prefix", "none"]).query_async::<()>(&mut program).await.unwrap();
    command(&["HSET", "stage:a", "i", "1"]).query_async::<()>(&mut program).await.unwrap();
    heard.expect_value(&[("i", "1")]).await;
    store.write("a", &[("i".into(), "2".into())]).await.unwrap();
    heard.expect_value(&[("i", "2")]).await;
    let text: String = command(&["HGET", "stage:a", "i"]).query_async(&mut program).await.unwrap();
    assert_eq!(text, "2");
}

#[tokio::test]
async fn a_hash_too_large_is_refused_and_read_no_more() {
    let server = RedisServer::start().await;
    let store = node(&server, QUICK).await;
    let half = "x".repeat(HashValue::MAX_BYTES / 2);
    let mut heard = watched(&store, "a").await;
    hset(&server, "a", &["one", &half]).await;
    heard.expect_value(&[("one", &half)]).await;
    hset(&server, "a", &["two", &half]).await;
    expect_refused(&mut heard, "larger").await;
    let read = store.read("a").await;
    assert!(matches!(read, Err(HashError::Refused(_))), "{read:?}");
    let before = store.reads();
    sleep(QUICK * 5).await;
    assert_eq!(store.reads(), before);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let server = announcing("KA").await;
    let store = node(&server, NEVER).await;
    let mut program = server.client().await;
    let mut command = redis::cmd("HSET");
    command.arg("a").arg(b"\xffname").arg(b"te\xc3\x28xt");
    command.query_async::<()>(&mut program).await.unwrap();
    let mut heard = watched(&store, "a").await;
    heard.expect_value(&[("\u{fffd}name", "te\u{fffd}(xt")]).await;
}

#[tokio::test]
async fn a_thousand_keys_are_two_connections_and_few_round_trips() {
    let server = announcing("KA").await;
    let store = node(&server, NEVER).await;
    let keys: Vec<_> = (0..1000).map(|i| format!("progress:{i}")).collect();
    let mut all: Vec<_> = keys.iter().map(|key| RecordingSink::watch(&store, key)).collect();
    for heard in &mut all {
        heard.expect_watching().await;
    }
    let clients = server.text(&["CLIENT", "LIST"]).await;
    // The third connection is the one that asks.
    assert_eq!(clients.lines().count(), 3, "{clients}");
    assert!(clients.contains(" sub=1000 psub=0 "), "{clients}");
    // Once when they are confirmed, and perhaps once more by the first poll.
    assert!((1000..=2000).contains(&store.reads()), "{} reads", store.reads());
    keys.iter().for_each(|key| store.unwatch(key));
    eventually("nobody listens", async || {
        server.command(&["PUBSUB", "CHANNELS"]).await == redis::Value::Array(Vec::new())
    })
    .await;
}

#[tokio::test]
async fn after_a_lost_connection_every_key_is_read_again_and_only_news_are_told() {
    let mut server = announcing("KA").await;
    let store = node(&server, NEVER).await;
    for key in ["changed", "same", "gone"] {
        hset(&server, key, &["i", "1"]).await;
    }
    let mut changed = watched(&store, "changed").await;
    let mut same = watched(&store, "same").await;
    let mut gone = watched(&store, "gone").await;
    for heard in [&mut changed, &mut same, &mut gone] {
        heard.expect_value(&[("i", "1")]).await;
    }
    server.restart().await;
    let before = store.reads();
    hset(&server, "same", &["i", "1"]).await;
    hset(&server, "changed", &["i", "2"]).await;
    let value = |i| Some(HashEvent::Value(HashValue::new([("i", i)]).unwrap().into()));
    assert_eq!(next_value(&mut changed).await, value("2"));
    gone.expect_absent().await;
    eventually("every key was read", async || store.reads() >= before + 3).await;
    announce(&server, "KA").await;
    hset(&server, "gone", &["i", "3"]).await;
    hset(&server, "same", &["i", "4"]).await;
    gone.expect_value(&[("i", "3")]).await;
    // The server was empty for a moment, so the old value may be told as a new one, but nothing else.
    let mut event = next_value(&mut same).await;
    if event == value("1") {
        event = next_value(&mut same).await;
    }
    assert_eq!(event, value("4"));
}

/// What is told next, but for an absence that may have been seen or not.
async fn next_value(heard: &mut Heard<HashEvent>) -> Option<HashEvent> {
    match heard.next(PATIENCE).await {
        Some(HashEvent::Absent) => heard.next(PATIENCE).await,
        other => other,
    }
}

#[tokio::test]
async fn while_the_server_is_away_nothing_is_read_or_written_and_watches_wait() {
    let mut server = RedisServer::start().await;
    server.kill();
    let broker =
        RedisBroker::connect(&RedisConfig { hash_poll: QUICK, ..RedisConfig::new(server.url()) }).unwrap();
    let store = broker.hashes();
    let mut heard = RecordingSink::watch(&store, "a");
    let read = store.read("a").await;
    assert!(matches!(read, Err(HashError::Away(_))), "{read:?}");
    let write = store.write("a", &[("i".into(), "1".into())]).await;
    assert!(matches!(write, Err(HashError::Away(_))), "{write:?}");
    heard.expect_nothing();
    server.restart().await;
    heard.expect_watching().await;
    hset(&server, "a", &["i", "1"]).await;
    heard.expect_value(&[("i", "1")]).await;
}

#[tokio::test]
async fn a_server_that_stands_still_is_a_write_of_unknown_outcome_and_a_read_that_failed() {
    let server = RedisServer::start().await;
    let store = node(&server, QUICK).await;
    server.stop();
    let fields = [("i".into(), "1".into())];
    let (write, read) = tokio::join!(store.write("a", &fields), store.read("a"));
    server.cont();
    assert!(matches!(write, Err(HashError::Unknown(_))), "{write:?}");
    assert!(matches!(read, Err(HashError::Away(_))), "{read:?}");
}
