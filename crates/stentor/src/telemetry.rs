//! What the server counts, and how it is read: [`Telemetry`].

use metrics::{Counter, Gauge, Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use stentor_broker::BrokerMode;

/// The figures of one server; two in one process do not share them.
#[derive(Debug)]
pub(crate) struct Telemetry {
    handle: PrometheusHandle,
    /// Open WebSocket connections.
    pub(crate) connections: Gauge,
    broker_state: Gauge,
    hash_reads: Counter,
    /// The engine's own.
    pub(crate) engine: stentor_engine::Metrics,
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
        }
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
        self.handle.render()
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);
