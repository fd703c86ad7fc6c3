//! Who shares bytes with whom.

use serde_json::{Value, json};
use stentor_schema::{Operation, OperationLimits, Request, Schema};

use crate::support::{object, schema};

const SCHEMA: &str = r#"
    type Subscription {
      bot(id: ID, limit: Float, filter: Filter, any: Any): Bot
        @subscribe(topic: "bot", where: "claims.role == 'admin' || claims.tenant == 'a'")
      other(id: ID): Bot @subscribe(topic: "bot")
      node: Node @subscribe(topic: "node")
    }
    input Filter { a: Int  b: Int }
    scalar Any
    interface Node { id: ID  name(size: Int): String }
    type Bot implements Node { id: ID  name(size: Int): String  owner: User  status: String }
    type User implements Node { id: ID  name(size: Int): String  email: String }
"#;

/// A document, its variables and the claims of who sends it.
type Sender<'a> = (&'a str, Value, Value);

fn key(schema: &Schema, (query, variables, claims): &Sender<'_>) -> String {
    let operation_name = query.contains("query Other").then(|| "Mine".to_owned());
    let request =
        Request { query: (*query).to_owned(), operation_name, variables: object(variables.clone()) };
    match schema.plan(&request, &OperationLimits::default()) {
        Ok(Operation::Subscription(plan)) => plan.audience_key(&object(claims.clone()), None),
        other => panic!("{query}: {other:?}"),
    }
}

fn documents<const N: usize>(documents: [&str; N]) -> Vec<Sender<'_>> {
    documents.map(|document| (document, json!({}), json!({}))).to_vec()
}

#[test]
fn what_cannot_change_the_bytes_does_not_divide_an_audience() {
    let with = |variables: Value| {
        (
            "subscription($v: ID, $x: Boolean = true) { bot(id: $v) { id @include(if: $x) } }",
            variables,
            json!({}),
        )
    };
    let groups: [Vec<Sender<'_>>; 9] = [
        documents([
            "subscription { bot { id name } }",
            "subscription Named { bot { id name } }",
            "subscription Other {\n  bot {\n    id, name # a comment\n  }\n}",
            "subscription { bot { ...F } } fragment F on Bot { id name }",
            "subscription { bot { id ...F } } fragment F on Node { id name }",
            "subscription { ...R } fragment R on Subscription { bot { ... on Bot { id } ... { name } } }",
            "subscription { bot { id name id @include(if: true) status @skip(if: true) } }",
            "subscription { bot { id: id name } }",
            "subscription { bot { ... on Node { ... on Bot { id } } name id } }",
            "subscription { bot { id } bot { name } }",
        ]),
        documents([
            "subscription { bot { owner { id email } } }",
            "subscription { bot { owner { id } ...F } } fragment F on Bot { owner { email } }",
        ]),
        documents([
            "subscription { node { id ... on Bot { status } } }",
            "subscription { node { ... on Bot { id status } ... on User { id } } }",
            "subscription { node { ...B ...U } } fragment U on User { id } fragment B on Bot { id status }",
        ]),
        vec![
            with(json!({"v": 1})),
            with(json!({"v": "1"})),
            with(json!({"v": "1", "unused": 5})),
            with(json!({"x": true, "v": "1"})),
            ("subscription($w: ID) { bot(id: $w) { id } }", json!({"w": 1}), json!({})),
            ("subscription { bot(id: 1) { id } }", json!({}), json!({})),
            ("subscription { bot(id: \"1\") { id } }", json!({}), json!({})),
        ],
        documents([
            "subscription { bot(filter: {a: 1, b: 2}) { id } }",
            "subscription { bot(filter: {b: 2, a: 1}) { id } }",
        ]),
        vec![
            ("subscription { bot(any: {a: 1, b: {c: 1, d: 2}}) { id } }", json!({}), json!({})),
            (
                "subscription($v: Any) { bot(any: $v) { id } }",
                json!({"v": {"b": {"d": 2, "c": 1}, "a": 1}}),
                json!({}),
            ),
        ],
        documents(["subscription { bot(limit: 1) { id } }", "subscription { bot(limit: 1.0) { id } }"]),
        vec![
            ("subscription { bot { id } }", json!({}), json!({"role": "admin", "tenant": "a"})),
            ("subscription { bot { id } }", json!({}), json!({"tenant": "a", "role": "admin", "sub": "me"})),
        ],
        vec![
            ("subscription { other { id } }", json!({}), json!({"role": "admin"})),
            ("subscription { other { id } }", json!({}), json!({})),
        ],
    ];
    let schema = schema(SCHEMA);
    for group in groups {
        let first = key(&schema, &group[0]);
        for sender in &group {
            assert_eq!(key(&schema, sender), first, "{sender:?}");
        }
    }
}

#[test]
fn what_can_change_the_bytes_divides_audiences() {
    let query = "subscription { bot { id } }";
    let mut senders = documents([
        query,
        "subscription { other { id } }",
        "subscription { x: bot { id } }",
        "subscription { bot { x: id } }",
        "subscription { bot { id name } }",
        "subscription { bot { name id } }",
        "subscription { bot { name(size: 1) } }",
        "subscription { bot { name(size: 2) } }",
        "subscription { bot { name(size: null) } }",
        "subscription { bot { name } }",
        "subscription { bot { id: name } }",
        "subscription { bot { __typename } }",
        "subscription { bot { owner { id } } }",
        "subscription { bot { owner { id name } } }",
        "subscription { bot { owner { id } name } }",
        "subscription { bot(id: null) { id } }",
        "subscription { bot(id: \"\") { id } }",
        "subscription { bot(id: \"1\") { id } }",
        "subscription { bot(any: 1) { id } }",
        "subscription { bot(any: \"1\") { id } }",
        "subscription { bot(any: [1]) { id } }",
        "subscription { bot(any: [[1]]) { id } }",
        "subscription { bot(any: {a: 1}) { id } }",
        "subscription { bot(any: {a: null}) { id } }",
        "subscription { bot(any: {}) { id } }",
        "subscription { bot(any: \"{}\") { id } }",
        "subscription { bot(filter: {}) { id } }",
        "subscription { bot(filter: {a: null}) { id } }",
        "subscription { node { id } }",
        "subscription { node { id ... on Bot { status } } }",
        "subscription { node { id ... on User { email } } }",
        "subscription { node { ... on User { id } } }",
        "subscription { node { ... on Bot { id } } }",
    ]);
    senders.extend([
        (query, json!({}), json!({"role": null})),
        (query, json!({}), json!({"role": ""})),
        (query, json!({}), json!({"role": "admin"})),
        (query, json!({}), json!({"tenant": "admin"})),
        (query, json!({}), json!({"role": "admin", "tenant": "a"})),
        (query, json!({}), json!({"role": "admin\",\"tenant\":\"a"})),
        (query, json!({}), json!({"role": ["admin"]})),
        (query, json!({}), json!({"role": "[\"admin\"]"})),
        (query, json!({}), json!({"role": 1})),
        (query, json!({}), json!({"role": "1"})),
    ]);
    let schema = schema(SCHEMA);
    for (index, sender) in senders.iter().enumerate() {
        for other in &senders[..index] {
            assert_ne!(key(&schema, sender), key(&schema, other), "{sender:?} and {other:?}");
        }
    }
}

#[test]
fn a_topic_is_rendered_from_arguments_and_claims() {
    let schema = schema(
        r#"type Subscription { bot(id: ID!): String @subscribe(topic: "org:{{ claims.org }}:bot:{{ args.id }}") }"#,
    );
    let plan = crate::support::subscription(&schema, "subscription { bot(id: 7) }", json!({}));
    assert_eq!(plan.address(&object(json!({"org": "o1"}))).as_deref(), Ok("org:o1:bot:7"));
    assert!(plan.address(&object(json!({}))).is_err());
    assert!(plan.address(&object(json!({"org": "a:b"}))).is_err());
}
