//! Fields that the embedding program feeds: [`Resolver`], [`Streamer`], [`Loader`].

use std::{collections::HashMap, fmt, pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::Stream;
use serde_json::Value;
use stentor_auth::Principal;
use stentor_broker::{HashError, PublishError};
use stentor_schema::{
    ErrorCode, Event, Forwarded, GraphQLError, HandlerKind, JsonObject, Projected, Resolved, RootCall,
};

use crate::Publisher;

/// Answers one root field of Query or Mutation.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The field's value, before its selection is applied.
    ///
    /// # Errors
    ///
    /// What the client may know of the failure.
    async fn resolve(&self, call: Call) -> Result<Value, ResolverError>;
}

/// Answers one root field of Query or Mutation by passing on what the client selected.
#[async_trait]
pub trait Forwarder: Send + Sync + 'static {
    /// The answer to `forwarded`.
    ///
    /// # Errors
    ///
    /// Nothing was answered at all; what the client may know of the failure.
    async fn forward(&self, forwarded: Forwarded, call: Call) -> Result<Projected, ResolverError>;
}

/// Feeds one field of Subscription by itself: a stream for each subscription, since it is told who asks.
#[async_trait]
pub trait Streamer: Send + Sync + 'static {
    /// Begins the values of one subscription. The stream is dropped as soon as the subscription ends, and not polled while
    /// the subscription's mailbox is full.
    ///
    /// # Errors
    ///
    /// What the client may know of the failure; the subscription does not start then.
    async fn stream(&self, call: Call) -> Result<ValueStream, ResolverError>;
}

/// Loads the value of a subscription field after an event, once for each audience: it is not told who asks.
#[async_trait]
pub trait Loader: Send + Sync + 'static {
    /// The value that lies over the event; `None` when there is none (any more).
    ///
    /// # Errors
    ///
    /// What the clients may know of the failure: a field error in that `next`.
    ///
    /// # Cancel safety
    ///
    /// It is dropped halfway when it takes too long, and when the audience ends.
    async fn load(&self, event: LoadCall) -> Result<Option<Value>, ResolverError>;
}

/// The values of one subscription, before the selection is applied. One that failed is an error of the field, and the
/// stream goes on.
pub type ValueStream = Pin<Box<dyn Stream<Item = Result<Value, ResolverError>> + Send>>;

/// What answers a root field.
#[derive(Clone)]
enum Answerer {
    Forwarder(Arc<dyn Forwarder>),
    Resolver(Arc<dyn Resolver>),
}

/// One use of a root field.
#[derive(Clone, Debug)]
pub struct Call {
    /// The field's coerced arguments.
    pub arguments: Arc<JsonObject>,
    /// Who asks; `None` for an anonymous client.
    pub principal: Option<Arc<Principal>>,
    /// Where what comes of it can be published.
    pub publisher: Publisher,
}

/// One event for which a value is to be loaded.
#[derive(Clone, Debug)]
pub struct LoadCall {
    /// The field's coerced arguments, which the whole audience shares.
    pub arguments: Arc<JsonObject>,
    /// The claims that the field's directives read, which the whole audience shares too.
    pub claims: Arc<JsonObject>,
    /// The event.
    pub event: Arc<Event>,
}

/// A resolver's failure, in words that a client may read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ResolverError {
    /// The sentence.
    pub message: String,
    /// `extensions.code`.
    pub code: ErrorCode,
}

/// What the embedding program feeds, by `Type.field`; of two given for one field the last holds.
#[derive(Clone, Default)]
pub struct Resolvers {
    answerers: HashMap<String, Answerer>,
    streamers: HashMap<String, Arc<dyn Streamer>>,
    loaders: HashMap<String, Arc<dyn Loader>>,
}

impl Resolvers {
    /// Adds the resolver of `coordinate`, `Query.bots` say.
    pub fn insert(&mut self, coordinate: impl Into<String>, resolver: impl Resolver) {
        self.answerers.insert(coordinate.into(), Answerer::Resolver(Arc::new(resolver)));
    }

    /// As [`insert`](Self::insert), for what passes the client's selection on.
    pub fn insert_forwarder(&mut self, coordinate: impl Into<String>, forwarder: impl Forwarder) {
        self.answerers.insert(coordinate.into(), Answerer::Forwarder(Arc::new(forwarder)));
    }

    /// Adds the streamer of `coordinate`, `Subscription.ticks` say.
    pub fn insert_streamer(&mut self, coordinate: impl Into<String>, streamer: impl Streamer) {
        self.streamers.insert(coordinate.into(), Arc::new(streamer));
    }

    /// Adds the loader of `coordinate`, `Subscription.documents` say.
    pub fn insert_loader(&mut self, coordinate: impl Into<String>, loader: impl Loader) {
        self.loaders.insert(coordinate.into(), Arc::new(loader));
    }

    /// Whether there is one of that kind for `coordinate`.
    pub fn contains(&self, kind: HandlerKind, coordinate: &str) -> bool {
        self.coordinates().any(|given| given == (kind, coordinate))
    }

    /// Every coordinate that has one, in no order.
    pub fn coordinates(&self) -> impl Iterator<Item = (HandlerKind, &str)> {
        let resolvers = self.answerers.keys().map(|name| (HandlerKind::Resolver, name.as_str()));
        let streamers = self.streamers.keys().map(|name| (HandlerKind::Stream, name.as_str()));
        let loaders = self.loaders.keys().map(|name| (HandlerKind::Load, name.as_str()));
        resolvers.chain(streamers).chain(loaders)
    }

    /// Answers a root field; `None` if nothing does.
    pub(crate) async fn answer(
        &self,
        coordinate: &str,
        root: &RootCall,
        call: Call,
    ) -> Option<Result<Resolved, ResolverError>> {
        Some(match self.answerers.get(coordinate)? {
            Answerer::Forwarder(forwarder) => {
                forwarder.forward(root.forward(), call).await.map(Resolved::from)
            }
            Answerer::Resolver(resolver) => resolver.resolve(call).await.map(Resolved::from),
        })
    }

    pub(crate) fn streamer(&self, coordinate: &str) -> Option<&Arc<dyn Streamer>> {
        self.streamers.get(coordinate)
    }

    pub(crate) fn loader(&self, coordinate: &str) -> Option<&Arc<dyn Loader>> {
        self.loaders.get(coordinate)
    }
}

impl fmt::Debug for Resolvers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.coordinates()).finish()
    }
}

impl ResolverError {
    /// A failure of which the client learns `message` and nothing else.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), code }
    }
}

/// A client learns that it is worth another try or that nobody knows; the log learns why.
impl From<PublishError> for ResolverError {
    fn from(error: PublishError) -> Self {
        tracing::warn!(%error, "an event was not published");
        match error {
            PublishError::Unknown(_) => {
                Self::new(ErrorCode::Unavailable, "it is not known whether everyone was told")
            }
            _ => Self::new(ErrorCode::Unavailable, "nobody could be told; try again later"),
        }
    }
}

/// As for a [`PublishError`].
impl From<HashError> for ResolverError {
    fn from(error: HashError) -> Self {
        tracing::warn!(%error, "a hash was not written");
        match error {
            HashError::Unknown(_) => {
                Self::new(ErrorCode::Unavailable, "it is not known whether everyone was told")
            }
            _ => Self::new(ErrorCode::Unavailable, "nobody could be told; try again later"),
        }
    }
}

impl From<ResolverError> for GraphQLError {
    fn from(error: ResolverError) -> Self {
        Self::new(error.code, error.message)
    }
}
