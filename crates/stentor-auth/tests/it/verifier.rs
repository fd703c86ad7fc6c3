//! Which tokens are accepted, and what is said of the others.

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use stentor_auth::{
    HmacVerifier, JwtConfig, MAX_TOKEN_BYTES, Principal, PrincipalConfig, TokenError, TokenVerifier,
    secret_warning, sign_hs256,
};

const SECRET: &str = "a secret of thirty-two bytes, ok.";
/// The moment at which every test takes place, in seconds since 1970.
const NOW: i64 = 1_700_000_000;

#[test]
fn time_claims_count_with_a_leeway_of_five_seconds() {
    let rows: Vec<(Value, Result<(), &str>)> = vec![
        (json!({"exp": NOW + 60}), Ok(())),
        (json!({"exp": NOW}), Ok(())),
        (json!({"exp": NOW - 4}), Ok(())),
        (json!({"exp": NOW - 5}), Err("the token expired 5 s ago")),
        (json!({"exp": NOW - 42}), Err("the token expired 42 s ago")),
        (json!({"exp": NOW - 600}), Err("the token expired 10 min ago")),
        (json!({"exp": NOW - 10_800}), Err("the token expired 3 h ago")),
        (json!({"exp": NOW - 864_000}), Err("the token expired 10 days ago")),
        (json!({"exp": 1_699_999_995.5}), Ok(())),
        (json!({"exp": 1_699_999_994.5}), Err("the token expired 5 s ago")),
        (json!({"exp": 0}), Err("the token expired 19675 days ago")),
        (json!({"exp": -1}), Err("the token expired 19675 days ago")),
        (json!({"exp": -1e300}), Err("the token expired 19675 days ago")),
        (json!({"exp": 253_402_300_799_i64}), Ok(())),
        (json!({"exp": NOW * 1_000}), Err(MILLISECONDS)),
        (json!({"exp": u64::MAX}), Err(MILLISECONDS)),
        (json!({"exp": 1e300}), Err(MILLISECONDS)),
        (json!({"exp": "1700000060"}), Err("the token's \"exp\" is not a number")),
        (json!({"exp": null}), Err("the token's \"exp\" is not a number")),
        (json!({"exp": [NOW + 60]}), Err("the token's \"exp\" is not a number")),
        (json!({}), Err("the token has no \"exp\"")),
        (json!({"exp": NOW + 60, "nbf": NOW}), Ok(())),
        (json!({"exp": NOW + 60, "nbf": NOW + 5}), Ok(())),
        (json!({"exp": NOW + 60, "nbf": NOW + 6}), Err("the token becomes valid only in 6 s")),
        (json!({"exp": NOW + 60, "nbf": -1}), Ok(())),
        (json!({"exp": NOW + 60, "nbf": "0"}), Err("the token's \"nbf\" is not a number")),
        (json!({"exp": NOW + 60, "nbf": null}), Err("the token's \"nbf\" is not a number")),
        (json!({"exp": NOW + 60, "iat": NOW + 3_600}), Ok(())),
    ];
    for (claims, expected) in rows {
        assert_outcome(&JwtConfig::default(), &claims, expected);
    }
}

/// Nobody has signed the header when it is read.
#[test]
fn a_header_made_to_exhaust_the_stack_is_refused() {
    let mut value = "1".to_owned();
    while value.len() < 20_000 {
        let text = Value::from(value).to_string();
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        value = format!(r#"{open}{{"$serde_json::private::RawValue":{text}}}{close}"#);
    }
    for header in [format!(r#"{{"x":{value},"alg":"none"}}"#), format!(r#"{{"alg":{value}}}"#), value] {
        let token = format!("{}.e30.", BASE64_URL_SAFE_NO_PAD.encode(header));
        let verifier = HmacVerifier::new(SECRET, JwtConfig::default());
        let refused = verifier.unwrap().verify(&token, SystemTime::UNIX_EPOCH).unwrap_err();
        assert!(matches!(refused, TokenError::NotAToken | TokenError::Algorithm(_)), "{refused}");
    }
}

#[test]
fn an_audience_must_be_among_the_configured_ones() {
    let one = with_audience(&["stentor"]);
    let two = with_audience(&["stentor", "dashboard"]);
    let none = with_audience(&[]);
    let rows: Vec<(&JwtConfig, Value, Result<(), &str>)> = vec![
        (&one, json!({"aud": "stentor"}), Ok(())),
        (&one, json!({"aud": ["account", "stentor"]}), Ok(())),
        (&two, json!({"aud": "dashboard"}), Ok(())),
        (&none, json!({"aud": "account"}), Ok(())),
        (&none, json!({}), Ok(())),
        (&one, json!({"aud": "account"}), Err("the token is for audience \"account\", not \"stentor\"")),
        (&one, json!({"aud": "Stentor"}), Err("the token is for audience \"Stentor\", not \"stentor\"")),
        (
            &two,
            json!({"aud": ["a", "b"]}),
            Err("the token is for audience \"a, b\", not \"stentor, dashboard\""),
        ),
        (&one, json!({"aud": ["stentor", 7]}), Err(AUD_KIND)),
        (&one, json!({"aud": 7}), Err(AUD_KIND)),
        (&one, json!({"aud": null}), Err(AUD_KIND)),
        (&one, json!({"aud": []}), Err("the token names no audience, and \"stentor\" is needed")),
        (&one, json!({}), Err("the token names no audience, and \"stentor\" is needed")),
        (&one, json!({"azp": "stentor"}), Err("the token names no audience, and \"stentor\" is needed")),
    ];
    for (config, claims, expected) in rows {
        assert_outcome(config, &in_time(claims), expected);
    }
}

#[test]
fn an_issuer_must_be_the_configured_one() {
    let config = JwtConfig { issuer: Some("https://id.example".into()), ..JwtConfig::default() };
    let rows: Vec<(Value, Result<(), &str>)> = vec![
        (json!({"iss": "https://id.example"}), Ok(())),
        (
            json!({"iss": "https://id.example/"}),
            Err("the token was issued by \"https://id.example/\", not \"https://id.example\""),
        ),
        (json!({"iss": ["https://id.example"]}), Err("the token's \"iss\" is not a text")),
        (json!({}), Err("the token has no \"iss\"")),
    ];
    for (claims, expected) in rows {
        assert_outcome(&config, &in_time(claims), expected);
    }
    assert_outcome(&JwtConfig::default(), &in_time(json!({"iss": "https://other.example"})), Ok(()));
}

#[test]
fn a_token_that_is_not_ours_is_refused() {
    let good = sign_hs256(SECRET, &object(in_time(json!({"sub": "ann"}))));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let algorithm =
        |name: &str| format!("{}.{payload}.{signature}", encode(&json!({"typ": "JWT", "alg": name})));
    let other_payload = encode(&in_time(json!({"sub": "bob"})));
    let rows: Vec<(String, &str)> = vec![
        (String::new(), NOT_A_TOKEN),
        ("null".into(), NOT_A_TOKEN),
        ("..".into(), NOT_A_TOKEN),
        (format!("{header}.{payload}"), NOT_A_TOKEN),
        (format!("{good}.{signature}"), NOT_A_TOKEN),
        (format!("{header}.{payload}.{signature}.a.b"), NOT_A_TOKEN),
        (format!("e30.{payload}.{signature}"), NOT_A_TOKEN),
        (format!("W10.{payload}.{signature}"), NOT_A_TOKEN),
        (format!("%%.{payload}.{signature}"), NOT_A_TOKEN),
        (format!("{header}=.{payload}.{signature}"), NOT_A_TOKEN),
        (format!("{header}.{payload}."), SIGNATURE),
        (format!("{header}.{payload}.{signature}="), SIGNATURE),
        (format!("{header}.{payload}.%%"), SIGNATURE),
        (format!("{header}.{payload}.{}", &signature[1..]), SIGNATURE),
        (format!("{header}.{other_payload}.{signature}"), SIGNATURE),
        (sign_hs256("another secret of 32 bytes or so.", &object(in_time(json!({})))), SIGNATURE),
        (algorithm("none"), "algorithm \"none\" is not accepted"),
        (algorithm("None"), "algorithm \"None\" is not accepted"),
        (algorithm("HS384"), "algorithm \"HS384\" is not accepted"),
        (algorithm("hs256"), "algorithm \"hs256\" is not accepted"),
        (algorithm("RS256"), "algorithm \"RS256\" is not accepted"),
        (algorithm("a\nb\"c"), "algorithm \"a?b?c\" is not accepted"),
        (format!("{}.{payload}.", encode(&json!({"alg": "none"}))), "algorithm \"none\" is not accepted"),
        (format!("{}.{payload}.{signature}", encode(&json!({"alg": 256}))), NOT_A_TOKEN),
        (
            format!(
                "{}.{payload}.{signature}",
                encode(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}))
            ),
            "the token demands an extension that is not spoken here",
        ),
        ("x".repeat(MAX_TOKEN_BYTES + 1), "the token is longer than 65536 bytes"),
    ];
    for (token, expected) in rows {
        let error = verify(&JwtConfig::default(), &token).expect_err("a token that is not ours");
        assert_eq!(error.to_string(), expected, "{token}");
    }
    assert!(verify(&JwtConfig::default(), &good).is_ok(), "the token that they were made from is good");
}

#[test]
fn a_key_inside_the_header_is_not_used() {
    let header = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": encode(&json!("mine"))}, "jku": "https://evil.example", "kid": "../../dev/null"});
    let signed = format!("{}.{}", encode(&header), encode(&in_time(json!({}))));
    for (secret, accepted) in [(SECRET, true), ("mine", false), ("", false)] {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256)
            .expect("signs");
        let verdict = verify(&JwtConfig::default(), &format!("{signed}.{signature}"));
        assert_eq!(verdict.err(), (!accepted).then_some(TokenError::Signature), "signed with {secret:?}");
    }
}

#[test]
fn claims_that_are_no_object_are_no_token() {
    for claims in [json!([1]), json!("ann"), json!(null)] {
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256"})), encode(&claims));
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256)
            .expect("signs");
        let verdict = verify(&JwtConfig::default(), &format!("{signed}.{signature}"));
        assert_eq!(verdict.err(), Some(TokenError::NotAToken), "{claims}");
    }
}

#[test]
fn a_principal_carries_what_the_configuration_asks_for() {
    let principal = PrincipalConfig {
        keep: ["org".to_owned()].into(),
        tenant_claim: Some("tenant_id".into()),
        ..PrincipalConfig::default()
    };
    let config = JwtConfig { principal, ..JwtConfig::default() };
    let claims = json!({"sub": "ann", "org": "o1", "email": "x", "tenant_id": "acme", "scope": "bot:view"});
    let principal = verify(&config, &sign_hs256(SECRET, &object(in_time(claims)))).expect("a good token");
    assert_eq!(principal.subject(), Some("ann"));
    assert_eq!(Value::Object(principal.claims().clone()), json!({"org": "o1"}));
    assert!(principal.in_tenant("acme"));
    assert!(principal.grants("view", Some("bot:42")));
    assert_eq!(principal.expires_at(), now() + Duration::from_secs(60), "exp, without the leeway");
}

#[test]
fn every_refusal_fits_into_a_close_reason() {
    let long = "ü".repeat(200);
    let config =
        JwtConfig { audience: vec![long.clone()], issuer: Some(long.clone()), ..JwtConfig::default() };
    let tokens = [
        sign_hs256(SECRET, &object(in_time(json!({"aud": long})))),
        sign_hs256(SECRET, &object(in_time(json!({})))),
        sign_hs256(SECRET, &object(json!({"exp": u64::MAX}))),
        format!("{}.e30.e30", encode(&json!({"alg": long}))),
    ];
    for token in tokens {
        let reason = verify(&config, &token).expect_err("a bad token").to_string();
        assert!(reason.len() <= 123, "{} bytes: {reason}", reason.len());
    }
    let config = JwtConfig { issuer: Some(long.clone()), ..JwtConfig::default() };
    let token = sign_hs256(SECRET, &object(in_time(json!({"iss": format!("x{long}")}))));
    let reason = verify(&config, &token).expect_err("another issuer").to_string();
    assert!(reason.len() <= 123 && reason.contains('…'), "{} bytes: {reason}", reason.len());
}

#[test]
fn an_empty_secret_is_refused_and_a_short_one_warned_of() {
    assert!(HmacVerifier::new("", JwtConfig::default()).is_err());
    assert_eq!(secret_warning(&"x".repeat(32)), None);
    let warning = secret_warning("hunter2").expect("seven bytes are few");
    assert!(warning.contains("7 bytes") && !warning.contains("hunter2"), "{warning}");
}

#[test]
fn a_secret_is_never_shown() {
    let verifier = HmacVerifier::new("hunter2", JwtConfig::default()).expect("not empty");
    let shown = format!("{verifier:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
}

fn assert_outcome(config: &JwtConfig, claims: &Value, expected: Result<(), &str>) {
    let verdict = verify(config, &sign_hs256(SECRET, &object(claims.clone())));
    let outcome = verdict.map(drop).map_err(|error| error.to_string());
    assert_eq!(outcome, expected.map_err(str::to_owned), "{claims}");
}

fn verify(config: &JwtConfig, token: &str) -> Result<Principal, TokenError> {
    HmacVerifier::new(SECRET, config.clone()).expect("the secret is not empty").verify(token, now())
}

fn with_audience(audience: &[&str]) -> JwtConfig {
    JwtConfig { audience: audience.iter().map(|&name| name.to_owned()).collect(), ..JwtConfig::default() }
}

fn in_time(mut claims: Value) -> Value {
    claims["exp"] = json!(NOW + 60);
    claims
}

fn object(claims: Value) -> Map<String, Value> {
    serde_json::from_value(claims).expect("claims are an object")
}

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

const AUD_KIND: &str = "the token's \"aud\" is neither a text nor a list of texts";
const MILLISECONDS: &str = "the token's \"exp\" is after the year 9999; it counts seconds, not milliseconds";
const NOT_A_TOKEN: &str = "the token is not a JSON Web Token";
const SIGNATURE: &str = "the signature of the token does not match";
