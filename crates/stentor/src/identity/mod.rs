//! Who is behind a token, and with which keys that is decided: [`Identity`].

mod fetch;
mod keys;
mod log;
mod schedule;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use stentor_auth::{
    HmacVerifier, JwtConfig, KeySetVerifier, Principal, PrincipalConfig, RoleScopes, TokenError,
    TokenVerifier, secret_warning,
};
use stentor_schema::Schema;
use tokio::task::AbortHandle;

use self::{fetch::Fetcher, keys::Keys};
use crate::{BuildError, config::AuthConfig, telemetry::Telemetry};

/// Says whose a token is, as `[auth]` wants it.
#[derive(Debug)]
pub(crate) struct Identity {
    anonymous: bool,
    verifier: Verifier,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refused {
    /// The token is missing or wrong, and stays so.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token may be good: the keys to check it with could not be fetched.
    #[error("the token cannot be checked at the moment; try again later")]
    Undecided {
        /// When there may be keys.
        retry_after: Duration,
    },
}

enum Verifier {
    Secret(HmacVerifier),
    Keys {
        keys: Arc<Keys>,
        /// The task that keeps them fresh.
        task: AbortHandle,
    },
}

impl Identity {
    /// Checks the configuration, without fetching anything.
    pub(crate) fn check(auth: &AuthConfig, schema: &Schema) -> Result<(), BuildError> {
        match fetcher(auth)? {
            Some(_) => Ok(()),
            None => hmac_verifier(auth, schema).map(drop),
        }
    }

    /// Begins to fetch the keys, if tokens are checked with any, and gives the provider a moment to answer.
    pub(crate) async fn start(
        auth: &AuthConfig,
        schema: &Schema,
        telemetry: &Telemetry,
    ) -> Result<Self, BuildError> {
        let verifier = match fetcher(auth)? {
            None => Verifier::Secret(hmac_verifier(auth, schema)?),
            Some(fetcher) => {
                let verifier = KeySetVerifier::new(auth.jwt.algorithms.clone(), jwt_config(auth, schema));
                let keys = Keys::new(verifier, auth.jwt.refresh_interval.get(), telemetry.keys());
                let keys = Arc::new(keys);
                let task = tokio::spawn(Arc::clone(&keys).keep_fresh(fetcher)).abort_handle();
                keys.ready(PROVIDER_PATIENCE).await;
                Verifier::Keys { keys, task }
            }
        };
        Ok(Self { anonymous: auth.anonymous, verifier })
    }

    /// Who is behind a token; `None` is an anonymous client, where those are allowed.
    ///
    /// It is ready at once, unless the token's key has to be fetched: then it takes some seconds at most.
    pub(crate) async fn identify(&self, token: Option<&str>) -> Result<Option<Arc<Principal>>, Refused> {
        let Some(token) = token else {
            return if self.anonymous { Ok(None) } else { Err(TokenError::Missing.into()) };
        };
        let principal = match &self.verifier {
            Verifier::Secret(verifier) => verifier.verify(token, SystemTime::now())?,
            Verifier::Keys { keys, .. } => keys.identify(token).await?,
        };
        Ok(Some(Arc::new(principal)))
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        if let Self::Keys { task, .. } = self {
            task.abort();
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(verifier) => verifier.fmt(f),
            Self::Keys { keys, .. } => keys.fmt(f),
        }
    }
}

fn fetcher(auth: &AuthConfig) -> Result<Option<Fetcher>, BuildError> {
    let fetcher = Fetcher::new(&auth.jwt)?;
    for warning in auth.jwt.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(fetcher)
}

fn hmac_verifier(auth: &AuthConfig, schema: &Schema) -> Result<HmacVerifier, BuildError> {
    let secret = auth.jwt.secret.expose();
    if let Some(warning) = secret_warning(secret) {
        tracing::warn!("{warning}");
    }
    Ok(HmacVerifier::new(secret, jwt_config(auth, schema))?)
}

fn jwt_config(auth: &AuthConfig, schema: &Schema) -> JwtConfig {
    JwtConfig {
        audience: auth.jwt.audience.clone(),
        issuer: auth.jwt.issuer.clone(),
        leeway: TOKEN_LEEWAY,
        principal: PrincipalConfig {
            keep: schema.claims().clone(),
            tenant_claim: auth.tenant_claim.clone(),
            roles: RoleScopes::new(auth.roles.clone()),
        },
    }
}

/// How much the clocks of this node and of the token's issuer may differ.
pub(crate) const TOKEN_LEEWAY: Duration = Duration::from_secs(5);

/// How long start-up waits for the first keys. They may come later.
const PROVIDER_PATIENCE: Duration = Duration::from_secs(2);
