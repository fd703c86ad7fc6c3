//! Null, and where it goes: <https://spec.graphql.org/October2021/#sec-Handling-Field-Errors>.

use crate::support::{check_results, field_error};

const SCHEMA: &str = r#"
    type Subscription {
      maybe: Item @subscribe(topic: "a")
      sure: Item! @subscribe(topic: "b")
      items: [Item!]! @subscribe(topic: "c")
      some: [Item]! @subscribe(topic: "d")
      all: [Item!] @subscribe(topic: "e")
      name: String! @subscribe(topic: "f")
    }
    type Item {
      name: String!
      nick: String
      sub: Item
      must: Item!
      nn: [String!]!
      no: [String!]
      on: [String]!
      oo: [String]
      grid: [[Int!]!]
      loose: [[Int]]
    }
"#;

fn null_error(field: &str, path: &str) -> String {
    field_error(&format!("Cannot return null for non-nullable field {field}."), path)
}

/// A row's selection, payload, `data`, and the field and path of its one error.
fn check(rows: &[(&str, &str, &str, &str, &str)]) {
    for (query, payload, data, field, path) in rows {
        let expected = format!(r#"{{"data":{data},"errors":[{}]}}"#, null_error(field, path));
        check_results(SCHEMA, &[(query, query, payload, &expected)]);
    }
}

#[test]
fn null_goes_to_the_nearest_nullable_parent() {
    check(&[
        ("subscription { maybe { name } }", "{}", r#"{"maybe":null}"#, "Item.name", r#"["maybe","name"]"#),
        (
            "subscription { maybe { name } }",
            r#"{"name":null}"#,
            r#"{"maybe":null}"#,
            "Item.name",
            r#"["maybe","name"]"#,
        ),
        ("subscription { sure { name } }", "{}", "null", "Item.name", r#"["sure","name"]"#),
        (
            "subscription { sure { nick sub { n: name } } }",
            r#"{"nick":"x","sub":{}}"#,
            r#"{"sure":{"nick":"x","sub":null}}"#,
            "Item.name",
            r#"["sure","sub","n"]"#,
        ),
        (
            "subscription { maybe { sub { nick must { must { name } } } nick } }",
            r#"{"sub":{"nick":"x","must":{"must":{}}},"nick":"y"}"#,
            r#"{"maybe":{"sub":null,"nick":"y"}}"#,
            "Item.name",
            r#"["maybe","sub","must","must","name"]"#,
        ),
        (
            "subscription { sure { must { name } } }",
            r#"{"must":null}"#,
            "null",
            "Item.must",
            r#"["sure","must"]"#,
        ),
    ]);
}

#[test]
fn a_null_in_a_list_obeys_both_marks() {
    let list = r#"{"nn":["a",null],"no":["a",null],"on":["a",null],"oo":["a",null]}"#;
    check(&[
        ("subscription { maybe { nn } }", list, r#"{"maybe":null}"#, "Item.nn", r#"["maybe","nn",1]"#),
        ("subscription { maybe { no } }", list, r#"{"maybe":{"no":null}}"#, "Item.no", r#"["maybe","no",1]"#),
        ("subscription { maybe { nn } }", "{}", r#"{"maybe":null}"#, "Item.nn", r#"["maybe","nn"]"#),
        ("subscription { maybe { on } }", "{}", r#"{"maybe":null}"#, "Item.on", r#"["maybe","on"]"#),
        ("subscription { items { nick } }", r#"[{},null]"#, "null", "Subscription.items", r#"["items",1]"#),
        (
            "subscription { items { name } }",
            r#"[{"name":"a"},{}]"#,
            "null",
            "Item.name",
            r#"["items",1,"name"]"#,
        ),
        (
            "subscription { all { name } }",
            r#"[{"name":"a"},{}]"#,
            r#"{"all":null}"#,
            "Item.name",
            r#"["all",1,"name"]"#,
        ),
        (
            "subscription { some { name } }",
            r#"[{"name":"a"},{},{"name":"c"}]"#,
            r#"{"some":[{"name":"a"},null,{"name":"c"}]}"#,
            "Item.name",
            r#"["some",1,"name"]"#,
        ),
        (
            "subscription { maybe { grid } }",
            r#"{"grid":[[1,2],[3,null]]}"#,
            r#"{"maybe":{"grid":null}}"#,
            "Item.grid",
            r#"["maybe","grid",1,1]"#,
        ),
    ]);
    check_results(
        SCHEMA,
        &[
            (
                "items may be null",
                "subscription { maybe { on oo } }",
                list,
                r#"{"data":{"maybe":{"on":["a",null],"oo":["a",null]}}}"#,
            ),
            (
                "objects may be null",
                "subscription { some { nick } }",
                "[null,{}]",
                r#"{"data":{"some":[null,{"nick":null}]}}"#,
            ),
            (
                "lists in lists",
                "subscription { maybe { loose } }",
                r#"{"loose":[[1,null],null,[]]}"#,
                r#"{"data":{"maybe":{"loose":[[1,null],null,[]]}}}"#,
            ),
        ],
    );
}

#[test]
fn a_wrong_value_is_null_with_an_error_and_the_rest_stays() {
    let string = field_error("String cannot represent this number.", r#"["maybe","nick"]"#);
    let lists = field_error("Expected a list for field Item.oo.", r#"["maybe","oo"]"#);
    let inner = field_error("Expected a list for field Item.loose.", r#"["maybe","loose",1]"#);
    let objects = field_error("Item cannot represent a list.", r#"["maybe","sub"]"#);
    check_results(
        SCHEMA,
        &[
            (
                "two errors in one result",
                "subscription { maybe { nick oo name } }",
                r#"{"nick":1,"oo":"a","name":"n"}"#,
                &format!(
                    r#"{{"data":{{"maybe":{{"nick":null,"oo":null,"name":"n"}}}},"errors":[{string},{lists}]}}"#
                ),
            ),
            (
                "a list is wanted within a list",
                "subscription { maybe { loose } }",
                r#"{"loose":[[1],2]}"#,
                &format!(r#"{{"data":{{"maybe":{{"loose":[[1],null]}}}},"errors":[{inner}]}}"#),
            ),
            (
                "an object is wanted",
                "subscription { maybe { sub { nick } nick } }",
                r#"{"sub":[],"nick":"x"}"#,
                &format!(r#"{{"data":{{"maybe":{{"sub":null,"nick":"x"}}}},"errors":[{objects}]}}"#),
            ),
        ],
    );
}

#[test]
fn a_leaf_root_field_that_fails_and_must_not_be_null_leaves_no_data() {
    let error = field_error("String cannot represent a list.", r#"["name"]"#);
    let expected = format!(r#"{{"data":null,"errors":[{error}]}}"#);
    check_results(SCHEMA, &[("data is null", "subscription { name }", "[]", &expected)]);
}

#[test]
fn a_result_has_at_most_100_errors() {
    let wrong = vec!["1"; 150].join(",");
    let nulls = vec!["null"; 150].join(",");
    let errors: Vec<_> = (0..100)
        .map(|index| {
            field_error("String cannot represent this number.", &format!(r#"["maybe","oo",{index}]"#))
        })
        .collect();
    let expected = format!(r#"{{"data":{{"maybe":{{"oo":[{nulls}]}}}},"errors":[{}]}}"#, errors.join(","));
    check_results(
        SCHEMA,
        &[("one hundred", "subscription { maybe { oo } }", &format!(r#"{{"oo":[{wrong}]}}"#), &expected)],
    );
}
