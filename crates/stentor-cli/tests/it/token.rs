//! `stentor token`. That servers accept what it prints is proved where there are servers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::program::Folder;

const AUTH: &str = r#"
[auth]
tenant_claim = "tenant_id"
[auth.jwt]
secret = "a-secret-that-only-these-tests-know-of"
audience = "stentor"
issuer = "https://id.example"
"#;

#[test]
fn standard_output_is_the_token_and_nothing_else() {
    let printed = Folder::configured(AUTH).run(&["token"]);
    let token = printed.printed().strip_suffix('\n').expect("a line");
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
}

#[test]
fn the_claims_are_those_of_options_and_configuration() {
    let claims = claims(&[
        "--subject",
        "ann",
        "--scope",
        "bot:42:view",
        "--scope",
        "trade:view",
        "--tenant",
        "acme",
        "--claim",
        r#"roles=["admin"]"#,
    ]);
    let expected = json!({
        "sub": "ann", "aud": "stentor", "iss": "https://id.example", "scope": "bot:42:view trade:view",
        "tenant_id": "acme", "roles": ["admin"], "iat": claims["iat"], "exp": claims["exp"],
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_token_lasts_as_long_as_it_is_told_to() {
    for (arguments, seconds) in [(&[][..], 3_600), (&["--expires", "10m"], 600)] {
        let claims = claims(arguments);
        let issued = claims["iat"].as_u64().expect("a time");
        assert_eq!(claims["exp"], json!(issued + seconds));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        assert!(now.abs_diff(issued) < 60, "{issued}");
    }
}

#[test]
fn a_claim_wins_over_its_option_and_several_tenants_are_a_list() {
    let claims = claims(&["--tenant", "a", "--tenant", "b", "--claim", "sub=7", "--claim", "exp=0"]);
    assert_eq!(
        (&claims["tenant_id"], &claims["sub"], &claims["exp"]),
        (&json!(["a", "b"]), &json!(7), &json!(0))
    );
}

#[test]
fn without_auth_or_tenant_claim_it_says_what_to_configure() {
    let anonymous = Folder::new().run(&["token"]);
    assert!(anonymous.failed(1).contains("STENTOR_AUTH__JWT__SECRET"), "{anonymous:?}");
    let no_claim = Folder::configured("[auth.jwt]\nsecret = \"x\"").run(&["token", "--tenant", "acme"]);
    assert!(no_claim.failed(1).contains("[auth] tenant_claim"), "{no_claim:?}");
}

#[test]
fn a_claim_that_is_not_json_is_a_usage_error_with_the_right_spelling() {
    let ran = Folder::configured(AUTH).run(&["token", "--claim", "org=acme"]);
    assert!(ran.failed(2).contains(r#"'org="acme"'"#), "{ran:?}");
}

fn claims(arguments: &[&str]) -> Value {
    let arguments = [&["token", "--json"], arguments].concat();
    Folder::configured(AUTH).run(&arguments).json()["claims"].take()
}
