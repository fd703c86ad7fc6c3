//! Guards of the embedding program: when they are asked, and what happens until they have answered.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use stentor_broker::{Broker, BrokerState, MemoryBroker, MemoryHashStore, PublishError, Sink};
use stentor_engine::{
    Call, Delivery, Engine, EngineConfig, Guard, Guards, Limits, Metrics, OperationId, Resolver,
    ResolverError, Resolvers, Session,
};
use stentor_schema::{ErrorCode, Request, Schema, SchemaOptions};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

const SCHEMA: &str = r#"
type Query { answer(how: String): Int @resolver  free: Int @resolver }
type Mutation { act(how: String): Int @resolver  free: Int @resolver }
type Subscription {
  chat(how: String): String @subscribe(topic: "chat")
  open: String @subscribe(topic: "open")
  scoped(how: String): String @subscribe(topic: "scoped") @hasScope(scope: "view")
}
"#;

/// Answers by the argument `how`, and notes what it is asked.
#[derive(Clone, Default)]
struct Doorkeeper(Arc<Notes>);

#[derive(Default)]
struct Notes {
    asked: Mutex<Vec<String>>,
    dropped: Notify,
    let_in: Notify,
}

/// Notes that a guard was given up before it had decided.
struct Waiting(Doorkeeper);

#[derive(Debug)]
struct WatchedBroker(MemoryBroker, Arc<Mutex<Vec<String>>>);

struct World {
    engine: Engine,
    doorkeeper: Doorkeeper,
    subscribed: Arc<Mutex<Vec<String>>>,
}

#[tokio::test]
async fn who_is_let_in_hears_and_who_is_not_is_told_and_joins_nothing() {
    let world = World::new(Limits::default());
    let mut session = world.session();
    session.start(OperationId(1), &request("subscription { chat(how: \"yes\") }")).unwrap();
    assert_eq!(next(&session).await, "1 live");
    assert_eq!(world.subscribed(), ["chat"]);

    for (id, how, code) in [(2, "no", "FORBIDDEN: not yours"), (3, "panic", GUARD_PANICKED)] {
        let world = World::new(Limits::default());
        let mut session = world.session();
        let query = format!("subscription {{ chat(how: \"{how}\") }}");
        session.start(OperationId(id), &request(&query)).unwrap();
        assert_eq!(next(&session).await, format!("{id} error {code}"));
        assert_eq!(world.subscribed(), [""; 0]);
    }
}

#[tokio::test]
async fn a_guard_that_waits_holds_up_no_other_operation() {
    let world = World::new(Limits::default());
    let mut session = world.session();
    session.start(OperationId(1), &request("subscription { chat(how: \"wait\") }")).unwrap();
    session.start(OperationId(2), &request("subscription { open }")).unwrap();
    assert_eq!(next(&session).await, "2 live");
    session.start(OperationId(3), &request("{ free }")).unwrap();
    assert_eq!(next(&session).await, r#"3 {"data":{"free":1}}"#);
    assert_eq!(next(&session).await, "3 complete");
    assert_eq!(world.subscribed(), ["open"]);
    world.doorkeeper.0.let_in.notify_one();
    assert_eq!(next(&session).await, "1 live");
    assert_eq!(world.subscribed(), ["open", "chat"]);
}

#[tokio::test]
async fn complete_and_the_end_of_the_connection_give_a_waiting_guard_up() {
    let world = World::new(Limits::default());
    let mut session = world.session();
    for (id, query) in [(1, "subscription { chat(how: \"wait\") }"), (2, "{ answer(how: \"wait\") }")] {
        session.start(OperationId(id), &request(query)).unwrap();
        world.doorkeeper.asked_times(id).await;
        assert!(session.stop(OperationId(id)).is_some());
        world.doorkeeper.given_up().await;
    }
    session.start(OperationId(3), &request("subscription { chat(how: \"wait\") }")).unwrap();
    world.doorkeeper.asked_times(3).await;
    drop(session);
    world.doorkeeper.given_up().await;
    assert_eq!(world.subscribed(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_has_the_time_of_a_request_to_decide() {
    let world = World::new(Limits { request_timeout: Duration::from_secs(9), ..Limits::default() });
    let mut session = world.session();
    for (id, query) in [(1, "subscription { chat(how: \"wait\") }"), (2, "{ answer(how: \"wait\") }")] {
        let begin = Instant::now();
        session.start(OperationId(id), &request(query)).unwrap();
        let slow = "UNAVAILABLE: the answer took too long";
        assert_eq!(next_within(&session, 10).await, format!("{id} error {slow}"));
        assert_eq!(begin.elapsed().as_secs(), 9);
    }
    assert_eq!(world.subscribed(), [""; 0]);
}

#[tokio::test]
async fn subscriptions_wait_for_their_turn_when_many_guards_are_asked() {
    let world = World::new(Limits { requests: 1, ..Limits::default() });
    let mut session = world.session();
    session.start(OperationId(1), &request("subscription { chat(how: \"wait\") }")).unwrap();
    world.doorkeeper.asked_times(1).await;
    session.start(OperationId(2), &request("subscription { chat(how: \"yes\") }")).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.doorkeeper.asked(), ["chat wait"]);
    world.doorkeeper.0.let_in.notify_one();
    assert_eq!(next(&session).await, "1 live");
    assert_eq!(next(&session).await, "2 live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_while_its_guard_says_yes_leaves_nothing_behind() {
    let world = World::new(Limits::default());
    for round in 0..500 {
        let mut session = world.session();
        session.start(OperationId(1), &request("subscription { chat(how: \"yes\") }")).unwrap();
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        drop(session);
    }
    let mut last = world.session();
    last.start(OperationId(1), &request("subscription { chat(how: \"yes\") }")).unwrap();
    assert_eq!(next(&last).await, "1 live");
    drop(last);
    let gone = async {
        while !world.subscribed().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), gone).await.expect("the last one out unsubscribes");
}

#[tokio::test]
async fn no_root_field_is_resolved_before_every_guard_has_said_yes() {
    let rows = [
        ("{ free answer(how: \"no\") }", "error FORBIDDEN: not yours", ["answer no"].as_slice()),
        (
            "{ answer(how: \"panic\") free }",
            "error INTERNAL_SERVER_ERROR: the field could not be guarded",
            &["answer panic"],
        ),
        ("mutation { free act(how: \"no\") }", "error FORBIDDEN: not yours", &["act no"]),
        (
            "mutation { act(how: \"yes\") b: act(how: \"no\") }",
            "error FORBIDDEN: not yours",
            &["act yes", "act no"],
        ),
        ("{ answer(how: \"yes\") }", r#"{"data":{"answer":1}}"#, &["answer yes", "resolved"]),
    ];
    for (query, expected, notes) in rows {
        let world = World::new(Limits::default());
        let mut session = world.session();
        session.start(OperationId(1), &request(query)).unwrap();
        assert_eq!(next(&session).await, format!("1 {expected}"), "{query}");
        assert_eq!(world.doorkeeper.asked(), notes, "{query}");
    }
}

#[tokio::test]
async fn the_schemas_guards_are_asked_first_and_of_several_all_must_say_yes() {
    let world = World::new(Limits::default());
    let mut session = world.session();
    let refused = session.start(OperationId(1), &request("subscription { scoped(how: \"yes\") }"));
    assert_eq!(refused.unwrap_err()[0].code, ErrorCode::Forbidden);
    assert_eq!(world.doorkeeper.asked(), [""; 0]);

    let (yes, no) = (Always(Ok(())), Always(Err(forbidden())));
    for guards in [[yes.clone(), no.clone()], [no, yes]] {
        let mut both = Guards::default();
        for guard in guards {
            both.insert("Subscription.open", guard);
        }
        let world = World::with(both, Limits::default());
        let mut session = world.session();
        session.start(OperationId(1), &request("subscription { open }")).unwrap();
        assert_eq!(next(&session).await, "1 error FORBIDDEN: not yours");
    }
}

impl World {
    fn new(limits: Limits) -> Self {
        let doorkeeper = Doorkeeper::default();
        let mut guards = Guards::default();
        for coordinate in ["Query.answer", "Mutation.act", "Subscription.chat", "Subscription.scoped"] {
            guards.insert(coordinate, Door(coordinate.split('.').nth(1).unwrap(), doorkeeper.clone()));
        }
        Self { doorkeeper: doorkeeper.clone(), ..Self::asking(doorkeeper, guards, limits) }
    }

    fn with(guards: Guards, limits: Limits) -> Self {
        Self::asking(Doorkeeper::default(), guards, limits)
    }

    fn asking(doorkeeper: Doorkeeper, guards: Guards, limits: Limits) -> Self {
        let options = SchemaOptions { authentication: true, tenant_claim: None };
        let schema =
            Schema::parse(SCHEMA, "schema.graphql", &options).unwrap_or_else(|told| panic!("{told}"));
        let subscribed = Arc::new(Mutex::new(Vec::new()));
        let mut resolvers = Resolvers::default();
        for coordinate in ["Query.answer", "Query.free", "Mutation.act", "Mutation.free"] {
            resolvers.insert(coordinate, One(coordinate.ends_with("free"), doorkeeper.clone()));
        }
        let engine = Engine::start(EngineConfig {
            schema,
            broker: Arc::new(WatchedBroker(MemoryBroker::new(), Arc::clone(&subscribed))),
            hashes: Arc::new(MemoryHashStore::new()),
            resolvers,
            guards,
            limits,
            metrics: Metrics::unregistered(),
            authentication: true,
            shards: None,
        });
        Self { engine, doorkeeper, subscribed }
    }

    /// A connection of somebody without scopes.
    fn session(&self) -> Session {
        let mut session = self.engine.session(1);
        let ends = SystemTime::now() + Duration::from_secs(3_600);
        let claims = json!({"sub": "u"});
        let principal = stentor_auth::Principal::from_claims(
            claims.as_object().unwrap(),
            ends,
            &stentor_auth::PrincipalConfig::default(),
        );
        session.authenticate(Some(Arc::new(principal)));
        session
    }

    fn subscribed(&self) -> Vec<String> {
        self.subscribed.lock().unwrap().clone()
    }
}

fn request(query: &str) -> Request {
    Request { query: query.into(), ..Request::default() }
}

async fn next(session: &Session) -> String {
    next_within(session, 5).await
}

async fn next_within(session: &Session, seconds: u64) -> String {
    let next = std::future::poll_fn(|context| session.poll_next(context, Instant::now()));
    match timeout(Duration::from_secs(seconds), next).await.expect("a delivery was due") {
        Delivery::Live(id) => format!("{} live", id.0),
        Delivery::Complete(id, _) => format!("{} complete", id.0),
        Delivery::Error(id, errors, _) => {
            format!("{} error {}: {}", id.0, errors[0].code.as_str(), errors[0].message)
        }
        Delivery::Next(id, result, _) => format!("{} {}", id.0, String::from_utf8_lossy(result.bytes())),
        other => panic!("{other:?}"),
    }
}

impl Doorkeeper {
    fn note(&self, what: String) {
        self.0.asked.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap().clone()
    }

    async fn asked_times(&self, times: u64) {
        while self.asked().len() < usize::try_from(times).unwrap() {
            tokio::task::yield_now().await;
        }
    }

    async fn given_up(&self) {
        timeout(Duration::from_secs(5), self.0.dropped.notified()).await.expect("the guard is given up");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.dropped.notify_one();
    }
}

/// The guard of one field.
struct Door(&'static str, Doorkeeper);

#[async_trait]
impl Guard for Door {
    async fn check(&self, call: Call) -> Result<(), ResolverError> {
        let how = call.arguments["how"].as_str().unwrap().to_owned();
        self.1.note(format!("{} {how}", self.0));
        match how.as_str() {
            "yes" => Ok(()),
            "no" => Err(forbidden()),
            "wait" => {
                let _waiting = Waiting(self.1.clone());
                self.1.0.let_in.notified().await;
                Ok(())
            }
            _ => panic!("a fault of the embedding program"),
        }
    }
}

#[derive(Clone)]
struct Always(Result<(), ResolverError>);

#[async_trait]
impl Guard for Always {
    async fn check(&self, _: Call) -> Result<(), ResolverError> {
        self.0.clone()
    }
}

/// Resolves to 1, and notes it unless it is free.
struct One(bool, Doorkeeper);

#[async_trait]
impl Resolver for One {
    async fn resolve(&self, _: Call) -> Result<Value, ResolverError> {
        if !self.0 {
            self.1.note("resolved".to_owned());
        }
        Ok(json!(1))
    }
}

#[async_trait]
impl Broker for WatchedBroker {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>) {
        self.1.lock().unwrap().push(topic.to_owned());
        self.0.subscribe(topic, sink);
    }

    fn unsubscribe(&self, topic: &str) {
        self.1.lock().unwrap().retain(|subscribed| subscribed != topic);
        self.0.unsubscribe(topic);
    }

    async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        self.0.publish(topic, payload).await
    }

    fn state(&self) -> BrokerState {
        self.0.state()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

fn forbidden() -> ResolverError {
    ResolverError::new(ErrorCode::Forbidden, "not yours")
}

const GUARD_PANICKED: &str = "INTERNAL_SERVER_ERROR: the field could not be guarded";
