//! `[auth]`: exactly one kind of key, safe addresses, and roles.

use std::collections::BTreeMap;

use stentor_auth::Algorithm;

use super::{super::KeySource, load, refusal};

/// Each row: a file, the variables beside it, what tokens are checked with.
#[test]
fn exactly_one_kind_of_key_checks_tokens() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let rows: &[Row<'_>] = &[
        ("[auth.jwt]\nsecret = \"s\"", &[], "secret"),
        ("[auth.jwt]\nsecret = \"s\"\nissuer = \"whoever\"", &[], "secret"),
        ("[auth.jwt]\njwks_url = \"https://id.example/keys\"", &[], "url https://id.example/keys"),
        (
            "[auth.jwt]\njwks_url = \"https://id.example/keys\"\nissuer = \"whoever\"",
            &[],
            "url https://id.example/keys",
        ),
        ("[auth.jwt]\nissuer = \"https://id.example/realms/a\"", &[], "issuer https://id.example/realms/a"),
        (
            "[auth.jwt]\nissuer = \"http://127.0.0.1:8080/realms/a\"",
            &[],
            "issuer http://127.0.0.1:8080/realms/a",
        ),
        ("[auth.jwt]\nissuer = \"http://localhost:8080\"", &[], "issuer http://localhost:8080/"),
        ("[auth.jwt]\njwks_url = \"http://[::1]:8080/k\"", &[], "url http://[::1]:8080/k"),
        (
            "[auth.jwt]\njwks_url = \"http://id.internal/k\"\ndangerously_allow_http = true",
            &[],
            "url http://id.internal/k",
        ),
        (
            "[auth.jwt]\nsecret = \"s\"",
            &[("STENTOR_AUTH__JWT__SECRET", ""), ("STENTOR_AUTH__JWT__ISSUER", "https://id.example")],
            "issuer https://id.example/",
        ),
    ];
    for (file, variables, expected) in rows {
        let config = load(file, variables).unwrap_or_else(|error| panic!("{file}\n{error}"));
        let auth = config.auth.expect("there is an [auth]");
        let found = match auth.jwt.key_source().expect("it was loaded") {
            KeySource::Secret(_) => "secret".to_owned(),
            KeySource::Url(url) => format!("url {url}"),
            KeySource::Issuer(url) => format!("issuer {url}"),
        };
        assert_eq!(found, *expected, "{file}");
    }
}

/// A provider signs tokens for other services too, and some have one set of keys for many issuers.
#[test]
fn who_does_not_say_which_tokens_of_a_provider_are_meant_is_warned() {
    for (file, expected) in [
        ("secret = \"s\"", ""),
        ("issuer = \"https://id.example\"", "auth.jwt.audience"),
        ("issuer = \"https://id.example\"\naudience = \"stentor\"", ""),
        ("jwks_url = \"https://id.example/keys\"", "auth.jwt.audience auth.jwt.issuer"),
        ("jwks_url = \"https://id.example/keys\"\naudience = \"stentor\"", "auth.jwt.issuer"),
        ("jwks_url = \"https://id.example/keys\"\naudience = \"stentor\"\nissuer = \"a\"", ""),
    ] {
        let config =
            load(&format!("[auth.jwt]\n{file}"), &[]).unwrap_or_else(|error| panic!("{file}\n{error}"));
        let warnings = config.auth.expect("there is an [auth]").jwt.warnings();
        let named: Vec<_> = warnings.iter().filter_map(|warning| warning.split('`').nth(1)).collect();
        assert_eq!(named.join(" "), expected, "{file}");
    }
}

#[test]
fn contradictions_and_unsafe_addresses_are_refused_with_the_fix() {
    let rows = [
        ("[auth]", "there must be keys to check tokens with: `auth.jwt.issuer`"),
        ("[auth]\nanonymous = true", "there must be keys to check tokens with"),
        ("[auth.jwt]\nsecret = \"\"", "there must be keys to check tokens with"),
        ("[auth.roles]\na = \"b\"", "there must be keys to check tokens with"),
        ("[auth.jwt]\nsecret = \"s\"\njwks_url = \"https://a.b/c\"", "exclude each other"),
        (
            "[auth.jwt]\nsecret = \"s\"\nalgorithms = \"RS256\"",
            "`auth.jwt.algorithms` is about public keys, and has no use beside `auth.jwt.secret`",
        ),
        ("[auth.jwt]\nsecret = \"s\"\nrefresh_interval = \"1m\"", "has no use beside `auth.jwt.secret`"),
        ("[auth.jwt]\nissuer = \"https://a.b\"\nalgorithms = [\"HS256\"]", "for HS256 set `auth.jwt.secret`"),
        (
            "[auth.jwt]\nissuer = \"https://a.b\"\nalgorithms = \"none\"",
            "\"none\" is not one of RS256, RS384",
        ),
        ("[auth.jwt]\nissuer = \"https://a.b\"\nalgorithms = \"rs256\"", "\"rs256\" is not one of"),
        ("[auth.jwt]\nissuer = \"https://a.b\"\nalgorithms = []", "without an algorithm no token"),
        ("[auth.jwt]\nissuer = \"https://a.b\"\nalgorithms = 256", "where a list of texts is expected"),
        ("[auth.jwt]\nissuer = \"id.example\"", "`auth.jwt.issuer` is not an address such as"),
        ("[auth.jwt]\njwks_url = \"file:///etc/keys\"", "`auth.jwt.jwks_url` is not an address such as"),
        ("[auth.jwt]\njwks_url = \"https://\"", "is not an address such as"),
        ("[auth.jwt]\njwks_url = \"https://ann:pw@a.b/c\"", "must not hold a user or a password"),
        (
            "[auth.jwt]\njwks_url = \"http://a.b/c\"",
            "`auth.jwt.dangerously_allow_http = true` takes that risk",
        ),
        ("[auth.jwt]\nissuer = \"http://10.0.0.1/c\"", "must begin with https://"),
        ("[auth.jwt]\nissuer = \"http://localhost.evil.example\"", "must begin with https://"),
        ("[auth.jwt]\nissuer = \"http://127.0.0.1.evil.example\"", "must begin with https://"),
        ("[auth.jwt]\nissuer = \"https://a.b\"\nrefresh_interval = \"1s\"", "1s is out of range: 15s to 1d"),
    ];
    for (text, expected) in rows {
        let message = refusal(text, &[]);
        assert!(message.contains(expected), "{text}\n{message}");
        assert!(message.contains("--> stentor.toml:"), "{text}\n{message}");
        assert!(!message.contains("ann:pw"), "{text}\n{message}");
    }
}

#[test]
fn algorithms_are_named_as_tokens_name_them() {
    let with = |file: &str, variables: &[(&str, &str)]| {
        let config = load(file, variables).unwrap_or_else(|error| panic!("{error}"));
        config.auth.expect("there is an [auth]").jwt.algorithms
    };
    let issuer = "[auth.jwt]\nissuer = \"https://a.b\"\n";
    assert_eq!(with(issuer, &[]), Algorithm::ALL);
    assert_eq!(
        with(&format!("{issuer}algorithms = [\"ES256\", \"EdDSA\"]"), &[]),
        [Algorithm::Es256, Algorithm::EdDsa]
    );
    assert_eq!(
        with(issuer, &[("STENTOR_AUTH__JWT__ALGORITHMS", "PS256,RS512")]),
        [Algorithm::Ps256, Algorithm::Rs512]
    );
}

/// Each row: a file's lines below its secret, the variable, the scopes of each role.
#[test]
fn roles_bring_scopes_from_the_file_or_the_environment() {
    type Row<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a [&'a str])]);
    let rows: &[Row<'_>] = &[
        ("", None, &[]),
        ("[auth.roles]", None, &[]),
        (
            "[auth.roles]\ntrader = [\"bot:view\", \"trade:view\"]\n\"dashboard/operator\" = \"runner:view\"",
            None,
            &[("dashboard/operator", &["runner:view"]), ("trader", &["bot:view", "trade:view"])],
        ),
        ("[auth]\nroles.\"a.b\" = [\"x\"]", None, &[("a.b", &["x"])]),
        ("[auth]\nroles = { a = [\"x\"] }", None, &[("a", &["x"])]),
        (
            "",
            Some("trader=bot:view trade:view; dashboard/operator = runner:view;"),
            &[("dashboard/operator", &["runner:view"]), ("trader", &["bot:view", "trade:view"])],
        ),
        ("", Some("https://app.example/x/admin=a,b"), &[("https://app.example/x/admin", &["a", "b"])]),
        ("[auth.roles]\ntrader = [\"bot:view\"]", Some("other=x"), &[("other", &["x"])]),
        ("[auth.roles]\ntrader = [\"bot:view\"]", Some(""), &[]),
    ];
    for (file, variable, expected) in rows {
        let mut variables = vec![("STENTOR_AUTH__JWT__SECRET", "s")];
        variables.extend(variable.map(|value| ("STENTOR_AUTH__ROLES", value)));
        let config = load(file, &variables).unwrap_or_else(|error| panic!("{file}\n{error}"));
        let owned = |scopes: &[&str]| scopes.iter().map(|&scope| scope.to_owned()).collect();
        let expected: BTreeMap<String, Vec<String>> =
            expected.iter().map(|(role, scopes)| ((*role).to_owned(), owned(scopes))).collect();
        assert_eq!(config.auth.expect("there is an [auth]").roles, expected, "{file} {variable:?}");
    }
}

#[test]
fn a_mistake_in_a_role_is_pointed_at() {
    let rows = [
        (
            "auth.jwt.secret = \"s\"\n[auth.roles]\ngood = [\"x\"]\ntrader = 7",
            "error: `auth.roles`: a whole number stands where a list of texts is expected\n --> stentor.toml:4:10\n  |\n4 | trader = 7\n  |          ^",
        ),
        (
            "auth.jwt.secret = \"s\"\n[auth.roles]\ntrader = \"bot:view trade:view\"",
            "error: `auth.roles`: \"bot:view trade:view\" of the role \"trader\" is not a scope, such as \"bot:view\"\n --> stentor.toml:3:10\n  |\n3 | trader = \"bot:view trade:view\"\n  |          ^^^^^^^^^^^^^^^^^^^^^",
        ),
        (
            "auth.jwt.secret = \"s\"\n[auth.roles]\ntrader = []",
            "error: `auth.roles`: the role \"trader\" brings no scope; list some, or leave it out\n --> stentor.toml:3:10\n  |\n3 | trader = []\n  |          ^^",
        ),
        (
            "auth.jwt.secret = \"s\"\n[auth.roles]\n\"/admin\" = \"x\"",
            "error: `auth.roles`: \"/admin\" is neither ROLE nor CLIENT/ROLE\n --> stentor.toml:3:12\n  |\n3 | \"/admin\" = \"x\"\n  |            ^^^",
        ),
        (
            "auth.jwt.secret = \"s\"\nauth.roles = \"trader\"",
            "error: `auth.roles`: a text stands where a table of lists is expected\n --> stentor.toml:2:14\n  |\n2 | auth.roles = \"trader\"\n  |              ^^^^^^^^",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(refusal(text, &[]), expected, "{text}");
    }
    let variables = [("STENTOR_AUTH__JWT__SECRET", "s"), ("STENTOR_AUTH__ROLES", "trader")];
    assert_eq!(
        refusal("", &variables),
        "error: `auth.roles`: \"trader\" is not name=item item; entries are divided by ;\n --> STENTOR_AUTH__ROLES in the environment"
    );
}
