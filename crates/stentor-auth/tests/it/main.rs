//! Tokens, principals and grants from the outside.

mod grants;
mod principal;
mod token;
mod verifier;
