//! What the engine counts: [`Metrics`].

use ::metrics::{Counter, Gauge, Key, Label, Metadata, Recorder};

use crate::GapReason;

const REASONS: [GapReason; 4] =
    [GapReason::BrokerReconnect, GapReason::Failover, GapReason::SlowConsumer, GapReason::Source];

/// Handles to the engine's figures, registered once so that counting is one atomic addition.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) operations: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) topics: Gauge,
    pub(crate) hashes: Gauge,
    pub(crate) audiences: Gauge,
    pub(crate) events: Counter,
    pub(crate) hash_values: Counter,
    pub(crate) executions: Counter,
    pub(crate) loads: Counter,
    pub(crate) load_errors: Counter,
    /// For the connection's driver: results handed to sockets.
    pub deliveries: Counter,
    pub(crate) malformed: Counter,
    pub(crate) condition_errors: Counter,
    pub(crate) foreign_tenant: Counter,
    dropped: [Counter; 4],
    gaps: [Counter; 4],
}

impl Metrics {
    /// Registers every figure with `recorder`, at nought.
    pub fn register(recorder: &dyn Recorder) -> Self {
        let counter = |name: &'static str, help: &'static str| {
            recorder.describe_counter(name.into(), None, help.into());
            recorder.register_counter(&Key::from_static_name(name), &METADATA)
        };
        let gauge = |name: &'static str, help: &'static str| {
            recorder.describe_gauge(name.into(), None, help.into());
            recorder.register_gauge(&Key::from_static_name(name), &METADATA)
        };
        let by_reason = |name: &'static str, help: &'static str| {
            recorder.describe_counter(name.into(), None, help.into());
            REASONS.map(|reason| {
                let label = Label::from_static_parts("reason", reason.as_str());
                recorder.register_counter(&Key::from_parts(name, vec![label]), &METADATA)
            })
        };
        Self {
            operations: gauge("stentor_operations", "Operations that are running."),
            streams: gauge("stentor_streams", "Streams of the embedding program, one for each subscription."),
            topics: gauge("stentor_topics", "Topics that this node listens to."),
            hashes: gauge("stentor_hashes", "Hash keys that this node watches."),
            audiences: gauge("stentor_audiences", "Audiences: groups that receive the same bytes."),
            events: counter("stentor_events_total", "Events that came from the broker."),
            hash_values: counter("stentor_hash_values_total", "Values of hashes that came from the store."),
            executions: counter(
                "stentor_executions_total",
                "Times an event was filtered and projected for an audience.",
            ),
            loads: counter("stentor_loads_total", "Values loaded after events, once for each audience."),
            load_errors: counter(
                "stentor_load_errors_total",
                "Loads that failed, panicked or took too long.",
            ),
            deliveries: counter("stentor_deliveries_total", "Results handed to connections."),
            malformed: counter("stentor_malformed_total", "Events that could not be decoded or projected."),
            condition_errors: counter(
                "stentor_condition_errors_total",
                "Times a condition could not be decided and counted as false.",
            ),
            foreign_tenant: counter(
                "stentor_foreign_tenant_total",
                "Events that @tenant kept from an audience.",
            ),
            dropped: by_reason("stentor_dropped_total", "Events lost, as far as their number is known."),
            gaps: by_reason("stentor_gaps_total", "Gaps told to subscriptions."),
        }
    }

    /// Figures that nobody reads.
    pub fn unregistered() -> Self {
        Self::register(&::metrics::NoopRecorder)
    }

    pub(crate) fn dropped(&self, reason: GapReason, count: u64) {
        self.dropped[place(reason)].increment(count);
    }

    pub(crate) fn gap(&self, reason: GapReason) {
        self.gaps[place(reason)].increment(1);
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), ::metrics::Level::INFO, None);

fn place(reason: GapReason) -> usize {
    match reason {
        GapReason::BrokerReconnect => 0,
        GapReason::Failover => 1,
        GapReason::SlowConsumer => 2,
        GapReason::Source => 3,
    }
}
