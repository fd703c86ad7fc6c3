//! Tokens signed with one of a provider's keys: [`KeySetVerifier`].

use std::{sync::Arc, time::SystemTime};

use parking_lot::RwLock;

use crate::{Algorithm, JwtConfig, KeySet, Principal, TokenError, TokenVerifier, jws::Jws};

/// Accepts tokens that are signed with a key of the current [`KeySet`], and no others.
///
/// Which key it is, the token's `kid` says; a token without one is accepted if exactly one key fits its algorithm.
#[derive(Debug)]
pub struct KeySetVerifier {
    algorithms: Vec<Algorithm>,
    config: JwtConfig,
    keys: RwLock<Option<Arc<KeySet>>>,
}

impl KeySetVerifier {
    /// A verifier that has no keys yet.
    pub fn new(algorithms: Vec<Algorithm>, config: JwtConfig) -> Self {
        Self { algorithms, config, keys: RwLock::new(None) }
    }

    /// The algorithms that tokens may be signed with.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Puts other keys in place of all there were. What was verified before stays verified.
    pub fn replace(&self, keys: Arc<KeySet>) {
        *self.keys.write() = Some(keys);
    }

    /// The keys at the moment.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().clone()
    }
}

impl TokenVerifier for KeySetVerifier {
    fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, TokenError> {
        let token = Jws::split(token)?;
        let header = token.header()?;
        let algorithm = self.algorithms.iter().find(|algorithm| algorithm.as_str() == header.alg);
        let algorithm = *algorithm.ok_or_else(|| header.refused_algorithm())?;
        let keys = self.keys().ok_or(TokenError::NoKeys)?;
        let key = keys.find(header.kid.as_deref(), algorithm)?;
        token.check_signature(&key.key, algorithm.of_library())?;
        self.config.principal(&token, now)
    }
}
