//! Tokens, principals and grants from the outside.

mod digest;
mod grants;
mod principal;
mod token;
mod verifier;
