//! Variables and arguments as they reach templates, conditions and resolvers.

use serde_json::{Value, json};
use stentor_schema::Operation;

use crate::support::{plan, refusal, schema};

const SCHEMA: &str = r#"
    type Query {
      find(
        id: ID, ids: [ID!], grid: [[Int]], limit: Int = 10, ratio: Float, on: Boolean, text: String,
        color: Color = RED, filter: Filter, any: Any, must: Int! = 5
      ): String @resolver
      need(id: ID!): String @resolver
    }
    input Filter { name: String!  tags: [String!] = ["a"]  limit: Int = 3  color: Color  inner: Filter }
    enum Color { RED GREEN }
    scalar Any
"#;

fn arguments(query: &str, variables: Value) -> Value {
    match plan(&schema(SCHEMA), query, variables) {
        Ok(Operation::Query(plan)) => Value::Object((*plan.calls[0].arguments).clone()),
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn literals_and_variables_are_coerced_alike() {
    let rows = [
        ("ID", "id", json!(42), "42", json!("42")),
        ("ID", "id", json!("42"), "\"42\"", json!("42")),
        ("[ID!]", "ids", json!([1, "b"]), "[1, \"b\"]", json!(["1", "b"])),
        ("[ID!]", "ids", json!(1), "1", json!(["1"])),
        ("[[Int]]", "grid", json!([[1, null], null]), "[[1, null], null]", json!([[1, null], null])),
        ("[[Int]]", "grid", json!(1), "1", json!([[1]])),
        ("Int", "limit", json!(7), "7", json!(7)),
        ("Int", "limit", Value::Null, "null", Value::Null),
        ("Float", "ratio", json!(1), "1", json!(1.0)),
        ("Float", "ratio", json!(1.5), "1.5", json!(1.5)),
        ("Boolean", "on", json!(true), "true", json!(true)),
        ("String", "text", json!("é\n"), "\"é\\n\"", json!("é\n")),
        ("Color", "color", json!("GREEN"), "GREEN", json!("GREEN")),
        ("Any", "any", json!({"a": [1]}), "{a: [1]}", json!({"a": [1]})),
        (
            "Filter",
            "filter",
            json!({"name": "n"}),
            "{name: \"n\"}",
            json!({"name": "n", "tags": ["a"], "limit": 3}),
        ),
        (
            "Filter",
            "filter",
            json!({"name": "n", "tags": "b", "limit": null, "inner": {"name": "m", "tags": null}}),
            "{name: \"n\", tags: \"b\", limit: null, inner: {name: \"m\", tags: null}}",
            json!({"name": "n", "tags": ["b"], "limit": null, "inner": {"name": "m", "tags": null, "limit": 3}}),
        ),
    ];
    for (ty, name, variable, literal, expected) in rows {
        let by_variable = format!("query($v: {ty}) {{ find({name}: $v) }}");
        assert_eq!(arguments(&by_variable, json!({"v": variable}))[name], expected, "{name} by variable");
        let by_literal = format!("{{ find({name}: {literal}) }}");
        assert_eq!(arguments(&by_literal, json!({}))[name], expected, "{name} by literal");
        if !literal.contains("null") {
            let by_default = format!("query($v: {ty} = {literal}) {{ find({name}: $v) }}");
            assert_eq!(arguments(&by_default, json!({}))[name], expected, "{name} by default");
        }
    }
}

#[test]
fn absent_is_not_null_and_defaults_fill_what_is_absent() {
    let defaults = json!({"limit": 10, "color": "RED", "must": 5});
    let with = |more: Value| {
        let mut all = defaults.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let rows = [
        ("{ find }", json!({}), defaults.clone()),
        ("{ find(id: null) }", json!({}), with(json!({"id": null}))),
        ("query($v: ID) { find(id: $v) }", json!({}), defaults.clone()),
        ("query($v: ID) { find(id: $v) }", json!({"v": null}), with(json!({"id": null}))),
        ("query($v: Int) { find(limit: $v) }", json!({}), defaults.clone()),
        ("query($v: Int) { find(limit: $v) }", json!({"v": null}), with(json!({"limit": null}))),
        ("query($v: Int) { find(must: $v) }", json!({}), defaults.clone()),
        ("query($v: Int = 8) { find(must: $v) }", json!({}), with(json!({"must": 8}))),
        ("query($v: Int) { find(grid: [[$v]]) }", json!({}), with(json!({"grid": [[null]]}))),
        (
            "query($v: Int) { find(filter: {name: \"n\", limit: $v}) }",
            json!({}),
            with(json!({"filter": {"name": "n", "tags": ["a"], "limit": 3}})),
        ),
        ("query($v: Int) { find(limit: $v) }", json!({"v": 1, "unused": 2}), with(json!({"limit": 1}))),
    ];
    for (query, variables, expected) in rows {
        assert_eq!(arguments(query, variables.clone()), expected, "{query} {variables}");
    }
}

#[test]
fn a_variable_that_does_not_fit_is_bad_user_input() {
    let rows = [
        ("ID!", "id", json!({}), "Variable \"$v\" of required type \"ID!\" was not provided."),
        ("ID!", "id", json!({"v": null}), "Variable \"$v\" got an invalid value: ID! must not be null."),
        (
            "ID",
            "id",
            json!({"v": 1.5}),
            "Variable \"$v\" got an invalid value: ID cannot represent this number.",
        ),
        (
            "ID",
            "id",
            json!({"v": true}),
            "Variable \"$v\" got an invalid value: ID cannot represent a boolean.",
        ),
        (
            "Int",
            "limit",
            json!({"v": "1"}),
            "Variable \"$v\" got an invalid value: Int cannot represent a string.",
        ),
        (
            "Int",
            "limit",
            json!({"v": 2_147_483_648_u32}),
            "Variable \"$v\" got an invalid value: Int cannot represent this number.",
        ),
        (
            "Float",
            "ratio",
            json!({"v": "1"}),
            "Variable \"$v\" got an invalid value: Float cannot represent a string.",
        ),
        (
            "String",
            "text",
            json!({"v": 1}),
            "Variable \"$v\" got an invalid value: String cannot represent this number.",
        ),
        (
            "Boolean",
            "on",
            json!({"v": 1}),
            "Variable \"$v\" got an invalid value: Boolean cannot represent this number.",
        ),
        (
            "Color",
            "color",
            json!({"v": "BLUE"}),
            "Variable \"$v\" got an invalid value: Color has no such value.",
        ),
        (
            "Color",
            "color",
            json!({"v": 1}),
            "Variable \"$v\" got an invalid value: Color cannot represent this number.",
        ),
        (
            "[ID!]",
            "ids",
            json!({"v": ["a", null]}),
            "Variable \"$v\" got an invalid value at \"[1]\": ID! must not be null.",
        ),
        (
            "Filter",
            "filter",
            json!({"v": []}),
            "Variable \"$v\" got an invalid value: Filter cannot represent a list.",
        ),
        (
            "Filter",
            "filter",
            json!({"v": {}}),
            "Variable \"$v\" got an invalid value: Filter.name is required.",
        ),
        (
            "Filter",
            "filter",
            json!({"v": {"name": "n", "secret": 1}}),
            "Variable \"$v\" got an invalid value: Filter has no field for one of its keys.",
        ),
        (
            "Filter",
            "filter",
            json!({"v": {"name": "n", "inner": {"name": "m", "tags": ["a", 1]}}}),
            "Variable \"$v\" got an invalid value at \"inner.tags[1]\": String cannot represent this number.",
        ),
    ];
    let schema = schema(SCHEMA);
    for (ty, name, variables, message) in rows {
        let query = format!("query($v: {ty}) {{ find({name}: $v) }}");
        let expected = json!([{
            "message": message,
            "locations": [{"line": 1, "column": 7}],
            "extensions": {"code": "BAD_USER_INPUT"},
        }]);
        assert_eq!(refusal(&schema, &query, variables), expected, "{ty}");
    }
}

#[test]
fn every_wrong_variable_is_told_and_20_at_most() {
    let schema = schema(SCHEMA);
    let names: Vec<_> = (0..30).map(|index| format!("$v{index}: Int!")).collect();
    let uses: Vec<_> = (0..30).map(|index| format!("$v{index}")).collect();
    let query = format!("query({}) {{ find(grid: [[{}]]) }}", names.join(","), uses.join(","));
    assert_eq!(refusal(&schema, &query, json!({})).as_array().map(Vec::len), Some(20));
}

#[test]
fn null_for_an_argument_that_must_not_be_null_is_bad_user_input() {
    let refused = refusal(&schema(SCHEMA), "query($v: Int = 8) { find(must: $v) }", json!({"v": null}));
    assert_eq!(
        refused,
        json!([{
            "message": "Argument \"must\" got an invalid value: Int! must not be null.",
            "locations": [{"line": 1, "column": 33}],
            "extensions": {"code": "BAD_USER_INPUT"},
        }])
    );
}

#[test]
fn defaults_that_contain_their_own_type_end() {
    let schema = schema(
        r#"
        type Query { find(filter: Filter = {}): String @resolver }
        input Filter { a: Filter = {}  b: Filter = {} }
    "#,
    );
    let refused = refusal(&schema, "{ find }", json!({}));
    assert_eq!(refused[0]["extensions"]["code"], "BAD_USER_INPUT");
}
