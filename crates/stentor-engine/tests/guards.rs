//! Guards below the root: who shares an execution, and who never shares a byte.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};
use stentor_broker::{Broker, MemoryBroker, MemoryHashStore};
use stentor_engine::{
    Delivery, Engine, EngineConfig, Guards, Limits, Metrics, OperationId, Resolvers, Session,
};
use stentor_schema::{Request, Schema, SchemaOptions};
use tokio::time::{Instant, timeout};

const SCHEMA: &str = r#"
type Subscription {
  bot: Bot @subscribe(topic: "bots") @public
  guarded(id: ID!): Bot @subscribe(topic: "bots") @hasScope(scope: "view", resource: "bot:{{ args.id }}")
}
type Bot { id: ID!  name: String  pnl: Float @hasScope(scope: "view", resource: "bot:{{ parent.id }}") }
"#;

/// Counts what the engine counts.
#[derive(Debug, Default)]
struct Counts(Mutex<HashMap<String, Arc<AtomicU64>>>);

struct World {
    engine: Engine,
    broker: MemoryBroker,
    counts: Counts,
}

struct Client(Session);

#[tokio::test]
async fn a_thousand_subscribers_in_two_grant_classes_cost_two_executions_an_event() {
    let world = World::new();
    let mut clients = Vec::new();
    for number in 0..1_000 {
        // The order of words and what has nothing to do with the scope divide nobody.
        let scope = match number % 4 {
            0 => "bot:1:view bot:2:view".to_owned(),
            1 => format!("openid bot:2:view user{number} bot:1:view"),
            2 => "bot:7:view".to_owned(),
            _ => format!("bot:7:view bot:1:edit bot:1:viewer{number}"),
        };
        clients.push(world.subscribe(Some(&scope), "subscription { bot { id pnl } }").await);
    }
    for id in ["1", "2", "7"] {
        world.publish(json!({"id": id, "pnl": 1.5})).await;
        for (number, client) in clients.iter_mut().enumerate() {
            let seen = (number % 4 < 2) == (id != "7");
            let result = client.next().await;
            let expected = if seen { json!(1.5) } else { Value::Null };
            assert_eq!(result["data"]["bot"]["pnl"], expected, "client {number}, bot {id}");
            assert_eq!(result.get("errors").is_none(), seen);
        }
    }
    assert_eq!(world.counts.of("stentor_executions_total"), 2 * 3);
}

#[tokio::test]
async fn members_of_different_grants_never_share_bytes_and_of_the_same_grants_do() {
    let rows = [
        (Some("bot:1:view"), Some("bot:1:view"), true),
        (Some("bot:1:view"), Some("bot:1:view bot:2:view"), false),
        (Some("bot:view"), Some("bot:1:view"), false),
        (Some("bot:view"), Some("bot:view openid"), true),
        (Some("bot:1:view"), Some("runner:1:view"), false),
        (Some("bot:1:edit"), Some("bot:2:edit"), true),
        (Some("bot:1:view"), None, false),
        (Some(""), None, false),
        (None, None, true),
    ];
    for (one, other, shared) in rows {
        let world = World::new();
        let mut one_client = world.subscribe(one, "subscription { bot { pnl } }").await;
        let mut other_client = world.subscribe(other, "subscription { bot { pnl } }").await;
        world.publish(json!({"id": "1", "pnl": 1.5})).await;
        let (left, right) = (one_client.next_bytes().await, other_client.next_bytes().await);
        assert_eq!(left.as_ptr() == right.as_ptr(), shared, "{one:?} and {other:?}");
        let executions = if shared { 1 } else { 2 };
        assert_eq!(world.counts.of("stentor_executions_total"), executions, "{one:?} and {other:?}");
    }
}

#[tokio::test]
async fn grants_divide_nobody_where_no_guarded_field_is_selected() {
    let world = World::new();
    let mut kept = Vec::new();
    for scope in [None, Some("bot:1:view"), Some("bot:view")] {
        let query = "subscription { bot { id name pnl @skip(if: true) } }";
        kept.push(world.subscribe(scope, query).await);
    }
    world.publish(json!({"id": "1", "pnl": 1.5})).await;
    let mut last = world.subscribe(None, "subscription { bot { id } }").await;
    world.publish(json!({"id": "2"})).await;
    assert_eq!(last.next().await, json!({"data": {"bot": {"id": "2"}}}));
    assert_eq!(world.counts.of("stentor_executions_total"), 1 + 2);
}

#[tokio::test]
async fn what_the_first_member_may_see_stays_with_its_kind_after_it_has_left() {
    let world = World::new();
    let mut first = world.subscribe(Some("bot:1:view"), "subscription { bot { pnl } }").await;
    let mut second = world.subscribe(Some("bot:1:view openid"), "subscription { bot { pnl } }").await;
    let mut stranger = world.subscribe(Some("bot:2:view"), "subscription { bot { pnl } }").await;
    first.0.stop_all();
    world.publish(json!({"id": "1", "pnl": 1.5})).await;
    assert_eq!(second.next().await["data"], json!({"bot": {"pnl": 1.5}}));
    assert_eq!(stranger.next().await["data"], json!({"bot": {"pnl": null}}));
}

#[tokio::test]
async fn a_look_alike_of_a_scope_opens_nothing_at_the_root_and_nothing_below_it() {
    let look_alikes = [
        "view",
        "viewer",
        "bot:42:View",
        "bot:42:viewer",
        "bot:42:view:x",
        "bot:4:view",
        "bot:421:view",
        "bot:42",
        "bot::42:view",
        "bot:42::view",
        "robot:42:view",
        "Bot:42:view",
        "bot:*:view",
        "bot:viewer",
        "bot:42:view,bot:42:view",
        "bot:42:view\u{200b}",
        "bоt:42:view", // the o is Cyrillic
        "bot：42：view",
        "bot:42:vıew",
        "bot:４２:view",
        "\tbot:42:view",
    ];
    let world = World::new();
    for scope in look_alikes {
        assert!(!world.may_start(scope, "subscription { guarded(id: \"42\") { id } }"), "{scope:?}");
        let mut client = world.subscribe(Some(scope), "subscription { bot { pnl } }").await;
        world.publish(json!({"id": "42", "pnl": 1.5})).await;
        assert_eq!(client.next().await["data"], json!({"bot": {"pnl": null}}), "{scope:?}");
    }
    for scope in ["bot:42:view", " bot:42:view ", "bot:view"] {
        assert!(world.may_start(scope, "subscription { guarded(id: \"42\") { id } }"), "{scope:?}");
        let mut client = world.subscribe(Some(scope), "subscription { bot { pnl } }").await;
        world.publish(json!({"id": "42", "pnl": 1.5})).await;
        assert_eq!(client.next().await["data"], json!({"bot": {"pnl": 1.5}}), "{scope:?}");
    }
}

impl World {
    fn new() -> Self {
        let options = SchemaOptions { authentication: true, tenant_claim: None };
        let schema =
            Schema::parse(SCHEMA, "schema.graphql", &options).unwrap_or_else(|told| panic!("{told}"));
        let (broker, counts) = (MemoryBroker::new(), Counts::default());
        let engine = Engine::start(EngineConfig {
            schema,
            broker: Arc::new(broker.clone()),
            hashes: Arc::new(MemoryHashStore::new()),
            resolvers: Resolvers::default(),
            guards: Guards::default(),
            limits: Limits::default(),
            metrics: Metrics::register(&counts),
            authentication: true,
            shards: None,
        });
        Self { engine, broker, counts }
    }

    /// A client with these words in its `scope`, once its subscription listens.
    async fn subscribe(&self, scope: Option<&str>, query: &str) -> Client {
        let mut session = self.engine.session(1);
        session.authenticate(scope.map(|scope| Arc::new(principal(scope))));
        let request = Request { query: query.into(), ..Request::default() };
        session.start(OperationId(1), &request).expect("the operation is valid");
        let mut client = Client(session);
        let live = client.delivery().await;
        assert!(matches!(live, Delivery::Live(_)), "{live:?}");
        client
    }

    fn may_start(&self, scope: &str, query: &str) -> bool {
        let mut session = self.engine.session(2);
        session.authenticate(Some(Arc::new(principal(scope))));
        session.start(OperationId(1), &Request { query: query.into(), ..Request::default() }).is_ok()
    }

    async fn publish(&self, event: Value) {
        self.broker.publish("bots", Bytes::from(event.to_string())).await.expect("memory takes every event");
    }
}

impl Client {
    async fn delivery(&mut self) -> Delivery {
        let next = std::future::poll_fn(|context| self.0.poll_next(context, Instant::now()));
        timeout(Duration::from_secs(5), next).await.expect("a delivery was due")
    }

    async fn next_bytes(&mut self) -> Bytes {
        match self.delivery().await {
            Delivery::Next(_, result, _) => result.bytes().clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Value {
        serde_json::from_slice(&self.next_bytes().await).expect("a result is JSON")
    }
}

fn principal(scope: &str) -> Principal {
    let claims = json!({ "scope": scope });
    let ends = SystemTime::now() + Duration::from_secs(3_600);
    Principal::from_claims(claims.as_object().expect("an object"), ends, &PrincipalConfig::default())
}

impl Counts {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap()[name].load(Ordering::Relaxed)
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let count = Arc::clone(self.0.lock().unwrap().entry(key.name().to_owned()).or_default());
        Counter::from_arc(count)
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
