//! Functions of the embedding program as the engine calls them, and what they are given: [`Call`], [`Load`].

use std::{marker::PhantomData, sync::Arc};

use futures_util::{Stream, StreamExt};
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer},
};
use serde_json::{Map, Value};
use stentor_auth::Principal;
use stentor_broker::{HashError, PublishError};
use stentor_engine::{Forwarder, Guard, Loader, Resolver, ResolverError, Streamer, ValueStream};
use stentor_schema::{ErrorCode, Forwarded, Projected};

use crate::outgoing::{payload, texts};

/// One use of a field, as the handler of the field sees it; `S` is the [state](crate::Builder::state) of the program.
#[derive(Clone, Debug)]
pub struct Call<S = ()> {
    call: stentor_engine::Call,
    state: S,
}

impl<S> Call<S> {
    /// The field's coerced arguments, as they are before they become the handler's own type.
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.call.arguments
    }

    /// Who asks; `None` for an anonymous client.
    pub fn principal(&self) -> Option<&Principal> {
        self.shared_principal().map(Arc::as_ref)
    }

    /// As [`principal`](Self::principal), for who keeps it.
    pub fn shared_principal(&self) -> Option<&Arc<Principal>> {
        self.call.principal.as_ref()
    }

    /// What [`Builder::state`](crate::Builder::state) was given.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Sends an event, as [`Stentor::publish`](crate::Stentor::publish) does. A call may be kept, to publish what comes of it
    /// later.
    ///
    /// # Errors
    ///
    /// As there. `?` makes a [`ResolverError`] of it that tells the client to try again, and the log why.
    ///
    /// ```
    /// use stentor::{Call, ResolverError, Stentor};
    ///
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct Bot { id: String }
    ///
    /// async fn start(bot: Bot, call: Call) -> Result<bool, ResolverError> {
    ///     call.publish(&format!("bot:{}", bot.id), &bot).await?;
    ///     Ok(true)
    /// }
    ///
    /// # fn main() -> Result<(), stentor::BuildError> {
    /// Stentor::builder()
    ///     .schema("type Query { ok: Boolean @resolver } type Mutation { start(id: ID!): Boolean! @resolver }")
    ///     .resolver("Query.ok", async |_: serde_json::Value, _: Call| Ok(true))
    ///     .resolver("Mutation.start", start)
    ///     .check()
    /// # }
    /// ```
    pub async fn publish<T: Serialize + ?Sized>(&self, topic: &str, event: &T) -> Result<(), PublishError> {
        self.call.publisher.publish(topic, payload(event)?).await
    }

    /// Sets fields of a hash, as [`Stentor::set_hash`](crate::Stentor::set_hash) does.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_hash<T: Serialize + ?Sized>(&self, key: &str, fields: &T) -> Result<(), HashError> {
        self.call.publisher.set_hash(key, &texts(fields)?).await
    }
}

/// One event for which a value is to be loaded, as the handler of the field sees it.
///
/// It does not say who asks: the value is for everyone who subscribed with these arguments.
#[derive(Clone, Debug)]
pub struct Load<S = ()> {
    call: stentor_engine::LoadCall,
    state: S,
}

impl<S> Load<S> {
    /// The field's coerced arguments, as they are before they become the handler's own type.
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.call.arguments
    }

    /// The event: an object or a list from JSON, or a string from a payload that is text.
    ///
    /// # Errors
    ///
    /// It is no `E`. To fail with this is right: clients are told that the event was not as expected, and nothing more.
    pub fn event<E: DeserializeOwned>(&self) -> Result<E, ResolverError> {
        let event = &self.call.event;
        let read = match (event.json(), event.text()) {
            (Some(json), _) => E::deserialize(json),
            (None, text) => E::deserialize(text.unwrap_or_default().into_deserializer()),
        };
        read.map_err(|error: serde_json::Error| {
            tracing::debug!(%error, "an event is not what its load takes");
            ResolverError::new(ErrorCode::FieldError, "the event is not as expected")
        })
    }

    /// What [`Builder::state`](crate::Builder::state) was given.
    pub fn state(&self) -> &S {
        &self.state
    }
}

/// A function from typed arguments to a typed value, with the state it is called with.
pub(crate) struct Handler<S, A, T, F> {
    function: F,
    state: S,
    types: PhantomData<fn(A) -> T>,
}

impl<S, A, T, F> Handler<S, A, T, F> {
    pub(crate) fn new(state: S, function: F) -> Self {
        Self { function, state, types: PhantomData }
    }
}

#[async_trait::async_trait]
impl<S, A, T, F, R> Resolver for Handler<S, A, T, F>
where
    S: Clone + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, ResolverError>> + Send + 'static,
{
    async fn resolve(&self, call: stentor_engine::Call) -> Result<Value, ResolverError> {
        let arguments = typed(&call.arguments)?;
        let call = Call { call, state: self.state.clone() };
        untyped(&(self.function)(arguments, call).await?)
    }
}

#[async_trait::async_trait]
impl<S, A, F, R> Guard for Handler<S, A, (), F>
where
    S: Clone + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), ResolverError>> + Send + 'static,
{
    async fn check(&self, call: stentor_engine::Call) -> Result<(), ResolverError> {
        let arguments = typed(&call.arguments)?;
        (self.function)(arguments, Call { call, state: self.state.clone() }).await
    }
}

#[async_trait::async_trait]
impl<S, F, R> Forwarder for Handler<S, Forwarded, Projected, F>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Forwarded, Call<S>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Projected, ResolverError>> + Send + 'static,
{
    async fn forward(
        &self,
        forwarded: Forwarded,
        call: stentor_engine::Call,
    ) -> Result<Projected, ResolverError> {
        (self.function)(forwarded, Call { call, state: self.state.clone() }).await
    }
}

#[async_trait::async_trait]
impl<S, A, T, F, R> Loader for Handler<S, A, T, F>
where
    S: Clone + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    F: Fn(A, Load<S>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Option<T>, ResolverError>> + Send + 'static,
{
    async fn load(&self, call: stentor_engine::LoadCall) -> Result<Option<Value>, ResolverError> {
        let arguments = typed(&call.arguments)?;
        let load = Load { call, state: self.state.clone() };
        let value = (self.function)(arguments, load).await?;
        value.map(|value| untyped(&value)).transpose()
    }
}

#[async_trait::async_trait]
impl<S, A, T, V, F, R> Streamer for Handler<S, A, (T, V), F>
where
    S: Clone + Send + Sync + 'static,
    A: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    V: Stream<Item = Result<T, ResolverError>> + Send + 'static,
    F: Fn(A, Call<S>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<V, ResolverError>> + Send + 'static,
{
    async fn stream(&self, call: stentor_engine::Call) -> Result<ValueStream, ResolverError> {
        let arguments = typed(&call.arguments)?;
        let call = Call { call, state: self.state.clone() };
        let stream = (self.function)(arguments, call).await?;
        Ok(Box::pin(stream.map(|value| untyped(&value?))))
    }
}

fn typed<A: DeserializeOwned>(arguments: &Map<String, Value>) -> Result<A, ResolverError> {
    serde_json::from_value(Value::Object(arguments.clone()))
        .map_err(|error| ResolverError::new(ErrorCode::BadUserInput, error.to_string()))
}

fn untyped<T: Serialize>(value: &T) -> Result<Value, ResolverError> {
    serde_json::to_value(value).map_err(|error| {
        tracing::error!(%error, "a resolver's value does not serialize");
        ResolverError::new(ErrorCode::InternalServerError, "the field could not be resolved")
    })
}
