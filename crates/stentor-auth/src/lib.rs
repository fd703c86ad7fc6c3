//! From a token to a principal: who is behind a connection, and what they may do.
//!
//! Start with [`TokenVerifier`], then [`Principal`]. Knows no HTTP, never reads the clock, and is not told where keys
//! come from.

mod algorithm;
mod claims;
mod error;
mod grants;
mod jws;
mod key_set;
mod key_set_verifier;
mod principal;
mod roles;
mod token;
mod verifier;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::{Quoted, SecretError, TokenError};
pub use jws::MAX_TOKEN_BYTES;
pub use key_set::{KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, SkippedKey};
pub use key_set_verifier::KeySetVerifier;
pub use principal::{Principal, PrincipalConfig};
pub use roles::RoleScopes;
pub use token::{token_from_header, token_from_init};
pub use verifier::{HmacVerifier, JwtConfig, TokenVerifier, secret_warning, sign_hs256};
