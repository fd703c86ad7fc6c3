//! An engine on memory, and sessions of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};
use stentor_broker::{
    Broker, HashError, HashEvent, HashSink, HashStore, HashValue, MemoryBroker, MemoryHashStore,
};
use stentor_engine::{
    Delivery, Engine, EngineConfig, Guards, Limits, Metrics, OperationId, Resolvers, Session,
};
use stentor_schema::{Request, Schema, SchemaOptions};
use tokio::time::{Instant, timeout};

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hashes: WatchedStore,
}

impl World {
    pub(crate) fn new(sdl: &str, resolvers: Resolvers) -> Self {
        Self::with(sdl, resolvers, Limits::default(), Arc::new(MemoryBroker::new()))
    }

    pub(crate) fn with(sdl: &str, resolvers: Resolvers, limits: Limits, broker: Arc<dyn Broker>) -> Self {
        let options = SchemaOptions { authentication: true, tenant_claim: Some("tenant".into()) };
        let schema = Schema::parse(sdl, "schema.graphql", &options).unwrap_or_else(|wrong| panic!("{wrong}"));
        let hashes = WatchedStore::default();
        let engine = Engine::start(EngineConfig {
            schema,
            broker: Arc::clone(&broker),
            hashes: Arc::new(hashes.clone()),
            resolvers,
            guards: Guards::default(),
            limits,
            metrics: Metrics::unregistered(),
            authentication: true,
            shards: None,
        });
        Self { engine, broker, hashes }
    }

    pub(crate) fn client(&self) -> Client {
        Client(self.engine.session(1))
    }

    pub(crate) async fn publish(&self, topic: &str, payload: impl Into<String>) {
        let payload = Bytes::from(payload.into());
        self.broker.publish(topic, payload).await.expect("memory takes every event");
    }

    pub(crate) async fn write(&self, key: &str, fields: &[(&str, &str)]) {
        let fields: Vec<_> =
            fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        self.hashes.write(key, &fields).await.expect("memory takes every hash");
    }
}

pub(crate) struct Client(pub(crate) Session);

impl Client {
    /// As someone with these claims.
    pub(crate) fn of(mut self, claims: &Value) -> Self {
        let claims = claims.as_object().cloned().unwrap_or_default();
        let ends = SystemTime::now() + Duration::from_secs(3_600);
        let config = PrincipalConfig {
            keep: ["tenant".to_owned()].into(),
            tenant_claim: Some("tenant".into()),
            ..PrincipalConfig::default()
        };
        let principal = Principal::from_claims(&claims, ends, &config);
        self.0.authenticate(Some(Arc::new(principal)));
        self
    }

    pub(crate) fn start(&mut self, id: u64, query: &str) {
        let request = Request { query: query.into(), ..Request::default() };
        self.0.start(OperationId(id), &request).expect("the operation is valid");
    }

    /// Starts a subscription and waits until it listens.
    pub(crate) async fn listen(&mut self, id: u64, query: &str) {
        self.start(id, query);
        assert_eq!(self.next().await, format!("{id} live"));
    }

    pub(crate) async fn next(&mut self) -> String {
        let next = std::future::poll_fn(|context| self.0.poll_next(context, Instant::now()));
        show(timeout(Duration::from_secs(5), next).await.expect("a delivery was due"))
    }

    /// What there is without waiting, after everything under way has run.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        settle().await;
        let mut found = Vec::new();
        std::future::poll_fn(|context| {
            while let Poll::Ready(delivery) = self.0.poll_next(context, Instant::now()) {
                found.push(show(delivery));
            }
            Poll::Ready(())
        })
        .await;
        found
    }
}

/// Lets every other task run until it waits; the test's runtime has one thread.
pub(crate) async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// A delivery as one line; of a result its data, and the codes of its errors.
fn show(delivery: Delivery) -> String {
    match delivery {
        Delivery::Complete(id, summary) => format!("{} complete after {}", id.0, summary.delivered),
        Delivery::Error(id, errors, _) => format!("{} error {}", id.0, errors[0].code.as_str()),
        Delivery::Gap(id, gap) => format!("{} gap {:?} {}", id.0, gap.dropped, gap.reason.as_str()),
        Delivery::Live(id) => format!("{} live", id.0),
        Delivery::Next(id, result, gap) => {
            let result: Value = serde_json::from_slice(result.bytes()).expect("a result is JSON");
            let errors = result["errors"].as_array().into_iter().flatten();
            let codes: Vec<_> = errors.map(|error| error["extensions"]["code"].clone()).collect();
            let failed = if codes.is_empty() { String::new() } else { format!(" {}", json!(codes)) };
            let gap = gap.map(|gap| format!(" after gap {:?} {}", gap.dropped, gap.reason.as_str()));
            format!("{} {}{failed}{}", id.0, result["data"], gap.unwrap_or_default())
        }
        Delivery::Overflow(id) => format!("{} overflow", id.0),
    }
}

/// Memory that counts who watches, and lets a test say what memory has no cause to.
#[derive(Clone, Default)]
pub(crate) struct WatchedStore {
    store: MemoryHashStore,
    watches: Arc<AtomicUsize>,
    unwatches: Arc<AtomicUsize>,
    sinks: Arc<Mutex<HashMap<String, Arc<dyn HashSink>>>>,
}

impl WatchedStore {
    /// How often a key was watched, and how often one was let go.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.watches.load(Ordering::Relaxed), self.unwatches.load(Ordering::Relaxed))
    }
}

impl WatchedStore {
    /// Tells the watcher of `key` what a server would tell.
    pub(crate) fn tell(&self, key: &str, event: HashEvent) {
        self.sinks.lock().expect("no test panics here")[key].deliver(event);
    }
}

impl std::fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl HashStore for WatchedStore {
    fn watch(&self, key: &str, sink: Arc<dyn HashSink>) {
        self.watches.fetch_add(1, Ordering::Relaxed);
        self.sinks.lock().expect("no test panics here").insert(key.to_owned(), Arc::clone(&sink));
        self.store.watch(key, sink);
    }

    fn unwatch(&self, key: &str) {
        self.unwatches.fetch_add(1, Ordering::Relaxed);
        self.store.unwatch(key);
    }

    async fn read(&self, key: &str) -> Result<Option<Arc<HashValue>>, HashError> {
        self.store.read(key).await
    }

    async fn write(&self, key: &str, fields: &[(String, String)]) -> Result<(), HashError> {
        self.store.write(key, fields).await
    }

    fn reads(&self) -> u64 {
        self.store.reads()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
