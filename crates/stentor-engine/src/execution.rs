//! Queries and mutations: [`Answering`].

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use serde_json::Value;
use stentor_auth::Principal;
use stentor_schema::{
    ErrorCode, ExecutionResult, Feed, GraphQLError, JsonObject, Resolved, RootCall, RootPlan,
};

use crate::{
    Call, Guards, Publisher, Resolvers,
    guard::{Holder, authorize},
};

/// What every root field is answered with.
#[derive(Debug)]
pub(crate) struct Answering {
    pub(crate) resolvers: Resolvers,
    pub(crate) guards: Guards,
    pub(crate) publisher: Publisher,
    pub(crate) authentication: bool,
}

/// Whether root fields may be answered together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Query: together.
    Concurrent,
    /// Mutation: one after another, in the order of the document.
    Serial,
}

impl Answering {
    /// Answers every root field, and projects the values.
    pub(crate) async fn respond(
        &self,
        plan: &RootPlan,
        order: Order,
        principal: Option<&Arc<Principal>>,
    ) -> ExecutionResult {
        let values = match order {
            Order::Concurrent => join_all(plan.calls.iter().map(|call| self.answer(call, principal))).await,
            Order::Serial => {
                let mut values = Vec::with_capacity(plan.calls.len());
                for call in &plan.calls {
                    values.push(self.answer(call, principal).await);
                }
                values
            }
        };
        let holder = principal.map(|principal| Holder(principal));
        plan.respond(values, holder.as_ref().map(Holder::grants))
    }

    /// The first root field that the schema does not let `principal` run, as an error for the client.
    pub(crate) fn authorize(
        &self,
        plan: &RootPlan,
        principal: Option<&Principal>,
    ) -> Result<(), GraphQLError> {
        plan.calls.iter().try_for_each(|call| self.authorize_call(call, principal))
    }

    fn authorize_call(&self, call: &RootCall, principal: Option<&Principal>) -> Result<(), GraphQLError> {
        if self.authentication { authorize(&call.field, &call.arguments, principal) } else { Ok(()) }
    }

    /// One use of a root field, as a function of the embedding program is told of it.
    pub(crate) fn call(&self, arguments: &Arc<JsonObject>, principal: Option<&Arc<Principal>>) -> Call {
        Call {
            arguments: Arc::clone(arguments),
            principal: principal.cloned(),
            publisher: self.publisher.clone(),
        }
    }

    async fn answer(
        &self,
        call: &RootCall,
        principal: Option<&Arc<Principal>>,
    ) -> Result<Resolved, GraphQLError> {
        self.authorize_call(call, principal.map(Arc::as_ref))?;
        if matches!(call.field.feed, Feed::Version) {
            return Ok(Value::from(env!("CARGO_PKG_VERSION")).into());
        }
        let coordinate = call.field.coordinate();
        let used = self.call(&call.arguments, principal);
        let answer = self.resolvers.answer(&coordinate, call, used);
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Some(outcome)) => outcome.map_err(GraphQLError::from),
            Ok(None) => Err(GraphQLError::new(ErrorCode::InternalServerError, "nothing answers this field")),
            Err(_) => {
                tracing::error!(field = coordinate, "a resolver panicked; its field failed");
                Err(GraphQLError::new(ErrorCode::InternalServerError, "the field could not be resolved"))
            }
        }
    }
}
