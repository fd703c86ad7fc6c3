//! How a server is put together: [`Builder`].

use std::{io, path::PathBuf, sync::Arc};

use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};
use stentor_auth::SecretError;
use stentor_broker::{Broker, ConfigError as BrokerConfigError, HashStore, NotReady};
use stentor_engine::ResolverError;
use stentor_schema::{Diagnostics, Forwarded, Projected};

use crate::{
    Call, Load, Stentor,
    app::{Additions, App, check_schema},
    broker::redis_config,
    config::Config,
    handler::Handler,
    identity::Identity,
};

/// What a server is built from. Begin with [`Stentor::builder`].
///
/// `S` is the state that every handler given from then on is called with: see [`state`](Self::state).
#[derive(Debug, Default)]
pub struct Builder<S = ()> {
    config: Config,
    sdl: Option<String>,
    additions: Additions,
    state: S,
}

/// Why a server cannot be built; each says what to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The broker's URL cannot be used.
    #[error("[broker] {0}")]
    Broker(#[from] BrokerConfigError),
    /// `[broker] required = true`, and the broker cannot be reached.
    #[error("{0}; [broker] required = true, so start it, or mend the url")]
    BrokerAway(NotReady),
    /// The certificates for fetching keys cannot be read.
    #[error("[auth.jwt] ca_file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The keys that tokens are checked with are not configured as they must be.
    #[error("{0}")]
    Keys(String),
    /// The schema file cannot be read.
    #[error("{}: the schema cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The schema has mistakes.
    #[error(transparent)]
    Schema(#[from] Diagnostics),
    /// The JWT secret cannot be used.
    #[error("[auth.jwt] {0}")]
    Secret(#[from] SecretError),
    /// A guard was given for a `@public` field.
    #[error("a guard was given for {0}, which is @public: take away one of them")]
    PublicGuard(String),
    /// A handler was given for a field that takes none, or one of another kind.
    #[error("{given} was given for {coordinate}, {help}")]
    MisplacedHandler {
        /// What was given, `a resolver` say.
        given: &'static str,
        /// The field that was named.
        coordinate: String,
        /// What the field takes, and how to give it.
        help: String,
    },
    /// A handler was given for a field that the schema does not have.
    #[error("{given} was given for {coordinate}, which the schema does not have; {help}")]
    UnknownField {
        /// What was given, `a resolver` say.
        given: &'static str,
        /// The field that was named.
        coordinate: String,
        /// The nearest name, or those there are.
        help: String,
    },
}

impl<S: Clone + Send + Sync + 'static> Builder<S> {
    /// Replaces the configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The schema itself; without it the file that the configuration names is read.
    #[must_use]
    pub fn schema(mut self, sdl: impl Into<String>) -> Self {
        self.sdl = Some(sdl.into());
        self
    }

    /// A hash store of the program's own instead of the configured one.
    #[must_use]
    pub fn hash_store(mut self, store: impl HashStore) -> Self {
        self.additions.hashes = Some(Arc::new(store));
        self
    }

    /// A broker of the program's own instead of the configured one. Without a [hash store](Self::hash_store) beside it,
    /// hashes live in this process's memory.
    #[must_use]
    pub fn broker(mut self, broker: impl Broker) -> Self {
        self.additions.broker = Some(Arc::new(broker));
        self
    }

    /// What handlers need of the program: connections to its databases, say. Each handler given from here on is called
    /// with a clone, so it should be cheap to clone.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// use stentor::{Call, Stentor};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Step { by: u64 }
    ///
    /// async fn count(step: Step, call: Call<Arc<AtomicU64>>) -> Result<u64, stentor::ResolverError> {
    ///     Ok(call.state().fetch_add(step.by, Ordering::Relaxed))
    /// }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema("type Query { total: Int @resolver } type Mutation { count(by: Int!): Int @resolver }")
    ///     .state(Arc::new(AtomicU64::new(0)))
    ///     .resolver("Mutation.count", count)
    ///     .resolver("Query.total", async |_: serde_json::Value, call: Call<Arc<AtomicU64>>| {
    ///         Ok(call.state().load(Ordering::Relaxed))
    ///     })
    ///     .check()
    /// # }
    /// ```
    #[must_use]
    pub fn state<N: Clone + Send + Sync + 'static>(self, state: N) -> Builder<N> {
        let Self { config, sdl, additions, .. } = self;
        Builder { config, sdl, additions, state }
    }

    /// What answers a `@resolver` field of Query or Mutation, `"Query.bots"` say: an async function from the field's
    /// arguments to its value.
    #[must_use]
    pub fn resolver<A, T, F, R>(mut self, coordinate: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, ResolverError>> + Send + 'static,
    {
        let handler: Handler<S, A, T, F> = Handler::new(self.state.clone(), handler);
        self.additions.resolvers.insert(coordinate, handler);
        self
    }

    /// What feeds a Subscription field that bears `@resolver` alone, `"Subscription.ticks"` say: an async function from the
    /// field's arguments to a stream of its values.
    ///
    /// Each subscription has a stream of its own, since it is told who asks: that is work for each subscriber, where events of
    /// a topic are work once for all that share them. The stream is dropped as soon as the subscription ends, and paused while
    /// the subscription's mailbox is full. An `Err` from it is an error of the field in one result, and the stream goes on; its end
    /// completes the subscription, and a panic ends it with an error. The function has `limits.request_timeout`, the stream
    /// all the time it wants.
    ///
    /// ```
    /// use futures_util::{Stream, stream};
    /// use stentor::{Call, ResolverError, Stentor};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Count { to: u32 }
    ///
    /// async fn count(
    ///     count: Count,
    ///     _: Call,
    /// ) -> Result<impl Stream<Item = Result<u32, ResolverError>> + Send + 'static, ResolverError> {
    ///     Ok(stream::iter((1..=count.to).map(Ok)))
    /// }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema("type Subscription { count(to: Int!): Int! @resolver }")
    ///     .stream("Subscription.count", count)
    ///     .check()
    /// # }
    /// ```
    #[must_use]
    pub fn stream<A, T, V, F, R>(mut self, coordinate: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        V: Stream<Item = Result<T, ResolverError>> + Send + 'static,
        F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<V, ResolverError>> + Send + 'static,
    {
        let handler: Handler<S, A, (T, V), F> = Handler::new(self.state.clone(), handler);
        self.additions.resolvers.insert_streamer(coordinate, handler);
        self
    }

    /// What loads the value after each event of a Subscription field that bears `@subscribe(topic)` and `@resolver`,
    /// `"Subscription.documentUpdates"` say: an async function from the field's arguments and the event to a value, or to
    /// `None` when there is none.
    ///
    /// It is called once for each event and all subscriptions that share it, so it is not told who asks. The value lies over
    /// the event. Loads of one audience overlap, their results leave in the order of the events. It has
    /// `limits.load_timeout`; a failure is an error of the field in that one result.
    ///
    /// ```
    /// use std::{collections::HashMap, sync::Arc};
    ///
    /// use stentor::{Load, ResolverError, Stentor};
    ///
    /// #[derive(Clone, serde::Serialize)]
    /// struct Document { id: String, status: String }
    /// type Documents = Arc<HashMap<String, Document>>;
    ///
    /// async fn document(
    ///     _: serde_json::Value,
    ///     load: Load<Documents>,
    /// ) -> Result<Option<Document>, ResolverError> {
    ///     let id: String = load.event()?; // the bare id is all that publishers send
    ///     Ok(load.state().get(&id).cloned())
    /// }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema(r#"
    ///         type Subscription {
    ///             documentUpdates(tenantId: String!): Document!
    ///                 @subscribe(topic: "documents:{{ args.tenantId }}") @resolver
    ///         }
    ///         type Document { id: ID! status: String! }
    ///     "#)
    ///     .state(Documents::default())
    ///     .load("Subscription.documentUpdates", document)
    ///     .check()
    /// # }
    /// ```
    #[must_use]
    pub fn load<A, T, F, R>(mut self, coordinate: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        F: Fn(A, Load<S>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<T>, ResolverError>> + Send + 'static,
    {
        let handler: Handler<S, A, T, F> = Handler::new(self.state.clone(), handler);
        self.additions.resolvers.insert_loader(coordinate, handler);
        self
    }

    /// What answers a `@resolver` field of Query or Mutation out of another GraphQL API that knows the same types: an async
    /// function from what the client selected, as a document of its own, to the answer.
    ///
    /// The client sees the keys, the partial errors and their extensions as they come. Guards below the root hold; `@from`
    /// has no say.
    ///
    /// ```
    /// use stentor::{Call, Forwarded, Projected, ResolverError, Stentor};
    ///
    /// async fn ask(forwarded: Forwarded, _call: Call) -> Result<Projected, ResolverError> {
    ///     // Sends {"query": …, "variables": …} to the API, and reads its response.
    ///     let response = post(forwarded.query, forwarded.variables).await?;
    ///     Ok(Projected::from_response(response))
    /// }
    /// # async fn post<V>(_: String, _: V) -> Result<serde_json::Map<String, serde_json::Value>, ResolverError> {
    /// #     unimplemented!()
    /// # }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema("type Query { bot(id: ID!): Bot @resolver } type Bot { id: ID! name: String }")
    ///     .forward("Query.bot", ask)
    ///     .check()
    /// # }
    /// ```
    #[must_use]
    pub fn forward<F, R>(mut self, coordinate: &str, handler: F) -> Self
    where
        F: Fn(Forwarded, Call<S>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Projected, ResolverError>> + Send + 'static,
    {
        let handler = Handler::new(self.state.clone(), handler);
        self.additions.resolvers.insert_forwarder(coordinate, handler);
        self
    }

    /// Who may use a root field, where its directives cannot say it: an async function of the field's arguments that
    /// fails for who may not, with [`ErrorCode::Forbidden`](crate::ErrorCode::Forbidden) say.
    ///
    /// It is asked after the field's own directives and before anything else: before a subscription listens to its topic,
    /// before any field of a query or mutation is resolved. It has `limits.request_timeout` to decide, and one that panics
    /// says no. Of several for one field all must say yes. Without `[auth]` it is asked too, and decides by arguments alone.
    ///
    /// ```
    /// use stentor::{Call, ErrorCode, ResolverError, Stentor};
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "camelCase")]
    /// struct Chat { session_id: String }
    ///
    /// async fn owns(chat: Chat, call: Call) -> Result<(), ResolverError> {
    ///     let user = call.principal().and_then(|principal| principal.subject());
    ///     if chat.session_id.split('-').next() == user {
    ///         return Ok(());
    ///     }
    ///     Err(ResolverError::new(ErrorCode::Forbidden, "this is not a chat of yours"))
    /// }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema(r#"type Subscription { chat(sessionId: ID!): String @subscribe(topic: "chat:{{ args.sessionId }}") }"#)
    ///     .guard("Subscription.chat", owns)
    ///     .check()
    /// # }
    /// ```
    #[must_use]
    pub fn guard<A, F, R>(mut self, coordinate: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), ResolverError>> + Send + 'static,
    {
        self.additions.guards.insert(coordinate, Handler::new(self.state.clone(), handler));
        self
    }

    /// Builds the server. Call it inside a tokio runtime: the hub and the connection to the broker start on it.
    ///
    /// # Errors
    ///
    /// A mistake in the schema or the configuration.
    pub async fn build(self) -> Result<Stentor, BuildError> {
        let (sdl, file) = self.read_schema()?;
        let app = App::new(self.config, &sdl, &file, self.additions).await?;
        Ok(Stentor(Arc::new(app)))
    }

    /// Checks the schema and the configuration, without starting anything.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), but for a broker that does not answer. Keys are not fetched.
    pub fn check(self) -> Result<(), BuildError> {
        let (sdl, file) = self.read_schema()?;
        let schema = check_schema(&self.config, &sdl, &file, &self.additions)?;
        if let Some(auth) = &self.config.auth {
            Identity::check(auth, &schema)?;
        }
        if let Some(redis) = redis_config(&self.config) {
            redis.check()?;
        }
        Ok(())
    }

    fn read_schema(&self) -> Result<(String, String), BuildError> {
        if let Some(sdl) = &self.sdl {
            return Ok((sdl.clone(), "schema".into()));
        }
        let path = &self.config.schema;
        let read = std::fs::read_to_string(path);
        let sdl = read.map_err(|source| BuildError::Read { path: path.clone(), source })?;
        Ok((sdl, path.display().to_string()))
    }
}
