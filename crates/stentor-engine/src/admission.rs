//! Guards of the embedding program: [`Guard`].

use std::{collections::HashMap, fmt, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt;
use stentor_auth::Principal;
use stentor_schema::{ErrorCode, GraphQLError, JsonObject, RootField, RootPlan};

use crate::{Call, ResolverError, execution::Answering};

/// Decides who may use one root field, after the guards of the schema and before anything else is done for it.
#[async_trait]
pub trait Guard: Send + Sync + 'static {
    /// Whether this call may go on.
    ///
    /// # Errors
    ///
    /// It may not; what the client may know of the reason.
    async fn check(&self, call: Call) -> Result<(), ResolverError>;
}

/// The guards of one engine, by `Type.field`.
#[derive(Clone, Default)]
pub struct Guards(HashMap<String, Vec<Arc<dyn Guard>>>);

impl Guards {
    /// Adds a guard of `coordinate`, `Subscription.chat` say. All that a field has must let a call pass.
    pub fn insert(&mut self, coordinate: impl Into<String>, guard: impl Guard) {
        self.0.entry(coordinate.into()).or_default().push(Arc::new(guard));
    }

    /// Every coordinate that has one.
    pub fn coordinates(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether anything is to be asked before `field` is used.
    pub(crate) fn guard(&self, field: &RootField) -> bool {
        !self.of(field).is_empty()
    }

    fn of(&self, field: &RootField) -> &[Arc<dyn Guard>] {
        if self.0.is_empty() {
            return &[];
        }
        self.0.get(&field.coordinate()).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Answering {
    /// Asks the guards of one root field, in the order they were given.
    ///
    /// # Errors
    ///
    /// The first that says no. One that panics says no too.
    pub(crate) async fn admit(
        &self,
        field: &RootField,
        arguments: &Arc<JsonObject>,
        principal: Option<&Arc<Principal>>,
    ) -> Result<(), GraphQLError> {
        for guard in self.guards.of(field) {
            let call = self.call(arguments, principal);
            match AssertUnwindSafe(guard.check(call)).catch_unwind().await {
                Ok(outcome) => outcome?,
                Err(_) => {
                    tracing::error!(field = field.coordinate(), "a guard panicked; its field was refused");
                    let message = "the field could not be guarded";
                    return Err(GraphQLError::new(ErrorCode::InternalServerError, message));
                }
            }
        }
        Ok(())
    }

    /// Asks the guards of every root field, one after another.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub(crate) async fn admit_all(
        &self,
        plan: &RootPlan,
        principal: Option<&Arc<Principal>>,
    ) -> Result<(), GraphQLError> {
        for call in &plan.calls {
            self.admit(&call.field, &call.arguments, principal).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
