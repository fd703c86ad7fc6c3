//! The protocol's rules, as tables and as random walks.

mod client;
mod matrix;
mod messages;
mod pair;
mod random;
mod rules;
mod script;
