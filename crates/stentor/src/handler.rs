//! Functions of the embedding program as the engine calls them, and what they are given: [`Call`].

use std::{marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use stentor_auth::Principal;
use stentor_engine::{Forwarder, Guard, Resolver, ResolverError};
use stentor_schema::{ErrorCode, Forwarded, Projected};

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
