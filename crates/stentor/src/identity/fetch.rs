//! Fetching public keys over HTTP: [`Fetcher`].

use std::{error::Error, fs, time::Duration};

use reqwest::{Certificate, Client, Response, Url, header, redirect};
use serde::Deserialize;
use stentor_auth::{Algorithm, KeySet, KeySetError, MAX_KEY_SET_BYTES};
use tokio::time::timeout;

use crate::{
    BuildError,
    config::{AuthJwtConfig, KeySource, is_loopback},
};

/// Knows where the keys are, and asks for them.
///
/// It follows no redirect, reads no more than [`MAX_KEY_SET_BYTES`], and is done after [`FETCH_TIMEOUT`].
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    place: Url,
    /// The issuer, where the place is that of its OpenID configuration.
    issuer: Option<String>,
    config: AuthJwtConfig,
}

/// Keys as they were fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    /// How long they are good, if the provider says so.
    pub(super) max_age: Option<Duration>,
}

/// Why there are no new keys; each says what to mend.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(
        "{} is not an OpenID configuration with \"issuer\" and \"jwks_uri\"; is `auth.jwt.issuer` right?", shown(.0)
    )]
    Configuration(Url),
    #[error(
        "the keys are said to be at {}, which `auth.jwt` does not allow; it must begin with https://", shown_text(.0)
    )]
    Insecure(String),
    #[error(
        "the provider says that it is {}, and `auth.jwt.issuer` is \"{wanted}\"; they must be the same letter for letter",
        shown_text(.found)
    )]
    Issuer { found: String, wanted: String },
    #[error("{}: {}", shown(.0), .1)]
    Keys(Url, KeySetError),
    #[error("{} redirects, which is not followed; configure the address that it leads to", shown(.0))]
    Redirect(Url),
    #[error("{} answers {}; is the address right, and the provider in order?", shown(.0), .1)]
    Status(Url, u16),
    #[error("{}: no whole answer within {FETCH_TIMEOUT:?}; is the provider reachable from here?", shown(.0))]
    Timeout(Url),
    #[error("{}: the answer is longer than {MAX_KEY_SET_BYTES} bytes", shown(.0))]
    TooLong(Url),
    #[error("{} cannot be reached: {}", shown(.0), .1)]
    Unreachable(Url, String),
}

impl FetchError {
    /// Whether there was an answer, and it was of no use.
    pub(super) fn is_invalid(&self) -> bool {
        !matches!(self, Self::Unreachable(..) | Self::Timeout(_) | Self::Status(..))
    }
}

impl Fetcher {
    /// A fetcher for a configuration; `None` if tokens are checked with a secret.
    ///
    /// # Errors
    ///
    /// The configuration contradicts itself, or its certificates cannot be read.
    pub(super) fn new(config: &AuthJwtConfig) -> Result<Option<Self>, BuildError> {
        let (place, issuer) = match config.key_source().map_err(BuildError::Keys)? {
            KeySource::Secret(_) => return Ok(None),
            KeySource::Url(url) => (url, None),
            KeySource::Issuer(url) => (configuration_of(&url), config.issuer.clone()),
        };
        let client = client(config, &place)?;
        Ok(Some(Self { client, place, issuer, config: config.clone() }))
    }

    /// Where it begins to look.
    pub(super) fn place(&self) -> &Url {
        &self.place
    }

    /// Fetches the keys.
    pub(super) async fn fetch(&self, algorithms: &[Algorithm]) -> Result<Fetched, FetchError> {
        let late = |_| FetchError::Timeout(self.place.clone());
        timeout(FETCH_TIMEOUT, self.find(algorithms)).await.map_err(late)?
    }

    async fn find(&self, algorithms: &[Algorithm]) -> Result<Fetched, FetchError> {
        let url = match &self.issuer {
            None => self.place.clone(),
            Some(issuer) => self.discover(issuer).await?,
        };
        let response = self.ask(&url).await?;
        let max_age = max_age(&response);
        let keys = KeySet::parse(&body(response, &url).await?, algorithms);
        Ok(Fetched { keys: keys.map_err(|error| FetchError::Keys(url, error))?, max_age })
    }

    /// The address of the keys, by [OpenID Connect Discovery, 4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig).
    async fn discover(&self, issuer: &str) -> Result<Url, FetchError> {
        let body = body(self.ask(&self.place).await?, &self.place).await?;
        let found: Option<Configuration> = serde_json::from_slice(&body).ok();
        let found = found.ok_or_else(|| FetchError::Configuration(self.place.clone()))?;
        if found.issuer != issuer {
            return Err(FetchError::Issuer { found: found.issuer, wanted: issuer.to_owned() });
        }
        let url = Url::parse(&found.jwks_uri).ok().filter(|url| self.config.may_fetch_from(url));
        url.ok_or(FetchError::Insecure(found.jwks_uri))
    }

    async fn ask(&self, url: &Url) -> Result<Response, FetchError> {
        let request = self.client.get(url.clone()).header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| unreachable(url, error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status if status.is_redirection() => Err(FetchError::Redirect(url.clone())),
            status => Err(FetchError::Status(url.clone(), status.as_u16())),
        }
    }
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

fn client(config: &AuthJwtConfig, place: &Url) -> Result<Client, BuildError> {
    let mut builder = Client::builder().redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
    // A proxy from the environment is for the world outside.
    if is_loopback(place) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &config.ca_file {
        let problem = |reason: String| BuildError::CaFile { path: path.clone(), reason };
        let pem = fs::read(path).map_err(|error| problem(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| problem(causes(&error)))?;
        if certificates.is_empty() {
            return Err(problem("there is no certificate in it".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| BuildError::Keys(causes(&error)))
}

/// A slash at the end of the issuer is left out before the rest is put behind it.
fn configuration_of(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    url
}

async fn body(mut response: Response, url: &Url) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, error))? {
        if body.len() + chunk.len() > MAX_KEY_SET_BYTES {
            return Err(FetchError::TooLong(url.clone()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(url: &Url, error: reqwest::Error) -> FetchError {
    FetchError::Unreachable(url.clone(), causes(&error.without_url()))
}

/// An error with what caused it: "error sending request" alone tells nobody what to mend.
fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An address without what may be secret: somebody may have put a password into the query.
pub(super) fn shown(place: &Url) -> String {
    format!("{}{}", place.origin().ascii_serialization(), place.path())
}

/// Text of the provider's, in quotation marks: an address as [`shown`], and anything short enough for a line of the log.
fn shown_text(text: &str) -> String {
    let address = Url::parse(text).ok().filter(Url::has_host);
    let text = address.as_ref().map_or_else(|| text.to_owned(), shown);
    format!("{:?}", text.chars().take(MAX_SHOWN_CHARS).collect::<String>())
}

/// What `Cache-Control` says; an answer that is not to be stored says nothing about how long keys are good.
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(header::CACHE_CONTROL).into_iter();
    let directives = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let age = |directive: &str| directive.trim().to_ascii_lowercase().strip_prefix("max-age=")?.parse().ok();
    directives.filter_map(age).next().map(Duration::from_secs)
}

/// For the OpenID configuration and the keys together.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest text of a provider's that is shown to the operator.
const MAX_SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_an_issuer_is_below_its_path() {
        for (issuer, expected) in [
            ("https://id.example", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/realms/a", "https://id.example/realms/a/.well-known/openid-configuration"),
            ("https://id.example:8443/t/", "https://id.example:8443/t/.well-known/openid-configuration"),
        ] {
            let url = Url::parse(issuer).expect("an address");
            assert_eq!(configuration_of(&url).as_str(), expected);
        }
    }

    /// Somebody may have put a password into the address.
    #[test]
    fn an_error_shows_no_query_and_no_password() {
        let url = || Url::parse("https://id.example/keys?key=hidden").expect("an address");
        for error in [
            FetchError::Configuration(url()),
            FetchError::Insecure("http://ann:hidden@id.example/keys?key=hidden".to_owned()),
            FetchError::Keys(url(), KeySetError::NotAKeySet),
            FetchError::Redirect(url()),
            FetchError::Status(url(), 500),
            FetchError::Timeout(url()),
            FetchError::TooLong(url()),
            FetchError::Unreachable(url(), "connection refused".to_owned()),
        ] {
            let text = error.to_string();
            assert!(text.contains("://id.example/keys") && !text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn what_a_provider_says_is_one_short_line_in_the_log() {
        let said = format!("no address\u{1b}[31m\n{}", "x".repeat(100_000));
        for error in [
            FetchError::Insecure(said.clone()),
            FetchError::Issuer { found: said, wanted: "https://id.example".to_owned() },
        ] {
            let text = error.to_string();
            assert!(text.len() < 500 && !text.contains(char::is_control), "{} bytes", text.len());
        }
    }
}
