//! A sink that remembers: [`RecordingSink`].

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};

use super::PATIENCE;
use crate::{Broker, BrokerEvent, GapReason, HashEvent, HashSink, HashStore, HashValue, Sink};

/// A sink that passes everything on to its [`Heard`].
#[derive(Debug)]
pub struct RecordingSink<E = BrokerEvent> {
    events: mpsc::UnboundedSender<E>,
}

/// What a [`RecordingSink`] was told, in order.
#[derive(Debug)]
pub struct Heard<E = BrokerEvent> {
    events: mpsc::UnboundedReceiver<E>,
    /// What was taken out already, for the panic's text.
    before: Vec<E>,
}

impl<E> RecordingSink<E> {
    /// Makes a sink, and the place where it can be seen what the sink was told.
    pub fn new() -> (Arc<Self>, Heard<E>) {
        let (sender, events) = mpsc::unbounded_channel();
        (Arc::new(Self { events: sender }), Heard { events, before: Vec::new() })
    }
}

impl RecordingSink {
    /// Subscribes a new sink to `topic`, which `broker` alone holds from then on.
    pub fn subscribe(broker: &dyn Broker, topic: &str) -> Heard {
        let (sink, heard) = Self::new();
        broker.subscribe(topic, sink);
        heard
    }
}

impl RecordingSink<HashEvent> {
    /// Lets a new sink watch `key`, which `store` alone holds from then on.
    pub fn watch(store: &dyn HashStore, key: &str) -> Heard<HashEvent> {
        let (sink, heard) = Self::new();
        store.watch(key, sink);
        heard
    }
}

impl Sink for RecordingSink {
    fn deliver(&self, event: BrokerEvent) {
        // A test that has seen enough may drop its end.
        let _ = self.events.send(event);
    }
}

impl HashSink for RecordingSink<HashEvent> {
    fn deliver(&self, event: HashEvent) {
        let _ = self.events.send(event);
    }
}

impl Heard {
    /// Waits for [`BrokerEvent::Subscribed`].
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_subscribed(&mut self) {
        self.expect(BrokerEvent::Subscribed).await;
    }

    /// Waits for a message with this payload.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_message(&mut self, payload: impl Into<Bytes>) {
        self.expect(BrokerEvent::Message(payload.into())).await;
    }

    /// Waits for the gap of a lost connection.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_gap(&mut self) {
        self.expect(BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect }).await;
    }

    /// Waits for the gap of a switch between Redis and memory.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_failover(&mut self) {
        self.expect(BrokerEvent::Gap { dropped: None, reason: GapReason::Failover }).await;
    }
}

impl Heard<HashEvent> {
    /// Waits for [`HashEvent::Watching`].
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_watching(&mut self) {
        self.expect(HashEvent::Watching).await;
    }

    /// Waits for the gap of a switch between Redis and memory.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_failover(&mut self) {
        self.expect(HashEvent::Gap { reason: GapReason::Failover }).await;
    }

    /// Waits for [`HashEvent::Absent`].
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_absent(&mut self) {
        self.expect(HashEvent::Absent).await;
    }

    /// Waits for a value of these fields.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`].
    pub async fn expect_value(&mut self, fields: &[(&str, &str)]) {
        let value = HashValue::new(fields.iter().copied()).expect("it is small");
        self.expect(HashEvent::Value(Arc::new(value))).await;
    }
}

impl<E: Clone + fmt::Debug + PartialEq> Heard<E> {
    /// The next event; `None` when none comes within `patience`, or ever, since the sink was dropped.
    pub async fn next(&mut self, patience: Duration) -> Option<E> {
        let event = timeout(patience, self.events.recv()).await.ok().flatten()?;
        self.before.push(event.clone());
        Some(event)
    }

    /// Waits for the next event, which must be `expected`.
    ///
    /// # Panics
    ///
    /// When it is another, or when none comes within [`PATIENCE`].
    pub async fn expect(&mut self, expected: E) {
        let event = self.next(PATIENCE).await;
        assert!(
            event.as_ref() == Some(&expected),
            "expected {expected:?}, heard {event:?}\n{}",
            self.transcript()
        );
    }

    /// Nothing waits to be taken out at this moment.
    ///
    /// # Panics
    ///
    /// When something does.
    pub fn expect_nothing(&mut self) {
        if let Ok(event) = self.events.try_recv() {
            panic!("expected nothing, heard {event:?}\n{}", self.transcript());
        }
    }

    /// Waits until the sink was dropped, which must hear nothing before that.
    ///
    /// # Panics
    ///
    /// When it hears something, or is not dropped within [`PATIENCE`].
    pub async fn expect_dropped(&mut self) {
        match timeout(PATIENCE, self.events.recv()).await {
            Ok(None) => {}
            Ok(Some(event)) => panic!("expected no more, heard {event:?}\n{}", self.transcript()),
            Err(_) => panic!("the sink is still held\n{}", self.transcript()),
        }
    }

    fn transcript(&self) -> String {
        let first = self.before.len().saturating_sub(SHOWN);
        let events: Vec<_> = self.before[first..].iter().map(|event| format!("{event:.80?}")).collect();
        format!("the last of {} events:\n  {}", self.before.len(), events.join("\n  "))
    }
}

/// How many events a panic shows.
const SHOWN: usize = 10;
