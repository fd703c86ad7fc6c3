//! Whatever is published, a result is JSON.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stentor_schema::{Event, SubscriptionPlan};

use crate::support::{schema, subscription};

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
