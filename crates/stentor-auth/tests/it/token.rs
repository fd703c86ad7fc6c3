//! Where a token is found.

use serde_json::{Value, json};
use stentor_auth::{token_from_header, token_from_init};

#[test]
fn every_spelling_of_the_init_payload_is_found() {
    let rows: Vec<(Value, Option<&str>)> = vec![
        (json!({"Authorization": "Bearer t"}), Some("t")),
        (json!({"authorization": "Bearer t"}), Some("t")),
        (json!({"authToken": "Bearer t"}), Some("t")),
        (json!({"token": "Bearer t"}), Some("t")),
        (json!({"headers": {"Authorization": "Bearer t"}}), Some("t")),
        (json!({"headers": {"authorization": "Bearer t"}}), Some("t")),
        (json!({"Authorization": "t"}), Some("t")),
        (json!({"authToken": "t"}), Some("t")),
        (json!({"token": "t", "Authorization": "first"}), Some("first")),
        (json!({"headers": {"Authorization": "last"}, "token": "t"}), Some("t")),
        (json!({"Authorization": "", "token": "t"}), Some("t")),
        (json!({"Authorization": null, "token": "t"}), Some("t")),
        (json!({"Authorization": "Bearer ", "token": "t"}), Some("t")),
        (json!({"Authorization": "Bearer null"}), Some("null")),
        (json!({"authToken": "undefined"}), Some("undefined")),
        (json!({"Authorization": 42}), Some("")),
        (json!({"Authorization": {"token": "t"}}), Some("")),
        (json!({"headers": "t"}), None),
        (json!({"headers": {"token": "t"}}), None),
        (json!({"AUTHORIZATION": "t"}), None),
        (json!({}), None),
        (json!(null), None),
        (json!("t"), None),
        (json!(["t"]), None),
    ];
    for (payload, expected) in rows {
        assert_eq!(token_from_init(Some(&payload)), expected, "{payload}");
    }
    assert_eq!(token_from_init(None), None);
}

#[test]
fn the_scheme_is_optional_and_its_case_does_not_matter() {
    let rows = [
        ("Bearer t", Some("t")),
        ("bearer t", Some("t")),
        ("BEARER   t ", Some("t")),
        ("t", Some("t")),
        ("  t  ", Some("t")),
        ("Bearer", None),
        ("Bearer   ", None),
        ("", None),
        ("   ", None),
        ("Bearert", Some("Bearert")),
        ("Basic YTpi", Some("Basic YTpi")),
        ("Bearer a b", Some("a b")),
        ("Béarer t", Some("Béarer t")),
        ("日本語", Some("日本語")),
    ];
    for (value, expected) in rows {
        assert_eq!(token_from_header(value), expected, "{value:?}");
    }
}
