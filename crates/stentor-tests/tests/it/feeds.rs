//! Hashes, streams and loads, from a schema file to sockets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{Stream, StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use stentor::{BuildError, Call, ErrorCode, Load, ResolverError, Stentor};
use stentor_tests::{RedisServer, Served, TestServer, WsClient, eventually};

const PROGRESS: &str = r#"
    type Subscription {
        queryProgress(queryId: ID!): QueryProgress!
            @subscribe(hash: "progress:{{ args.queryId }}", until: "event.stage == 'completed'", idleTimeout: "10m")
    }
    type QueryProgress { queryId: ID! @from(argument: "queryId")  stage: String!  progress: Float!  message: String }
"#;

const FOLLOW: &str = r#"subscription { queryProgress(queryId: "7") { queryId stage progress message } }"#;

fn progress(stage: &str, progress: f64) -> Value {
    json!({ "queryProgress": { "queryId": "7", "stage": stage, "progress": progress, "message": null } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_subscribers_of_one_hash_cost_one_watch_and_one_read_for_each_change() {
    let redis = RedisServer::start().await;
    redis.command(&["CONFIG", "SET", "notify-keyspace-events", "Kgxh"]).await;
    let server = TestServer::on_redis(&redis, PROGRESS, |_| {}).await;
    redis.command(&["HSET", "progress:7", "stage", "received", "progress", "0.0"]).await;
    let mut clients = crowd(&server, "p", FOLLOW).await;
    for client in &mut clients {
        client.expect_data("p", progress("received", 0.0)).await;
    }
    assert_eq!(server.metric("stentor_hashes").await, 1);
    assert_eq!(server.metric("stentor_topics").await, 0);
    assert_eq!(server.metric("stentor_hash_values_total").await, 1);
    assert_eq!(server.metric("stentor_executions_total").await, 1);
    let reads = server.metric("stentor_hash_reads_total").await;
    assert!(reads < 10, "{reads} reads for one key");

    redis.command(&["HSET", "progress:7", "stage", "generating", "progress", "0.75"]).await;
    for client in &mut clients {
        client.expect_data("p", progress("generating", 0.75)).await;
    }
    assert_eq!(server.metric("stentor_executions_total").await, 2);
    drop(clients);
    for figure in ["stentor_operations", "stentor_audiences", "stentor_hashes"] {
        server.expect_metric(figure, 0).await;
    }
}

#[tokio::test]
async fn a_query_is_followed_through_its_stages_to_its_end() {
    let server = TestServer::start(PROGRESS).await;
    let mut early = server.client().await;
    early.listen("p", FOLLOW).await;
    let stages = [("received", 0.0), ("retrieving", 0.25), ("reranking", 0.5), ("generating", 0.75)];
    for (stage, share) in stages {
        let fields = json!({ "stage": stage, "progress": share });
        server.stentor().set_hash("progress:7", &fields).await.expect("memory takes every hash");
        early.expect_data("p", progress(stage, share)).await;
    }
    let mut late = server.client().await;
    late.listen("p", FOLLOW).await;
    late.expect_data("p", progress("generating", 0.75)).await;
    let last = json!({ "stage": "completed", "progress": 1 });
    server.stentor().set_hash("progress:7", &last).await.expect("memory takes every hash");
    for client in [&mut early, &mut late] {
        client.expect_data("p", progress("completed", 1.0)).await;
        client.expect_complete("p").await;
    }
    late.listen("again", FOLLOW).await;
    late.expect_data("again", progress("completed", 1.0)).await;
    late.expect_complete("again").await;
}

/// A thousand clients that listen. They come in groups, since a busy machine greets each within seconds.
async fn crowd(server: &TestServer, id: &str, query: &str) -> Vec<WsClient> {
    let mut clients = Vec::new();
    for _ in 0..20 {
        let listening = (0..50).map(|_| async {
            let mut client = server.client().await;
            client.listen(id, query).await;
            client
        });
        clients.extend(join_all(listening).await);
    }
    clients
}

const DOCUMENTS: &str = r#"
    type Subscription {
        documentUpdates(tenantId: String!): DocumentUpdate!
            @subscribe(topic: "documents:{{ args.tenantId }}") @resolver
    }
    type DocumentUpdate { documentId: ID!  status: String! }
"#;

/// A repository of documents that counts how often it is asked.
#[derive(Clone, Default)]
struct Repository(Arc<AtomicU64>);

async fn document(_: Value, load: Load<Repository>) -> Result<Option<Value>, ResolverError> {
    load.state().0.fetch_add(1, Ordering::Relaxed);
    let id: String = load.event()?;
    match id.as_str() {
        "away" => Err(ResolverError::new(ErrorCode::Unavailable, "the repository is away")),
        "broken" => panic!("a fault of the embedding program"),
        "missing" => Ok(None),
        _ => Ok(Some(
            json!({ "document_id": id, "status": "indexed", "tenant": load.arguments()["tenantId"] }),
        )),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_subscribers_cost_one_load_for_each_event() {
    let repository = Repository::default();
    let builder = Stentor::builder()
        .schema(DOCUMENTS)
        .state(repository.clone())
        .load("Subscription.documentUpdates", document);
    let server = TestServer::build(builder).await;
    let query = r#"subscription { documentUpdates(tenantId: "t1") { documentId status } }"#;
    let mut clients = crowd(&server, "d", query).await;
    let events = ["d-1", "missing", "away", "broken", "d-2"];
    for event in events {
        server.publish("documents:t1", event).await;
    }
    for client in &mut clients {
        for event in events {
            let expected = match event {
                "missing" => continue,
                "away" => json!("UNAVAILABLE"),
                "broken" => json!("INTERNAL_SERVER_ERROR"),
                id => {
                    let update = json!({ "documentId": id, "status": "indexed" });
                    client.expect_data("d", json!({ "documentUpdates": update })).await;
                    continue;
                }
            };
            let payload = client.expect_next("d").await;
            assert_eq!(payload["errors"][0]["extensions"]["code"], expected);
            assert_eq!(payload["data"], Value::Null);
            assert!(!payload.to_string().contains("a fault"), "{payload}");
        }
    }
    assert_eq!(repository.0.load(Ordering::Relaxed), 5);
    assert_eq!(server.metric("stentor_loads_total").await, 5);
    assert_eq!(server.metric("stentor_load_errors_total").await, 2);
}

/// Counts the streams that are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicU64>);

struct Held(Alive);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn count(
    arguments: Value,
    call: Call<Alive>,
) -> Result<impl Stream<Item = Result<i64, ResolverError>> + Send + 'static, ResolverError> {
    let to = arguments["to"].as_i64().unwrap_or_default();
    if to < 0 {
        return Err(ResolverError::new(ErrorCode::BadUserInput, "upwards only"));
    }
    call.state().0.fetch_add(1, Ordering::Relaxed);
    let held = Held(call.state().clone());
    let counted = stream::iter(1..=to).map(|number| match number {
        13 => Err(ResolverError::new(ErrorCode::Unavailable, "thirteen")),
        number => Ok(number),
    });
    // Zero is for ever.
    let rest = stream::pending().take(usize::from(to == 0));
    Ok(counted.chain(rest).inspect(move |_| _ = &held))
}

#[tokio::test]
async fn a_stream_of_the_program_is_a_subscription_and_ends_with_it() {
    let alive = Alive::default();
    let builder = Stentor::builder()
        .schema("type Subscription { count(to: Int!): Int @resolver }")
        .state(alive.clone())
        .stream("Subscription.count", count);
    let server = TestServer::build(builder).await;
    let mut client = server.client().await;
    client.listen("c", "subscription { count(to: 500) }").await;
    for number in 1..=500 {
        if number == 13 {
            let payload = client.expect_next("c").await;
            assert_eq!(payload["errors"][0]["extensions"]["code"], "UNAVAILABLE");
            assert_eq!(payload["data"], json!({ "count": null }));
        } else {
            client.expect_data("c", json!({ "count": number })).await;
        }
    }
    client.expect_complete("c").await;
    client.subscribe("c", "subscription { count(to: -1) }").await;
    assert_eq!(client.expect_error("c").await[0]["extensions"]["code"], "BAD_USER_INPUT");

    let mut other = server.client().await;
    other.listen("c", "subscription { count(to: 0) }").await;
    client.listen("c", "subscription { count(to: 0) }").await;
    assert_eq!(server.metric("stentor_streams").await, 2);
    client.complete("c").await;
    server.expect_metric("stentor_streams", 1).await;
    drop(other);
    server.expect_metric("stentor_streams", 0).await;
    eventually("every stream is dropped", async || alive.0.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn what_is_given_for_the_wrong_field_is_told_with_what_to_do() {
    let schema = r#"
        type Query { bots: Int @resolver }
        type Subscription {
            bot: Int @subscribe(topic: "bot")
            ticks: Int @resolver
            document: Int @subscribe(topic: "document") @resolver
            progress: Any @subscribe(hash: "progress")
        }
        scalar Any
    "#;
    let one = async |_: Value, _: Call| Ok::<_, ResolverError>(1);
    let some = async |_: Value, _: Load| Ok::<_, ResolverError>(Some(1));
    let none =
        async |_: Value, _: Call| Ok::<_, ResolverError>(stream::pending::<Result<u8, ResolverError>>());
    let whole = || {
        Stentor::builder()
            .schema(schema)
            .resolver("Query.bots", one)
            .stream("Subscription.ticks", none)
            .load("Subscription.document", some)
    };
    assert!(whole().check().is_ok());
    let rows = [
        (
            whole().resolver("Query.bot", one),
            "a resolver was given for Query.bot, which the schema does not have; did you mean `Query.bots`?",
        ),
        (
            whole().stream("Subscription.tick", none),
            "a stream was given for Subscription.tick, which the schema does not have; did you mean `Subscription.ticks`?",
        ),
        (
            whole().resolver("Subscription.ticks", one),
            "a resolver was given for Subscription.ticks, which takes a stream: give it with `Builder::stream`",
        ),
        (
            whole().stream("Query.bots", none),
            "a stream was given for Query.bots, which takes a resolver: give it with `Builder::resolver`",
        ),
        (
            whole().stream("Subscription.document", none),
            "a stream was given for Subscription.document, which takes a load: give it with `Builder::load`",
        ),
        (
            whole().stream("Subscription.bot", none),
            "a stream was given for Subscription.bot, which @subscribe feeds: leave it out, or add @resolver to load a value after each event",
        ),
        (
            whole().load("Subscription.progress", some),
            "a load was given for Subscription.progress, which is fed without it: leave it out",
        ),
    ];
    for (builder, expected) in rows {
        let told = builder.check().expect_err(expected);
        assert!(matches!(told, BuildError::MisplacedHandler { .. } | BuildError::UnknownField { .. }));
        assert_eq!(told.to_string(), expected);
    }
    let told = Stentor::builder().schema(schema).check().expect_err("nothing was given").to_string();
    for missing in [
        "nothing resolves `Query.bots`",
        "nothing streams `Subscription.ticks`",
        "nothing loads a value for `Subscription.document`",
    ] {
        assert!(told.contains(missing), "{told}");
    }
}
