//! From a published event to the deliveries of sessions, on the memory broker and a clock that only tests move.

use std::{sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};
use stentor_broker::{
    Broker, BrokerEvent, BrokerMode, BrokerState, GapReason, MemoryBroker, MemoryHashStore, PublishError,
    Sink,
};
use stentor_engine::{
    Call, Delivery, Engine, EngineConfig, Guards, Limits, Metrics, OperationId, Resolver, ResolverError,
    Resolvers, Session,
};
use stentor_schema::{ErrorCode, Request, Schema, SchemaOptions};
use tokio::time::{Instant, advance, timeout};

const SCHEMA: &str = r#"
type Query { slow: Int @resolver broken: Int @resolver }
type Mutation { step(number: Int!): Int @resolver }
type Subscription {
  tick(name: String!): Tick! @subscribe(topic: "tick:{{ args.name }}") @public
  until(name: String!): Tick! @subscribe(topic: "tick:{{ args.name }}", until: "event.number == 3") @public
  idle(name: String!): Tick! @subscribe(topic: "tick:{{ args.name }}", idleTimeout: "10s") @public
  own: Tick! @subscribe(topic: "tick:all", where: "event.tenant == claims.tenant")
  tenant: Tick! @subscribe(topic: "tick:all") @tenant(field: "tenant")
}
type Tick { number: Int! name: String }
"#;

struct World {
    engine: Engine,
    broker: MemoryBroker,
}

impl World {
    fn new() -> Self {
        let broker = MemoryBroker::new();
        Self { engine: engine(Arc::new(broker.clone())), broker }
    }

    fn session(&self) -> Client {
        Client(self.engine.session(1))
    }

    async fn publish(&self, topic: &str, event: Value) {
        self.broker.publish(topic, Bytes::from(event.to_string())).await.expect("memory takes every event");
    }
}

fn engine(broker: Arc<dyn Broker>) -> Engine {
    let options = SchemaOptions { authentication: true, tenant_claim: Some("tenant".into()) };
    let schema = Schema::parse(SCHEMA, "schema.graphql", &options).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mut resolvers = Resolvers::default();
    resolvers.insert("Query.broken", Broken);
    Engine::start(EngineConfig {
        schema,
        broker,
        hashes: Arc::new(MemoryHashStore::new()),
        resolvers,
        guards: Guards::default(),
        limits: Limits::default(),
        metrics: Metrics::unregistered(),
        authentication: true,
        shards: None,
    })
}

/// A resolver with a fault.
struct Broken;

#[async_trait::async_trait]
impl Resolver for Broken {
    async fn resolve(&self, _call: Call) -> Result<Value, ResolverError> {
        panic!("a fault of the embedding program");
    }
}

struct Client(Session);

impl Client {
    fn of(mut self, claims: &Value) -> Self {
        let claims = claims.as_object().cloned().unwrap_or_default();
        let config = PrincipalConfig {
            keep: ["tenant".to_owned()].into(),
            tenant_claim: Some("tenant".into()),
            ..PrincipalConfig::default()
        };
        let ends = std::time::SystemTime::now() + Duration::from_secs(3_600);
        let principal = Principal::from_claims(&claims, ends, &config);
        self.0.authenticate(Some(Arc::new(principal)));
        self
    }

    fn start(&mut self, id: u64, query: &str) -> Result<(), Vec<ErrorCode>> {
        let request = Request { query: query.into(), ..Request::default() };
        let started = self.0.start(OperationId(id), &request);
        started.map_err(|errors| errors.iter().map(|error| error.code).collect())
    }

    /// Starts a subscription and waits until it listens.
    async fn subscribe(&mut self, id: u64, query: &str) {
        self.start(id, query).expect("the operation is valid");
        assert_eq!(self.next().await, format!("{id} live"));
    }

    async fn next(&mut self) -> String {
        let next = timeout(
            Duration::from_secs(5),
            std::future::poll_fn(|context| self.0.poll_next(context, Instant::now())),
        );
        show(next.await.expect("a delivery was due"))
    }

    /// What there is without waiting, after everything under way has run.
    async fn rest(&mut self) -> Vec<String> {
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
async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

fn show(delivery: Delivery) -> String {
    match delivery {
        Delivery::Complete(id, summary) => format!("{} complete after {}", id.0, summary.delivered),
        Delivery::Error(id, errors, _) => format!("{} error {}", id.0, errors[0].code.as_str()),
        Delivery::Gap(id, gap) => format!("{} gap {:?} {}", id.0, gap.dropped, gap.reason.as_str()),
        Delivery::Live(id) => format!("{} live", id.0),
        Delivery::Next(id, result, gap) => {
            let result: Value = serde_json::from_slice(result.bytes()).expect("a result is JSON");
            let gap = gap.map(|gap| format!(" after gap {:?} {}", gap.dropped, gap.reason.as_str()));
            format!("{} {result}{}", id.0, gap.unwrap_or_default())
        }
        Delivery::Overflow(id) => format!("{} overflow", id.0),
    }
}

#[tokio::test]
async fn a_member_hears_what_comes_after_it_joined() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    world.publish("tick:a", json!({ "number": 0 })).await;
    client.subscribe(1, r#"subscription { tick(name: "a") { number } }"#).await;
    world.publish("tick:a", json!({ "number": 1 })).await;
    world.publish("tick:b", json!({ "number": 2 })).await;
    assert_eq!(client.rest().await, [r#"1 {"data":{"tick":{"number":1}}}"#]);
    client.0.stop(OperationId(1));
    world.publish("tick:a", json!({ "number": 3 })).await;
    assert_eq!(client.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_satisfies_until_is_the_last() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    client.subscribe(1, r#"subscription { until(name: "a") { number } }"#).await;
    for number in 2..5 {
        world.publish("tick:a", json!({ "number": number })).await;
    }
    let expected = [
        r#"1 {"data":{"until":{"number":2}}}"#,
        r#"1 {"data":{"until":{"number":3}}}"#,
        "1 complete after 2",
    ];
    assert_eq!(client.rest().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_events_completes_after_its_idle_timeout() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    client.subscribe(1, r#"subscription { idle(name: "a") { number } }"#).await;
    advance(Duration::from_secs(6)).await;
    client.subscribe(2, r#"subscription { idle(name: "a") { number } }"#).await;
    advance(Duration::from_secs(5)).await;
    assert_eq!(client.rest().await, ["1 complete after 0"]);
    world.publish("tick:a", json!({ "number": 1 })).await;
    assert_eq!(client.rest().await, [r#"2 {"data":{"idle":{"number":1}}}"#]);
    advance(Duration::from_secs(9)).await;
    assert_eq!(client.rest().await, Vec::<String>::new());
    advance(Duration::from_secs(2)).await;
    assert_eq!(client.rest().await, ["2 complete after 1"]);
}

#[tokio::test]
async fn an_audience_never_crosses_a_claim() {
    let world = World::new();
    let mut a = world.session().of(&json!({ "tenant": "a" }));
    let mut b = world.session().of(&json!({ "tenant": "b" }));
    a.subscribe(1, "subscription { own { number } }").await;
    b.subscribe(1, "subscription { own { number } }").await;
    world.publish("tick:all", json!({ "tenant": "a", "number": 1 })).await;
    world.publish("tick:all", json!({ "tenant": "b", "number": 2 })).await;
    world.publish("tick:all", json!({ "number": 3 })).await;
    assert_eq!(a.rest().await, [r#"1 {"data":{"own":{"number":1}}}"#]);
    assert_eq!(b.rest().await, [r#"1 {"data":{"own":{"number":2}}}"#]);
}

#[tokio::test]
async fn an_event_of_another_tenant_or_of_none_is_dropped() {
    let world = World::new();
    let mut client = world.session().of(&json!({ "tenant": ["a", "7"] }));
    client.subscribe(1, "subscription { tenant { number } }").await;
    for event in
        [json!({ "tenant": "b", "number": 1 }), json!({ "number": 2 }), json!({ "tenant": "a", "number": 3 })]
    {
        world.publish("tick:all", event).await;
    }
    world.publish("tick:all", json!({ "tenant": 7, "number": 4 })).await;
    let expected = [r#"1 {"data":{"tenant":{"number":3}}}"#, r#"1 {"data":{"tenant":{"number":4}}}"#];
    assert_eq!(client.rest().await, expected);
}

#[tokio::test]
async fn malformed_events_are_skipped_and_the_subscription_lives_on() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    client.subscribe(1, r#"subscription { tick(name: "a") { number } }"#).await;
    for payload in ["{broken", "plain text", "[1, 2]", r#"{"number": 1}"#] {
        world.broker.publish("tick:a", Bytes::from(payload)).await.expect("memory takes every event");
    }
    assert_eq!(client.rest().await, [r#"1 {"data":{"tick":{"number":1}}}"#]);
}

#[tokio::test]
async fn operations_of_one_connection_take_turns() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    client.subscribe(1, r#"subscription { tick(name: "a") { number } }"#).await;
    client.subscribe(2, r#"subscription { tick(name: "b") { number } }"#).await;
    for number in 0..3 {
        world.publish("tick:a", json!({ "number": number })).await;
    }
    settle().await;
    world.publish("tick:b", json!({ "number": 9 })).await;
    let order: Vec<_> = client.rest().await.iter().map(|line| line.as_bytes()[0]).collect();
    assert_eq!(order, b"1211");
}

#[tokio::test]
async fn a_panicking_resolver_fails_its_field_and_nothing_else() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    client.subscribe(1, r#"subscription { tick(name: "a") { number } }"#).await;
    client.start(2, "{ broken }").expect("the operation is valid");
    let answer = client.next().await;
    assert!(answer.starts_with(r#"2 {"data":{"broken":null},"errors":"#), "{answer}");
    assert_eq!(client.next().await, "2 complete after 1");
    world.publish("tick:a", json!({ "number": 1 })).await;
    assert_eq!(client.rest().await, [r#"1 {"data":{"tick":{"number":1}}}"#]);
}

#[tokio::test]
async fn a_field_that_is_not_public_needs_a_principal() {
    let world = World::new();
    let mut anonymous = world.session();
    assert_eq!(anonymous.start(1, "subscription { own { number } }"), Err(vec![ErrorCode::Unauthenticated]));
    assert_eq!(anonymous.start(2, r#"subscription { tick(name: "a") { number } }"#), Ok(()));
}

#[tokio::test]
async fn a_value_that_could_name_another_topic_is_refused() {
    let world = World::new();
    let mut client = world.session().of(&json!({}));
    for (id, name) in ["", "a:b", "*", "a?", "[a]", "\\u0007", &"x".repeat(257)].iter().enumerate() {
        let query = format!(r#"subscription {{ tick(name: "{name}") {{ number }} }}"#);
        assert_eq!(client.start(id as u64 + 1, &query), Err(vec![ErrorCode::BadUserInput]), "{name:?}");
    }
}

/// A broker whose events the test makes.
#[derive(Debug, Default)]
struct Puppet(parking_lot::Mutex<Vec<(String, SinkHandle)>>);

#[derive(Clone)]
struct SinkHandle(Arc<dyn Sink>);

impl std::fmt::Debug for SinkHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("sink")
    }
}

impl Puppet {
    fn tell(&self, topic: &str, event: &BrokerEvent) {
        let sinks = self.0.lock().clone();
        for (_, sink) in sinks.iter().filter(|(name, _)| name == topic) {
            sink.0.deliver(event.clone());
        }
    }

    fn topics(&self) -> Vec<String> {
        self.0.lock().iter().map(|(topic, _)| topic.clone()).collect()
    }
}

#[async_trait::async_trait]
impl Broker for Puppet {
    fn kind(&self) -> &'static str {
        "puppet"
    }

    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>) {
        self.0.lock().push((topic.to_owned(), SinkHandle(sink)));
    }

    fn unsubscribe(&self, topic: &str) {
        self.0.lock().retain(|(name, _)| name != topic);
    }

    async fn publish(&self, _topic: &str, _payload: Bytes) -> Result<(), PublishError> {
        Ok(())
    }

    fn state(&self) -> BrokerState {
        BrokerState { mode: BrokerMode::Up, since: std::time::SystemTime::UNIX_EPOCH }
    }

    async fn close(&self) {}
}

/// A client whose operation 1 waits for the puppet to say that it listens.
async fn puppet(claims: &Value, query: &str) -> (Arc<Puppet>, Engine, Client) {
    let broker = Arc::new(Puppet::default());
    let engine = engine(broker.clone());
    let mut client = Client(engine.session(1)).of(claims);
    client.start(1, query).expect("the operation is valid");
    settle().await;
    (broker, engine, client)
}

fn message(number: u64) -> BrokerEvent {
    BrokerEvent::Message(Bytes::from(json!({ "number": number }).to_string()))
}

#[tokio::test]
async fn a_topic_is_listened_to_once_and_left_with_its_last_subscription() {
    let broker = Arc::new(Puppet::default());
    let engine = engine(broker.clone());
    let mut client = Client(engine.session(1)).of(&json!({}));
    for id in 1..=3 {
        client.start(id, r#"subscription { tick(name: "a") { number } }"#).expect("the operation is valid");
    }
    settle().await;
    assert_eq!(broker.topics(), ["tick:a"]);
    assert_eq!(client.rest().await, Vec::<String>::new(), "nothing is live before the broker says so");
    broker.tell("tick:a", &BrokerEvent::Subscribed);
    assert_eq!(client.rest().await, ["1 live", "2 live", "3 live"]);
    client.0.stop(OperationId(1));
    client.0.stop(OperationId(2));
    settle().await;
    assert_eq!(broker.topics(), ["tick:a"]);
    drop(client);
    settle().await;
    assert_eq!(broker.topics(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_gap_rides_on_the_next_event_or_is_told_by_itself_after_a_second() {
    let (broker, _engine, mut client) =
        puppet(&json!({}), r#"subscription { tick(name: "a") { number } }"#).await;
    broker.tell("tick:a", &BrokerEvent::Subscribed);
    assert_eq!(client.next().await, "1 live");
    let gap = BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect };

    broker.tell("tick:a", &message(1));
    broker.tell("tick:a", &gap);
    broker.tell("tick:a", &message(2));
    let expected = [
        r#"1 {"data":{"tick":{"number":1}}}"#,
        r#"1 {"data":{"tick":{"number":2}}} after gap None BROKER_RECONNECT"#,
    ];
    assert_eq!(client.rest().await, expected);

    broker.tell("tick:a", &gap);
    assert_eq!(client.rest().await, Vec::<String>::new());
    assert!(client.0.deadline().is_some());
    advance(Duration::from_millis(1_001)).await;
    assert_eq!(client.rest().await, ["1 gap None BROKER_RECONNECT"]);
    assert_eq!(client.0.deadline(), None);
}

#[tokio::test]
async fn a_slow_reader_is_told_how_many_events_gave_way() {
    let (broker, _engine, mut client) =
        puppet(&json!({}), r#"subscription { tick(name: "a") { number } }"#).await;
    broker.tell("tick:a", &BrokerEvent::Subscribed);
    assert_eq!(client.next().await, "1 live");
    for number in 0..1_000 {
        broker.tell("tick:a", &message(number));
    }
    let heard = client.rest().await;
    assert_eq!(heard.len(), 100);
    assert_eq!(heard[0], r#"1 {"data":{"tick":{"number":900}}} after gap Some(900) SLOW_CONSUMER"#);
    assert_eq!(heard[99], r#"1 {"data":{"tick":{"number":999}}}"#);
}

#[tokio::test]
async fn a_topic_that_the_broker_refuses_fails_its_subscriptions() {
    let (broker, _engine, mut client) =
        puppet(&json!({}), r#"subscription { tick(name: "a") { number } }"#).await;
    broker.tell("tick:a", &BrokerEvent::Refused("NOPERM".into()));
    assert_eq!(client.rest().await, ["1 error UNAVAILABLE"]);
    assert_eq!(broker.topics(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_of_a_mutation_runs_unless_all_of_it_may() {
    let world = World::new();
    let mut anonymous = world.session();
    let denied = anonymous.start(1, "mutation { step(number: 1) }");
    assert_eq!(denied, Err(vec![ErrorCode::Unauthenticated]));
    assert_eq!(anonymous.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_audience_that_hears_only_some_events_is_not_told_the_count_of_all() {
    let (broker, _engine, mut client) =
        puppet(&json!({ "tenant": "a" }), "subscription { tenant { number } }").await;
    broker.tell("tick:all", &BrokerEvent::Subscribed);
    broker.tell("tick:all", &BrokerEvent::Gap { dropped: Some(7), reason: GapReason::BrokerReconnect });
    broker.tell("tick:all", &BrokerEvent::Message(r#"{"tenant": "a", "number": 1}"#.into()));
    let expected = ["1 live", r#"1 {"data":{"tenant":{"number":1}}} after gap None BROKER_RECONNECT"#];
    assert_eq!(client.rest().await, expected);
}

#[tokio::test]
async fn an_engine_that_ends_leaves_its_topics() {
    let (broker, engine, client) = puppet(&json!({}), r#"subscription { tick(name: "a") { number } }"#).await;
    assert_eq!(broker.topics(), ["tick:a"]);
    drop((client, engine));
    settle().await;
    assert_eq!(broker.topics(), Vec::<String>::new());
}
