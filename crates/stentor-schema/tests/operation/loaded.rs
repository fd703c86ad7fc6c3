//! Values that were loaded after an event, and values without one.

use serde_json::{Value, json};
use stentor_schema::{ErrorCode, GraphQLError};

use crate::support::{event, schema, subscription};

const DOCUMENTS: &str = r#"
    type Subscription {
      document: Document @subscribe(topic: "documents") @resolver
      result: Result @subscribe(topic: "results") @resolver
      names: [String!] @subscribe(topic: "names") @resolver
      ticks: Int! @resolver
    }
    type Document { documentId: ID  name: String  owner: Owner  title: String @from(keys: ["heading", "title"]) }
    type Owner { id: ID  name: String }
    type Note { text: String }
    union Result = Document | Note
"#;

#[test]
fn a_loaded_value_lies_over_its_event() {
    let rows = [
        (
            "the value alone after text",
            "subscription { document { documentId name } }",
            "d1",
            json!({ "document_id": "d1", "name": "a" }),
            r#"{"data":{"document":{"documentId":"d1","name":"a"}}}"#,
        ),
        (
            "what it lacks comes from the event",
            "subscription { document { documentId name } }",
            r#"{"documentId":"d1","name":"old"}"#,
            json!({ "name": "new" }),
            r#"{"data":{"document":{"documentId":"d1","name":"new"}}}"#,
        ),
        (
            "null is a value",
            "subscription { document { name } }",
            r#"{"name":"old"}"#,
            json!({ "name": null }),
            r#"{"data":{"document":{"name":null}}}"#,
        ),
        (
            "whatever spelling the event has of the key",
            "subscription { document { documentId title } }",
            r#"{"documentId":"old","heading":"old"}"#,
            json!({ "document_id": "new", "title": "new" }),
            r#"{"data":{"document":{"documentId":"new","title":"new"}}}"#,
        ),
        (
            "objects within are not mixed",
            "subscription { document { owner { id name } documentId } }",
            r#"{"owner":{"name":"old"},"document_id":"d1"}"#,
            json!({ "owner": { "id": "o1" } }),
            r#"{"data":{"document":{"owner":{"id":"o1","name":null},"documentId":"d1"}}}"#,
        ),
        (
            "the event may name the type",
            "subscription { result { ... on Note { text } } }",
            r#"{"__typename":"Note"}"#,
            json!({ "text": "hello" }),
            r#"{"data":{"result":{"text":"hello"}}}"#,
        ),
        (
            "a list stands alone",
            "subscription { names }",
            r#"{"names":["old"]}"#,
            json!(["new"]),
            r#"{"data":{"names":["new"]}}"#,
        ),
    ];
    let schema = schema(DOCUMENTS);
    for (name, query, payload, loaded, expected) in rows {
        let plan = subscription(&schema, query, json!({}));
        let result = plan.project_loaded(&event(payload), &loaded, None);
        assert_eq!(std::str::from_utf8(result.bytes()).unwrap(), expected, "{name}");
    }
}

#[test]
fn conditions_see_event_and_loaded_value_as_one() {
    let merged = |payload, loaded: &Value| event(payload).under(loaded).into_json();
    assert_eq!(merged(r#"{"a":1,"b":2}"#, &json!({ "b": 3, "c": 4 })), json!({ "a": 1, "b": 3, "c": 4 }));
    assert_eq!(merged("text", &json!({ "b": 3 })), json!({ "b": 3 }));
    assert_eq!(merged(r#"{"a":1}"#, &json!([1])), json!([1]));
}

#[test]
fn a_value_that_is_not_there_follows_the_rules_for_errors() {
    let schema = schema(DOCUMENTS);
    let error = || GraphQLError::new(ErrorCode::Unavailable, "the database is away");
    let answer = |query: &str, value| {
        let result = subscription(&schema, query, json!({})).answer(value, None);
        serde_json::from_slice::<Value>(result.bytes()).unwrap()
    };
    let errors = |path: &str| json!([{ "message": "the database is away", "path": [path], "extensions": { "code": "UNAVAILABLE" } }]);
    assert_eq!(answer("subscription { t: ticks }", Ok(json!(7))), json!({ "data": { "t": 7 } }));
    let failed = answer("subscription { t: ticks }", Err(error()));
    assert_eq!(failed, json!({ "data": null, "errors": errors("t") }));
    let failed = answer("subscription { document { name } }", Err(error()));
    assert_eq!(failed, json!({ "data": { "document": null }, "errors": errors("document") }));
}
