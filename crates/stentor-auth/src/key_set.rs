//! The public keys of an identity provider: [`KeySet`].

use std::collections::HashSet;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{Algorithm, TokenError, algorithm::KeyKind, error::Quoted};

/// Longest key set that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 262_144;

/// Most keys that a set may have, those that cannot be used included.
pub const MAX_KEYS: usize = 100;

/// Public keys, as a JSON Web Key Set ([RFC 7517, 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)) has them.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

/// A key that is passed over, and why.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{} {problem}", .kid.as_ref().map_or_else(|| "a key without \"kid\"".to_owned(), |kid| format!("key {kid}")))]
pub struct SkippedKey {
    kid: Option<Quoted>,
    problem: KeyProblem,
}

/// Text that is no key set.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeySetError {
    /// It is not JSON, or has no `keys`.
    #[error("this is not a JSON Web Key Set: an object with a list \"keys\"")]
    NotAKeySet,
    /// None of its keys can be used.
    #[error("none of the {} keys can be used{}", .0.len(), .0.first().map(|first| format!(": {first}")).unwrap_or_default())]
    NoUsableKey(Vec<SkippedKey>),
    /// It is longer than [`MAX_KEY_SET_BYTES`].
    #[error("the key set is longer than {MAX_KEY_SET_BYTES} bytes")]
    TooLong,
    /// It has more keys than [`MAX_KEYS`].
    #[error("the key set has {0} keys; at most {MAX_KEYS} are read")]
    TooManyKeys(usize),
}

/// What is wrong with a key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
enum KeyProblem {
    #[error("is for {0}, which `auth.jwt.algorithms` does not list")]
    Algorithm(Quoted),
    #[error("has the curve {0}, which is not supported")]
    Curve(Quoted),
    #[error("has the name of another key before it")]
    Duplicate,
    #[error("is damaged: \"{0}\" is not base64url without padding")]
    Encoding(&'static str),
    #[error("says a \"{0}\" that does not fit its \"kty\"")]
    Mismatch(&'static str),
    #[error("is damaged: \"{0}\" is missing")]
    Missing(&'static str),
    #[error("is not a JSON Web Key")]
    NotAKey,
    #[error("is damaged: it is no point of its curve")]
    Point,
    #[error("is for encryption, not for signatures")]
    Purpose,
    #[error("has {0} bits; RSA keys need {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    RsaBits(usize),
    #[error("is damaged: its exponent is not an odd number from 3")]
    RsaExponent,
    #[error("is a shared secret, which must not stand in a public key set")]
    Symmetric,
    #[error("is of the type {0}, which is not supported")]
    Type(Quoted),
}

#[derive(Debug)]
pub(crate) struct Key {
    kid: Option<Box<str>>,
    kind: KeyKind,
    /// The only algorithm that it may be used with, if the provider says one.
    algorithm: Option<Algorithm>,
    pub(crate) key: DecodingKey,
}

impl KeySet {
    /// Reads a key set, for tokens that are signed with one of `algorithms`.
    ///
    /// A key that cannot be used is [skipped](Self::skipped), so that what a provider adds for others does no harm.
    ///
    /// # Errors
    ///
    /// It is no key set, too large, or nothing in it can be used.
    pub fn parse(json: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeySetError> {
        if json.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLong);
        }
        let text = std::str::from_utf8(json).map_err(|_| KeySetError::NotAKeySet)?;
        // A struct would be read from a list too.
        if !text.trim_start().starts_with('{') {
            return Err(KeySetError::NotAKeySet);
        }
        let set: WireKeySet<'_> = serde_json::from_str(text).map_err(|_| KeySetError::NotAKeySet)?;
        if set.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(set.keys.len()));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        let mut names = HashSet::new();
        for wire in set.keys {
            match read_key(wire.get(), algorithms, &mut names) {
                Ok(key) => keys.push(key),
                Err(problem) => skipped.push(problem),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey(skipped)) } else { Ok(Self { keys, skipped }) }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no key; a set that was read has one.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that were passed over.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The names of the keys, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_deref().unwrap_or_default())
    }

    /// The one key for a token with this `kid` and algorithm.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(TokenError::KeyNotNamed),
            };
        };
        let mut named = self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)).peekable();
        if named.peek().is_none() {
            return Err(TokenError::UnknownKey(Quoted::new(kid)));
        }
        let mismatch = || TokenError::KeyAlgorithm(Quoted::new(algorithm.as_str()));
        named.find(|key| key.fits(algorithm)).ok_or_else(mismatch)
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind == algorithm.key_kind() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

/// The keys stay text at first, so that a damaged one does not spoil the others.
#[derive(Deserialize)]
struct WireKeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn read_key(
    text: &str,
    algorithms: &[Algorithm],
    names: &mut HashSet<(String, &'static str)>,
) -> Result<Key, SkippedKey> {
    let wire = Some(text).filter(|text| text.starts_with('{'));
    let wire = wire.and_then(|text| serde_json::from_str::<WireKey>(text).ok());
    let wire = wire.ok_or(SkippedKey { kid: None, problem: KeyProblem::NotAKey })?;
    let skipped = |problem| SkippedKey { kid: wire.kid.as_deref().map(Quoted::new), problem };
    let key = wire.read(algorithms).map_err(skipped)?;
    // Two keys of one name would leave open which of them a token means.
    if let Some(kid) = &wire.kid
        && !names.insert((kid.clone(), key.kind.as_str()))
    {
        return Err(skipped(KeyProblem::Duplicate));
    }
    Ok(key)
}

impl WireKey {
    fn read(&self, algorithms: &[Algorithm]) -> Result<Key, KeyProblem> {
        if self.kty == "oct" {
            return Err(KeyProblem::Symmetric);
        }
        let verifies = self.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|name| name == "verify"));
        if !verifies || self.purpose.as_ref().is_some_and(|purpose| purpose != "sig") {
            return Err(KeyProblem::Purpose);
        }
        let (kind, key) = match self.kty.as_str() {
            "RSA" => (KeyKind::Rsa, self.rsa()?),
            "EC" => self.elliptic()?,
            "OKP" => (KeyKind::Ed25519, self.edwards()?),
            other => return Err(KeyProblem::Type(Quoted::new(other))),
        };
        let algorithm = self.algorithm(kind, algorithms)?;
        Ok(Key { kid: self.kid.as_deref().map(Box::from), kind, algorithm, key })
    }

    fn algorithm(&self, kind: KeyKind, accepted: &[Algorithm]) -> Result<Option<Algorithm>, KeyProblem> {
        let Some(name) = &self.alg else {
            return match accepted.iter().any(|algorithm| algorithm.key_kind() == kind) {
                true => Ok(None),
                false => Err(KeyProblem::Algorithm(Quoted::new(kind.as_str()))),
            };
        };
        let unlisted = || KeyProblem::Algorithm(Quoted::new(name));
        let algorithm: Algorithm = name.parse().map_err(|_| unlisted())?;
        match () {
            () if algorithm.key_kind() != kind => Err(KeyProblem::Mismatch("alg")),
            () if !accepted.contains(&algorithm) => Err(unlisted()),
            () => Ok(Some(algorithm)),
        }
    }

    fn rsa(&self) -> Result<DecodingKey, KeyProblem> {
        let (n, e) = (bytes("n", self.n.as_ref())?, bytes("e", self.e.as_ref())?);
        let bits = bit_length(&n);
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyProblem::RsaBits(bits));
        }
        let odd = e.last().is_some_and(|last| last % 2 == 1);
        if !odd || bit_length(&e) < 2 {
            return Err(KeyProblem::RsaExponent);
        }
        Ok(DecodingKey::from_rsa_raw_components(&n, &e))
    }

    fn elliptic(&self) -> Result<(KeyKind, DecodingKey), KeyProblem> {
        let (kind, size, curve): (_, _, &'static dyn VerificationAlgorithm) = match self.crv.as_deref() {
            Some("P-256") => (KeyKind::P256, 32, &ECDSA_P256_SHA256_FIXED),
            Some("P-384") => (KeyKind::P384, 48, &ECDSA_P384_SHA384_FIXED),
            Some(other) => return Err(KeyProblem::Curve(Quoted::new(other))),
            None => return Err(KeyProblem::Missing("crv")),
        };
        let (x, y) = (bytes("x", self.x.as_ref())?, bytes("y", self.y.as_ref())?);
        if x.len() != size || y.len() != size {
            return Err(KeyProblem::Point);
        }
        // SEC 1, 2.3.3: 4 announces both coordinates.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        ParsedPublicKey::new(curve, &point).map_err(|_| KeyProblem::Point)?;
        Ok((kind, DecodingKey::from_ec_der(&point)))
    }

    fn edwards(&self) -> Result<DecodingKey, KeyProblem> {
        match self.crv.as_deref() {
            Some("Ed25519") => {}
            Some(other) => return Err(KeyProblem::Curve(Quoted::new(other))),
            None => return Err(KeyProblem::Missing("crv")),
        }
        let x = bytes("x", self.x.as_ref())?;
        ParsedPublicKey::new(&ED25519, &x).map_err(|_| KeyProblem::Point)?;
        Ok(DecodingKey::from_ed_der(&x))
    }
}

fn bytes(name: &'static str, text: Option<&String>) -> Result<Vec<u8>, KeyProblem> {
    let text = text.ok_or(KeyProblem::Missing(name))?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Encoding(name))
}

/// Of a number with its highest byte first.
fn bit_length(number: &[u8]) -> usize {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let zeros = number.get(first).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - first) * 8 - zeros
}

/// RFC 7518, 3.3: RSA keys have 2048 bits or more. More than 8192 cost more time than a signature is worth.
const MIN_RSA_BITS: usize = 2_048;
const MAX_RSA_BITS: usize = 8_192;
