//! Root fields that the embedding program feeds: [`Resolver`].

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;
use stentor_auth::Principal;
use stentor_schema::{ErrorCode, Forwarded, GraphQLError, JsonObject, Projected, Resolved, RootCall};

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

/// The resolvers of one engine, by `Type.field`.
#[derive(Clone, Default)]
pub struct Resolvers(HashMap<String, Answerer>);

impl Resolvers {
    /// Adds the resolver of `coordinate`, `Query.bots` say; the last one given holds.
    pub fn insert(&mut self, coordinate: impl Into<String>, resolver: impl Resolver) {
        self.0.insert(coordinate.into(), Answerer::Resolver(Arc::new(resolver)));
    }

    /// As [`insert`](Self::insert), for what passes the client's selection on.
    pub fn insert_forwarder(&mut self, coordinate: impl Into<String>, forwarder: impl Forwarder) {
        self.0.insert(coordinate.into(), Answerer::Forwarder(Arc::new(forwarder)));
    }

    /// Whether there is one for `coordinate`.
    pub fn contains(&self, coordinate: &str) -> bool {
        self.0.contains_key(coordinate)
    }

    /// Every coordinate that has one.
    pub fn coordinates(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Answers a root field; `None` if nothing does.
    pub(crate) async fn answer(
        &self,
        coordinate: &str,
        root: &RootCall,
        call: Call,
    ) -> Option<Result<Resolved, ResolverError>> {
        Some(match self.0.get(coordinate)? {
            Answerer::Forwarder(forwarder) => {
                forwarder.forward(root.forward(), call).await.map(Resolved::from)
            }
            Answerer::Resolver(resolver) => resolver.resolve(call).await.map(Resolved::from),
        })
    }
}

impl fmt::Debug for Resolvers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl ResolverError {
    /// A failure of which the client learns `message` and nothing else.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), code }
    }
}

impl From<ResolverError> for GraphQLError {
    fn from(error: ResolverError) -> Self {
        Self::new(error.code, error.message)
    }
}
