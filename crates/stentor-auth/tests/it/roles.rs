//! Roles that bring scopes.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::{Value, json};
use stentor_auth::{Principal, PrincipalConfig, RoleScopes};

/// Each row: claims, and whether they allow `view` on `bot:42`, `view` on `runner:7`, and the bare word `audit`.
#[test]
fn a_role_brings_the_scopes_that_the_configuration_says() {
    let none = [false, false, false];
    let rows: Vec<(Value, [bool; 3])> = vec![
        (json!({}), none),
        (json!({"realm_access": {"roles": ["trader"]}}), [true, false, false]),
        (json!({"realm_access": {"roles": ["other", "trader"]}}), [true, false, false]),
        (json!({"realm_access": {"roles": ["auditor"]}}), [false, false, true]),
        (json!({"resource_access": {"dashboard": {"roles": ["operator"]}}}), [false, true, false]),
        (
            json!({"realm_access": {"roles": ["trader"]}, "resource_access": {"dashboard": {"roles": ["operator"]}}}),
            [true, true, false],
        ),
        (json!({"resource_access": {"https://app.example/x": {"roles": ["admin"]}}}), [true, false, false]),
        (json!({"scope": "runner:7:view", "realm_access": {"roles": ["trader"]}}), [true, true, false]),
        // A role of another place, kind, client or spelling is another role.
        (json!({"resource_access": {"dashboard": {"roles": ["trader"]}}}), none),
        (json!({"realm_access": {"roles": ["operator"]}}), none),
        (json!({"realm_access": {"roles": ["dashboard/operator"]}}), none),
        (json!({"resource_access": {"other": {"roles": ["operator"]}}}), none),
        (json!({"realm_access": {"roles": ["Trader"]}}), none),
        (json!({"realm_access": {"roles": ["trader "]}}), none),
        (json!({"realm_access": {"roles": "trader"}}), none),
        (json!({"realm_access": {"roles": {"trader": true}}}), none),
        (json!({"realm_access": ["trader"]}), none),
        (json!({"roles": ["trader"]}), none),
        (json!({"realm_access": null, "resource_access": []}), none),
    ];
    for (claims, expected) in rows {
        let principal = principal(&claims);
        let allowed = [
            principal.grants("view", Some("bot:42")),
            principal.grants("view", Some("runner:7")),
            principal.grants("audit", None),
        ];
        assert_eq!(allowed, expected, "{claims}");
    }
}

#[test]
fn a_scope_counts_the_same_whether_a_role_or_the_token_brings_it() {
    let by_role = principal(&json!({"realm_access": {"roles": ["trader"]}}));
    let by_token = principal(&json!({"scope": "bot:view"}));
    assert_eq!(by_role.grants_digest("view"), by_token.grants_digest("view"));
    assert!(!by_role.grants("edit", Some("bot:42")));
}

fn principal(claims: &Value) -> Principal {
    let scopes = [
        ("trader", "bot:view"),
        ("auditor", "audit"),
        ("dashboard/operator", "runner:view"),
        ("https://app.example/x/admin", "bot:42:view"),
    ];
    let scopes = scopes.map(|(role, scope)| (role.to_owned(), vec![scope.to_owned()]));
    let roles = RoleScopes::new(BTreeMap::from(scopes));
    let claims = claims.as_object().expect("claims are an object");
    Principal::from_claims(
        claims,
        SystemTime::UNIX_EPOCH,
        &PrincipalConfig { roles, ..PrincipalConfig::default() },
    )
}
