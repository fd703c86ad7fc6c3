//! Documents that do not run, and what their senders are told.

use serde_json::{Value, json};
use stentor_schema::{Operation, OperationLimits, Request};

use crate::support::{plan, refusal, request, schema};

const SCHEMA: &str = r#"
    type Query { a: String @resolver  user: User @resolver }
    type Mutation { b(id: ID!): String @resolver }
    type Subscription { bot(id: ID): Bot @subscribe(topic: "bot")  other: Bot @subscribe(topic: "other") }
    type Bot { id: ID  name(size: Int): String  self: Bot }
    type User { id: ID }
"#;

#[test]
fn a_refusal_has_the_code_of_its_stage() {
    let parse = "GRAPHQL_PARSE_FAILED";
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    let rows = [
        ("", parse),
        ("   ", parse),
        ("{", parse),
        ("subscription { bot { id }", parse),
        ("subscription { bot { id } } }", parse),
        ("{ a(x: \"unclosed) }", parse),
        ("hello", parse),
        ("{ }", parse),
        ("{ nope }", invalid),
        ("{ a { b } }", invalid),
        ("{ user }", invalid),
        ("{ user { id } } { a }", invalid),
        ("query A { a } query A { a }", invalid),
        ("query A { a } { a }", invalid),
        ("{ a @nope }", invalid),
        ("{ a @skip }", invalid),
        ("{ a @skip(if: 1) }", invalid),
        ("{ ...F }", invalid),
        ("{ a } fragment F on Query { a }", invalid),
        ("{ ...F } fragment F on Query { ...F }", invalid),
        ("{ ...F } fragment F on Query { ...G } fragment G on Query { user { id } ...F }", invalid),
        ("{ ...F } fragment F on Bot { id }", invalid),
        ("{ a a: user { id } }", invalid),
        ("{ a(x: 1) }", invalid),
        ("mutation { b }", invalid),
        ("mutation { b(id: null) }", invalid),
        ("mutation { b(id: 1.5) }", invalid),
        ("mutation($id: ID) { b(id: $id) }", invalid),
        ("mutation($id: Int!) { b(id: $id) }", invalid),
        ("query($unused: Int) { a }", invalid),
        ("{ user @include(if: $undefined) { id } }", invalid),
        ("type T { a: Int }", invalid),
        ("fragment F on Query { a }", invalid),
        ("subscription { bot { id } other { id } }", invalid),
        ("subscription { a: bot { id } b: bot { id } }", invalid),
        ("subscription { bot { id } ...F } fragment F on Subscription { other { id } }", invalid),
        ("subscription { bot(id: 1) { id } ...F } fragment F on Subscription { bot(id: 2) { id } }", invalid),
        ("subscription { __typename }", invalid),
        ("subscription { bot { id } __typename }", invalid),
        ("subscription { bot @skip(if: false) { id } }", invalid),
        ("subscription($c: Boolean!) { bot @include(if: $c) { id } }", invalid),
        ("subscription { ... @include(if: true) { bot { id } } }", invalid),
        ("subscription { ...F @skip(if: false) } fragment F on Subscription { bot { id } }", invalid),
        ("subscription { bot { n: name(size: 1) n: name(size: 2) } }", invalid),
    ];
    let schema = schema(SCHEMA);
    for (query, code) in rows {
        let refused = refusal(&schema, query, json!({"c": true}));
        let codes: Vec<_> =
            refused.as_array().unwrap().iter().map(|error| &error["extensions"]["code"]).collect();
        assert!(!codes.is_empty() && codes.iter().all(|found| *found == code), "{query}: {refused}");
    }
}

#[test]
fn a_refusal_says_where() {
    let schema = schema(SCHEMA);
    assert_eq!(
        refusal(&schema, "{\n  user { id nope }\n}", json!({})),
        json!([{
            "message": "type `User` does not have a field `nope`",
            "locations": [{"line": 2, "column": 13}],
            "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
        }])
    );
}

#[test]
fn a_refusal_has_at_most_20_errors_and_quotes_little() {
    let schema = schema(SCHEMA);
    let many: String = (0..50).map(|index| format!(" nope{index}")).collect();
    let refused = refusal(&schema, &format!("{{{many} }}"), json!({}));
    assert_eq!(refused.as_array().map(Vec::len), Some(20));

    let long = "x".repeat(10_000);
    let refused = refusal(&schema, &format!("{{ {long} }}"), json!({}));
    let message = refused[0]["message"].as_str().unwrap();
    assert!(message.chars().count() <= 501, "{message}");
}

#[test]
fn the_operation_name_picks_the_operation() {
    let both = "query A { a } query B { x: a }";
    let rows: [(&str, Option<&str>, Result<&str, &str>); 9] = [
        (both, Some("A"), Ok("a")),
        (both, Some("B"), Ok("x")),
        (both, Some("C"), Err("The document has no operation named \"C\".")),
        (both, None, Err("The document has several operations: say which one in operationName.")),
        (both, Some(""), Err("The document has several operations: say which one in operationName.")),
        ("query A { a }", None, Ok("a")),
        ("{ a }", None, Ok("a")),
        ("{ a }", Some(""), Ok("a")),
        ("{ a }", Some("A"), Err("The document has no operation named \"A\".")),
    ];
    let schema = schema(SCHEMA);
    for (query, name, expected) in rows {
        let request = Request { operation_name: name.map(str::to_owned), ..request(query, json!({})) };
        let planned = schema.plan(&request, &OperationLimits::default());
        let outcome = match &planned {
            Ok(Operation::Query(plan)) => Ok(plan.calls[0].response_key.as_str()),
            Err(errors) => Err(errors[0].message.as_str()),
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome, expected, "{query} {name:?}");
    }
}

#[test]
fn variables_of_another_operation_do_not_matter() {
    let schema = schema(SCHEMA);
    let query = "query A { a } mutation B($id: ID!) { b(id: $id) }";
    let request = Request { operation_name: Some("A".to_owned()), ..request(query, json!({})) };
    assert!(matches!(schema.plan(&request, &OperationLimits::default()), Ok(Operation::Query(_))));
}

#[test]
fn skip_by_a_variable_that_is_null_is_bad_user_input() {
    let query = "query($c: Boolean = true) { a @skip(if: $c) }";
    let refused = refusal(&schema(SCHEMA), query, json!({"c": null}));
    assert_eq!(refused[0]["extensions"]["code"], "BAD_USER_INPUT");
}

#[test]
fn a_document_of_one_text_is_planned_alike_each_time() {
    let schema = schema(SCHEMA);
    let query = "query($c: Boolean!) { a @skip(if: $c) user { id } }";
    let keys = |condition: bool| match plan(&schema, query, json!({"c": condition})) {
        Ok(Operation::Query(plan)) => {
            plan.calls.iter().map(|call| call.response_key.clone()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(keys(true), ["user"]);
    assert_eq!(keys(false), ["a", "user"]);
    assert_eq!(keys(true), ["user"]);
    let refused = refusal(&schema, query, json!({}));
    assert_eq!(refused[0]["extensions"]["code"], Value::from("BAD_USER_INPUT"));
}
