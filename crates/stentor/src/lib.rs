//! A GraphQL subscription server: events in, authenticated GraphQL subscriptions out.
//!
//! Start with [`Stentor::builder`]. One schema file says which event feeds which field and who may hear it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stentor::Stentor;
//!
//! let stentor = Stentor::builder()
//!     .schema(r#"
//!         type Subscription {
//!             botStatusChanged(botId: ID!): Bot! @subscribe(topic: "bot:{{ args.botId }}")
//!         }
//!         type Bot { id: ID! @from(keys: ["bot_id"]) status: String! }
//!     "#)
//!     .build()
//!     .await?;
//! stentor.publish("bot:42", &serde_json::json!({ "bot_id": "42", "status": "running" })).await?;
//! # Ok(())
//! # }
//! ```

mod app;
mod broker;
mod builder;
pub mod client;
pub mod config;
mod handler;
mod hangup;
mod http;
mod identity;
mod outgoing;
mod publisher;
mod server;
mod stentor;
mod telemetry;
mod websocket;

pub use stentor_auth::{Algorithm, Principal, PrincipalConfig, RoleScopes, sign_hs256};
pub use stentor_broker::{
    Broker, BrokerEvent, BrokerMode, BrokerState, GapReason, HashError, HashEvent, HashSink, HashStore,
    HashTooLarge, HashValue, MemoryBroker, MemoryHashStore, PublishError, Sink,
};
pub use stentor_engine::ResolverError;
pub use stentor_schema::{ErrorCode, Forwarded, GraphQLError, PathSegment, Projected};

/// The names of the directives that a schema file may use without defining them.
pub const DIRECTIVES: &[&str] = stentor_schema::Schema::DIRECTIVES;

pub use crate::{
    builder::{BuildError, Builder},
    config::Config,
    handler::{Call, Load},
    publisher::{Publisher, PublisherError},
    stentor::Stentor,
};

/// The pages that tell strangers how to use the library, compiled and run as they stand.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
mod embedding {}
