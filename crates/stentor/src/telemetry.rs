//! What the server counts, and how it is read: [`Telemetry`].

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use stentor_broker::BrokerMode;
use tokio::time::Instant;

/// The figures of one server; two in one process do not share them.
#[derive(Debug)]
pub(crate) struct Telemetry {
    recorder: Recording,
    handle: PrometheusHandle,
    /// Open WebSocket connections.
    pub(crate) connections: Gauge,
    broker_state: Gauge,
    hash_reads: Counter,
    /// The engine's own.
    pub(crate) engine: stentor_engine::Metrics,
    keys: OnceLock<KeyMetrics>,
}

/// What is counted of the keys that tokens are checked with.
#[derive(Clone, Debug)]
pub(crate) struct KeyMetrics {
    /// Fetches that brought keys, rubbish, and nothing.
    fetches: [Counter; 3],
    age: Gauge,
    /// When the keys were last fetched.
    fresh: Arc<Mutex<Option<Instant>>>,
}

impl KeyMetrics {
    /// A fetch ended; without keys, but with an answer, if the error is `true`.
    pub(crate) fn count(&self, outcome: Result<(), bool>) {
        let [keys, rubbish, nothing] = &self.fetches;
        match outcome {
            Ok(()) => keys.increment(1),
            Err(true) => rubbish.increment(1),
            Err(false) => nothing.increment(1),
        }
    }

    pub(crate) fn note_fresh(&self, now: Instant) {
        *self.fresh.lock() = Some(now);
    }

    fn set_age(&self) {
        if let Some(fresh) = *self.fresh.lock() {
            self.age.set(fresh.elapsed().as_secs_f64());
        }
    }
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let gauge = |name: &'static str, help: &'static str| {
            recorder.describe_gauge(name.into(), None, help.into());
            recorder.register_gauge(&Key::from_static_name(name), &METADATA)
        };
        let counter = |name: &'static str, help: &'static str| {
            recorder.describe_counter(name.into(), None, help.into());
            recorder.register_counter(&Key::from_static_name(name), &METADATA)
        };
        Self {
            connections: gauge("stentor_connections", "Open WebSocket connections."),
            broker_state: gauge(
                "stentor_broker_state",
                "1 while events flow between all nodes, 2 while only within this one (fallback), 0 while not at all.",
            ),
            hash_reads: counter("stentor_hash_reads_total", "Hashes read from the broker's server."),
            engine: stentor_engine::Metrics::register(&recorder),
            handle: recorder.handle(),
            keys: OnceLock::new(),
            recorder: Recording(recorder),
        }
    }

    /// The figures of keys that are fetched. Without such keys they are not shown.
    pub(crate) fn keys(&self) -> KeyMetrics {
        let Recording(recorder) = &self.recorder;
        let register = || {
            let (fetches, age) = ("stentor_jwks_fetches_total", "stentor_jwks_age_seconds");
            recorder.describe_counter(
                fetches.into(),
                None,
                "Fetches of the keys that tokens are checked with.".into(),
            );
            recorder.describe_gauge(age.into(), None, "Time since these keys were last fetched.".into());
            let fetches = ["ok", "invalid", "unreachable"].map(|outcome| {
                let label = Label::from_static_parts("outcome", outcome);
                recorder.register_counter(&Key::from_parts(fetches, vec![label]), &METADATA)
            });
            let age = recorder.register_gauge(&Key::from_static_name(age), &METADATA);
            KeyMetrics { fetches, age, fresh: Arc::default() }
        };
        self.keys.get_or_init(register).clone()
    }

    /// Everything in the text format of Prometheus.
    ///
    /// The broker counts for itself; its figures are taken over here.
    pub(crate) fn render(&self, broker: BrokerMode, hash_reads: u64) -> String {
        self.hash_reads.absolute(hash_reads);
        self.broker_state.set(match broker {
            BrokerMode::Down => 0.0,
            BrokerMode::Up => 1.0,
            BrokerMode::Fallback => 2.0,
        });
        if let Some(keys) = self.keys.get() {
            keys.set_age();
        }
        self.handle.render()
    }
}

/// Registers figures; it has nothing to show of itself.
struct Recording(PrometheusRecorder);

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
