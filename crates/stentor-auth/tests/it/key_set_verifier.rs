//! Which tokens a provider's keys accept, and what is said of the others.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use stentor_auth::{Algorithm, JwtConfig, KeySet, KeySetVerifier, TokenError, TokenVerifier, sign_hs256};

use crate::signer::{Signer, decode, encode, key_set};

const NOW: u64 = 1_700_000_000;

#[test]
fn every_algorithm_is_verified_with_its_kind_of_key() {
    let (rsa, p256, p384, ed) = (Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519());
    let verifier = verifier(&[rsa.jwk("r"), p256.jwk("256"), p384.jwk("384"), ed.jwk("ed")]);
    for (signer, alg, kid) in [
        (&rsa, "RS256", "r"),
        (&rsa, "PS256", "r"),
        (&p256, "ES256", "256"),
        (&p384, "ES384", "384"),
        (&ed, "EdDSA", "ed"),
    ] {
        let header = json!({ "alg": alg, "kid": kid });
        assert_eq!(refusal(&verifier, &signer.sign(&header, &claims())), None, "{alg}");
        let token = signer.sign(&header, &claims());
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        let mut signature = decode(&signature.into());
        signature[5] ^= 1;
        let changed = format!("{signed}.{}", encode(&signature));
        assert_eq!(refusal(&verifier, &changed).as_deref(), Some(SIGNATURE), "{alg}");
    }
}

/// Each row: the header of a token that is signed with the RSA key "r", and what is said of it.
#[test]
fn the_configuration_and_the_key_choose_the_algorithm_and_the_token_never_does() {
    let (rsa, other, ed) = (Signer::rsa(), Signer::rsa(), Signer::ed25519());
    let only = {
        let mut jwk = other.jwk("only-ps");
        jwk["alg"] = "PS256".into();
        jwk
    };
    let verifier = verifier(&[rsa.jwk("r"), only, ed.jwk("ed")]);
    let rows: Vec<(&Signer, Value, Option<&str>)> = vec![
        (&rsa, json!({"alg": "RS256", "kid": "r"}), None),
        (&other, json!({"alg": "RS256", "kid": "r"}), Some(SIGNATURE)),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "only-ps"}),
            Some("the key of the token is not for algorithm \"RS256\""),
        ),
        (&other, json!({"alg": "PS256", "kid": "only-ps"}), None),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "ed"}),
            Some("the key of the token is not for algorithm \"RS256\""),
        ),
        (
            &rsa,
            json!({"alg": "EdDSA", "kid": "r"}),
            Some("the key of the token is not for algorithm \"EdDSA\""),
        ),
        (&rsa, json!({"alg": "PS256", "kid": "only-ps"}), Some(SIGNATURE)),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "gone"}),
            Some("the token is signed with key \"gone\", which is not known"),
        ),
        (
            &rsa,
            json!({"alg": "RS256", "kid": ""}),
            Some("the token is signed with key \"\", which is not known"),
        ),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "R"}),
            Some("the token is signed with key \"R\", which is not known"),
        ),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "../r"}),
            Some("the token is signed with key \"../r\", which is not known"),
        ),
        (&rsa, json!({"alg": "RS256", "kid": 7}), Some(NOT_A_TOKEN)),
        (&rsa, json!({"alg": "RS256", "kid": ["r"]}), Some(NOT_A_TOKEN)),
        (&rsa, json!({"alg": "RS256", "kid": null}), Some(NOT_A_TOKEN)),
        (&rsa, json!({"alg": "rs256", "kid": "r"}), Some("algorithm \"rs256\" is not accepted")),
        (&rsa, json!({"alg": "RS257", "kid": "r"}), Some("algorithm \"RS257\" is not accepted")),
        (&rsa, json!({"alg": ["RS256"], "kid": "r"}), Some(NOT_A_TOKEN)),
        (&rsa, json!({"kid": "r"}), Some(NOT_A_TOKEN)),
        (&rsa, json!({"alg": "RS256", "kid": "r", "crit": ["exp"]}), Some(EXTENSION)),
        (&rsa, json!({"alg": "RS256", "kid": "r", "crit": []}), Some(EXTENSION)),
        // Keys that come with the token choose nothing.
        (&other, json!({"alg": "RS256", "kid": "r", "jwk": other.jwk("r")}), Some(SIGNATURE)),
        (
            &other,
            json!({"alg": "RS256", "kid": "x", "jwk": other.jwk("x")}),
            Some("the token is signed with key \"x\", which is not known"),
        ),
        (&other, json!({"alg": "RS256", "kid": "r", "jku": "https://evil.example/keys"}), Some(SIGNATURE)),
        (&other, json!({"alg": "RS256", "kid": "r", "x5u": "https://evil.example/cert"}), Some(SIGNATURE)),
        (&other, json!({"alg": "RS256", "kid": "r", "x5c": [encode(b"certificate")]}), Some(SIGNATURE)),
        (
            &rsa,
            json!({"alg": "RS256", "kid": "r", "jku": "https://evil.example/keys", "jwk": other.jwk("r")}),
            None,
        ),
    ];
    for (signer, header, expected) in rows {
        assert_eq!(refusal(&verifier, &signer.sign(&header, &claims())).as_deref(), expected, "{header}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused_however_none_is_spelled() {
    let rsa = Signer::rsa();
    let verifier = verifier(&[rsa.jwk("r")]);
    let payload = encode(claims().to_string().as_bytes());
    for name in ["none", "None", "NONE", "nOnE", "none ", ""] {
        for header in [json!({"alg": name}), json!({"alg": name, "kid": "r"})] {
            let head = encode(header.to_string().as_bytes());
            let signed = rsa.sign(&json!({"alg": "RS256"}), &claims());
            let signature = signed.rsplit('.').next().expect("a signature");
            for signature in ["", signature] {
                let refused = refusal(&verifier, &format!("{head}.{payload}.{signature}"));
                assert_eq!(refused, Some(format!("algorithm \"{name}\" is not accepted")), "{header}");
            }
        }
    }
}

/// The public key is known to everybody; taken for a shared secret it would let everybody sign.
#[test]
fn a_public_key_is_never_a_shared_secret() {
    let rsa = Signer::rsa();
    let jwk = rsa.jwk("r");
    let shared = json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": encode(b"a secret in a public place, 32 bytes")});
    let verifier = verifier(&[jwk.clone(), shared]);
    let der = public_key_der(&decode(&jwk["n"]), &decode(&jwk["e"]));
    let pem = pem_of(&der);
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last newline", pem.trim_end().as_bytes().to_vec()),
        ("DER", der),
        ("n", decode(&jwk["n"])),
        ("n as text", jwk["n"].as_str().expect("text").as_bytes().to_vec()),
        ("the key as JSON", jwk.to_string().into_bytes()),
        ("the shared key", b"a secret in a public place, 32 bytes".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (name, secret) in secrets {
        for algorithm in [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::HS512] {
            for kid in [None, Some("r"), Some("shared")] {
                let mut header = jsonwebtoken::Header::new(algorithm);
                header.kid = kid.map(str::to_owned);
                let key = jsonwebtoken::EncodingKey::from_secret(&secret);
                let token = jsonwebtoken::encode(&header, &claims(), &key).expect("signs");
                let refused = refusal(&verifier, &token).expect("a forged token");
                assert_eq!(refused, format!("algorithm \"{algorithm:?}\" is not accepted"), "{name}");
            }
        }
    }
    let Value::Object(object) = claims() else { panic!("claims are an object") };
    assert!(refusal(&verifier, &sign_hs256("", &object)).is_some());
}

/// Each row: the keys there are, and whether a token of the first without a `kid` is accepted.
#[test]
fn a_token_without_a_name_for_its_key_needs_exactly_one_that_fits() {
    let (one, two, ed) = (Signer::rsa(), Signer::rsa(), Signer::ed25519());
    let with = |signer: &Signer, changes: Value| {
        let mut jwk = signer.jwk("k");
        jwk.as_object_mut().expect("a key").extend(changes.as_object().expect("changes").clone());
        jwk
    };
    let ambiguous = Some("the token has no \"kid\", and not exactly one key fits it");
    let rows: Vec<(Vec<Value>, Option<&str>)> = vec![
        (vec![one.jwk("1")], None),
        (vec![with(&one, json!({"kid": null}))], None),
        (vec![one.jwk("1"), ed.jwk("ed")], None),
        (vec![one.jwk("1"), with(&two, json!({"use": "enc"}))], None),
        (vec![one.jwk("1"), with(&two, json!({"alg": "PS256"}))], None),
        (vec![one.jwk("1"), two.jwk("2")], ambiguous),
        (vec![ed.jwk("ed")], ambiguous),
        (vec![two.jwk("2")], Some(SIGNATURE)),
    ];
    for (keys, expected) in rows {
        let token = one.sign(&json!({"alg": "RS256"}), &claims());
        assert_eq!(refusal(&verifier(&keys), &token).as_deref(), expected, "{keys:?}");
    }
}

#[test]
fn claims_that_cannot_be_read_in_one_way_are_refused() {
    let ed = Signer::ed25519();
    let verifier = verifier(&[ed.jwk("ed")]);
    let header = json!({"alg": "EdDSA", "kid": "ed"});
    let deep = format!("{{\"exp\": {}, \"x\": {}{}}}", NOW + 60, "[".repeat(5_000), "]".repeat(5_000));
    let rows: Vec<(Vec<u8>, Option<&str>)> = vec![
        (format!("{{\"exp\": {}}}", NOW + 60).into(), None),
        (format!(" {{\"exp\": {}}}\n", NOW + 60).into(), None),
        (format!("{{\"exp\": {}, \"exp\": {}}}", NOW - 60, NOW + 60).into(), Some(NOT_A_TOKEN)),
        (format!("{{\"exp\": {}, \"sub\": \"a\", \"sub\": \"b\"}}", NOW + 60).into(), Some(NOT_A_TOKEN)),
        (
            format!("{{\"exp\": {}, \"sub\": \"a\", \"s\\u0075b\": \"b\"}}", NOW + 60).into(),
            Some(NOT_A_TOKEN),
        ),
        (
            [format!("{{\"exp\": {}, \"sub\": \"", NOW + 60).as_bytes(), b"\xff\"}"].concat(),
            Some(NOT_A_TOKEN),
        ),
        (deep.into(), Some(NOT_A_TOKEN)),
        (format!("{{\"exp\": {}}} x", NOW + 60).into(), Some(NOT_A_TOKEN)),
        (b"{\"exp\": 1e999}".to_vec(), Some(NOT_A_TOKEN)),
        (b"{\"exp\": NaN}".to_vec(), Some(NOT_A_TOKEN)),
        (b"[]".to_vec(), Some(NOT_A_TOKEN)),
        (Vec::new(), Some(NOT_A_TOKEN)),
    ];
    for (text, expected) in rows {
        let token = ed.sign_text(&header, &text);
        assert_eq!(refusal(&verifier, &token).as_deref(), expected, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_token_that_is_cut_or_padded_is_refused() {
    let ed = Signer::ed25519();
    let verifier = verifier(&[ed.jwk("ed")]);
    let good = ed.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let twice = encode(br#"{"alg": "HS256", "alg": "EdDSA", "kid": "ed"}"#);
    let binary = encode(b"{\"alg\": \"EdDSA\", \"kid\": \"\xff\"}");
    let huge = encode(format!(r#"{{"alg": "EdDSA", "kid": "{}"}}"#, "k".repeat(40_000)).as_bytes());
    let rows = [
        (good.clone(), None),
        (format!("{head}.{payload}"), Some(NOT_A_TOKEN)),
        (format!("{head}.{payload}."), Some(SIGNATURE)),
        (good[..good.len() - 1].to_owned(), Some(SIGNATURE)),
        (format!("{good}.{signature}"), Some(NOT_A_TOKEN)),
        (format!("{good}."), Some(NOT_A_TOKEN)),
        (format!("{head}=.{payload}.{signature}"), Some(NOT_A_TOKEN)),
        (format!("{head}.{payload}.{signature}="), Some(SIGNATURE)),
        (format!("{head}.{payload}.{signature}=="), Some(SIGNATURE)),
        (format!("{head}.{payload}. {signature}"), Some(SIGNATURE)),
        (format!("{head} .{payload}.{signature}"), Some(NOT_A_TOKEN)),
        (format!("{head}.{payload}\n.{signature}"), Some(SIGNATURE)),
        (format!("{twice}.{payload}.{signature}"), Some(NOT_A_TOKEN)),
        (format!("{binary}.{payload}.{signature}"), Some(NOT_A_TOKEN)),
        (format!("{huge}.{payload}.{signature}"), Some(UNKNOWN_LONG)),
        (
            format!("{}.{payload}.{signature}", "A".repeat(65_536)),
            Some("the token is longer than 65536 bytes"),
        ),
    ];
    for (token, expected) in rows {
        let shown = &token[..token.len().min(200)];
        let refused = refusal(&verifier, &token);
        assert_eq!(refused.as_deref(), expected, "{shown}");
        assert!(refused.is_none_or(|reason| reason.len() <= 123));
    }
}

#[test]
fn newer_keys_take_the_place_of_older_ones() {
    let (old, new) = (Signer::ed25519(), Signer::ed25519());
    let empty = KeySetVerifier::new(Algorithm::ALL.to_vec(), JwtConfig::default());
    let token = |signer: &Signer, kid: &str| signer.sign(&json!({"alg": "EdDSA", "kid": kid}), &claims());
    let (of_old, of_new) = (token(&old, "old"), token(&new, "new"));
    let error = empty.verify(&of_old, now()).expect_err("no keys yet");
    assert!(error == TokenError::NoKeys && error.may_be_mended_by_newer_keys());
    let replace = |keys: &[Value]| {
        let set = KeySet::parse(key_set(keys).as_bytes(), empty.algorithms()).expect("good keys");
        empty.replace(Arc::new(set));
    };
    replace(&[old.jwk("old")]);
    assert!(empty.verify(&of_old, now()).is_ok());
    let error = empty.verify(&of_new, now()).expect_err("a new key");
    assert!(error.may_be_mended_by_newer_keys(), "{error}");
    replace(&[old.jwk("old"), new.jwk("new")]);
    assert!(empty.verify(&of_old, now()).is_ok() && empty.verify(&of_new, now()).is_ok());
    replace(&[new.jwk("new")]);
    assert!(empty.verify(&of_old, now()).is_err() && empty.verify(&of_new, now()).is_ok());
    let forged = empty.verify(&token(&old, "new"), now()).expect_err("another key of that name");
    assert!(!forged.may_be_mended_by_newer_keys(), "{forged}");
}

fn verifier(keys: &[Value]) -> KeySetVerifier {
    let verifier = KeySetVerifier::new(Algorithm::ALL.to_vec(), JwtConfig::default());
    let set = KeySet::parse(key_set(keys).as_bytes(), verifier.algorithms()).expect("a good key set");
    verifier.replace(Arc::new(set));
    verifier
}

fn refusal(verifier: &KeySetVerifier, token: &str) -> Option<String> {
    verifier.verify(token, now()).err().map(|error| error.to_string())
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": NOW + 60 })
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// SubjectPublicKeyInfo ([RFC 5280, 4.1.2.7](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7)) of an RSA key: the
/// bytes that stand in a PEM file.
fn public_key_der(n: &[u8], e: &[u8]) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).expect("keys are short").to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    };
    let integer = |number: &[u8]| element(2, &[&[0], number].concat());
    let key = element(0x30, &[integer(n), integer(e)].concat());
    let rsa_encryption = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    let bits = element(3, &[&[0], key.as_slice()].concat());
    element(0x30, &[rsa_encryption.as_slice(), &bits].concat())
}

fn pem_of(der: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

const EXTENSION: &str = "the token demands an extension that is not spoken here";
const NOT_A_TOKEN: &str = "the token is not a JSON Web Token";
const SIGNATURE: &str = "the signature of the token does not match";
const UNKNOWN_LONG: &str =
    "the token is signed with key \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…\", which is not known";
