//! Whatever is published, a result is JSON, hides what is guarded, and is the same through another server.

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stentor_schema::{
    Event, Grants, JsonObject, Operation, Projected, Resolved, RootPlan, Schema, SubscriptionPlan,
};

use crate::support::{plan, schema, subscription};

const SCHEMA: &str = r#"
    type Subscription {
      item: Item @subscribe(topic: "a")
      items: [[Item!]!]! @subscribe(topic: "b")
      thing: Thing! @subscribe(topic: "c")
      any: Any! @subscribe(topic: "d")
      color: Color! @subscribe(topic: "e")
    }
    interface Node { a: Int }
    type Item implements Node { a: Int  b: String!  c: [Item!]  d: Thing  e: Color!  f: Any  g: Float!  h: [[ID!]]! }
    type Other implements Node { a: Int  c: [Item] }
    union Thing = Item | Other
    enum Color { RED GREEN }
    scalar Any
"#;

static PLANS: LazyLock<Vec<SubscriptionPlan>> = LazyLock::new(plans);

fn plans() -> Vec<SubscriptionPlan> {
    let schema = schema(SCHEMA);
    let fields = "fragment F on Item { a b c { a b d { __typename ... on Node { a } } } d { ... on Other { c { e g } } } e f g h }";
    [
        "item { ...F }",
        "items { ...F }",
        "thing { __typename ...F ... on Other { a } }",
        "any ...Keep",
        "color ...Keep",
    ]
    .iter()
    .map(|root| match root.strip_suffix(" ...Keep") {
        Some(root) => subscription(&schema, &format!("subscription {{ {root} }}"), json!({})),
        None => subscription(&schema, &format!("subscription {{ {root} }} {fields}"), json!({})),
    })
    .collect()
}

/// Keys and values that the schema knows, right ones and wrong ones, so that every branch is reached.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop_oneof![Just("RED"), Just("Item"), Just("Other")].prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 128, 8, |inner| {
        let key = prop_oneof![Just("__typename".to_owned()), "[a-h]", "\\PC{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..10)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_json_gives_json_or_is_malformed(value in values()) {
        let event = Event::from_json(value);
        for plan in &*PLANS {
            check(plan, &event)?;
        }
    }

    #[test]
    fn any_text_gives_json_or_is_malformed(text in "\\PC*|[\\x00-\\x7f]*") {
        let event = Event::from_text(text);
        for plan in &*PLANS {
            check(plan, &event)?;
        }
    }
}

/// Answered by a program, and below the root guarded.
const ANSWERED: &str = r#"
    type Query { item: Item @resolver  items: [[Item!]!]! @resolver  thing: Thing! @resolver  node: Node @resolver }
    type Subscription { item: Item @subscribe(topic: "a") }
    interface Node { a: Int  g: Float }
    type Item implements Node {
      a: Int  b: String! @guard  c: [Item!]  d: Thing  e: Color! @guard  f: Any @guard  g: Float!  h: [[ID!]]!
    }
    type Other implements Node { a: Int  c: [Item]  g: Float  b: String! @guard }
    union Thing = Item | Other
    enum Color { RED GREEN }
    scalar Any
"#;

const GUARD: &str = r#"@hasScope(scope: "view", resource: "item:{{ parent.k }}")"#;

static OPEN: LazyLock<Schema> = LazyLock::new(|| schema(&ANSWERED.replace("@guard", "")));

static GUARDED: LazyLock<Schema> = LazyLock::new(|| {
    schema(
        &ANSWERED
            .replace("@guard", GUARD)
            .replace("a: Int  c", "a: Int k: ID!  c")
            .replace("a: Int  b", "a: Int k: ID!  b"),
    )
});

const QUERIES: [&str; 4] = [
    "{ item { ...F } }",
    "{ items { ...F } }",
    "{ x: thing { ...F ... on Other { o: a b } } }",
    "{ node { a g t: __typename ... on Item { d { ... on Node { g } } } ... on Other { c { x: b y: b e } } } }",
];

fn root_plan(schema: &Schema, query: &str, variables: Value) -> RootPlan {
    let query = match query.contains("...F") {
        true => format!(
            "{query} fragment F on Item {{ a b c {{ a b d {{ __typename ... on Node {{ a }} }} }} d {{ ... on Other {{ c {{ e g }} }} }} e f g h }}"
        ),
        false => query.to_owned(),
    };
    match plan(schema, &query, variables) {
        Ok(Operation::Query(plan)) => plan,
        other => panic!("{query}: {other:?}"),
    }
}

/// Lets everybody see everything, or nothing.
#[derive(Debug)]
struct Everyone(bool, JsonObject);

impl Grants for Everyone {
    fn claims(&self) -> &JsonObject {
        &self.1
    }

    fn allow(&self, _: &str, resource: Option<&str>) -> bool {
        self.0 && resource == Some("item:7")
    }

    fn digest(&self, _: &str) -> [u8; 32] {
        [u8::from(self.0); 32]
    }
}

fn answer(plan: &RootPlan, value: impl Into<Resolved>, allowed: bool) -> Value {
    let grants = Everyone(allowed, JsonObject::new());
    let result = plan.respond(vec![Ok(value.into())], Some(&grants));
    serde_json::from_slice(result.bytes()).unwrap()
}

/// The data, and what is told of each error.
fn told(response: &Value) -> (Value, BTreeSet<String>) {
    let errors = response["errors"].as_array().into_iter().flatten();
    let told = errors.map(|error| format!("{} {}", error["path"], error["message"])).collect();
    (response["data"].clone(), told)
}

/// Gives every object a key for its guard, and what is guarded a mark.
fn mark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mark),
        Value::Object(object) => {
            object.values_mut().for_each(mark);
            object.insert("k".into(), 7.into());
            for key in ["b", "f"] {
                object.insert(key.into(), "HIDDEN".into());
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn an_answer_is_the_same_through_another_server(value in values()) {
        for query in QUERIES {
            let own = root_plan(&OPEN, query, json!({}));
            let direct = answer(&own, value.clone(), true);
            let forwarded = own.calls[0].forward();
            let upstream = root_plan(&OPEN, &forwarded.query, Value::Object(forwarded.variables));
            let Value::Object(response) = answer(&upstream, value.clone(), true) else { unreachable!() };
            let through = answer(&own, Projected::from_response(response), true);
            // Of more than a hundred errors the rest is not told.
            if told(&direct).1.len() < 100 {
                prop_assert_eq!(told(&direct), told(&through), "{}", query);
            }
        }
    }

    #[test]
    fn what_is_guarded_is_in_no_result_without_grants_and_changes_none_with_them(value in values()) {
        let mut value = value;
        mark(&mut value);
        for query in QUERIES {
            let (open, guarded) = (root_plan(&OPEN, query, json!({})), root_plan(&GUARDED, query, json!({})));
            let denied = answer(&guarded, value.clone(), false).to_string();
            prop_assert!(!denied.contains("HIDDEN"), "{}", denied);
            prop_assert_eq!(answer(&guarded, value.clone(), true), answer(&open, value.clone(), true), "{}", query);

            let forwarded = guarded.calls[0].forward();
            let upstream = root_plan(&GUARDED, &forwarded.query, Value::Object(forwarded.variables));
            let Value::Object(response) = answer(&upstream, value.clone(), true) else { unreachable!() };
            let denied = answer(&guarded, Projected::from_response(response), false).to_string();
            prop_assert!(!denied.contains("HIDDEN") && !denied.contains("stentor_"), "{}", denied);
        }
    }
}

fn check(plan: &SubscriptionPlan, event: &Event) -> Result<(), TestCaseError> {
    let Ok(result) = plan.project(event, None) else { return Ok(()) };
    let json: Value =
        serde_json::from_slice(result.bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(result.bytes().last(), Some(&b'}'));
    let data = &json["data"][plan.field.name.as_str()];
    let failed = json.get("errors").is_some();
    // Whatever is null where it must not be has an error.
    prop_assert!(!data.is_null() || failed || event.json().is_some_and(Value::is_null), "{}", json);
    Ok(())
}
