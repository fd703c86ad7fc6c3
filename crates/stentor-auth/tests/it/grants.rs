//! Who holds `@hasScope(scope, resource)`: every form that grants, and what only looks like one.

use std::time::SystemTime;

use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig};

type Row = (Value, &'static str, Option<&'static str>);

#[test]
fn each_documented_form_grants() {
    let rows: Vec<Row> = vec![
        (scope("bot:42:view"), "view", Some("bot:42")),
        (scope("bot:view"), "view", Some("bot:42")),
        (scope("openid bot:42:view profile"), "view", Some("bot:42")),
        (scope("  openid   bot:42:view "), "view", Some("bot:42")),
        (json!({"scope": ["openid", "bot:42:view"]}), "view", Some("bot:42")),
        (json!({"scope": [7, null, "bot:view"]}), "view", Some("bot:42")),
        (scope("view"), "view", None),
        (scope("stentor:publish"), "stentor:publish", None),
        (permission(json!({"rsname": "bot:42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsid": "42", "scopes": ["view"]})), "view", Some("bot:42")),
        (
            permission(json!({"rsid": "9f1", "rsname": "bot:42", "scopes": ["edit", "view"]})),
            "view",
            Some("bot:42"),
        ),
        (permission(json!({"rsname": "bot:42", "scopes": ["bot:view"]})), "bot:view", Some("bot:42")),
        (permission(json!({"rsname": "bot:my bot", "scopes": ["view"]})), "view", Some("bot:my bot")),
        (scope("bot:ünï:view"), "view", Some("bot:ünï")),
    ];
    check(rows, true);
}

#[test]
fn a_look_alike_in_the_scope_claim_does_not_grant() {
    let rows: Vec<Row> = vec![
        (scope("bot:420:view"), "view", Some("bot:42")),
        (scope("bot:4:view"), "view", Some("bot:42")),
        (scope("bot:4"), "view", Some("bot:42")),
        (scope("bot:42"), "view", Some("bot:42")),
        (scope("robot:42:view"), "view", Some("bot:42")),
        (scope("bo:42:view"), "view", Some("bot:42")),
        (scope("bot:42:viewer"), "view", Some("bot:42")),
        (scope("bot:42:vie"), "view", Some("bot:42")),
        (scope("bot:42:view:x"), "view", Some("bot:42")),
        (scope("x:bot:42:view"), "view", Some("bot:42")),
        (scope("BOT:42:view"), "view", Some("bot:42")),
        (scope("bot:42:VIEW"), "view", Some("bot:42")),
        (scope("bot:42: view"), "view", Some("bot:42")),
        (scope("bot::42:view"), "view", Some("bot:42")),
        (scope("bot:42::view"), "view", Some("bot:42")),
        (scope("bot42:view"), "view", Some("bot:42")),
        (scope("bot:*:view"), "view", Some("bot:42")),
        (scope("*"), "view", Some("bot:42")),
        (scope("*:view"), "view", Some("bot:42")),
        (scope("view"), "view", Some("bot:42")),
        (scope(":view"), "view", Some("bot:42")),
        (scope("42:view"), "view", Some("bot:42")),
        (scope("bot:viewer"), "view", Some("bot:42")),
        (scope("robot:view"), "view", Some("bot:42")),
        (scope("runner:42:view runner:view"), "view", Some("bot:42")),
        (scope("bot:42\tview"), "view", Some("bot:42")),
        (scope("bot:42:view\n"), "view", Some("bot:42")),
        (scope("bot:42:view,bot:43:view"), "view", Some("bot:42")),
        (scope("bоt:42:view"), "view", Some("bot:42")), // the o is Cyrillic
        (json!({"scope": ["a bot:42:view"]}), "view", Some("bot:42")),
        (json!({"scope": ["view view"]}), "view", None),
        (json!({"scope": {"bot:42:view": true}}), "view", Some("bot:42")),
        (json!({"scp": "bot:42:view", "scopes": "bot:42:view"}), "view", Some("bot:42")),
        (json!({}), "view", Some("bot:42")),
    ];
    check(rows, false);
}

#[test]
fn a_resource_or_scope_that_can_be_read_in_two_ways_is_held_by_nobody() {
    let all =
        "bot bot: bot:view bot:42 bot:42:view bot:42:view:view bot:a:b:view :42:view view view:x bot:view:x";
    let rows: Vec<Row> = vec![
        (scope(all), "view", Some("bot")),
        (scope(all), "view", Some("")),
        (scope(all), "view", Some(":")),
        (scope(all), "view", Some("bot:")),
        (scope(all), "view", Some(":42")),
        (scope(all), "view", Some("bot:a:b")),
        (scope(all), "view", Some("bot:42:view")),
        (scope(all), "view", Some("bot::42")),
        (scope(all), "view:x", Some("bot:42")),
        (scope(all), "42:view", Some("bot:7")),
        (scope(all), "", Some("bot:42")),
        (scope(all), "", None),
        (scope(all), "view view", None),
        (scope("bot:42 bot:view"), "view bot", Some("bot:42 bot")),
        (permission(json!({"rsname": "bot:a:b", "scopes": ["view"]})), "view", Some("bot:a:b")),
        (permission(json!({"rsname": "bot", "scopes": ["view"]})), "view", Some("bot")),
        (permission(json!({"rsname": "", "rsid": "", "scopes": ["view"]})), "view", Some("bot:")),
    ];
    check(rows, false);
}

#[test]
fn a_look_alike_among_keycloaks_permissions_does_not_grant() {
    let rows: Vec<Row> = vec![
        (permission(json!({"rsname": "bot:42"})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:42", "scopes": []})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:42", "scopes": null})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:42", "scopes": "view"})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:42", "scopes": [["view"]]})), "view", Some("bot:42")),
        (
            permission(json!({"rsname": "bot:42", "scopes": ["viewer", "VIEW", "bot:view", "edit view"]})),
            "view",
            Some("bot:42"),
        ),
        (permission(json!({"rsname": "bot:420", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:4", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "runner:42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "BOT:42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:*", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": " 42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsid": "bot:42", "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsid": 42, "scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"scopes": ["view"]})), "view", Some("bot:42")),
        (permission(json!({"rsname": "bot:42", "scopes": ["view"]})), "view", None),
        (permission(json!("bot:42")), "view", Some("bot:42")),
        (
            json!({"authorization": {"permissions": {"rsname": "bot:42", "scopes": ["view"]}}}),
            "view",
            Some("bot:42"),
        ),
        (json!({"authorization": [{"rsname": "bot:42", "scopes": ["view"]}]}), "view", Some("bot:42")),
        (json!({"permissions": [{"rsname": "bot:42", "scopes": ["view"]}]}), "view", Some("bot:42")),
    ];
    check(rows, false);
}

#[test]
fn two_permissions_are_never_combined() {
    let claims = json!({"authorization": {"permissions": [
        {"rsname": "bot:42", "scopes": ["edit"]},
        {"rsname": "bot:7", "scopes": ["view"]},
    ]}});
    check(vec![(claims.clone(), "view", Some("bot:42")), (claims.clone(), "edit", Some("bot:7"))], false);
    check(vec![(claims.clone(), "edit", Some("bot:42")), (claims, "view", Some("bot:7"))], true);
}

fn check(rows: Vec<Row>, expected: bool) {
    for (claims, scope, resource) in rows {
        let object = claims.as_object().expect("claims are an object");
        let principal = Principal::from_claims(object, SystemTime::UNIX_EPOCH, &PrincipalConfig::default());
        let granted = principal.grants(scope, resource);
        assert_eq!(granted, expected, "scope {scope:?} on {resource:?} with {claims}");
    }
}

fn scope(text: &str) -> Value {
    json!({ "scope": text })
}

fn permission(entry: Value) -> Value {
    let mut claims = json!({"authorization": {}});
    claims["authorization"]["permissions"] = Value::Array(vec![entry]);
    claims
}
