//! From a token to a principal: [`TokenVerifier`] and [`HmacVerifier`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use crate::{Principal, SecretError, TokenError, claims, error::Quoted};

/// Longest token that is looked at, in bytes. Keycloak's permissions can fill tens of thousands.
pub const MAX_TOKEN_BYTES: usize = 65_536;

/// Says whose a token is.
///
/// # Contract
///
/// - A principal is returned only for a token whose signature, time, audience and issuer were checked.
/// - The algorithm is fixed when the verifier is made; the token has no say in it.
/// - `now` is the only clock. Nothing waits, and nothing is remembered from one call to the next.
pub trait TokenVerifier: Send + Sync {
    /// The principal of a token as it stands at `now`, without `Bearer `.
    ///
    /// # Errors
    ///
    /// Why the token is refused.
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenError>;
}

/// How tokens with a shared secret are checked, and what is kept of them.
#[derive(Clone)]
pub struct JwtConfig {
    /// The secret that they are signed with.
    pub secret: String,
    /// One of these must be in `aud`; empty: `aud` is not looked at.
    pub audience: Vec<String>,
    /// What `iss` must be; `None`: it is not looked at.
    pub issuer: Option<String>,
    /// How far clocks may differ: so much later a token still counts, and so much earlier already. 5 s.
    pub leeway: Duration,
    /// The claims that [`Principal::claims`] keeps.
    pub keep: BTreeSet<String>,
    /// The claim that names the tenant, or the tenants.
    pub tenant_claim: Option<String>,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            secret: String::new(),
            audience: Vec::new(),
            issuer: None,
            leeway: Duration::from_secs(5),
            keep: BTreeSet::new(),
            tenant_claim: None,
        }
    }
}

impl fmt::Debug for JwtConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtConfig")
            .field("secret", &"…")
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .field("leeway", &self.leeway)
            .field("keep", &self.keep)
            .field("tenant_claim", &self.tenant_claim)
            .finish()
    }
}

/// Accepts tokens that are signed with HS256 and a shared secret, and no others.
#[derive(Debug)]
pub struct HmacVerifier {
    key: DecodingKey,
    config: JwtConfig,
}

impl HmacVerifier {
    /// A verifier for one secret.
    ///
    /// # Errors
    ///
    /// The secret is empty.
    pub fn new(config: JwtConfig) -> Result<Self, SecretError> {
        if config.secret.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self { key: DecodingKey::from_secret(config.secret.as_bytes()), config })
    }
}

impl TokenVerifier for HmacVerifier {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenError> {
        let parts = Parts::split(token)?;
        parts.check_header()?;
        let signed = parts.signed.as_bytes();
        // A signature that is not base64 fails otherwise than a wrong one; to the client both are the same mistake.
        if !crypto::verify(parts.signature, signed, &self.key, Algorithm::HS256).unwrap_or(false) {
            return Err(TokenError::Signature);
        }
        let claims: Map<String, Value> = decode(parts.payload)?;
        let expires_at = claims::check(&claims, &self.config, now)?;
        let tenant_claim = self.config.tenant_claim.as_deref();
        Ok(Principal::from_claims(&claims, expires_at, &self.config.keep, tenant_claim))
    }
}

/// What to tell the operator of a secret that works but should not be used; `None` if it is long enough.
pub fn secret_warning(secret: &str) -> Option<String> {
    let length = secret.len();
    (length < MIN_SECRET_BYTES).then(|| {
        format!(
            "the secret has {length} bytes; HS256 needs at least {MIN_SECRET_BYTES} (RFC 7518, 3.2), or whoever holds a token can find it by trying"
        )
    })
}

/// A token with these claims, signed with HS256.
pub fn sign_hs256(secret: &str, claims: &Map<String, Value>) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)
        .expect("a JSON object can be written as JSON, and HMAC takes every key")
}

/// A token in JWS Compact Serialization, [RFC 7515, 7.1](https://www.rfc-editor.org/rfc/rfc7515#section-7.1).
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload with the dot between them: what the signature is over.
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotAToken)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::NotAToken)?;
        if payload.contains('.') {
            return Err(TokenError::NotAToken);
        }
        Ok(Self { header, payload, signature, signed })
    }

    /// The header is read for its words alone: `jwk`, `jku`, `x5c` and `kid` in it choose nothing.
    ///
    /// Anybody may have written it. So its values stay text: reading them could nest deeper than a stack is high, since
    /// `Value` takes the text of a member `$serde_json::private::RawValue` for JSON that may nest anew.
    fn check_header(&self) -> Result<(), TokenError> {
        let header: BTreeMap<String, Box<RawValue>> = decode(self.header)?;
        let algorithm = header.get("alg").ok_or(TokenError::NotAToken)?;
        let algorithm: String = serde_json::from_str(algorithm.get()).map_err(|_| TokenError::NotAToken)?;
        if algorithm != "HS256" {
            return Err(TokenError::Algorithm(Quoted::new(&algorithm)));
        }
        // RFC 7515, 4.1.11: whoever does not understand an extension in `crit` must refuse the token.
        if header.contains_key("crit") {
            return Err(TokenError::Extension);
        }
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::NotAToken)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::NotAToken)
}

/// RFC 7518, 3.2: a key of the same size as the hash output, or larger.
const MIN_SECRET_BYTES: usize = 32;
