//! Tokens, principals and grants from the outside.

mod digest;
mod grants;
mod key_set;
mod key_set_verifier;
mod principal;
mod roles;
mod signer;
mod token;
mod verifier;
