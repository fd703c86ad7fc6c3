//! Hashes on the server: [`RedisHashStore`] for its users, [`read_always`] for the supervisor.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{Cmd, cmd};
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    HASH_SAFETY_POLLS, Shared, Speaker, Supervisor,
    link::{Connection, Failure},
    watches::{Found, News, Read, Watches},
};
use crate::{BrokerEvent, HashError, HashEvent, HashSink, HashStore, HashTooLarge, HashValue, Sink};

/// The hashes on a [`RedisBroker`](crate::RedisBroker)'s server, kept as Redis keeps hashes, so that any program may write
/// them with `HSET`.
///
/// It uses the broker's connections, ends with them, and needs none of its own however many keys are watched. A change
/// that the server announces (`notify-keyspace-events` with `K`, and `h` or `A`; `g` and `x` tell deletion and expiry too)
/// is read at once; one that it does not announce is found by a poll, one for each key. The server's configuration is read
/// where that is allowed, never set; where it is not, polls go on until the first announcement arrives.
///
/// # Limits
///
/// One batch of reads is under way at a time, for watches of any number. A write or read is given up after 2 s, and shares
/// [`RedisConfig::max_commands_in_flight`](crate::RedisConfig::max_commands_in_flight) with the broker's publishes.
#[derive(Clone)]
pub struct RedisHashStore {
    shared: Arc<Shared>,
    /// The connections live as long as one handle of the broker or the store does.
    _supervisor: Arc<Supervisor>,
}

/// What the store's handles, its reader and the sinks of its channels share.
pub(super) struct Hashes {
    pub(super) watches: Mutex<Watches>,
    /// Told when a key is to be read.
    due: Notify,
    poll: Duration,
    reads: AtomicU64,
}

/// Hears what the server announces of one key.
struct KeySink {
    key: Box<str>,
    hashes: Arc<Hashes>,
}

impl RedisHashStore {
    pub(super) fn new(shared: &Arc<Shared>, supervisor: &Arc<Supervisor>) -> Self {
        Self { shared: Arc::clone(shared), _supervisor: Arc::clone(supervisor) }
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, HashError> {
        if self.shared.hashes.watches.lock().is_closed() {
            return Err(HashError::Away("the hash store is closed".into()));
        }
        let (connection, _permit) = self.shared.begin_command().map_err(HashError::Away)?;
        connection.ask(command).await.map_err(|failure| match failure {
            Failure::Answer { for_good: true, reason } => HashError::Refused(reason),
            Failure::Answer { for_good: false, reason } => HashError::Away(reason),
            Failure::Silence(reason) => HashError::Unknown(reason),
        })
    }
}

impl fmt::Debug for RedisHashStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHashStore")
            .field("address", &self.shared.server.address)
            .field("prefix", &self.shared.server.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HashStore for RedisHashStore {
    fn watch(&self, key: &str, sink: Arc<dyn HashSink>) {
        let channel = self.shared.server.key_channel(key);
        let listener = KeySink { key: key.into(), hashes: Arc::clone(&self.shared.hashes) };
        // Both under one lock, so that calls for one key have one order. Bound to a name, so that a replaced sink is
        // dropped after that lock is released.
        let _replaced = {
            let mut watches = self.shared.hashes.watches.lock();
            if !watches.is_closed() {
                self.shared.topics.lock().subscribe(&channel, Arc::new(listener));
            }
            watches.watch(key, sink)
        };
        self.shared.unsettled.notify_one();
    }

    fn unwatch(&self, key: &str) {
        let channel = self.shared.server.key_channel(key);
        let _dropped_unlocked = {
            let mut watches = self.shared.hashes.watches.lock();
            self.shared.topics.lock().unsubscribe(&channel);
            watches.unwatch(key)
        };
        self.shared.unsettled.notify_one();
    }

    async fn read(&self, key: &str) -> Result<Option<Arc<HashValue>>, HashError> {
        let answer = self.ask::<Fields>(&get_all(&self.shared.server.key(key))).await;
        // A read that was not answered has changed nothing.
        let fields = answer.map_err(|error| match error {
            HashError::Unknown(reason) => HashError::Away(reason),
            other => other,
        })?;
        self.shared.hashes.reads.fetch_add(1, Ordering::Relaxed);
        let value = value(fields).map_err(|large| HashError::Refused(large.to_string()))?;
        Ok(value.map(Arc::new))
    }

    async fn write(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        if fields.is_empty() {
            return Ok(());
        }
        HashValue::default().with(fields).map_err(|large| HashError::Refused(large.to_string()))?;
        let mut command = cmd("HSET");
        command.arg(self.shared.server.key(key));
        for (name, text) in fields {
            command.arg(name).arg(text);
        }
        self.ask(&command).await
    }

    fn reads(&self) -> u64 {
        self.shared.hashes.reads.load(Ordering::Relaxed)
    }

    /// Stops watching. The connections are the broker's, and stay.
    async fn close(&self) {
        let _dropped_unlocked = {
            let mut watches = self.shared.hashes.watches.lock();
            let mut topics = self.shared.topics.lock();
            for key in watches.keys() {
                topics.unsubscribe(&self.shared.server.key_channel(key));
            }
            watches.close()
        };
        self.shared.unsettled.notify_one();
    }
}

impl Hashes {
    pub(super) fn new(poll: Duration) -> Self {
        Self { watches: Mutex::default(), due: Notify::new(), poll, reads: AtomicU64::new(0) }
    }

    async fn due(&self) {
        while !self.watches.lock().is_due() {
            self.due.notified().await;
        }
    }
}

impl Sink for KeySink {
    fn deliver(&self, event: BrokerEvent) {
        let mut watches = self.hashes.watches.lock();
        match event {
            // After a gap too the key is read again: its latest value is all that counts.
            BrokerEvent::Subscribed | BrokerEvent::Gap { .. } => watches.confirmed(&self.key),
            BrokerEvent::Message(event) => watches.changed(&self.key, GONE.contains(&&event[..])),
            BrokerEvent::Refused(_) => watches.forbidden(&self.key),
        }
        drop(watches);
        self.hashes.due.notify_one();
    }
}

/// Reads every hash that is due, and tells its sink, until the connection breaks; says why it did.
pub(super) async fn read_always(shared: &Shared, speaker: Speaker, connection: &Connection) -> String {
    let hashes = &*shared.hashes;
    let mut polls = Polls::new(hashes.poll);
    loop {
        let outcome = tokio::select! {
            // A poll is never put off by keys that change all the time.
            biased;
            safety = polls.next() => poll(hashes, connection, &mut polls, safety).await,
            () = hashes.due() => read(shared, speaker, connection).await,
        };
        if let Err(reason) = outcome {
            return reason;
        }
    }
}

async fn poll(
    hashes: &Hashes,
    connection: &Connection,
    polls: &mut Polls,
    safety: bool,
) -> Result<(), String> {
    if hashes.watches.lock().is_empty() {
        // The first key that comes is polled for safety, and the server is asked, with no delay.
        polls.restart();
        return Ok(());
    }
    if safety && polls.may_ask {
        let answer = connection.ask::<Vec<(String, String)>>(&config_get()).await;
        match answer {
            Ok(answer) => {
                let announces = answer.iter().any(|(_, classes)| announces_hashes(classes));
                hashes.watches.lock().announces(announces);
            }
            // Each attempt leaves a line in the server's own log, so it is left at one for a connection.
            Err(Failure::Answer { .. }) => polls.may_ask = false,
            Err(Failure::Silence(reason)) => return Err(reason),
        }
    }
    hashes.watches.lock().poll(safety);
    Ok(())
}

/// Reads one batch.
async fn read(shared: &Shared, speaker: Speaker, connection: &Connection) -> Result<(), String> {
    let reads = shared.hashes.watches.lock().take_due(BATCH);
    let mut pipeline = redis::pipe();
    for read in &reads {
        pipeline.add_command(get_all(&shared.server.key(&read.key)));
    }
    shared.hashes.reads.fetch_add(reads.len() as u64, Ordering::Relaxed);
    let answers = connection.ask_all::<Fields>(&mut pipeline).await?;
    for (read, answer) in reads.iter().zip(answers) {
        tell(shared, speaker, read, found(answer));
    }
    Ok(())
}

fn found(answer: Result<Fields, Failure>) -> Found {
    match answer.map(value) {
        Ok(Ok(None)) => Found::Absent,
        Ok(Ok(Some(value))) => Found::Value(value),
        Ok(Err(large)) => Found::Refused(large.to_string()),
        Err(Failure::Answer { for_good: true, reason }) => Found::Refused(reason),
        Err(Failure::Answer { for_good: false, reason } | Failure::Silence(reason)) => Found::Later(reason),
    }
}

fn tell(shared: &Shared, speaker: Speaker, read: &Read, found: Found) {
    match &found {
        Found::Refused(reason) => tracing::warn!(key = &*read.key, reason, "redis refuses a hash"),
        Found::Later(reason) => tracing::debug!(key = &*read.key, reason, "redis cannot read a hash now"),
        Found::Absent | Found::Value(_) => {}
    }
    shared.speak(speaker, || {
        let refused = matches!(found, Found::Refused(_));
        let news = {
            let mut watches = shared.hashes.watches.lock();
            let news = watches.answered(read, found);
            if refused && news.is_some() {
                shared.topics.lock().unsubscribe(&shared.server.key_channel(&read.key));
            }
            news
        };
        if let Some(News { sink, watching, event }) = news {
            if watching {
                sink.deliver(HashEvent::Watching);
            }
            if let Some(event) = event {
                sink.deliver(event);
            }
        }
    });
    shared.unsettled.notify_one();
}

/// When to look at keys that nobody announces.
struct Polls {
    ticks: Interval,
    /// How many polls are left until the next one for safety.
    until_safety: u32,
    /// Whether the server may be asked for its configuration.
    may_ask: bool,
}

impl Polls {
    fn new(period: Duration) -> Self {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, until_safety: 0, may_ask: true }
    }

    /// Waits until it is time; whether everything is to be looked at.
    async fn next(&mut self) -> bool {
        self.ticks.tick().await;
        let safety = self.until_safety == 0;
        self.until_safety = if safety { HASH_SAFETY_POLLS - 1 } else { self.until_safety - 1 };
        safety
    }

    fn restart(&mut self) {
        self.until_safety = 0;
    }
}

/// A hash as the server sends it.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The hash, or `None` where the server has none. Bytes that are no text are replaced.
fn value(fields: Fields) -> Result<Option<HashValue>, HashTooLarge> {
    if fields.is_empty() {
        return Ok(None);
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    HashValue::new(fields.into_iter().map(|(name, bytes)| (text(name), text(bytes)))).map(Some)
}

fn get_all(key: &str) -> Cmd {
    let mut command = cmd("HGETALL");
    command.arg(key);
    command
}

fn config_get() -> Cmd {
    let mut command = cmd("CONFIG");
    command.arg("GET").arg("notify-keyspace-events");
    command
}

/// Whether these classes make the server announce changes of hashes on the channels of their keys.
fn announces_hashes(classes: &str) -> bool {
    classes.contains('K') && classes.contains(['A', 'h'])
}

/// What the server announces when a key is gone.
const GONE: &[&[u8]] = &[b"del", b"evicted", b"expired", b"rename_from"];

/// How many hashes are read with one round trip.
const BATCH: usize = 100;
