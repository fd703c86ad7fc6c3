//! From a token to a principal: [`TokenVerifier`] and [`HmacVerifier`].

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value};

use crate::{Principal, PrincipalConfig, SecretError, TokenError, claims, jws::Jws};

/// Says whose a token is.
///
/// # Contract
///
/// - A principal is returned only for a token whose signature, time, audience and issuer were checked.
/// - The algorithms are fixed when the verifier is made; the token has no say in it.
/// - `now` is the only clock. Nothing waits, and nothing is remembered from one call to the next.
pub trait TokenVerifier: Send + Sync {
    /// The principal of a token as it stands at `now`, without `Bearer `.
    ///
    /// # Errors
    ///
    /// Why the token is refused.
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenError>;
}

/// What tokens must say, and what is kept of them.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// One of these must be in `aud`; empty: `aud` is not looked at.
    pub audience: Vec<String>,
    /// What `iss` must be; `None`: it is not looked at.
    pub issuer: Option<String>,
    /// How far clocks may differ: so much later a token still counts, and so much earlier already. 5 s.
    pub leeway: Duration,
    /// What becomes of the claims.
    pub principal: PrincipalConfig,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            issuer: None,
            leeway: Duration::from_secs(5),
            principal: PrincipalConfig::default(),
        }
    }
}

impl JwtConfig {
    /// The principal of a token whose signature is right.
    pub(crate) fn principal(&self, token: &Jws<'_>, now: SystemTime) -> Result<Principal, TokenError> {
        let claims = token.claims()?;
        let expires_at = claims::check(&claims, self, now)?;
        Ok(Principal::from_claims(&claims, expires_at, &self.principal))
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
    pub fn new(secret: &str, config: JwtConfig) -> Result<Self, SecretError> {
        if secret.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self { key: DecodingKey::from_secret(secret.as_bytes()), config })
    }
}

impl TokenVerifier for HmacVerifier {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenError> {
        let token = Jws::split(token)?;
        let header = token.header()?;
        if header.alg != "HS256" {
            return Err(header.refused_algorithm());
        }
        token.check_signature(&self.key, Algorithm::HS256)?;
        self.config.principal(&token, now)
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

/// RFC 7518, 3.2: a key of the same size as the hash output, or larger.
const MIN_SECRET_BYTES: usize = 32;
