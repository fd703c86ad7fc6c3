//! An async-graphql schema behind Stentor: the same answers as by itself, and Stentor's own rules on top of them.

use std::sync::Arc;

use async_graphql::{
    Context, Enum, Error, ErrorExtensions, ID, InputObject, Interface, Json, Object, Scalar, ScalarType,
    Schema, SimpleObject, Union, Variables,
};
use serde_json::{Value, json};
use stentor::{Config, Principal, Stentor};
use stentor_async_graphql::AsyncGraphql;
use stentor_tests::{Served, TestServer, auth, request, token};

const SUBSCRIPTIONS: &str = r#"
    type Subscription {
      botChanged(id: ID!): Bot! @subscribe(topic: "bot:{{ args.id }}") @public
    }
    extend type Query {
      secret(id: ID!): String @hasScope(scope: "view", resource: "bot:{{ args.id }}")
    }
    extend type Bot {
      id: ID! @from(keys: ["bot_id"])
      profit: Float @hasScope(scope: "view", resource: "bot:{{ parent.id }}")
      failing: String @hasScope(scope: "view", resource: "bot:{{ parent.id }}")
    }
"#;

type Answers = Schema<Query, Mutation, Ticks>;

struct Query;
struct Mutation;

/// A subscription type of async-graphql's own, which Stentor's takes the place of.
struct Ticks;

#[derive(Clone, Copy, Enum, Eq, PartialEq)]
enum Kind {
    Spot,
    Future,
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct Bot {
    id: ID,
    kind: Kind,
    profit: Option<f64>,
    started: Stamp,
    tags: Vec<String>,
}

#[derive(SimpleObject)]
struct Runner {
    id: ID,
    speed: f64,
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID"))]
enum Node {
    Bot(Bot),
    Runner(Runner),
}

#[derive(Union)]
enum Thing {
    Bot(Bot),
    Runner(Runner),
}

#[derive(InputObject)]
struct Filter {
    kind: Option<Kind>,
    #[graphql(default = 2)]
    first: usize,
    stamp: Option<Stamp>,
    within: Option<Box<Self>>,
}

/// A custom scalar that is text.
#[derive(Clone)]
struct Stamp(String);

#[Scalar]
impl ScalarType for Stamp {
    fn parse(value: async_graphql::Value) -> async_graphql::InputValueResult<Self> {
        match value {
            async_graphql::Value::String(text) => Ok(Self(text)),
            other => Err(async_graphql::InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> async_graphql::Value {
        async_graphql::Value::String(self.0.clone())
    }
}

fn bot(id: &str, kind: Kind) -> Bot {
    let started = Stamp("2026-01-01".to_owned());
    Bot { id: ID::from(id), kind, profit: Some(1.5), started, tags: vec!["a\"b".to_owned()] }
}

fn odd() -> Error {
    Error::new("no such luck").extend_with(|_, extensions| {
        extensions.set("code", "ODD");
        extensions.set("retry", 3);
    })
}

#[async_graphql::ComplexObject]
impl Bot {
    async fn name(&self, #[graphql(default = 3)] size: usize) -> String {
        format!("bot {}", self.id.as_str()).chars().take(size).collect()
    }

    async fn failing(&self) -> async_graphql::Result<Option<String>> {
        Err(Error::new(format!("bot {} fails", self.id.as_str())))
    }

    async fn strict(&self) -> async_graphql::Result<String> {
        Err(odd())
    }

    async fn next(&self) -> Option<Node> {
        Some(Node::Runner(Runner { id: ID::from("r1"), speed: 2.0 }))
    }
}

#[Object]
impl Query {
    async fn bot(&self, id: ID) -> Option<Bot> {
        (id.as_str() != "none").then(|| bot(&id, Kind::Spot))
    }

    async fn bots(&self, filter: Option<Filter>, #[graphql(default)] kinds: Vec<Kind>) -> Vec<Bot> {
        let kind = filter.as_ref().and_then(|filter| filter.kind).or_else(|| kinds.first().copied());
        let first = filter.map_or(2, |filter| filter.within.map_or(filter.first, |within| within.first));
        (0..first).map(|number| bot(&number.to_string(), kind.unwrap_or(Kind::Future))).collect()
    }

    async fn node(&self, id: ID) -> Option<Node> {
        Some(match id.as_str() {
            "r" => Node::Runner(Runner { id, speed: 0.5 }),
            _ => Node::Bot(bot(&id, Kind::Spot)),
        })
    }

    async fn things(&self) -> Vec<Thing> {
        vec![Thing::Bot(bot("1", Kind::Spot)), Thing::Runner(Runner { id: ID::from("2"), speed: 1.0 })]
    }

    async fn echo(&self, value: Json<Value>) -> Json<Value> {
        value
    }

    async fn stamp(&self, at: Option<Stamp>) -> Option<Stamp> {
        at
    }

    async fn broken(&self) -> async_graphql::Result<Option<i32>> {
        Err(odd())
    }

    async fn must(&self) -> async_graphql::Result<i32> {
        Err(Error::new("must not"))
    }

    async fn who(&self, context: &Context<'_>) -> Option<String> {
        context.data_opt::<Arc<Principal>>()?.subject().map(str::to_owned)
    }

    async fn secret(&self, id: ID) -> Option<String> {
        Some(format!("secret of {}", id.as_str()))
    }
}

#[Object]
impl Mutation {
    async fn rename(&self, id: ID, name: String) -> async_graphql::Result<Bot> {
        if name.is_empty() { Err(odd()) } else { Ok(bot(&id, Kind::Future)) }
    }
}

#[async_graphql::Subscription]
impl Ticks {
    async fn ticks(&self) -> impl futures_util::Stream<Item = i32> {
        futures_util::stream::iter([1])
    }
}

fn answers() -> Answers {
    Schema::build(Query, Mutation, Ticks).finish()
}

async fn server() -> TestServer {
    let config = Config { auth: Some(auth()), ..Config::default() };
    let builder = Stentor::builder().config(config).async_graphql(SUBSCRIPTIONS, answers());
    TestServer::build(builder.unwrap_or_else(|wrong| panic!("{wrong}"))).await
}

async fn ask(server: &TestServer, query: &str, variables: &Value, scope: &str) -> Value {
    let body = json!({"query": query, "variables": variables}).to_string();
    let authorization = format!("Bearer {}", token(json!({"sub": "u1", "scope": scope})));
    let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
    request(server.address(), "POST", "/graphql", &headers, &body).await.json()
}

/// The response of async-graphql to the whole request.
async fn ask_alone(query: &str, variables: &Value) -> Value {
    let asked = async_graphql::Request::new(query).variables(Variables::from_json(variables.clone()));
    let response = answers().execute(asked.data(Arc::new(principal()))).await;
    serde_json::to_value(response).expect("a response is JSON")
}

/// Errors without locations, which are in another document, in the order of their paths, and each with a code.
fn normal(mut response: Value) -> (String, Vec<String>) {
    let mut errors = response["errors"].take();
    for error in errors.as_array_mut().into_iter().flatten() {
        let error = error.as_object_mut().expect("an error is an object");
        error.remove("locations");
        let extensions = error.entry("extensions").or_insert_with(|| json!({}));
        let extensions = extensions.as_object_mut().expect("extensions are an object");
        extensions.entry("code").or_insert_with(|| "FIELD_ERROR".into());
        extensions.sort_keys();
        error.sort_keys();
    }
    let mut errors: Vec<String> = errors.as_array().into_iter().flatten().map(ToString::to_string).collect();
    errors.sort();
    (response["data"].to_string(), errors)
}

#[tokio::test]
async fn answers_are_those_of_async_graphql_alone() {
    let rows = [
        ("{ bot(id: 1) { id kind profit started tags name } }", json!({})),
        ("{ bot(id: \"none\") { id } }", json!({})),
        (
            "query Q($id: ID!, $size: Int) { b: bot(id: $id) { a: name(size: $size) b: name id i: id } }",
            json!({"id": 7, "size": 5}),
        ),
        (
            "query($size: Int!) { b: bot(id: 1) { a: name(size: $size) } bots { name(size: $size) } }",
            json!({"size": 1}),
        ),
        (
            "{ ...Q } fragment Q on Query { bot(id: 1) { ...B id } } fragment B on Bot { kind ... { tags } ...C } fragment C on Bot { id }",
            json!({}),
        ),
        (
            "query($on: Boolean!) { bot(id: 1) { id @skip(if: $on) kind @include(if: $on) } }",
            json!({"on": true}),
        ),
        (
            "query($on: Boolean!) { bot(id: 1) { id @skip(if: $on) kind @include(if: $on) } }",
            json!({"on": false}),
        ),
        ("{ bots { id kind } }", json!({})),
        ("{ bots(filter: {kind: SPOT, first: 3}) { id kind } }", json!({})),
        (
            "query($f: Filter, $k: [Kind!]) { bots(filter: $f, kinds: $k) { id kind } }",
            json!({"f": {"within": {"first": 1}}, "k": "SPOT"}),
        ),
        ("query($k: [Kind!]! = [SPOT]) { bots(kinds: $k) { kind } }", json!({})),
        (
            "{ node(id: \"r\") { id ... on Runner { speed } __typename } n: node(id: 1) { __typename ... on Bot { name } } }",
            json!({}),
        ),
        (
            "{ node(id: 1) { ... on Bot { next { id ... on Runner { s: speed } t: __typename } } } }",
            json!({}),
        ),
        (
            "{ things { ... on Bot { id kind } ... on Runner { speed } } t: things { __typename ... on Node { id } } }",
            json!({}),
        ),
        ("query($v: JSON!) { echo(value: $v) }", json!({"v": {"a": [1, 2.5, null, {"b": "c"}]}})),
        ("{ echo(value: {a: [1, \"x\"], b: true}) }", json!({})),
        ("query($at: Stamp) { stamp(at: $at) s: stamp }", json!({"at": "noon"})),
        ("{ must }", json!({})),
        ("{ bot(id: 1) { strict } bots { id } }", json!({})),
        ("{ __typename bot(id: 1) { __typename } }", json!({})),
        (
            "mutation { rename(id: 1, name: \"x\") { id kind } again: rename(id: 2, name: \"y\") { id } }",
            json!({}),
        ),
        ("mutation($name: String!) { rename(id: 1, name: $name) { id } }", json!({"name": ""})),
    ];
    let server = server().await;
    for (query, variables) in rows {
        let found = ask(&server, query, &variables, "bot:view").await;
        assert_eq!(normal(found), normal(ask_alone(query, &variables).await), "{query} {variables}");
    }
}

#[tokio::test]
async fn a_failed_field_is_null_where_async_graphql_leaves_its_key_out() {
    let rows = [
        (
            "{ broken bot(id: 1) { id } b: broken }",
            json!({"bot": {"id": "1"}}),
            json!({"broken": null, "bot": {"id": "1"}, "b": null}),
        ),
        ("{ must broken who }", json!({"who": "u1"}), Value::Null),
        ("{ bots { s: strict id } }", json!({"bots": [{"id": "0"}, {"id": "1"}]}), Value::Null),
    ];
    let server = server().await;
    for (query, data_alone, data) in rows {
        let (found, errors) = normal(ask(&server, query, &json!({}), "bot:view").await);
        let (alone, errors_alone) = normal(ask_alone(query, &json!({})).await);
        assert_eq!((alone, found), (data_alone.to_string(), data.to_string()), "{query}");
        assert_eq!(errors, errors_alone, "{query}");
    }
}

#[tokio::test]
async fn guards_of_the_schema_file_hold_on_fields_of_async_graphql() {
    let server = server().await;
    let found = ask(&server, "{ secret(id: 1) }", &json!({}), "bot:1:view").await;
    assert_eq!(found, json!({"data": {"secret": "secret of 1"}}));
    let found = ask(&server, "{ secret(id: 2) }", &json!({}), "bot:1:view").await;
    assert_eq!(found["errors"][0]["extensions"]["code"], "FORBIDDEN");
    // The id is read for the guard and not told; what fails below a guard is told to who may see it.
    let found = ask(&server, "{ bots { profit failing } }", &json!({}), "bot:1:view").await;
    assert_eq!(
        found["data"],
        json!({"bots": [{"profit": null, "failing": null}, {"profit": 1.5, "failing": null}]})
    );
    let told: Vec<_> = found["errors"].as_array().expect("errors").iter().collect();
    let (denied, failed): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|error| error["extensions"]["code"] == "FORBIDDEN");
    assert_eq!(denied.len(), 2);
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["message"], &failed[0]["path"]),
        (&json!("bot 1 fails"), &json!(["bots", 1, "failing"]))
    );
}

#[tokio::test]
async fn the_resolvers_know_the_principal_and_subscriptions_the_types() {
    let server = server().await;
    assert_eq!(ask(&server, "{ who }", &json!({}), "").await, json!({"data": {"who": "u1"}}));
    let mut client = server.client_with(&token(json!({"sub": "u1", "scope": "bot:7:view"}))).await;
    client.listen("1", "subscription { botChanged(id: 7) { id kind profit } }").await;
    server.publish("bot:7", &json!({"bot_id": 7, "kind": "SPOT", "profit": 2})).await;
    client.expect_data("1", json!({"botChanged": {"id": "7", "kind": "SPOT", "profit": 2}})).await;
}

fn principal() -> Principal {
    let claims = json!({"sub": "u1"});
    let claims = claims.as_object().expect("an object");
    Principal::from_claims(claims, std::time::SystemTime::UNIX_EPOCH, &stentor::PrincipalConfig::default())
}
