//! From a token to a principal: who is behind a connection, and what they may do.
//!
//! Start with [`TokenVerifier`], then [`Principal`]. Knows no HTTP, never reads the clock, and is not told where keys
//! come from.

mod claims;
mod error;
mod grants;
mod principal;
mod token;
mod verifier;

pub use error::{Quoted, SecretError, TokenError};
pub use principal::Principal;
pub use token::{token_from_header, token_from_init};
pub use verifier::{HmacVerifier, JwtConfig, MAX_TOKEN_BYTES, TokenVerifier, secret_warning, sign_hs256};
