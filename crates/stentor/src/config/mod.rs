//! The configuration of a server: [`Config`], from a file and the environment.
//!
//! Every key is one row of the table in `keys.rs`: its place in [`Config`], its range and its meaning. Reading the file,
//! typing the environment, the nearest known key and the table of [`reference()`] all come from there.

mod auth;
mod error;
mod keys;
mod load;
mod secret;
mod setting;
mod units;

use std::path::{Path, PathBuf};

pub(crate) use auth::is_loopback;
pub use auth::{AuthConfig, AuthJwtConfig, KeySource};
pub use error::ConfigError;
pub use keys::reference;
pub use load::environment;
pub use secret::{BrokerUrl, Secret};
pub use units::{ByteSize, Period, UnitError};

/// Everything that an operator can choose.
///
/// What a field means, and what it may be, is written beside it in `docs/configuration.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `host:port` to listen on.
    pub listen: String,
    /// The schema file.
    pub schema: PathBuf,
    /// Origins of pages that may connect; empty: pages of the same host name; `*`: all.
    pub allowed_origins: Vec<String>,
    /// Whether introspection is answered.
    pub introspection: bool,
    /// Whether browsers are shown GraphiQL; `None`: where the server listens on a loopback address.
    pub graphiql: Option<bool>,
    /// `[broker]`
    pub broker: BrokerConfig,
    /// `[auth]`; `None`: everyone is anonymous.
    pub auth: Option<AuthConfig>,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[websocket]`
    pub websocket: WebSocketConfig,
    /// `[shutdown]`
    pub shutdown: ShutdownConfig,
    /// `[log]`
    pub log: LogConfig,
}

impl Config {
    /// The configuration in a file, with the variables of the environment over it.
    ///
    /// Without a file the defaults stand under the environment. Of `env` only names that begin with `STENTOR_` are read;
    /// [`environment`] gives those of this process. A relative `schema` in the file, or left out of it, is in the file's
    /// folder; one from the environment is in the working directory.
    ///
    /// # Errors
    ///
    /// Every mistake of file and environment at once, each with its place and how to mend it.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        load::load(path, env)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4000".to_owned(),
            schema: PathBuf::from("schema.graphql"),
            allowed_origins: Vec::new(),
            introspection: true,
            graphiql: None,
            broker: BrokerConfig::default(),
            auth: None,
            limits: LimitsConfig::default(),
            websocket: WebSocketConfig::default(),
            shutdown: ShutdownConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// `[broker]`: where publishers and nodes meet.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// The Redis server; `None`: this process's own memory.
    pub url: Option<BrokerUrl>,
    /// Whom to trust for its certificate, if not whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Put before every topic and hash key.
    pub prefix: String,
    /// Whether to do without the fallback to memory.
    pub required: bool,
    /// How long the server must be away before memory takes over.
    pub fallback_after: Period,
    /// How often a watched hash is read where the server does not announce changes.
    pub hash_poll: Period,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            prefix: String::new(),
            required: false,
            fallback_after: Period::seconds(2),
            hash_poll: Period::millis(500),
        }
    }
}

/// `[limits]`: everything that a client or a publisher can make grow.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// Longest message or request body.
    pub message_bytes: ByteSize,
    /// WebSocket connections of this node.
    pub connections: usize,
    /// Operations that run at one time on a connection.
    pub subscriptions_per_connection: usize,
    /// Time to `connection_init`.
    pub init_timeout: Period,
    /// How deep selections may nest.
    pub operation_depth: usize,
    /// Aliases in an operation.
    pub aliases: usize,
    /// Root fields in a query or mutation.
    pub root_fields: usize,
    /// Tokens in a document. White space between two of them, and a comment, count as one each.
    pub operation_tokens: usize,
    /// Events that wait for a subscription, unless `@delivery(buffer)` says otherwise.
    pub mailbox_events: usize,
    /// Bytes that wait for a subscription.
    pub mailbox_bytes: ByteSize,
    /// Bytes that wait for all subscriptions of a connection.
    pub connection_bytes: ByteSize,
    /// Events that have arrived at the node and wait to be executed.
    pub queue_events: usize,
    /// Bytes of those.
    pub queue_bytes: ByteSize,
    /// Events of one topic among those.
    pub topic_queue_events: usize,
    /// Loads in flight.
    pub loads: usize,
    /// Events that wait for their values, in each audience.
    pub load_queue: usize,
    /// Time for a load.
    pub load_timeout: Period,
    /// Sockets that are not, or not yet, WebSockets.
    pub http_connections: usize,
    /// Bytes of HTTP bodies on their way.
    pub http_body_bytes: ByteSize,
    /// HTTP requests in flight.
    pub http_requests: usize,
    /// Time for an HTTP request.
    pub request_timeout: Period,
    /// How long a client may refuse to read what waits for it.
    pub stall_timeout: Period,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: ByteSize::kib(256),
            connections: 100_000,
            subscriptions_per_connection: 1_000,
            init_timeout: Period::seconds(3),
            operation_depth: 20,
            aliases: 50,
            root_fields: 20,
            operation_tokens: 10_000,
            mailbox_events: 100,
            mailbox_bytes: ByteSize::mib(1),
            connection_bytes: ByteSize::mib(8),
            queue_events: 65_536,
            queue_bytes: ByteSize::mib(64),
            topic_queue_events: 16_384,
            loads: 256,
            load_queue: 256,
            load_timeout: Period::seconds(10),
            http_connections: 10_000,
            http_body_bytes: ByteSize::mib(64),
            http_requests: 1_024,
            request_timeout: Period::seconds(30),
            stall_timeout: Period::minutes(5),
        }
    }
}

/// `[websocket]`: how dead connections are found.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocketConfig {
    /// How long a connection may be silent before the server pings.
    pub ping_interval: Period,
    /// How long the pong may take.
    pub pong_timeout: Period,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self { ping_interval: Period::seconds(30), pong_timeout: Period::seconds(30) }
    }
}

/// `[shutdown]`: how a node leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct ShutdownConfig {
    /// The time over which connections are closed, so that clients do not all return at once.
    pub window: Period,
    /// The time after which the process ends whatever is still open.
    pub timeout: Period,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { window: Period::seconds(5), timeout: Period::seconds(30) }
    }
}

/// `[log]`: what is written to standard error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important lines that are written.
    pub level: LogLevel,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// For people.
    #[default]
    Text,
}

/// How important a line of the log is, most important first.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may fail soon.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Why it happened.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Its name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl LogFormat {
    /// Its name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

#[cfg(test)]
mod tests;
