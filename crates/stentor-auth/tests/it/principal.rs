//! What a principal keeps of its claims.

use std::time::SystemTime;

use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};

#[test]
fn a_tenant_claim_is_text_a_whole_number_or_a_list_of_them() {
    let rows = [
        (json!("acme"), vec!["acme"]),
        (json!(7), vec!["7"]),
        (json!(-7), vec!["-7"]),
        (json!(18_446_744_073_709_551_615_u64), vec!["18446744073709551615"]),
        (json!(["acme", 7, "globex"]), vec!["acme", "7", "globex"]),
        (json!(""), vec![]),
        (json!(["", "acme"]), vec!["acme"]),
        (json!(7.0), vec![]),
        (json!(true), vec![]),
        (json!(null), vec![]),
        (json!({"id": "acme"}), vec![]),
        (json!([["acme"]]), vec![]),
        (json!([]), vec![]),
    ];
    for (claim, expected) in rows {
        let principal = principal(&json!({ "tenant_id": claim }), &[]);
        let tenants: Vec<&str> = principal.tenants().iter().map(|tenant| &**tenant).collect();
        assert_eq!(tenants, expected, "{claim}");
    }
}

#[test]
fn a_tenant_is_matched_letter_for_letter() {
    let principal = principal(&json!({"tenant_id": ["acme", "globex"]}), &[]);
    assert!(principal.in_tenant("globex"));
    for other in ["Globex", "glob", "globex ", "", "acme,globex"] {
        assert!(!principal.in_tenant(other), "{other:?}");
    }
}

#[test]
fn without_a_tenant_claim_nobody_is_in_a_tenant() {
    let claims = json!({"sub": "ann", "tenant_id": "acme"});
    let claims = claims.as_object().expect("an object");
    let principal = Principal::from_claims(claims, SystemTime::UNIX_EPOCH, &PrincipalConfig::default());
    assert!(principal.tenants().is_empty());
    assert!(!principal.in_tenant("acme"));
}

#[test]
fn only_the_claims_to_keep_are_kept() {
    let claims = json!({"sub": "ann", "org": {"id": 7}, "email": "ann@example.com", "scope": "bot:view"});
    let principal = principal(&claims, &["org", "team"]);
    assert_eq!(Value::Object(principal.claims().clone()), json!({"org": {"id": 7}}));
    assert!(principal.grants("view", Some("bot:42")), "what grants need is kept apart from the claims");
}

#[test]
fn a_subject_is_text_or_a_whole_number() {
    let rows =
        [(json!("ann"), Some("ann")), (json!(7), Some("7")), (json!(null), None), (json!(["ann"]), None)];
    for (sub, expected) in rows {
        assert_eq!(principal(&json!({ "sub": sub }), &[]).subject(), expected, "{sub}");
    }
    assert_eq!(principal(&json!({}), &[]).subject(), None);
}

fn principal(claims: &Value, keep: &[&str]) -> Principal {
    let config = PrincipalConfig {
        keep: keep.iter().map(|&name| name.to_owned()).collect(),
        tenant_claim: Some("tenant_id".into()),
        ..PrincipalConfig::default()
    };
    let claims = claims.as_object().expect("claims are an object");
    Principal::from_claims(claims, SystemTime::UNIX_EPOCH, &config)
}
