//! `@hasScope` below the root: what is hidden, what is told instead, and who shares bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stentor_schema::{Feed, Grants, JsonObject, Operation, RootPlan, Schema};

use crate::support::{event, object, plan, schema, subscription};

const SCHEMA: &str = r#"
    type Query { bots(team: ID!): [Bot!] @resolver  bot(team: ID!): Bot! @resolver }
    type Subscription {
      bot(team: ID!): Bot @subscribe(topic: "bot") @public
      thing(team: ID!): Thing @subscribe(topic: "thing") @public
      node(team: ID!): Node @subscribe(topic: "thing") @public
    }
    union Thing = Bot | Runner
    interface Node { id: ID! secret: String }
    type Bot implements Node {
      id: ID! @from(keys: ["bot_id", "id"])
      shardNo: Int!
      kind: Kind!
      name: String
      secret: String @hasScope(scope: "view", resource: "bot:{{ parent.id }}")
      shard: Int @hasScope(scope: "view", resource: "shard:{{ parent.shardNo }}")
      typed: String @hasScope(scope: "view", resource: "{{ parent.kind }}:{{ parent.id }}")
      mine: String @hasScope(scope: "view", resource: "user:{{ claims.sub }}")
      both: String @hasScope(scope: "view", resource: "bot:{{ parent.id }}") @hasScope(scope: "admin")
      ofTeam: String @hasScope(scope: "view", resource: "team:{{ args.team }}")
      deal: Deal
      deals: [Deal!]
      strict: Strict
    }
    type Runner implements Node { id: ID! secret: String }
    type Deal { id: ID!  price: Float @hasScope(scope: "view", resource: "deal:{{ parent.id }}") }
    type Strict { id: ID!  price: Float! @hasScope(scope: "view", resource: "deal:{{ parent.id }}") }
    enum Kind { spot future }
"#;

/// What a token would say: `(scope, resource)` pairs.
#[derive(Debug, Default)]
struct Held {
    claims: JsonObject,
    pairs: BTreeSet<(&'static str, &'static str)>,
}

impl Grants for Held {
    fn claims(&self) -> &JsonObject {
        &self.claims
    }

    fn allow(&self, scope: &str, resource: Option<&str>) -> bool {
        self.pairs.contains(&(scope, resource.unwrap_or_default()))
    }

    fn digest(&self, scope: &str) -> [u8; 32] {
        let mut digest = [0; 32];
        for (held, resource) in &self.pairs {
            if *held == scope {
                resource.bytes().enumerate().for_each(|(place, byte)| digest[place] ^= byte);
            }
        }
        digest
    }
}

fn held<const N: usize>(pairs: [(&'static str, &'static str); N]) -> Held {
    Held { claims: object(json!({"sub": "u"})), pairs: pairs.into() }
}

fn result(selection: &str, payload: &Value, grants: Option<&dyn Grants>) -> Value {
    let query = format!("subscription {{ bot(team: \"t\") {{ {selection} }} }}");
    let plan = subscription(&schema(SCHEMA), &query, json!({}));
    let result = plan.project(&event(&payload.to_string()), grants).unwrap();
    serde_json::from_slice(result.bytes()).unwrap()
}

fn denied(scope: &str, path: &Value) -> Value {
    let message = format!("the scope \"{scope}\" is missing");
    json!({"message": message, "path": path, "extensions": {"code": "FORBIDDEN"}})
}

#[test]
fn what_is_held_is_shown_and_what_is_not_is_null_with_an_error() {
    let payload = json!({
        "bot_id": 42, "shard_no": 7, "kind": "spot", "secret": "s", "shard": 1, "typed": "t", "mine": "m",
        "both": "b", "of_team": "o",
    });
    let rows: [(&str, Held, Value); 12] = [
        ("secret", held([("view", "bot:42")]), json!("s")),
        ("secret", held([("view", "bot:4"), ("edit", "bot:42"), ("view", "")]), Value::Null),
        ("shard", held([("view", "shard:7")]), json!(1)),
        ("typed", held([("view", "spot:42")]), json!("t")),
        ("typed", held([("view", "bot:42")]), Value::Null),
        ("mine", held([("view", "user:u")]), json!("m")),
        ("mine", held([("view", "user:v")]), Value::Null),
        ("both", held([("view", "bot:42"), ("admin", "")]), json!("b")),
        ("both", held([("admin", "")]), Value::Null),
        ("ofTeam", held([("view", "team:t")]), json!("o")),
        ("ofTeam", held([("view", "team:u")]), Value::Null),
        ("alias: secret", held([]), Value::Null),
    ];
    for (selection, grants, expected) in rows {
        let key = selection.split(':').next().unwrap();
        let result = result(&format!("name {selection}"), &payload, Some(&grants));
        let error = denied("view", &json!(["bot", key]));
        let wanted = if expected.is_null() {
            json!({"data": {"bot": {"name": null, key: null}}, "errors": [error]})
        } else {
            json!({"data": {"bot": {"name": null, key: expected}}})
        };
        assert_eq!(result, wanted, "{selection} with {grants:?}");
    }
}

#[test]
fn of_several_guards_the_first_that_says_no_is_told() {
    let result = result("both", &json!({"bot_id": "1", "both": "b"}), Some(&held([("view", "bot:1")])));
    assert_eq!(result["errors"], json!([denied("admin", &json!(["bot", "both"]))]));
}

#[test]
fn an_anonymous_client_is_asked_to_sign_in() {
    let result = result("secret", &json!({"bot_id": "1", "secret": "s"}), None);
    let error = json!({
        "message": "this needs a signed-in user", "path": ["bot", "secret"],
        "extensions": {"code": "UNAUTHENTICATED"},
    });
    assert_eq!(result, json!({"data": {"bot": {"secret": null}}, "errors": [error]}));
}

#[test]
fn a_resource_that_cannot_be_rendered_is_held_by_nobody() {
    let long = "x".repeat(257);
    let rows = [
        ("secret", json!({"secret": "s"})),
        ("secret", json!({"bot_id": null, "secret": "s"})),
        ("secret", json!({"bot_id": "", "secret": "s"})),
        ("secret", json!({"bot_id": long, "secret": "s"})),
        ("secret", json!({"bot_id": {"a": 1}, "secret": "s"})),
        ("secret", json!({"bot_id": 1.5, "secret": "s"})),
        ("secret", json!({"bot_id": true, "secret": "s"})),
        ("shard", json!({"shard_no": "7", "shard": 1})),
        ("typed", json!({"kind": "other", "bot_id": "1", "typed": "s"})),
    ];
    let all = held([
        ("view", "bot:"),
        ("view", "bot"),
        ("view", "bot:1.5"),
        ("view", "bot:true"),
        ("view", "shard:7"),
        ("view", "other:1"),
        ("view", ""),
    ]);
    for (field, payload) in rows {
        let result = result(field, &payload, Some(&all));
        assert_eq!(result["data"]["bot"][field], Value::Null, "{payload}");
        assert_eq!(result["errors"], json!([denied("view", &json!(["bot", field]))]), "{payload}");
    }
}

#[test]
fn a_hidden_value_shows_in_no_error_and_not_by_being_null_or_wrong() {
    let mut results = BTreeSet::new();
    for secret in [json!("s"), json!(null), json!(["wrong"]), json!(7)] {
        let payload = json!({"bot_id": "1", "secret": secret});
        results.insert(result("secret", &payload, Some(&held([]))).to_string());
    }
    results.insert(result("secret", &json!({"bot_id": "2"}), Some(&held([]))).to_string());
    assert_eq!(results.len(), 1, "{results:?}");
}

#[test]
fn every_way_to_a_field_is_guarded() {
    let rows = [
        ("a: secret b: secret", 2),
        ("secret ...F", 1),
        ("...F", 1),
        ("... on Node { secret }", 1),
        ("... on Bot { ... { secret } }", 1),
        ("secret @include(if: true)", 1),
        ("secret @skip(if: true) name", 0),
        ("secret @include(if: false) name", 0),
    ];
    for (selection, denials) in rows {
        let fragment = if selection.contains("...F") { "fragment F on Bot { secret }" } else { "" };
        let query = format!("subscription {{ bot(team: \"t\") {{ {selection} }} }} {fragment}");
        let plan = subscription(&schema(SCHEMA), &query, json!({}));
        assert_eq!(plan.is_guarded(), denials > 0, "{selection}");
        let grants = held([]);
        let result = plan.project(&event(r#"{"bot_id":"1","secret":"hidden"}"#), Some(&grants)).unwrap();
        let text = String::from_utf8(result.bytes().to_vec()).unwrap();
        assert!(!text.contains("hidden"), "{selection}: {text}");
        assert_eq!(text.matches("FORBIDDEN").count(), denials, "{selection}: {text}");
    }
}

#[test]
fn a_type_behind_an_interface_or_union_keeps_its_guards() {
    let schema = schema(SCHEMA);
    for query in [
        "subscription { node(team: \"t\") { id secret } }",
        "subscription { node(team: \"t\") { ... on Node { id secret } } }",
        "subscription { thing(team: \"t\") { ... on Node { id secret } } }",
        "subscription { thing(team: \"t\") { ... on Bot { id secret } ... on Runner { id secret } } }",
    ] {
        let plan = subscription(&schema, query, json!({}));
        let key = plan.field.name.clone();
        let project = |payload: &str| -> Value {
            let grants = held([]);
            serde_json::from_slice(plan.project(&event(payload), Some(&grants)).unwrap().bytes()).unwrap()
        };
        let bot = project(r#"{"__typename":"Bot","id":"1","secret":"s"}"#);
        assert_eq!(bot["data"][&key], json!({"id": "1", "secret": null}), "{query}");
        let runner = project(r#"{"__typename":"Runner","id":"1","secret":"s"}"#);
        assert_eq!(runner, json!({"data": {key: {"id": "1", "secret": "s"}}}), "{query}");
    }
}

#[test]
fn items_of_a_list_are_decided_one_by_one_and_non_null_fields_take_their_parents_along() {
    let grants = held([("view", "deal:2")]);
    let deals = json!([{"id": "1", "price": 1.5}, {"id": "2", "price": 2.5}, {"id": "3", "price": 3.5}]);
    let seen = result("deals { price }", &json!({"deals": deals}), Some(&grants));
    let prices = json!([{"price": null}, {"price": 2.5}, {"price": null}]);
    assert_eq!(seen["data"]["bot"]["deals"], prices);
    let errors: Vec<_> = [0, 2].map(|index| denied("view", &json!(["bot", "deals", index, "price"]))).into();
    assert_eq!(seen["errors"], json!(errors));

    let seen = result("strict { id price } name", &json!({"strict": {"id": "1", "price": 1}}), Some(&grants));
    let error = denied("view", &json!(["bot", "strict", "price"]));
    assert_eq!(seen, json!({"data": {"bot": {"strict": null, "name": null}}, "errors": [error]}));
}

#[test]
fn a_guard_reads_the_same_value_that_its_field_would_show() {
    let sdl = r#"
        type Subscription {
          job(id: ID!): Job @subscribe(hash: "job:{{ args.id }}") @public
          row: Job @subscribe(topic: "rows") @resolver @public
        }
        type Job { shard: Int! secret: String @hasScope(scope: "view", resource: "shard:{{ parent.shard }}") }
    "#;
    let schema = schema(sdl);
    let grants = held([("view", "shard:7")]);

    let job = subscription(&schema, "subscription { job(id: 1) { secret } }", json!({}));
    let Feed::Hash(_, types) = &job.field.feed else { panic!("{:?}", job.field.feed) };
    for (shard, expected) in [("7", r#"{"data":{"job":{"secret":"s"}}}"#), ("8", ""), ("x", "")] {
        let result = job.project(&types.event([("shard", shard), ("secret", "s")]), Some(&grants)).unwrap();
        let text = std::str::from_utf8(result.bytes()).unwrap();
        assert!(text == expected || (expected.is_empty() && text.contains("FORBIDDEN")), "{shard}: {text}");
    }

    // The loaded value lies over the event.
    let row = subscription(&schema, "subscription { row { secret } }", json!({}));
    let rows = [
        (json!({"shard": 7, "secret": "s"}), r#"{"shard":8}"#, true),
        (json!({"secret": "s"}), r#"{"shard":7}"#, true),
        (json!({"shard": 8, "secret": "s"}), r#"{"shard":7}"#, false),
        (json!({"shard": 8}), r#"{"shard":7,"secret":"s"}"#, false),
        (json!({"secret": "s"}), "7", false),
    ];
    for (value, payload, seen) in rows {
        let result = row.project_loaded(&event(payload), &value, Some(&grants));
        let text = std::str::from_utf8(result.bytes()).unwrap();
        assert_eq!(text == r#"{"data":{"row":{"secret":"s"}}}"#, seen, "{value} over {payload}: {text}");
        assert_eq!(text.contains("FORBIDDEN"), !seen, "{value} over {payload}: {text}");
    }
}

#[test]
fn queries_are_guarded_with_the_arguments_of_their_own_root_field() {
    let schema = schema(SCHEMA);
    let query = "{ a: bot(team: \"1\") { ofTeam } b: bot(team: \"2\") { ofTeam } bots(team: \"2\") { deal { price } } }";
    let plan: RootPlan = match plan(&schema, query, json!({})) {
        Ok(Operation::Query(plan)) => plan,
        other => panic!("{other:?}"),
    };
    let bot = json!({"ofTeam": "x", "deal": {"id": "9", "price": 1.5}});
    let values = vec![Ok(bot.clone().into()), Ok(bot.clone().into()), Ok(json!([bot]).into())];
    let grants = held([("view", "team:2"), ("view", "deal:9")]);
    let result: Value = serde_json::from_slice(plan.respond(values, Some(&grants)).bytes()).unwrap();
    let data = json!({"a": {"ofTeam": null}, "b": {"ofTeam": "x"}, "bots": [{"deal": {"price": 1.5}}]});
    assert_eq!(result, json!({"data": data, "errors": [denied("view", &json!(["a", "ofTeam"]))]}));
}

#[test]
fn only_what_is_selected_and_decides_divides_an_audience() {
    let schema = schema(SCHEMA);
    let key = |selection: &str, grants: Option<&dyn Grants>| {
        let query = format!("subscription {{ bot(team: \"t\") {{ {selection} }} }}");
        subscription(&schema, &query, json!({})).audience_key(&JsonObject::new(), grants)
    };
    let claims = |pairs: Held, sub: &str| Held { claims: object(json!({"sub": sub})), ..pairs };
    // A selection, two principals, and whether they share.
    let rows: [(&str, Held, Held, bool); 9] = [
        ("name", held([("view", "bot:1")]), held([]), true),
        ("secret", held([("view", "bot:1")]), held([]), false),
        ("secret", held([("view", "bot:1")]), held([("view", "bot:2")]), false),
        ("secret", held([("view", "bot:1")]), held([("view", "bot:1"), ("edit", "bot:1")]), true),
        ("secret @skip(if: true) name", held([("view", "bot:1")]), held([]), true),
        ("ofTeam", held([("view", "team:t"), ("view", "bot:1")]), held([("view", "team:t")]), true),
        ("ofTeam", held([("view", "team:t")]), held([("view", "team:u")]), false),
        ("mine", claims(held([("view", "user:a")]), "a"), claims(held([("view", "user:b")]), "b"), true),
        ("secret", claims(held([]), "a"), claims(held([]), "b"), true),
    ];
    for (selection, one, other, shared) in rows {
        let keys = [key(selection, Some(&one)), key(selection, Some(&other))];
        assert_eq!(keys[0] == keys[1], shared, "{selection}: {one:?} and {other:?}");
    }
    assert_eq!(key("name", None), key("name", Some(&held([]))));
    for selection in ["secret", "ofTeam", "deal { price }"] {
        assert_ne!(key(selection, None), key(selection, Some(&held([]))), "{selection}");
    }
}

#[test]
fn claims_of_guards_below_the_root_are_kept() {
    let schema: Schema = schema(SCHEMA);
    assert_eq!(schema.claims().iter().map(String::as_str).collect::<Vec<_>>(), ["sub"]);
}
