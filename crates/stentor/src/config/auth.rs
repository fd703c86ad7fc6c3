//! `[auth]`: who may connect, and what checks their tokens: [`AuthConfig`].

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use reqwest::Url;
use stentor_auth::Algorithm;

use super::{Period, Secret};

/// `[auth]`: who may connect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthConfig {
    /// The claim that names the tenant, or the tenants.
    pub tenant_claim: Option<String>,
    /// Whether a connection without a token is let in.
    pub anonymous: bool,
    /// The scopes that a role brings; `CLIENT/ROLE` is a client's role, any other name a realm's.
    pub roles: BTreeMap<String, Vec<String>>,
    /// `[auth.jwt]`
    pub jwt: AuthJwtConfig,
}

/// `[auth.jwt]`: which tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthJwtConfig {
    /// The secret that tokens are signed with; empty: keys come from an address.
    pub secret: Secret,
    /// Where the public keys are.
    pub jwks_url: Option<String>,
    /// What `iss` must be, and where the address of the keys is found if neither secret nor address is given.
    pub issuer: Option<String>,
    /// How tokens may be signed that are checked with public keys.
    pub algorithms: Vec<Algorithm>,
    /// One of these must be in `aud`; empty: `aud` is not looked at.
    pub audience: Vec<String>,
    /// Longest time between two fetches of the keys.
    pub refresh_interval: Period,
    /// Certificates to trust, beside the system's, where the keys are fetched.
    pub ca_file: Option<PathBuf>,
    /// Whether keys may be fetched without encryption from other machines.
    pub dangerously_allow_http: bool,
}

impl Default for AuthJwtConfig {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            jwks_url: None,
            issuer: None,
            algorithms: Algorithm::ALL.to_vec(),
            audience: Vec::new(),
            refresh_interval: Period::minutes(5),
            ca_file: None,
            dangerously_allow_http: false,
        }
    }
}

/// What tokens are checked with.
#[derive(Clone, Debug)]
pub enum KeySource<'a> {
    /// A shared secret.
    Secret(&'a Secret),
    /// The keys at this address.
    Url(Url),
    /// The keys at the address that this issuer's OpenID configuration names.
    Issuer(Url),
}

impl AuthJwtConfig {
    /// What tokens are checked with: exactly one kind of key.
    ///
    /// # Errors
    ///
    /// There is none, or more than one, or its address cannot be used; with the fix.
    pub fn key_source(&self) -> Result<KeySource<'_>, String> {
        match (self.secret.expose().is_empty(), &self.jwks_url, &self.issuer) {
            (false, Some(_), _) => Err(TWO_KINDS.to_owned()),
            (false, None, _) => Ok(KeySource::Secret(&self.secret)),
            (true, Some(url), _) => Ok(KeySource::Url(self.check_url("auth.jwt.jwks_url", url)?)),
            (true, None, Some(url)) => Ok(KeySource::Issuer(self.check_url("auth.jwt.issuer", url)?)),
            (true, None, None) => Err(NO_KEYS.to_owned()),
        }
    }

    /// What to tell the operator of a configuration that works, but may let in tokens that are not meant for this server.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        let by_secret = !self.secret.expose().is_empty();
        let any_audience = (!by_secret && self.audience.is_empty()).then_some(ANY_AUDIENCE);
        let any_issuer = (!by_secret && self.issuer.is_none()).then_some(ANY_ISSUER);
        any_audience.into_iter().chain(any_issuer).collect()
    }

    /// Whether keys may be fetched from there. Whoever can change an answer on its way can sign tokens for everybody.
    pub(crate) fn may_fetch_from(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.dangerously_allow_http || is_loopback(url),
            _ => false,
        }
    }

    fn check_url(&self, path: &str, text: &str) -> Result<Url, String> {
        let url =
            Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            format!("`{path}` is not an address such as \"https://id.example.com/realms/main\"")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("`{path}` must not hold a user or a password; keys are public"));
        }
        if !self.may_fetch_from(&url) {
            return Err(format!(
                "`{path}` must begin with https://: keys that come over http:// from another machine can be replaced on their way; \
                     `auth.jwt.dangerously_allow_http = true` takes that risk"
            ));
        }
        Ok(url)
    }
}

/// Whether the address is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

const ANY_AUDIENCE: &str = "every token of the provider is let in, also those for other services; set `auth.jwt.audience` to what `aud` \
says in tokens for this server";
const ANY_ISSUER: &str = "tokens of every issuer with these keys are let in, and some providers have one set of keys for many; set \
`auth.jwt.issuer` to what `iss` says in the tokens";
const NO_KEYS: &str = "with an `[auth]` there must be keys to check tokens with: `auth.jwt.issuer` (an OpenID provider such as a Keycloak \
realm), `auth.jwt.jwks_url` (its keys), or `auth.jwt.secret` (HS256)";
const TWO_KINDS: &str = "`auth.jwt.secret` and `auth.jwt.jwks_url` exclude each other: a token is checked with a shared secret or with public \
keys; remove one of the two";
