//! One server, whole, as its clients and publishers see it.

mod audiences;
mod authentication;
mod handshake;
mod http;
mod limits;
mod protocol;
mod raw;
mod tenants;
