//! The composition root: what one server is made of, put together once. [`App`].

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use stentor_auth::Principal;
use stentor_broker::{Broker, HashStore};
use stentor_engine::{Engine, EngineConfig, Guards, Limits, Resolvers};
use stentor_protocol::CloseCode;
use stentor_schema::{Feed, HandlerKind, OperationLimits, RootField, Schema, SchemaOptions, suggestion};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    BuildError,
    broker::{Opened, open},
    config::Config,
    hangup::Connections,
    http::origins::Origins,
    identity::{Identity, Refused, TOKEN_LEEWAY},
    telemetry::Telemetry,
    websocket::Fate,
};

/// One server, without its sockets.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) origins: Origins,
    pub(crate) connections: Arc<Connections>,
    /// HTTP requests that may be worked on at a time.
    pub(crate) http_requests: Semaphore,
    /// Bytes of HTTP bodies that may be on their way.
    pub(crate) http_bodies: Semaphore,
    /// HTTP requests at a time, from the head to the answer; as many as there may be sockets.
    pub(crate) http_exchanges: Semaphore,
    pub(crate) protocol: Arc<stentor_protocol::Config>,
    pub(crate) telemetry: Telemetry,
    /// `None`: everyone is anonymous.
    identity: Option<Identity>,
    draining: AtomicBool,
    graphiql: AtomicBool,
}

/// What the embedding program adds to the configuration.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(crate) broker: Option<Arc<dyn Broker>>,
    pub(crate) hashes: Option<Arc<dyn HashStore>>,
    pub(crate) resolvers: Resolvers,
    pub(crate) guards: Guards,
}

impl App {
    /// Puts a server together. Starts the hub, and the connection to the broker, on the current runtime.
    pub(crate) async fn new(
        config: Config,
        sdl: &str,
        file: &str,
        additions: Additions,
    ) -> Result<Self, BuildError> {
        let schema = check_schema(&config, sdl, file, &additions)?;
        let Additions { broker, hashes, resolvers, guards } = additions;
        let opened = match broker {
            Some(broker) => Opened { broker, ..Opened::memory() },
            None => open(&config).await?,
        };
        let Opened { broker, hashes: beside } = opened;
        let hashes = hashes.unwrap_or(beside);
        let telemetry = Telemetry::new();
        let identity = match &config.auth {
            Some(auth) => Some(Identity::start(auth, &schema, &telemetry).await?),
            None => None,
        };
        let engine = Engine::start(EngineConfig {
            schema,
            broker,
            hashes,
            resolvers,
            guards,
            limits: engine_limits(&config),
            metrics: telemetry.engine.clone(),
            authentication: identity.is_some(),
            shards: None,
        });
        let connections = Connections::new(config.limits.connections, telemetry.connections.clone());
        Ok(Self {
            engine,
            origins: Origins::new(&config.allowed_origins),
            connections: Arc::new(connections),
            http_requests: Semaphore::new(config.limits.http_requests),
            http_bodies: Semaphore::new(config.limits.http_body_bytes.get()),
            http_exchanges: Semaphore::new(config.limits.http_connections),
            protocol: Arc::new(protocol_config(&config)),
            telemetry,
            identity,
            draining: AtomicBool::new(false),
            graphiql: AtomicBool::new(config.graphiql.unwrap_or(false)),
            config,
        })
    }

    /// Who is behind a token; `None` is an anonymous client, where those are allowed.
    ///
    /// It is ready at once, unless the token's key has to be fetched: then it takes some seconds at most.
    pub(crate) async fn identify(&self, token: Option<&str>) -> Result<Option<Arc<Principal>>, Refused> {
        match &self.identity {
            Some(identity) => identity.identify(token).await,
            None => Ok(None),
        }
    }

    /// When the principal's token ends for good, on the clock that timers run by.
    pub(crate) fn expiry(&self, principal: &Principal, clock: SystemTime, now: Instant) -> Option<Instant> {
        let end = principal.expires_at().checked_add(TOKEN_LEEWAY)?;
        now.checked_add(end.duration_since(clock).unwrap_or_default())
    }

    /// Whether one more WebSocket can be served.
    pub(crate) fn admit(&self) -> Fate {
        // Entered before it is asked: a drain that begins meanwhile finds the place, or is seen here.
        let place = self.connections.enter();
        if self.is_draining() {
            return Fate::Close(CloseCode::ServiceRestart);
        }
        if self.config.broker.required && !self.engine.broker().state().is_up() {
            return Fate::Close(CloseCode::TryAgainLater);
        }
        place.map_or(Fate::Close(CloseCode::TryAgainLater), Fate::Seated)
    }

    /// Takes note of where the server listens. What is for development alone is on at an address that only this machine reaches.
    pub(crate) fn listens_at(&self, address: SocketAddr) {
        let on = self.config.graphiql.unwrap_or_else(|| address.ip().to_canonical().is_loopback());
        self.graphiql.store(on, Ordering::Relaxed);
    }

    /// Whether browsers are shown GraphiQL.
    pub(crate) fn serves_graphiql(&self) -> bool {
        self.graphiql.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("App").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Parses the schema and checks it against the configuration and the resolvers there are.
pub(crate) fn check_schema(
    config: &Config,
    sdl: &str,
    file: &str,
    additions: &Additions,
) -> Result<Schema, BuildError> {
    let resolvers = &additions.resolvers;
    let options = SchemaOptions {
        authentication: config.auth.is_some(),
        tenant_claim: config.auth.as_ref().and_then(|auth| auth.tenant_claim.clone()),
    };
    let schema = Schema::parse(sdl, file, &options)?;
    schema.require_handlers(&|kind, coordinate| resolvers.contains(kind, coordinate))?;
    for (kind, given) in resolvers.coordinates() {
        check_handler(&schema, kind, given)?;
    }
    for given in additions.guards.coordinates() {
        if find_field(&schema, "a guard", given)?.public {
            return Err(BuildError::PublicGuard(given.to_owned()));
        }
    }
    Ok(schema)
}

/// Whether the field takes what was given for it.
fn check_handler(schema: &Schema, kind: HandlerKind, given: &str) -> Result<(), BuildError> {
    let field = find_field(schema, kind.noun(), given)?;
    let help = match (field.handler(), &field.feed) {
        (Some(taken), _) if taken == kind => return Ok(()),
        (Some(taken @ HandlerKind::Load), _) => {
            format!("which takes {}: give it with `Builder::load`", taken.noun())
        }
        (Some(taken @ HandlerKind::Resolver), _) => {
            format!("which takes {}: give it with `Builder::resolver`", taken.noun())
        }
        (Some(taken @ HandlerKind::Stream), _) => {
            format!("which takes {}: give it with `Builder::stream`", taken.noun())
        }
        (None, Feed::Topic(_)) => {
            "which @subscribe feeds: leave it out, or add @resolver to load a value after each event"
                .to_owned()
        }
        (None, _) => "which is fed without it: leave it out".to_owned(),
    };
    Err(BuildError::MisplacedHandler { given: kind.noun(), coordinate: given.to_owned(), help })
}

fn find_field<'a>(
    schema: &'a Schema,
    what: &'static str,
    coordinate: &str,
) -> Result<&'a RootField, BuildError> {
    let named = |field: &&Arc<RootField>| field.coordinate() == coordinate;
    if let Some(field) = schema.fields().find(named) {
        return Ok(field);
    }
    let known: Vec<_> = schema.fields().map(|field| field.coordinate()).collect();
    let help = suggestion(coordinate, known.iter().map(String::as_str)).unwrap_or_default();
    Err(BuildError::UnknownField { given: what, coordinate: coordinate.to_owned(), help })
}

fn engine_limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        operation: OperationLimits {
            depth: limits.operation_depth,
            aliases: limits.aliases,
            root_fields: limits.root_fields,
            tokens: limits.operation_tokens,
            introspection: config.introspection,
        },
        mailbox_events: u32::try_from(limits.mailbox_events).unwrap_or(u32::MAX),
        mailbox_bytes: limits.mailbox_bytes.get(),
        connection_bytes: limits.connection_bytes.get(),
        requests: limits.http_requests,
        request_timeout: limits.request_timeout.get(),
        queue_events: limits.queue_events,
        queue_bytes: limits.queue_bytes.get(),
        topic_queue_events: limits.topic_queue_events,
        loads: limits.loads,
        load_queue: limits.load_queue,
        load_timeout: limits.load_timeout.get(),
    }
}

fn protocol_config(config: &Config) -> stentor_protocol::Config {
    stentor_protocol::Config {
        init_timeout: config.limits.init_timeout.get(),
        ping_interval: config.websocket.ping_interval.get(),
        pong_timeout: config.websocket.pong_timeout.get(),
        max_operations: config.limits.subscriptions_per_connection,
    }
}
