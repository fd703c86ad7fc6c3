//! Keeps a connection to the server, for ever, and settles topics with it: [`run`].

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::hashes::read_always;
use super::{
    Shared, Speaker,
    link::{Answer, Link},
    listener::hear,
};
use crate::BrokerEvent;

/// Connects, serves until the connection is lost, and begins again.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut outage = Outage::new();
    let mut generation = 0;
    loop {
        let reason = match connect(&shared, generation).await {
            Ok(link) => serve(&shared, Speaker::Generation(generation), link, &mut outage).await,
            Err(reason) => reason,
        };
        generation += 1;
        disconnect(&shared, generation);
        shared.went_down(&reason);
        outage.failed(&shared, &reason);
        sleep(outage.backoff.next()).await;
    }
}

async fn connect(shared: &Arc<Shared>, generation: u64) -> Result<Link, String> {
    let listener = Arc::clone(shared);
    Link::connect(&shared.server.client, move |info| hear(&listener, Speaker::Generation(generation), info))
        .await
}

/// Forbids the old connection to speak, and only then forgets what the server had confirmed to it.
pub(super) fn disconnect(shared: &Shared, generation: u64) {
    let mut speaker = shared.speaker.lock();
    if *speaker != Speaker::Nobody {
        *speaker = Speaker::Generation(generation);
        shared.topics.lock().disconnected();
        shared.hashes.watches.lock().disconnected();
    }
}

/// Keeps the server's topics and the desired ones the same, and reads hashes, until the link breaks; says why it did.
async fn serve(shared: &Shared, speaker: Speaker, link: Link, outage: &mut Outage) -> String {
    tokio::select! {
        reason = link.broken() => reason,
        reason = settle_always(shared, speaker, &link, outage) => reason,
        reason = read_always(shared, speaker, &link.publishing) => reason,
    }
}

async fn settle_always(shared: &Shared, speaker: Speaker, link: &Link, outage: &mut Outage) -> String {
    // One round, and no more: the broker must come up also where topics never stop to come and go.
    let names = shared.topics.lock().take_unsettled();
    if let Err(reason) = settle(shared, speaker, link, names).await {
        return reason;
    }
    shared.went_up(link.publishing.clone());
    outage.ended(shared);
    loop {
        let names = shared.topics.lock().take_unsettled();
        if names.is_empty() {
            shared.unsettled.notified().await;
        } else if let Err(reason) = settle(shared, speaker, link, names).await {
            return reason;
        }
    }
}

/// Asks the server for what is wanted of `names` and not yet so. One command at a time: a topic's next command is
/// decided only when its last one is confirmed, so the server's state cannot drift from the desired one.
async fn settle(shared: &Shared, speaker: Speaker, link: &Link, names: Vec<Arc<str>>) -> Result<(), String> {
    for batch in names.chunks(BATCH) {
        let commands = shared.topics.lock().commands(batch);
        subscribe(shared, speaker, link, commands.subscribe).await?;
        unsubscribe(link, &commands.unsubscribe).await?;
    }
    Ok(())
}

/// Subscribes to `names`. One forbidden channel spoils its whole command, so a spoilt batch is halved until the
/// forbidden ones stand alone.
async fn subscribe(
    shared: &Shared,
    speaker: Speaker,
    link: &Link,
    names: Vec<Arc<str>>,
) -> Result<(), String> {
    let mut batches = vec![names];
    while let Some(mut batch) = batches.pop() {
        if batch.is_empty() {
            continue;
        }
        let Answer::Forbidden(reason) = link.listening.subscribe(&batch).await? else {
            continue;
        };
        if let [name] = &batch[..] {
            refuse(shared, speaker, name, reason);
        } else {
            batches.push(batch.split_off(batch.len() / 2));
            batches.push(batch);
        }
    }
    Ok(())
}

async fn unsubscribe(link: &Link, names: &[Arc<str>]) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    link.listening.unsubscribe(names).await
}

fn refuse(shared: &Shared, speaker: Speaker, name: &str, reason: String) {
    tracing::warn!(channel = name, reason, "redis refuses a channel");
    shared.speak(speaker, || {
        let sink = shared.topics.lock().refused(name);
        if let Some(sink) = sink {
            sink.deliver(BrokerEvent::Refused(reason));
        }
    });
}

/// The time from the loss of the connection, or from the start, until events flow; one log line at each end.
struct Outage {
    since: Option<Instant>,
    told: bool,
    backoff: Backoff,
}

impl Outage {
    fn new() -> Self {
        Self { since: Some(Instant::now()), told: false, backoff: Backoff::new() }
    }

    fn failed(&mut self, shared: &Shared, reason: &str) {
        let address = &*shared.server.address;
        self.since.get_or_insert_with(Instant::now);
        if std::mem::replace(&mut self.told, true) {
            tracing::debug!(address, reason, "redis is still away");
        } else {
            tracing::warn!(address, reason, "redis is away; trying again until it is back");
        }
    }

    fn ended(&mut self, shared: &Shared) {
        let away = self.since.take().map(|since| since.elapsed()).unwrap_or_default();
        let channels = shared.topics.lock().len();
        tracing::info!(address = shared.server.address, channels, ?away, "redis is connected");
        *self = Self { since: None, told: false, backoff: Backoff::new() };
    }
}

/// How long to wait before the next attempt: longer each time, and never the same for two nodes.
struct Backoff {
    longest: Duration,
}

impl Backoff {
    fn new() -> Self {
        Self { longest: FIRST_BACKOFF }
    }

    fn next(&mut self) -> Duration {
        let longest = self.longest;
        self.longest = (longest * 2).min(LAST_BACKOFF);
        // Between half and all of it: nodes that lost the same server do not return in step.
        longest / 2 + longest.mul_f64(random() / 2.0)
    }
}

/// A number from 0 to 1, from the standard library's only source of randomness.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

/// How many topics one command names at most.
const BATCH: usize = 500;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// Short enough that a quiet topic's gap, which waits a second for an event to ride on, is told within two seconds of
/// the server's return.
const LAST_BACKOFF: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_50_to_500_ms_and_stays_between_half_and_all_of_it() {
        let mut backoff = Backoff::new();
        for longest in [50, 100, 200, 400, 500, 500, 500].map(Duration::from_millis) {
            let wait = backoff.next();
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?} of {longest:?}");
        }
    }

    #[test]
    fn two_nodes_wait_differently() {
        assert_ne!(Backoff::new().next(), Backoff::new().next());
    }
}
