//! Topics, audiences, mailboxes, execution and guards: from a broker's event to the subscriptions that hear it.
//!
//! Start with [`Engine`], then [`Session`]. Knows no sockets, no wire envelopes, no raw tokens and no databases.

mod admission;
mod delivery;
mod engine;
mod execution;
mod gap;
mod guard;
mod hub;
mod limits;
mod mailbox;
mod membership;
mod metrics;
mod outbox;
mod publisher;
mod resolver;
mod running;
mod session;
mod stream;

pub use admission::{Guard, Guards};
pub use delivery::{Delivery, Summary};
pub use engine::{Engine, EngineConfig};
pub use gap::{Gap, GapReason};
pub use limits::Limits;
pub use metrics::Metrics;
pub use publisher::Publisher;
pub use resolver::{
    Call, Forwarder, LoadCall, Loader, Resolver, ResolverError, Resolvers, Streamer, ValueStream,
};
pub use session::{OperationId, Session};
