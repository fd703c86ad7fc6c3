//! Values that are loaded after events.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use stentor_broker::{
    Broker, BrokerEvent, BrokerMode, BrokerState, GapReason, MemoryBroker, PublishError, Sink,
};
use stentor_engine::{Limits, LoadCall, Loader, OperationId, ResolverError, Resolvers};
use stentor_schema::ErrorCode;
use tokio::{sync::oneshot, time::advance};

use crate::support::{Client, World, settle};

const SCHEMA: &str = r#"
    type Subscription {
      document(tenant: String!): Document
        @subscribe(topic: "documents:{{ args.tenant }}", where: "event != 'hidden'", until: "event.status == 'final'")
        @resolver @public
      owned: Document @subscribe(topic: "documents:t1") @resolver(onMissing: COMPLETE) @public
      idle: Document @subscribe(topic: "documents:t1", idleTimeout: "10s") @resolver @public
      plain: String @subscribe(topic: "documents:t1") @public
      strict: Document! @subscribe(topic: "documents:t1") @resolver @public
    }
    type Document { documentId: ID  status: String }
"#;

const DOCUMENT: &str = r#"subscription { document(tenant: "t1") { documentId status } }"#;

type Outcome = Result<Option<Value>, ResolverError>;

/// The event, and where the outcome of its load goes.
type Waiting = (String, oneshot::Sender<Outcome>);

/// A loader whose loads end when the test says so.
#[derive(Clone, Default)]
struct Gate {
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    begun: Arc<AtomicUsize>,
}

#[async_trait]
impl Loader for Gate {
    async fn load(&self, call: LoadCall) -> Outcome {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let event = call.event.text().unwrap_or_default().to_owned();
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().push_back((event, answer));
        answered.await.expect("the test answers every load, or drops it to let it panic")
    }
}

impl Gate {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Ends the load of this event.
    fn answer(&self, event: &str, outcome: Outcome) {
        drop(self.take(event).send(outcome));
    }

    /// Ends it with a document of that id.
    fn found(&self, event: &str) {
        self.answer(event, Ok(Some(json!({ "document_id": event, "status": "ready" }))));
    }

    fn take(&self, event: &str) -> oneshot::Sender<Outcome> {
        let mut waiting = self.waiting.lock().unwrap();
        let place = waiting.iter().position(|(known, _)| known == event);
        waiting.remove(place.unwrap_or_else(|| panic!("nothing loads {event}"))).unwrap().1
    }
}

fn world(gate: &Gate) -> World {
    world_with(gate, Limits::default(), Arc::new(MemoryBroker::new()))
}

fn world_with(gate: &Gate, limits: Limits, broker: Arc<dyn Broker>) -> World {
    let mut resolvers = Resolvers::default();
    for name in ["document", "owned", "idle", "strict"] {
        resolvers.insert_loader(format!("Subscription.{name}"), gate.clone());
    }
    World::with(SCHEMA, resolvers, limits, broker)
}

fn ready(id: u64, event: &str) -> String {
    format!("{id} {}", json!({ "document": { "documentId": event, "status": "ready" } }))
}

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn a_thousand_subscribers_cost_one_load_for_each_event() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut clients: Vec<Client> = (0..1_000).map(|_| world.client()).collect();
    for client in &mut clients {
        client.listen(1, DOCUMENT).await;
    }
    for event in ["d1", "d2"] {
        world.publish("documents:t1", event).await;
        settle().await;
        gate.found(event);
    }
    for client in &mut clients {
        assert_eq!(client.next().await, ready(1, "d1"));
        assert_eq!(client.next().await, ready(1, "d2"));
    }
    assert_eq!(gate.begun(), 2);
}

#[tokio::test]
async fn loads_overlap_and_their_results_leave_in_the_order_of_the_events() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    for event in ["d1", "d2", "d3"] {
        world.publish("documents:t1", event).await;
    }
    settle().await;
    assert_eq!(gate.begun(), 3);
    gate.found("d3");
    gate.found("d2");
    assert_eq!(client.rest().await, NOTHING);
    gate.found("d1");
    assert_eq!(client.rest().await, ["d1", "d2", "d3"].map(|event| ready(1, event)));
}

#[tokio::test]
async fn a_slow_load_delays_its_audience_and_no_other() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    client.listen(2, r#"subscription { document(tenant: "t2") { documentId status } }"#).await;
    client.listen(3, "subscription { plain }").await;
    for number in 0..300 {
        world.publish("documents:t1", format!("slow{number}")).await;
    }
    world.publish("documents:t2", "d2").await;
    settle().await;
    gate.found("d2");
    let heard = client.rest().await;
    assert_eq!(heard.iter().filter(|line| line.starts_with("1 ")).count(), 0);
    assert_eq!(heard.iter().filter(|line| **line == ready(2, "d2")).count(), 1);
    assert_eq!(heard.iter().filter(|line| line.starts_with("3 ")).count(), 100);
}

#[tokio::test]
async fn a_member_that_joins_while_loads_are_in_flight_hears_later_events_alone() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut first = world.client();
    first.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d1").await;
    settle().await;
    let mut second = world.client();
    second.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d2").await;
    settle().await;
    gate.found("d2");
    gate.found("d1");
    assert_eq!(first.rest().await, ["d1", "d2"].map(|event| ready(1, event)));
    assert_eq!(second.rest().await, [ready(1, "d2")]);
}

#[tokio::test]
async fn the_last_event_ends_those_who_heard_it_and_nobody_who_came_after_it() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut first = world.client();
    first.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d1").await;
    settle().await;
    let mut second = world.client();
    second.listen(1, DOCUMENT).await;
    gate.answer("d1", Ok(Some(json!({ "documentId": "d1", "status": "final" }))));
    let last = r#"1 {"document":{"documentId":"d1","status":"final"}}"#;
    assert_eq!(first.rest().await, [last, "1 complete after 1"]);
    world.publish("documents:t1", "d2").await;
    settle().await;
    gate.found("d2");
    assert_eq!(second.rest().await, [ready(1, "d2")]);
}

#[tokio::test]
async fn an_event_without_a_value_is_skipped_or_ends_the_subscription() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "gone").await;
    world.publish("documents:t1", "hidden").await;
    world.publish("documents:t1", "d1").await;
    settle().await;
    assert_eq!(gate.begun(), 2, "where is asked before anything is loaded");
    gate.answer("gone", Ok(None));
    gate.found("d1");
    assert_eq!(client.rest().await, [ready(1, "d1")]);
    client.0.stop(OperationId(1));

    client.listen(2, "subscription { owned { status } }").await;
    for event in ["d1", "gone"] {
        world.publish("documents:t1", event).await;
        settle().await;
    }
    gate.answer("gone", Ok(None));
    assert_eq!(client.rest().await, NOTHING, "the end keeps its place");
    gate.found("d1");
    assert_eq!(client.rest().await, [r#"2 {"owned":{"status":"ready"}}"#, "2 complete after 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_fails_panics_or_takes_too_long_is_an_error_in_that_result() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    client.listen(2, "subscription { strict { status } }").await;
    for event in ["fails", "panics", "slow"] {
        world.publish("documents:t1", event).await;
        settle().await;
        match event {
            "fails" => {
                for _ in 0..2 {
                    gate.answer(event, Err(ResolverError::new(ErrorCode::Forbidden, "not now")));
                }
            }
            "panics" => (0..2).for_each(|_| drop(gate.take(event))),
            _ => advance(Duration::from_secs(11)).await,
        }
        settle().await;
    }
    let heard = client.rest().await;
    let of = |id: &str| heard.iter().filter(|line| line.starts_with(id)).cloned().collect::<Vec<_>>();
    let codes = ["FORBIDDEN", "INTERNAL_SERVER_ERROR", "UNAVAILABLE"];
    assert_eq!(of("1"), codes.map(|code| format!(r#"1 {{"document":null}} ["{code}"]"#)));
    assert_eq!(of("2"), codes.map(|code| format!(r#"2 null ["{code}"]"#)));
    world.publish("documents:t1", "d1").await;
    settle().await;
    gate.found("d1");
    gate.found("d1");
    assert_eq!(client.rest().await.len(), 2, "both live on");
}

#[tokio::test]
async fn too_many_waiting_events_are_a_gap_at_their_place() {
    let gate = Gate::default();
    let limits = Limits { load_queue: 2, ..Limits::default() };
    let world = world_with(&gate, limits, Arc::new(MemoryBroker::new()));
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    for event in ["d1", "d2", "lost", "lost"] {
        world.publish("documents:t1", event).await;
    }
    settle().await;
    let mut late = world.client();
    late.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "lost").await;
    settle().await;
    gate.found("d1");
    settle().await;
    world.publish("documents:t1", "d3").await;
    settle().await;
    gate.found("d2");
    gate.found("d3");
    let heard = client.rest().await;
    assert_eq!(heard[..2], ["d1", "d2"].map(|event| ready(1, event)));
    assert_eq!(heard[2], format!("{} after gap Some(3) SOURCE", ready(1, "d3")));
    assert_eq!(late.rest().await, [format!("{} after gap Some(1) SOURCE", ready(1, "d3"))]);
}

#[tokio::test]
async fn no_more_than_a_share_of_all_loads_is_in_flight_for_one_audience() {
    let gate = Gate::default();
    let limits = Limits { loads: 32, ..Limits::default() };
    let world = world_with(&gate, limits, Arc::new(MemoryBroker::new()));
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    for number in 0..10 {
        world.publish("documents:t1", number.to_string()).await;
    }
    for number in 0..10_usize {
        settle().await;
        assert_eq!(gate.begun(), (number + 2).min(10));
        gate.found(&number.to_string());
        assert_eq!(client.rest().await, [ready(1, &number.to_string())]);
    }
}

#[tokio::test]
async fn loads_that_nobody_waits_for_any_more_are_given_up() {
    let gate = Gate::default();
    let world = world(&gate);
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d1").await;
    settle().await;
    client.0.stop(OperationId(1));
    settle().await;
    assert!(gate.take("d1").is_closed());
    client.listen(2, DOCUMENT).await;
    world.publish("documents:t1", "d2").await;
    settle().await;
    gate.found("d2");
    assert_eq!(client.rest().await, [ready(2, "d2")]);
}

#[tokio::test(start_paused = true)]
async fn an_audience_that_loads_is_not_idle() {
    let gate = Gate::default();
    let limits = Limits { load_timeout: Duration::from_secs(60), ..Limits::default() };
    let world = world_with(&gate, limits, Arc::new(MemoryBroker::new()));
    let mut client = world.client();
    client.listen(1, "subscription { idle { status } }").await;
    advance(Duration::from_secs(9)).await;
    world.publish("documents:t1", "d1").await;
    settle().await;
    advance(Duration::from_secs(9)).await;
    assert_eq!(client.rest().await, NOTHING);
    gate.found("d1");
    assert_eq!(client.rest().await, [r#"1 {"idle":{"status":"ready"}}"#]);
    advance(Duration::from_secs(11)).await;
    settle().await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(client.rest().await, ["1 complete after 1"]);
}

/// A broker whose one topic tells what the test says.
#[derive(Default)]
struct Puppet(Mutex<Option<Arc<dyn Sink>>>);

impl Puppet {
    fn tell(&self, event: BrokerEvent) {
        self.0.lock().unwrap().as_ref().expect("somebody listens").deliver(event);
    }
}

impl std::fmt::Debug for Puppet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Puppet")
    }
}

#[async_trait]
impl Broker for Puppet {
    fn kind(&self) -> &'static str {
        "puppet"
    }

    fn subscribe(&self, _topic: &str, sink: Arc<dyn Sink>) {
        *self.0.lock().unwrap() = Some(sink);
        self.tell(BrokerEvent::Subscribed);
    }

    fn unsubscribe(&self, _topic: &str) {}

    async fn publish(&self, _topic: &str, payload: Bytes) -> Result<(), PublishError> {
        self.tell(BrokerEvent::Message(payload));
        Ok(())
    }

    fn state(&self) -> BrokerState {
        BrokerState { mode: BrokerMode::Up, since: std::time::SystemTime::UNIX_EPOCH }
    }

    async fn close(&self) {}
}

#[tokio::test]
async fn a_loss_of_the_broker_keeps_its_place_behind_waiting_loads() {
    let (gate, broker) = (Gate::default(), Arc::new(Puppet::default()));
    let world = world_with(&gate, Limits::default(), broker.clone());
    let mut client = world.client();
    client.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d1").await;
    broker.tell(BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect });
    settle().await;
    let mut late = world.client();
    late.listen(1, DOCUMENT).await;
    world.publish("documents:t1", "d2").await;
    settle().await;
    gate.found("d2");
    assert_eq!(client.rest().await, NOTHING);
    gate.found("d1");
    let lost = format!("{} after gap None BROKER_RECONNECT", ready(1, "d2"));
    assert_eq!(client.rest().await, [ready(1, "d1"), lost]);
    assert_eq!(late.rest().await, [ready(1, "d2")], "who came after a loss has lost nothing");
}
