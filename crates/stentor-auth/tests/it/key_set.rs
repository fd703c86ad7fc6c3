//! Which keys of a provider are used, and what is said of the others.

use serde_json::{Value, json};
use stentor_auth::{Algorithm, KeySet, MAX_KEY_SET_BYTES, MAX_KEYS};

use crate::signer::{Signer, decode, encode, key_set};

/// Each row: what a good key is changed to, and why it is passed over; `None`: it is used.
#[test]
fn a_key_is_used_only_if_it_can_verify_and_may() {
    let (rsa, p256, p384, ed) = (Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519());
    let (rsa, p256, p384, ed) = (rsa.jwk("k"), p256.jwk("k"), p384.jwk("k"), ed.jwk("k"));
    let short = decode(&rsa["n"])[..128].to_vec();
    let mut off_curve = decode(&p256["y"]);
    off_curve[31] ^= 1;
    let long = [&[0xff; 1_025][..], &[1]].concat();
    let padded = format!("{}=", rsa["n"].as_str().expect("text"));
    let rows: Vec<(&Value, Value, Option<&str>)> = vec![
        (&rsa, json!({}), None),
        (&p256, json!({}), None),
        (&p384, json!({}), None),
        (&ed, json!({}), None),
        (&rsa, json!({"use": "sig", "alg": "RS256", "key_ops": ["verify"]}), None),
        (&rsa, json!({"alg": "PS512"}), None),
        (&rsa, json!({"x5c": ["not looked at"], "x5u": "http://evil.example", "new": {"of": [1]}}), None),
        (&rsa, json!({"use": "enc"}), Some("key \"k\" is for encryption, not for signatures")),
        (
            &rsa,
            json!({"key_ops": ["encrypt", "wrapKey"]}),
            Some("key \"k\" is for encryption, not for signatures"),
        ),
        (
            &rsa,
            json!({"alg": "RSA-OAEP"}),
            Some("key \"k\" is for \"RSA-OAEP\", which `auth.jwt.algorithms` does not list"),
        ),
        (
            &rsa,
            json!({"alg": "HS256"}),
            Some("key \"k\" is for \"HS256\", which `auth.jwt.algorithms` does not list"),
        ),
        (
            &rsa,
            json!({"alg": "none"}),
            Some("key \"k\" is for \"none\", which `auth.jwt.algorithms` does not list"),
        ),
        (&rsa, json!({"alg": "ES256"}), Some("key \"k\" says a \"alg\" that does not fit its \"kty\"")),
        (&p256, json!({"alg": "ES384"}), Some("key \"k\" says a \"alg\" that does not fit its \"kty\"")),
        (&rsa, json!({"n": encode(&short)}), Some("key \"k\" has 1024 bits; RSA keys need 2048 to 8192")),
        (
            &rsa,
            json!({"n": encode(&[&[0; 200][..], &short].concat())}),
            Some("key \"k\" has 1024 bits; RSA keys need 2048 to 8192"),
        ),
        (&rsa, json!({"n": encode(&long)}), Some("key \"k\" has 8208 bits; RSA keys need 2048 to 8192")),
        (&rsa, json!({"n": ""}), Some("key \"k\" has 0 bits; RSA keys need 2048 to 8192")),
        (&rsa, json!({"n": null}), Some("key \"k\" is damaged: \"n\" is missing")),
        (&rsa, json!({"n": padded}), Some("key \"k\" is damaged: \"n\" is not base64url without padding")),
        (
            &rsa,
            json!({"e": encode(&[1])}),
            Some("key \"k\" is damaged: its exponent is not an odd number from 3"),
        ),
        (
            &rsa,
            json!({"e": encode(&[1, 0, 0])}),
            Some("key \"k\" is damaged: its exponent is not an odd number from 3"),
        ),
        (&p256, json!({"y": encode(&off_curve)}), Some("key \"k\" is damaged: it is no point of its curve")),
        (
            &p256,
            json!({"y": encode(&off_curve[1..])}),
            Some("key \"k\" is damaged: it is no point of its curve"),
        ),
        (&p256, json!({"crv": "P-384"}), Some("key \"k\" is damaged: it is no point of its curve")),
        (
            &p256,
            json!({"crv": "secp256k1"}),
            Some("key \"k\" has the curve \"secp256k1\", which is not supported"),
        ),
        (&p256, json!({"crv": null}), Some("key \"k\" is damaged: \"crv\" is missing")),
        (&ed, json!({"crv": "Ed448"}), Some("key \"k\" has the curve \"Ed448\", which is not supported")),
        (&ed, json!({"crv": "X25519"}), Some("key \"k\" has the curve \"X25519\", which is not supported")),
        (&ed, json!({"x": encode(&[7; 31])}), Some("key \"k\" is damaged: it is no point of its curve")),
        (
            &rsa,
            json!({"kty": "oct", "k": encode(b"0123")}),
            Some("key \"k\" is a shared secret, which must not stand in a public key set"),
        ),
        (&rsa, json!({"kty": "AKP"}), Some("key \"k\" is of the type \"AKP\", which is not supported")),
        (&rsa, json!({"kty": 7}), Some("a key without \"kid\" is not a JSON Web Key")),
        (&rsa, json!({"kid": 7}), Some("a key without \"kid\" is not a JSON Web Key")),
    ];
    let neighbour = Signer::ed25519().jwk("neighbour");
    for (key, change, expected) in rows {
        let mut key = key.clone();
        key.as_object_mut().expect("a key").extend(change.as_object().expect("a change").clone());
        let set = KeySet::parse(key_set(&[key, neighbour.clone()]).as_bytes(), Algorithm::ALL)
            .expect("one is good");
        let skipped: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(skipped, Vec::from_iter(expected), "{change}");
        assert_eq!(set.len(), if expected.is_some() { 1 } else { 2 }, "{change}");
    }
}

#[test]
fn keys_of_algorithms_that_are_not_accepted_are_passed_over() {
    let keys = key_set(&[Signer::rsa().jwk("r"), Signer::p256().jwk("e")]);
    let set = KeySet::parse(keys.as_bytes(), &[Algorithm::Es256]).expect("one is good");
    assert_eq!(set.names().collect::<Vec<_>>(), ["e"]);
    let said = set.skipped()[0].to_string();
    assert_eq!(said, "key \"r\" is for \"RSA\", which `auth.jwt.algorithms` does not list");
}

#[test]
fn of_two_keys_with_one_name_the_first_is_used() {
    let first = Signer::ed25519().jwk("k");
    let keys = key_set(&[first, Signer::ed25519().jwk("k"), Signer::p256().jwk("k")]);
    let set = KeySet::parse(keys.as_bytes(), Algorithm::ALL).expect("a good set");
    assert_eq!(set.len(), 2, "another kind of key is never meant by the same token");
    assert_eq!(set.skipped()[0].to_string(), "key \"k\" has the name of another key before it");
}

#[test]
fn text_that_is_no_key_set_is_refused() {
    let good = Signer::ed25519().jwk("k");
    let many = key_set(&vec![good.clone(); MAX_KEYS + 1]);
    let long = format!("{}{}", key_set(&[good]), " ".repeat(MAX_KEY_SET_BYTES));
    let deep = format!("{{\"keys\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    const NO_SET: &str = "this is not a JSON Web Key Set: an object with a list \"keys\"";
    let rows = [
        ("", NO_SET),
        ("<html>", NO_SET),
        ("null", NO_SET),
        ("{}", NO_SET),
        ("[[]]", NO_SET),
        (r#"{"keys": {}}"#, NO_SET),
        (r#"{"keys": [], "keys": []}"#, NO_SET),
        (&deep, "none of the 1 keys can be used: a key without \"kid\" is not a JSON Web Key"),
        (r#"{"keys": []}"#, "none of the 0 keys can be used"),
        (
            r#"{"keys": [7, []]}"#,
            "none of the 2 keys can be used: a key without \"kid\" is not a JSON Web Key",
        ),
        (&many, "the key set has 101 keys; at most 100 are read"),
        (&long, "the key set is longer than 262144 bytes"),
    ];
    for (text, expected) in rows {
        let error = KeySet::parse(text.as_bytes(), Algorithm::ALL).expect_err("no key set").to_string();
        assert_eq!(error, expected, "{}", &text[..text.len().min(60)]);
    }
    assert!(KeySet::parse(b"{\"keys\": [\"\xff\"]}", Algorithm::ALL).is_err());
}
