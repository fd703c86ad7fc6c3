//! Public keys that are kept fresh: [`Keys`].

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use stentor_auth::{KeySetVerifier, Principal, TokenVerifier};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Refused,
    fetch::{FETCH_TIMEOUT, FetchError, Fetched, Fetcher},
    log::FetchLog,
    schedule::{Schedule, Wish},
};
use crate::telemetry::KeyMetrics;

/// A verifier whose keys one task keeps fresh, so that however many tokens ask for newer keys there is one fetch at a time.
///
/// A provider that is away, or answers with rubbish, changes nothing: the keys that there are stay.
#[derive(Debug)]
pub(super) struct Keys {
    verifier: KeySetVerifier,
    schedule: Mutex<Schedule>,
    /// Digests what tokens ask for; nobody outside can make two of them equal.
    hasher: RandomState,
    /// The next fetch is due sooner than it was.
    hurry: Notify,
    /// Whether the last fetch brought keys; told anew after each.
    fetched: watch::Sender<bool>,
    metrics: KeyMetrics,
}

impl Keys {
    pub(super) fn new(verifier: KeySetVerifier, interval: Duration, metrics: KeyMetrics) -> Self {
        Self {
            verifier,
            schedule: Mutex::new(Schedule::new(interval, Instant::now().into_std())),
            hasher: RandomState::new(),
            hurry: Notify::new(),
            fetched: watch::Sender::new(false),
            metrics,
        }
    }

    /// The principal of a token. Waits for a fetch if its key is not known.
    pub(super) async fn identify(&self, token: &str) -> Result<Principal, Refused> {
        match self.verifier.verify(token, SystemTime::now()) {
            Err(error) if error.may_be_mended_by_newer_keys() => {}
            verdict => return verdict.map_err(Refused::Token),
        }
        // The header, in which the key is named.
        let question = self.hasher.hash_one(token.split('.').next());
        let decisive =
            self.renew(question).await.map_err(|retry_after| Refused::Undecided { retry_after })?;
        match self.verifier.verify(token, SystemTime::now()) {
            Err(error) if error.may_be_mended_by_newer_keys() && !decisive => match self.wish(question) {
                Wish::Answered => Err(Refused::Token(error)),
                _ => Err(Refused::Undecided { retry_after: self.next_fetch() }),
            },
            verdict => verdict.map_err(Refused::Token),
        }
    }

    /// Waits until there are keys, or `patience` is over.
    pub(super) async fn ready(&self, patience: Duration) {
        let mut fetched = self.fetched.subscribe();
        // Over without keys: tokens will have to wait, and the log says why.
        let _ = timeout(patience, fetched.wait_for(|fetched| *fetched)).await;
    }

    /// Fetches whenever it is due, for ever.
    pub(super) async fn keep_fresh(self: Arc<Self>, fetcher: Fetcher) {
        let mut log = FetchLog::default();
        loop {
            let due = self.schedule.lock().due();
            let due = due.map_or_else(Instant::now, Instant::from_std);
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.hurry.notified() => continue,
            }
            self.schedule.lock().begin();
            let outcome = fetcher.fetch(self.verifier.algorithms()).await;
            self.take(outcome, &fetcher, &mut log);
        }
    }

    fn take(&self, outcome: Result<Fetched, FetchError>, fetcher: &Fetcher, log: &mut FetchLog) {
        let now = Instant::now();
        self.metrics.count(outcome.as_ref().map(drop).map_err(FetchError::is_invalid));
        let succeeded = outcome.is_ok();
        match outcome {
            Ok(Fetched { keys, max_age }) => {
                let keys = Arc::new(keys);
                log.note_success(self.verifier.keys().as_deref(), &keys, fetcher.place());
                self.verifier.replace(keys);
                self.metrics.note_fresh(now);
                self.schedule.lock().succeeded(now.into_std(), max_age);
            }
            Err(error) => {
                log.note_failure(&error, self.verifier.keys().is_some(), now);
                self.schedule.lock().failed(now.into_std());
            }
        }
        self.fetched.send_replace(succeeded);
    }

    /// Waits for newer keys, and says whether they are newer than the wish. A fetch that was under way already may have
    /// missed what was published since.
    ///
    /// # Errors
    ///
    /// There are none; after how long there may be.
    async fn renew(&self, question: u64) -> Result<bool, Duration> {
        // Before the wish: a fetch that ends right after it must not be missed.
        let mut fetched = self.fetched.subscribe();
        let wish = self.wish(question);
        match wish {
            Wish::Answered => return Ok(true),
            Wish::Later(_) => return Err(self.next_fetch()),
            Wish::Now | Wish::UnderWay => {}
        }
        match timeout(FETCH_TIMEOUT + GRACE, fetched.changed()).await {
            Ok(Ok(())) if *fetched.borrow() => Ok(wish == Wish::Now),
            _ => Err(self.next_fetch()),
        }
    }

    fn wish(&self, question: u64) -> Wish {
        let wish = self.schedule.lock().wish(Instant::now().into_std(), question);
        self.hurry.notify_one();
        wish
    }

    /// How long it is until the next fetch; while one is under way, how long that may take.
    fn next_fetch(&self) -> Duration {
        let due = self.schedule.lock().due().map(Instant::from_std);
        due.map_or(FETCH_TIMEOUT, |due| due.saturating_duration_since(Instant::now()))
    }
}

/// What a fetch may take beyond its time on a busy machine.
const GRACE: Duration = Duration::from_secs(1);
