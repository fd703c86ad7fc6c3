//! One server, whole, as its clients and publishers see it.

mod async_graphql;
mod audiences;
mod authentication;
mod bodies;
mod client;
mod closes;
mod damage;
mod delivery;
mod drain;
mod failover;
mod faults;
mod feeds;
mod graphiql;
mod guards;
mod handshake;
mod http;
mod keys;
mod ledger;
mod limits;
mod mutations;
mod nodes;
mod origins;
mod protocol;
mod raw;
mod slow;
mod tenants;
