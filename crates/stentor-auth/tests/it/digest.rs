//! Which grants show in the digest that audiences are told apart by, and which do not.

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};

#[test]
fn what_decides_a_scope_the_same_way_has_one_digest() {
    let rows = [
        ("order", words("bot:1:view bot:2:view"), words("bot:2:view bot:1:view")),
        ("repetition", words("bot:1:view bot:1:view"), words("bot:1:view")),
        ("text or list", words("bot:1:view bot:view"), json!({"scope": ["bot:view", "bot:1:view"]})),
        ("other scopes", words("bot:1:view bot:1:edit openid"), words("bot:1:view")),
        ("look-alikes", words("bot:1:view bot:1:viewer Xview bot:1:View"), words("bot:1:view")),
        ("other claims", json!({"scope": "bot:view", "sub": "a"}), json!({"scope": "bot:view", "sub": "b"})),
        ("nothing", json!({}), words("openid profile")),
        (
            "order of permissions",
            permissions(&json!([one("bot:1", &["view"]), one("bot:2", &["edit", "view"])])),
            permissions(&json!([one("bot:2", &["view"]), one("bot:1", &["view"])])),
        ),
        (
            "permissions of other scopes",
            permissions(&json!([one("bot:1", &["view", "edit"]), one("bot:2", &["edit"])])),
            permissions(&json!([one("bot:1", &["view"])])),
        ),
        (
            "one permission in two entries",
            permissions(&json!([{"rsname": "bot:1", "rsid": "9f", "scopes": ["view"]}])),
            permissions(&json!([one("bot:1", &["view"]), {"rsid": "9f", "scopes": ["view"]}])),
        ),
    ];
    for (name, left, right) in rows {
        assert_eq!(digest(&left, "view"), digest(&right, "view"), "{name}");
    }
}

#[test]
fn what_decides_a_scope_otherwise_on_any_resource_has_another_digest() {
    let all = [
        json!({}),
        words("view"),
        words("bot:view"),
        words("runner:view"),
        words("bot:1:view"),
        words("bot:2:view"),
        words("bot:1:view bot:2:view"),
        words("bot:12:view"),
        words("bo:t1:view"),
        permissions(&json!([one("bot:1", &["view"])])),
        permissions(&json!([one("1", &["view"])])),
        permissions(&json!([{"rsid": "1", "scopes": ["view"]}])),
        permissions(&json!([one("bot:1:view", &["view"])])),
        permissions(&json!([one("1", &["view"]), one("2", &["view"])])),
        permissions(&json!([one("12", &["view"])])),
    ];
    let digests: BTreeSet<_> = all.iter().map(|claims| digest(claims, "view")).collect();
    assert_eq!(digests.len(), all.len());
}

#[test]
fn a_scope_with_a_colon_is_decided_by_its_very_word_and_by_permissions() {
    assert_eq!(digest(&words("bot:a:b x:a:b"), "a:b"), digest(&json!({}), "a:b"));
    assert_ne!(digest(&words("a:b"), "a:b"), digest(&json!({}), "a:b"));
    assert_ne!(digest(&permissions(&json!([one("bot:1", &["a:b"])])), "a:b"), digest(&json!({}), "a:b"));
}

fn digest(claims: &Value, scope: &str) -> [u8; 32] {
    let object = claims.as_object().expect("claims are an object");
    Principal::from_claims(object, SystemTime::UNIX_EPOCH, &PrincipalConfig::default()).grants_digest(scope)
}

fn words(text: &str) -> Value {
    json!({ "scope": text })
}

fn permissions(entries: &Value) -> Value {
    json!({ "authorization": { "permissions": entries } })
}

fn one(rsname: &str, scopes: &[&str]) -> Value {
    json!({ "rsname": rsname, "scopes": scopes })
}
