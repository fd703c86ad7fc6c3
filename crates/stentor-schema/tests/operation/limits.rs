//! What a document may ask for.

use std::time::{Duration, Instant};

use serde_json::json;
use stentor_schema::{ErrorCode, OperationLimits, Schema};

use crate::support::{request, schema};

const SCHEMA: &str = r#"
    type Query { node: Node @resolver  leaf: Int @resolver  any: Any @resolver }
    type Node { a: Node  b: Node  leaf: Int }
    interface Any { any: Any  leaf: Int }
    type Any1 implements Any { any: Any  leaf: Int }
    type Any2 implements Any { any: Any  leaf: Int }
    type Any3 implements Any { any: Any  leaf: Int }
    type Any4 implements Any { any: Any  leaf: Int }
"#;

fn outcome(schema: &Schema, query: &str, limits: &OperationLimits) -> Result<(), String> {
    match schema.plan(&request(query, json!({})), limits) {
        Ok(_) => Ok(()),
        Err(errors) => {
            assert_eq!(errors[0].code, ErrorCode::LimitExceeded, "{errors:?}");
            Err(errors[0].message.clone())
        }
    }
}

#[test]
fn depth_aliases_and_root_fields_count_fragments_where_they_are_spread() {
    let limits = OperationLimits { depth: 3, aliases: 2, root_fields: 2, ..OperationLimits::default() };
    let deep = || Err("The document nests fields deeper than 3 levels.".to_owned());
    let aliases = || Err("The document has more than 2 aliases.".to_owned());
    let roots = || Err("The document has more than 2 root fields.".to_owned());
    let rows = [
        ("{ node { a { leaf } } }", Ok(())),
        ("{ node { a { b { leaf } } } }", deep()),
        ("{ node { ...F } } fragment F on Node { a { leaf } }", Ok(())),
        ("{ node { ...F } } fragment F on Node { a { b { leaf } } }", deep()),
        ("{ node { a { ...F } } } fragment F on Node { a { leaf } }", deep()),
        ("{ node { ... { ... { a { ... { leaf } } } } } }", Ok(())),
        ("{ x: leaf y: leaf }", Ok(())),
        ("{ leaf: leaf node { x: leaf y: leaf } }", Ok(())),
        ("{ node { x: leaf y: leaf z: leaf } }", aliases()),
        ("{ node { ...F a { ...F ...F } } } fragment F on Node { x: leaf }", aliases()),
        ("{ leaf node { leaf } }", Ok(())),
        ("{ leaf leaf leaf }", roots()),
        ("{ ...F ...F } fragment F on Query { leaf node { leaf } }", roots()),
        ("query A { leaf } query B { node { a { b { leaf } } } }", deep()),
    ];
    let schema = schema(SCHEMA);
    for (query, expected) in rows {
        assert_eq!(outcome(&schema, query, &limits), expected, "{query}");
    }
}

#[test]
fn a_kept_document_is_held_to_the_limits_of_each_request() {
    let schema = schema(SCHEMA);
    let query = "{ node { a { leaf } } }";
    assert_eq!(outcome(&schema, query, &OperationLimits::default()), Ok(()));
    let tight = OperationLimits { depth: 2, ..OperationLimits::default() };
    assert!(outcome(&schema, query, &tight).is_err());
    let few = OperationLimits { tokens: 5, ..OperationLimits::default() };
    assert!(outcome(&schema, query, &few).is_err());
    assert_eq!(outcome(&schema, query, &OperationLimits::default()), Ok(()));
}

#[test]
fn a_document_of_too_many_tokens_is_not_parsed() {
    let limits = OperationLimits { tokens: 100, root_fields: 1_000, ..OperationLimits::default() };
    let schema = schema(SCHEMA);
    assert_eq!(outcome(&schema, &format!("{{{} }}", " leaf".repeat(40)), &limits), Ok(()));
    let expected = Err("The document has more than 100 tokens.".to_owned());
    assert_eq!(outcome(&schema, &format!("{{{} }}", " leaf".repeat(200)), &limits), expected);
}

#[test]
fn syntax_that_nests_without_end_is_refused() {
    let schema = schema(SCHEMA);
    let limits = OperationLimits { tokens: 1_000_000, ..OperationLimits::default() };
    let rows = [
        ("{ node ".repeat(100_000), "GRAPHQL_PARSE_FAILED"),
        (format!("{{ leaf(x: {}", "[".repeat(100_000)), "GRAPHQL_PARSE_FAILED"),
        (format!("{{ leaf(x: {}", "{a:".repeat(100_000)), "GRAPHQL_PARSE_FAILED"),
        (format!("query($v: {}", "[".repeat(100_000)), "GRAPHQL_PARSE_FAILED"),
    ];
    for (query, code) in rows {
        let errors = schema.plan(&request(&query, json!({})), &limits).unwrap_err();
        assert_eq!(errors[0].code.as_str(), code, "{errors:?}");
    }
}

#[test]
fn a_long_chain_of_fragments_is_refused() {
    let mut query = "{ node { ...F0 } }".to_owned();
    for index in 0..2_000 {
        query += &format!(" fragment F{index} on Node {{ ...F{} }}", index + 1);
    }
    query += " fragment F2000 on Node { leaf }";
    let limits = OperationLimits { tokens: 100_000, ..OperationLimits::default() };
    assert!(outcome(&schema(SCHEMA), &query, &limits).is_err());
}

/// Each fragment spreads the next one twice: 2^n fields from a text in proportion to n.
fn bomb(head: &str, levels: usize, level: impl Fn(usize) -> String, last: &str) -> String {
    let levels: String = (0..levels).map(level).collect();
    format!("{head} {levels} {last}")
}

#[test]
fn an_exponential_document_is_refused_at_once() {
    let levels = 60;
    let bombs = [
        bomb(
            "{ node { ...F0 } }",
            levels,
            |n| format!("fragment F{n} on Node {{ ...F{m} ...F{m} }} ", m = n + 1),
            "fragment F60 on Node { leaf }",
        ),
        bomb(
            "{ node { ...F0 } }",
            levels,
            |n| format!("fragment F{n} on Node {{ a {{ ...F{m} }} b {{ ...F{m} }} }} ", m = n + 1),
            "fragment F60 on Node { leaf }",
        ),
        bomb(
            "{ node { ...F0 } }",
            levels,
            |n| format!("fragment F{n} on Node {{ x: a {{ ...F{m} }} y: a {{ ...F{m} }} }} ", m = n + 1),
            "fragment F60 on Node { leaf }",
        ),
        bomb(
            "{ ...F0 }",
            levels,
            |n| format!("fragment F{n} on Query {{ ...F{m} ...F{m} }} ", m = n + 1),
            "fragment F60 on Query { leaf }",
        ),
    ];
    let schema = schema(SCHEMA);
    let limits = OperationLimits { depth: 100, ..OperationLimits::default() };
    for bomb in bombs {
        let start = Instant::now();
        assert!(outcome(&schema, &bomb, &limits).is_err());
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
}

#[test]
fn interfaces_within_interfaces_do_not_multiply_the_work() {
    let selection = (0..18).fold("leaf".to_owned(), |inner, _| format!("leaf any {{ {inner} }}"));
    let typed = (0..18).fold("leaf".to_owned(), |inner, n| {
        format!("... on Any1 {{ leaf }} ... on Any{} {{ any {{ {inner} }} }}", n % 4 + 1)
    });
    let schema = schema(SCHEMA);
    for selection in [selection, typed] {
        let start = Instant::now();
        assert_eq!(
            outcome(&schema, &format!("{{ any {{ {selection} }} }}"), &OperationLimits::default()),
            Ok(())
        );
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
}

/// Far more than any of this takes, and far less than what a bomb would.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn introspection_may_be_asked_for_a_few_times() {
    let ask = |times: usize| {
        let fields: String = (0..times).map(|n| format!("a{n}: __schema {{ types {{ name }} }} ")).collect();
        outcome(&schema(SCHEMA), &format!("{{ {fields} }}"), &OperationLimits::default())
    };
    assert_eq!(ask(4), Ok(()));
    assert!(ask(5).is_err_and(|message| message.contains("introspection")));
}
