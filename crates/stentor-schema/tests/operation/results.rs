//! Which values a result holds, and in which order.

use serde_json::json;
use stentor_schema::Malformed;

use crate::support::{check_results, event, schema, subscription};

const BOTS: &str = r#"
    type Subscription {
      bot(botId: ID, limit: Int): Bot @subscribe(topic: "bot")
      bots: [Bot!] @subscribe(topic: "bots")
      node: Node @subscribe(topic: "node")
      lonely: Lonely @subscribe(topic: "lonely")
      result: Result @subscribe(topic: "result")
      text: String @subscribe(topic: "text")
      id: ID @subscribe(topic: "id")
      any: Any @subscribe(topic: "any")
      status: Status @subscribe(topic: "status")
      count: Int @subscribe(topic: "count")
    }
    interface Node { id: ID  name: String }
    interface Lonely { name: String }
    type Bot implements Node {
      id: ID @from(keys: ["id", "bot_id"])
      name: String
      status: Status
      profitPct: Float
      URLName: String
      asked: ID @from(argument: "botId")
      limit: Int @from(argument: "limit")
      owner: User
      tags: [String]
    }
    type User implements Node & Lonely { id: ID  name: String  email: String  bots: [Bot] }
    union Result = Bot | User
    scalar Any
    enum Status { RUNNING STOPPED }
"#;

#[test]
fn fields_are_selected_renamed_and_ordered_as_the_document_says() {
    check_results(
        BOTS,
        &[
            (
                "only what is selected",
                "subscription { bot { name } }",
                r#"{"name":"a","status":"RUNNING"}"#,
                r#"{"data":{"bot":{"name":"a"}}}"#,
            ),
            (
                "the order of the document",
                "subscription { bot { status name id } }",
                r#"{"id":1,"name":"a","status":"RUNNING"}"#,
                r#"{"data":{"bot":{"status":"RUNNING","name":"a","id":"1"}}}"#,
            ),
            (
                "aliases at the root and below",
                "subscription { b: bot { x: name y: name } }",
                r#"{"name":"a"}"#,
                r#"{"data":{"b":{"x":"a","y":"a"}}}"#,
            ),
            (
                "type names at every level",
                "subscription { bot { __typename t: __typename owner { __typename } } }",
                r#"{"owner":{}}"#,
                r#"{"data":{"bot":{"__typename":"Bot","t":"Bot","owner":{"__typename":"User"}}}}"#,
            ),
            (
                "a list of objects",
                "subscription { bots { name } }",
                r#"[{"name":"a"},{"name":"b"}]"#,
                r#"{"data":{"bots":[{"name":"a"},{"name":"b"}]}}"#,
            ),
            ("an empty list", "subscription { bots { name } }", "[]", r#"{"data":{"bots":[]}}"#),
            (
                "text is escaped",
                "subscription { bot { name } }",
                "{\"name\":\"\\\"\\n\\u0000\\u2028é\"}",
                "{\"data\":{\"bot\":{\"name\":\"\\\"\\n\\u0000\u{2028}é\"}}}",
            ),
        ],
    );
}

#[test]
fn a_value_comes_from_its_from_keys_else_its_exact_name_else_snake_case() {
    check_results(
        BOTS,
        &[
            (
                "snake_case",
                "subscription { bot { profitPct URLName } }",
                r#"{"profit_pct":1.5,"url_name":"u"}"#,
                r#"{"data":{"bot":{"profitPct":1.5,"URLName":"u"}}}"#,
            ),
            (
                "the exact name wins",
                "subscription { bot { profitPct } }",
                r#"{"profit_pct":1.5,"profitPct":2.5}"#,
                r#"{"data":{"bot":{"profitPct":2.5}}}"#,
            ),
            (
                "the exact name wins even with null",
                "subscription { bot { profitPct } }",
                r#"{"profit_pct":1.5,"profitPct":null}"#,
                r#"{"data":{"bot":{"profitPct":null}}}"#,
            ),
            (
                "the first key that is there",
                "subscription { bot { id } }",
                r#"{"bot_id":7}"#,
                r#"{"data":{"bot":{"id":"7"}}}"#,
            ),
            (
                "keys in the order of @from",
                "subscription { bot { id } }",
                r#"{"bot_id":7,"id":8}"#,
                r#"{"data":{"bot":{"id":"8"}}}"#,
            ),
            (
                "an alias does not change where the value comes from",
                "subscription { bot { profit_pct: name } }",
                r#"{"profit_pct":1.5,"name":"a"}"#,
                r#"{"data":{"bot":{"profit_pct":"a"}}}"#,
            ),
            (
                "an argument, not the payload",
                "subscription { bot(botId: 42) { asked limit } }",
                r#"{"asked":"no","limit":3,"botId":"no"}"#,
                r#"{"data":{"bot":{"asked":"42","limit":null}}}"#,
            ),
            (
                "a missing key is null",
                "subscription { bot { name tags owner { name } } }",
                "{}",
                r#"{"data":{"bot":{"name":null,"tags":null,"owner":null}}}"#,
            ),
        ],
    );
}

#[test]
fn fragments_apply_by_type_and_merge_by_response_key() {
    check_results(
        BOTS,
        &[
            (
                "nested selections of one key are merged",
                "subscription { bot { owner { name } ...F name } } fragment F on Bot { name owner { email name } }",
                r#"{"name":"a","owner":{"name":"o","email":"e"}}"#,
                r#"{"data":{"bot":{"owner":{"name":"o","email":"e"},"name":"a"}}}"#,
            ),
            (
                "a root field named twice is one field",
                "subscription { bot { name } ...F } fragment F on Subscription { bot { id } }",
                r#"{"name":"a","id":1}"#,
                r#"{"data":{"bot":{"name":"a","id":"1"}}}"#,
            ),
            (
                "inline fragments without type condition",
                "subscription { ... { bot { ... { name ... { id } } } } }",
                r#"{"name":"a","id":1}"#,
                r#"{"data":{"bot":{"name":"a","id":"1"}}}"#,
            ),
            (
                "a fragment on an interface applies to its objects",
                "subscription { bot { ...N } } fragment N on Node { id ... on Bot { status } }",
                r#"{"id":1,"status":"STOPPED"}"#,
                r#"{"data":{"bot":{"id":"1","status":"STOPPED"}}}"#,
            ),
            (
                "an interface's object by __typename",
                "subscription { node { __typename id ... on User { email } ... on Bot { status } } }",
                r#"{"__typename":"User","id":1,"email":"e","status":"RUNNING"}"#,
                r#"{"data":{"node":{"__typename":"User","id":"1","email":"e"}}}"#,
            ),
            (
                "@from of the object applies below an interface",
                "subscription { node { id } }",
                r#"{"__typename":"Bot","bot_id":1}"#,
                r#"{"data":{"node":{"id":"1"}}}"#,
            ),
            (
                "a union's member",
                "subscription { result { ... on Bot { name } ... on User { name email } } }",
                r#"{"__typename":"Bot","name":"a","email":"e"}"#,
                r#"{"data":{"result":{"name":"a"}}}"#,
            ),
            (
                "an interface inside a union",
                "subscription { result { __typename ... on Node { name } } }",
                r#"{"__typename":"User","name":"a"}"#,
                r#"{"data":{"result":{"__typename":"User","name":"a"}}}"#,
            ),
            (
                "the only possible type needs no __typename",
                "subscription { lonely { __typename name } }",
                r#"{"name":"a"}"#,
                r#"{"data":{"lonely":{"__typename":"User","name":"a"}}}"#,
            ),
            (
                "a missing __typename",
                "subscription { node { id } }",
                r#"{"id":1}"#,
                r#"{"data":{"node":null},"errors":[{"message":"The type of Node is unknown: \"__typename\" must name one of its object types.","path":["node"],"extensions":{"code":"FIELD_ERROR"}}]}"#,
            ),
            (
                "a wrong __typename, where another would be possible",
                "subscription { lonely { name } }",
                r#"{"__typename":"Bot"}"#,
                r#"{"data":{"lonely":null},"errors":[{"message":"The type of Lonely is unknown: \"__typename\" must name one of its object types.","path":["lonely"],"extensions":{"code":"FIELD_ERROR"}}]}"#,
            ),
        ],
    );
}

#[test]
fn skip_and_include_are_decided_by_the_variables() {
    let schema = schema(BOTS);
    let query = "subscription($yes: Boolean!, $no: Boolean = false) {
        bot { a: name @skip(if: $yes) b: name @skip(if: $no) c: name @include(if: $yes) d: name @include(if: $no)
              e: name @skip(if: $no) @include(if: $no) ... @include(if: $yes) { f: name } ...G @skip(if: $yes) }
    } fragment G on Bot { g: name }";
    let rows = [
        (json!({"yes": true}), r#"{"data":{"bot":{"b":"x","c":"x","f":"x"}}}"#),
        (json!({"yes": false}), r#"{"data":{"bot":{"a":"x","b":"x","g":"x"}}}"#),
        (json!({"yes": false, "no": true}), r#"{"data":{"bot":{"a":"x","d":"x","g":"x"}}}"#),
    ];
    for (variables, expected) in rows {
        let result =
            subscription(&schema, query, variables).project(&event(r#"{"name":"x"}"#), None).unwrap();
        assert_eq!(result.bytes(), expected);
    }
}

#[test]
fn a_selection_of_which_nothing_is_left_is_an_empty_object() {
    check_results(
        BOTS,
        &[("all skipped", "subscription { bot { name @skip(if: true) } }", "{}", r#"{"data":{"bot":{}}}"#)],
    );
}

#[test]
fn text_is_the_value_of_a_string_an_id_an_enum_or_a_custom_scalar() {
    check_results(
        BOTS,
        &[
            ("a string", "subscription { text }", "he said \"hi\"", r#"{"data":{"text":"he said \"hi\""}}"#),
            ("text is not parsed", "subscription { text }", "null", r#"{"data":{"text":"null"}}"#),
            ("an empty payload", "subscription { text }", "", r#"{"data":{"text":""}}"#),
            ("an id", "subscription { id }", "42", r#"{"data":{"id":"42"}}"#),
            ("a custom scalar", "subscription { any }", "true", r#"{"data":{"any":"true"}}"#),
            (
                "a custom scalar takes JSON as it is",
                "subscription { any }",
                r#"{"a":[1]}"#,
                r#"{"data":{"any":{"a":[1]}}}"#,
            ),
            ("an enum", "subscription { status }", "RUNNING", r#"{"data":{"status":"RUNNING"}}"#),
            (
                "an enum that has no such value",
                "subscription { status }",
                "running",
                r#"{"data":{"status":null},"errors":[{"message":"Status has no such value.","path":["status"],"extensions":{"code":"FIELD_ERROR"}}]}"#,
            ),
            (
                "a number is not parsed from text",
                "subscription { count }",
                "42",
                r#"{"data":{"count":null},"errors":[{"message":"Int cannot represent text.","path":["count"],"extensions":{"code":"FIELD_ERROR"}}]}"#,
            ),
        ],
    );
}

#[test]
fn a_payload_of_the_wrong_outer_shape_is_malformed() {
    let schema = schema(BOTS);
    let rows = [
        ("subscription { bot { name } }", "text", "payload of Subscription.bot is text, not JSON"),
        ("subscription { bot { name } }", "[]", "payload of Subscription.bot is not an object"),
        ("subscription { node { name } }", "[]", "payload of Subscription.node is not an object"),
        ("subscription { result { __typename } }", "x", "payload of Subscription.result is text, not JSON"),
        ("subscription { bots { name } }", "{}", "payload of Subscription.bots is not a list"),
        ("subscription { bots { name } }", "x", "payload of Subscription.bots is text, not JSON"),
    ];
    for (query, payload, expected) in rows {
        let outcome = subscription(&schema, query, json!({})).project(&event(payload), None);
        assert_eq!(outcome, Err(Malformed(expected.to_owned())), "{query} {payload}");
    }
}

#[test]
fn a_result_can_be_opened_before_its_last_brace() {
    let schema = schema(BOTS);
    let result =
        subscription(&schema, "subscription { text }", json!({})).project(&event("x"), None).unwrap();
    assert_eq!(result.open(), br#"{"data":{"text":"x"}"#);
    assert_eq!(result.bytes().last(), Some(&b'}'));
}
