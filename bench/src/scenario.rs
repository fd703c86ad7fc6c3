//! What is measured: how subscribers and topics relate, and at what pace events come.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// One situation in which every server is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Scenario {
    pub(crate) shape: Shape,
    pub(crate) regime: Regime,
    /// Events in flight per topic at [`Regime::Saturating`]; below the buffer of a subscription (100), so that
    /// a server has no reason to drop any.
    pub(crate) window: u64,
    /// Connections with one subscription each.
    pub(crate) connections: u64,
    /// Length of the measured phase, in seconds.
    pub(crate) seconds: f64,
}

impl Scenario {
    /// One sentence for the table.
    pub(crate) fn title(&self) -> String {
        let count = crate::report::grouped(self.connections);
        let audience = match self.shape {
            Shape::OneTopic => format!("{count} subscribers of one topic"),
            Shape::ManyTopics => format!("{count} topics with one subscriber each"),
        };
        let regime = match self.regime {
            Regime::Saturating => {
                format!("saturated, {} events in flight", crate::report::grouped(self.events_in_flight()))
            }
            Regime::Paced => format!("{} events per second", self.shape.pace().per_second()),
            Regime::Idle => "idle".to_owned(),
        };
        format!("{audience}, {regime}")
    }

    /// Events that may be under way at saturation, over all topics.
    pub(crate) fn events_in_flight(&self) -> u64 {
        self.window * self.shape.topics(self.connections)
    }
}

/// How subscribers are spread over topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Every connection subscribes to the same topic.
    OneTopic,
    /// Every connection subscribes to a topic of its own; events visit the topics in turn.
    ManyTopics,
}

impl Shape {
    /// Topics that `connections` subscribers listen to.
    pub(crate) fn topics(self, connections: u64) -> u64 {
        match self {
            Self::OneTopic => 1,
            Self::ManyTopics => connections,
        }
    }

    /// Deliveries that one event causes.
    pub(crate) fn deliveries_per_event(self, connections: u64) -> u64 {
        match self {
            Self::OneTopic => connections,
            Self::ManyTopics => 1,
        }
    }

    /// The pace of [`Regime::Paced`]: well below saturation of two cores that the load generator shares.
    pub(crate) fn pace(self) -> Pace {
        match self {
            Self::OneTopic => Pace { tick: Duration::from_millis(20), events_per_tick: 1 },
            Self::ManyTopics => Pace { tick: Duration::from_millis(1), events_per_tick: 20 },
        }
    }
}

/// When events are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Regime {
    /// As fast as subscribers confirm receipt.
    Saturating,
    /// By the clock.
    Paced,
    /// Not at all: memory is measured.
    Idle,
}

/// Events by the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) tick: Duration,
    pub(crate) events_per_tick: u64,
}

impl Pace {
    fn per_second(self) -> String {
        let ticks = 1.0 / self.tick.as_secs_f64();
        crate::report::grouped((ticks * self.events_per_tick as f64).round() as u64)
    }
}
