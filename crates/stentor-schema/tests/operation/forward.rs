//! Root fields as documents of their own, and what another GraphQL API answers to them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stentor_schema::{Grants, JsonObject, Operation, Projected, RootPlan, Schema};

use crate::support::{object, plan, schema};

const SCHEMA: &str = r#"
    type Query {
      bot(id: ID!, at: Time, filter: Filter): Bot @resolver
      bots(first: Int = 10, kinds: [Kind!]): [Bot!]! @resolver
      node(id: ID!): Node @resolver
      things: [Thing] @resolver
      count: Int! @resolver
    }
    type Mutation { rename(id: ID!, name: String!): Bot! @resolver }
    type Subscription { bot: Bot @subscribe(topic: "bot") }
    interface Node { id: ID! }
    union Thing = Bot | Runner
    type Bot implements Node {
      id: ID! @from(keys: ["bot_id"])
      name(size: Int = 3, filter: Filter): String
      kind: Kind
      secret: String @hasScope(scope: "view", resource: "bot:{{ parent.id }}")
      strict: Strict
      owner: Node
      runner: Runner
      query: String @from(argument: "id")
    }
    type Strict { id: ID! secret: String! @hasScope(scope: "view", resource: "bot:{{ parent.id }}") }
    type Runner implements Node { id: ID! next: Node speed: Float }
    enum Kind { SPOT FUTURE }
    input Filter { tags: [String!] kind: Kind }
    scalar Time
"#;

fn root_plan(schema: &Schema, query: &str, variables: Value) -> RootPlan {
    match plan(schema, query, variables) {
        Ok(Operation::Query(plan) | Operation::Mutation(plan)) => plan,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn one_root_field_is_forwarded_as_one_document() {
    let schema = schema(SCHEMA);
    let rows = [
        ("{ count }", json!({}), "query { count }", json!({})),
        ("{ n: count __typename }", json!({}), "query { n: count }", json!({})),
        (
            "query Q($id: ID!, $on: Boolean!) { b: bot(id: $id, filter: {kind: SPOT}) { id n: name kind @include(if: $on) } }",
            json!({"id": 7, "on": false}),
            "query($v0: ID!, $v1: Filter, $v2: Int) { b: bot(id: $v0 filter: $v1) { id n: name(size: $v2) } }",
            json!({"v0": "7", "v1": {"kind": "SPOT"}, "v2": 3}),
        ),
        (
            "{ bots { ...B ... on Node { id } } } fragment B on Bot { kind id __typename }",
            json!({}),
            "query($v0: Int) { bots(first: $v0) { kind id __typename } }",
            json!({"v0": 10}),
        ),
        (
            "mutation { a: rename(id: 1, name: \"\\\"x\") { id } }",
            json!({}),
            "mutation($v0: ID!, $v1: String!) { a: rename(id: $v0 name: $v1) { id } }",
            json!({"v0": "1", "v1": "\"x"}),
        ),
        (
            "{ node(id: 1) { id ... on Runner { speed } } }",
            json!({}),
            "query($v0: ID!) { node(id: $v0) { stentor_t: __typename ... on Bot { stentor_k0_id: id } ... on Runner { stentor_k1_id: id stentor_k1_speed: speed } } }",
            json!({"v0": "1"}),
        ),
        (
            "{ things { ... on Runner { id } } }",
            json!({}),
            "query { things { stentor_t: __typename ... on Runner { id } } }",
            json!({}),
        ),
        (
            "{ bot(id: 1) { secret runner { id @skip(if: true) } } }",
            json!({}),
            "query($v0: ID!) { bot(id: $v0) { secret runner { stentor_t: __typename } stentor_g_id: id } }",
            json!({"v0": "1"}),
        ),
        (
            "{ node(id: 1) { stentor_t: id ... on Bot { stentor__: secret } } }",
            json!({}),
            "query($v0: ID!) { node(id: $v0) { stentor___t: __typename ... on Bot { stentor___k0_stentor_t: id stentor___k0_stentor__: secret stentor___g0_id: id } ... on Runner { stentor___k1_stentor_t: id } } }",
            json!({"v0": "1"}),
        ),
    ];
    for (query, variables, expected, values) in rows {
        let forwarded = root_plan(&schema, query, variables).calls[0].forward();
        let found = (forwarded.query.as_str(), Value::Object(forwarded.variables));
        assert_eq!(found, (expected, values), "{query}");
    }
}

#[test]
fn what_is_forwarded_is_valid_and_is_forwarded_as_itself() {
    let schema = schema(SCHEMA);
    for query in [
        "{ bot(id: 1) { id owner { ... on Bot { owner { id } } ... on Runner { next { id } } } } }",
        "{ things { ... on Node { id } ... on Bot { kind secret strict { secret } } ... on Runner { next { ... on Bot { secret } } } } }",
        "{ bots(kinds: [SPOT, FUTURE]) { a: name(size: 1) b: name(filter: {tags: [\"x\"]}) } }",
        "mutation { rename(id: 1, name: \"x\") { secret secret2: secret } }",
    ] {
        let forwarded = root_plan(&schema, query, json!({})).calls[0].forward();
        let again = root_plan(&schema, &forwarded.query, Value::Object(forwarded.variables.clone()));
        assert_eq!(again.calls.len(), 1, "{query}");
        assert_eq!(again.calls[0].arguments, root_plan(&schema, query, json!({})).calls[0].arguments);
    }
}

#[test]
fn interfaces_within_interfaces_are_forwarded_in_proportion() {
    let schema = schema(SCHEMA);
    let depth = 8;
    let levels = "... on Bot { owner { ".repeat(depth);
    let query = format!("{{ node(id: 1) {{ ... on Node {{ {levels} id {} }} }} }}", "} }".repeat(depth));
    let forwarded = root_plan(&schema, &query, json!({})).calls[0].forward();
    assert!(forwarded.query.len() < 200 * depth, "{}", forwarded.query.len());
    root_plan(&schema, &forwarded.query, Value::Object(forwarded.variables));
}

#[derive(Debug)]
struct Views(BTreeSet<&'static str>, JsonObject);

impl Grants for Views {
    fn claims(&self) -> &JsonObject {
        &self.1
    }

    fn allow(&self, scope: &str, resource: Option<&str>) -> bool {
        scope == "view" && self.0.contains(resource.unwrap_or_default())
    }

    fn digest(&self, _: &str) -> [u8; 32] {
        unreachable!("queries have no audience")
    }
}

fn respond(query: &str, response: Value, views: &[&'static str]) -> Value {
    let schema = schema(SCHEMA);
    let grants = Views(views.iter().copied().collect(), JsonObject::new());
    let projected = Projected::from_response(object(response));
    let result = root_plan(&schema, query, json!({})).respond(vec![Ok(projected.into())], Some(&grants));
    serde_json::from_slice(result.bytes()).unwrap()
}

#[test]
fn keys_of_an_answer_are_response_keys_and_nothing_else() {
    let bot = json!({"n": "x", "bot_id": "wrong", "id": "1", "query": "q", "owner": {"stentor_t": "Runner", "stentor_k1_id": "r", "id": "wrong"}});
    let query = "{ b: bot(id: 9) { n: name id query owner { id __typename } } }";
    let expected =
        json!({"b": {"n": "x", "id": "1", "query": "q", "owner": {"id": "r", "__typename": "Runner"}}});
    assert_eq!(respond(query, json!({"data": {"b": bot}}), &[]), json!({"data": expected}));
    let missing =
        json!({"data": {"b": {"bot_id": "1", "name": "x", "owner": {"__typename": "Runner", "id": "r"}}}});
    let result = respond("{ b: bot(id: 9) { n: name kind } }", missing, &[]);
    assert_eq!(result, json!({"data": {"b": {"n": null, "kind": null}}}));
}

#[test]
fn errors_keep_their_place_their_words_and_their_extensions() {
    let error = |path: Value| json!({"message": "no", "locations": [{"line": 1, "column": 2}], "path": path, "extensions": {"code": "ODD", "retry": 3}});
    let told =
        |path: Value| json!({"message": "no", "path": path, "extensions": {"code": "ODD", "retry": 3}});
    let plain = json!({"message": "no"});
    let plain_told = json!({"message": "no", "path": ["b"], "extensions": {"code": "FIELD_ERROR"}});
    let broken = json!({"message": "the field could not be resolved", "path": ["b"], "extensions": {"code": "INTERNAL_SERVER_ERROR"}});
    let rows = [
        (
            json!({"data": {"b": {"n": null}}, "errors": [error(json!(["b", "n"]))]}),
            json!({"data": {"b": {"n": null}}, "errors": [told(json!(["b", "n"]))]}),
        ),
        // The upstream may have another name for the root field.
        (
            json!({"data": {"other": {"n": null}}, "errors": [error(json!(["other", "n"]))]}),
            json!({"data": {"b": {"n": null}}, "errors": [told(json!(["b", "n"]))]}),
        ),
        (json!({"data": null, "errors": [plain]}), json!({"data": {"b": null}, "errors": [plain_told]})),
        (json!({"errors": [plain]}), json!({"data": {"b": null}, "errors": [plain_told]})),
        (json!({"data": {"b": null}}), json!({"data": {"b": null}})),
        (json!({"answer": 1}), json!({"data": {"b": null}, "errors": [broken]})),
    ];
    for (response, expected) in rows {
        assert_eq!(respond("{ b: bot(id: 1) { n: name } }", response.clone(), &[]), expected, "{response}");
    }
}

#[test]
fn errors_within_an_interface_are_told_by_the_clients_keys() {
    let error = |key: &str| json!({"message": "no", "path": ["node", key]});
    let response = json!({"data": {"node": {"stentor_t": "Bot", "stentor_k0_id": "1", "stentor_k0_n": null}}, "errors": [error("stentor_k0_n")]});
    let result = respond("{ node(id: 1) { id ... on Bot { n: name } } }", response, &[]);
    assert_eq!(result["errors"][0]["path"], json!(["node", "n"]));
}

#[test]
fn a_null_that_an_error_explains_is_not_explained_again() {
    let errors = json!([{"message": "no", "path": ["bots", 0, "id"], "extensions": {"code": "X"}}]);
    let result = respond("{ bots { id } }", json!({"data": null, "errors": errors}), &[]);
    assert_eq!(result, json!({"data": null, "errors": errors}));
    let unexplained = respond("{ bots { id } }", json!({"data": {"bots": [{"id": null}]}}), &[]);
    assert_eq!(unexplained["errors"][0]["path"], json!(["bots", 0, "id"]));
}

#[test]
fn of_very_many_errors_a_hundred_are_told_in_their_own_words() {
    let error = |index: usize| json!({"message": "no", "path": ["bots", index, "strict", "id"]});
    let errors: Vec<_> = (0..20_000).map(error).collect();
    let bots: Vec<_> = (0..20_000).map(|_| json!({"strict": {"id": null}, "secret": "s"})).collect();
    let response = json!({"data": {"bots": bots}, "errors": errors});
    let result = respond("{ bots { strict { id } } }", response, &[]);
    let told = result["errors"].as_array().unwrap();
    assert_eq!((told.len(), result["data"]["bots"].as_array().unwrap().len()), (100, 20_000));
    assert!(told.iter().all(|error| error["message"] == "no"), "{}", told[0]);
}

#[test]
fn guards_hold_in_answers_and_their_keys_are_not_told() {
    let bots = json!([
        {"secret": "s1", "stentor_g_id": "1", "strict": {"secret": "t1", "stentor_g_id": "1"}},
        {"secret": "s2", "stentor_g_id": "2", "strict": {"secret": "t2", "stentor_g_id": "2"}},
        {"secret": "s3", "strict": null},
    ]);
    let query = "{ bots { secret strict { secret } } }";
    let result = respond(query, json!({"data": {"bots": bots}}), &["bot:1"]);
    let expected = json!([{"secret": "s1", "strict": {"secret": "t1"}}, {"secret": null, "strict": null}, {"secret": null, "strict": null}]);
    assert_eq!(result["data"]["bots"], expected);
    let paths: Vec<_> =
        result["errors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
    let denied =
        [json!(["bots", 1, "secret"]), json!(["bots", 1, "strict", "secret"]), json!(["bots", 2, "secret"])];
    assert_eq!(paths, denied);
}

#[test]
fn an_error_of_a_hidden_field_is_not_told_in_its_own_words() {
    let query = "{ bot(id: 1) { secret strict { secret } } }";
    let error = |path: Value| json!({"message": "secret is 42", "path": path, "extensions": {"value": 42}});
    let bot = |strict: Value| json!({"bot": {"secret": null, "stentor_g_id": "1", "strict": strict}});
    let strict = json!({"secret": "t", "stentor_g_id": "2"});
    // An error of the upstream, what may be viewed, and whether its words are told.
    let rows = [
        (json!(["bot", "secret"]), bot(Value::Null), &["bot:1"][..], true),
        (json!(["bot", "secret"]), bot(Value::Null), &[], false),
        (json!(["bot", "strict", "secret"]), bot(strict), &[], false),
        // The object is gone, so that nobody can say whether its field may be seen.
        (json!(["bot", "strict", "secret"]), bot(Value::Null), &["bot:1"], false),
        (json!(["bot", "stentor_g_id"]), json!({"bot": null}), &["bot:1"], false),
    ];
    for (path, data, views, told) in rows {
        let response = json!({"data": data, "errors": [error(path.clone())]});
        let result = respond(query, response, views).to_string();
        assert_eq!(result.contains("42"), told, "{path} {views:?}: {result}");
        assert!(!result.contains("stentor_"), "{result}");
        assert!(result.contains("errors"), "{result}");
    }
}
