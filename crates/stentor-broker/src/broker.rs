//! The seam between nodes: [`Broker`] on one side, [`Sink`] on the other.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

/// A place that knows topics and bytes: publishes to them and listens to them.
///
/// # Contract
///
/// - **Subscribing** never waits. The sink first hears [`BrokerEvent::Subscribed`]: every event published after
///   that moment, on any node, reaches the sink once. Until then, while the broker is away, the topic simply waits;
///   [`BrokerEvent::Refused`] is the answer to a topic that will never work, and ends the subscription.
/// - **One sink per topic.** A second `subscribe` to the same topic replaces the first sink and is confirmed anew.
/// - **Order**: events of one topic arrive in the order in which the broker saw them. Nothing is promised across topics.
/// - **Loss** is an event: [`BrokerEvent::Gap`], at its place in the order, and no later than the first message after
///   the loss. After a lost connection every subscribed topic is listened to again, then told its gap, whether or not
///   anything was published meanwhile.
/// - **Unsubscribing** never waits. The sink may hear what was already under way; the broker drops its sink soon after.
/// - **Publishing** returns once the broker has taken the event. An error says whether it may have been taken anyway.
///   Nothing is retried.
/// - **Sinks** of one topic are told one event at a time, and may call `subscribe`, `unsubscribe` and `state` meanwhile.
///   `Subscribed` may be said before `subscribe` returns, so its caller holds no lock that the sink takes.
/// - **Memory** held for a topic is bounded by its name and a handle. A broker keeps no events: it hands them to
///   sinks, which never block.
#[async_trait]
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// The kind of broker, in one lower-case word, as health, metrics and the log show it.
    fn kind(&self) -> &'static str;

    /// Starts to listen to `topic`; what happens on it is told to `sink`.
    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>);

    /// Stops listening to `topic`. A topic that nobody listens to is ignored.
    fn unsubscribe(&self, topic: &str);

    /// Sends `payload` to everyone who listens to `topic`, on every node.
    ///
    /// # Errors
    ///
    /// [`PublishError::NotSent`] when nobody can have heard it, [`PublishError::Unknown`] when somebody may have.
    async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError>;

    /// How events flow at this moment.
    fn state(&self) -> BrokerState;

    /// Stops everything; sinks hear nothing more.
    async fn close(&self);
}

/// Where a broker puts what it hears on one topic.
pub trait Sink: Send + Sync + 'static {
    /// Takes one event. Called from the broker's own reader, so it must neither block nor wait.
    fn deliver(&self, event: BrokerEvent);
}

/// What a sink hears about its topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BrokerEvent {
    /// Events may have been lost at this place in the order: how many, or `None` when nobody can know.
    Gap {
        /// How many events were lost; `None` when unknown.
        dropped: Option<u64>,
        /// Why.
        reason: GapReason,
    },
    /// One event's payload.
    Message(Bytes),
    /// The topic will never work (the server forbids it, say); text for the operator.
    Refused(String),
    /// From here on every published event arrives. Said once per `subscribe`; after a reconnect comes a gap instead.
    Subscribed,
}

/// Why events were lost between the publisher and the sink.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GapReason {
    /// The connection to the broker was lost and made anew.
    BrokerReconnect,
    /// Nodes were parted, each with its own memory for a broker, or have found together again.
    Failover,
}

/// How a broker works, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BrokerState {
    /// How events flow.
    pub mode: BrokerMode,
    /// When `mode` last changed.
    pub since: SystemTime,
}

/// How events flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BrokerMode {
    /// Not at all: nothing is heard, and nothing can be published.
    Down,
    /// Within this node alone, until the broker is back.
    Fallback,
    /// Between all nodes.
    Up,
}

impl BrokerState {
    /// `mode`, from this moment on.
    pub(crate) fn now(mode: BrokerMode) -> Self {
        Self { mode, since: SystemTime::now() }
    }

    /// Whether events flow between all nodes.
    pub fn is_up(&self) -> bool {
        self.mode == BrokerMode::Up
    }
}

impl BrokerMode {
    /// The word for it, as health and the log show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Fallback => "fallback",
            Self::Up => "up",
        }
    }
}

/// A publish that was not confirmed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event was not sent; it may be published again.
    #[error("the event was not sent: {0}")]
    NotSent(String),
    /// The broker may or may not have taken the event.
    #[error("it is not known whether the event was sent: {0}")]
    Unknown(String),
}
