//! What a client asked for: [`Operation`].

mod cache;
mod document;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

pub(crate) use self::cache::DocumentCache;
use crate::{Event, GraphQLError, JsonObject, Malformed, RenderError, RootField, Schema};

/// A GraphQL request, as every transport brings it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which of its operations.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: JsonObject,
}

/// What a document may ask for. Exceeding one is a `LIMIT_EXCEEDED` error.
#[derive(Clone, Debug)]
pub struct OperationLimits {
    /// Nesting of fields.
    pub depth: usize,
    /// Aliased fields, fragments counted where they are spread.
    pub aliases: usize,
    /// Root fields, fragments counted where they are spread.
    pub root_fields: usize,
    /// Tokens of the document.
    pub tokens: usize,
    /// Whether `__schema` and `__type` may be asked for.
    pub introspection: bool,
}

/// A validated operation, ready to run.
#[derive(Debug)]
pub enum Operation {
    /// Root fields that are resolved one after another.
    Mutation(RootPlan),
    /// Root fields that are resolved together.
    Query(RootPlan),
    /// One root field that is answered once per event.
    Subscription(SubscriptionPlan),
}

/// A query or mutation.
#[derive(Debug)]
pub struct RootPlan {
    /// The root fields that something must feed, in the order of the response. Introspection is not among them.
    pub calls: Vec<RootCall>,
}

/// One root field of a query or mutation.
#[derive(Debug)]
pub struct RootCall {
    /// The field.
    pub field: Arc<RootField>,
    /// Its coerced arguments.
    pub arguments: Arc<JsonObject>,
    /// Its key in the response.
    pub response_key: String,
}

/// A subscription.
#[derive(Debug)]
pub struct SubscriptionPlan {
    /// The root field.
    pub field: Arc<RootField>,
    /// Its coerced arguments.
    pub arguments: Arc<JsonObject>,
}

/// An execution result in JSON: an object that has at least one key, whose last byte is its closing brace.
///
/// What comes before that brace is the same for a whole audience; `extensions` may be spliced in there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecutionResult(Bytes);

impl ExecutionResult {
    /// The whole object.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The object without its closing brace.
    pub fn open(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }
}

impl Schema {
    /// Parses, validates and limits `request`, and coerces its variables.
    ///
    /// # Errors
    ///
    /// What the client did wrong: at least one error.
    pub fn plan(
        &self,
        _request: &Request,
        _limits: &OperationLimits,
    ) -> Result<Operation, Vec<GraphQLError>> {
        todo!()
    }
}

impl RootPlan {
    /// The response: `values[i]` is the value of `calls[i]`, or why there is none.
    pub fn respond(&self, _values: Vec<Result<Value, GraphQLError>>) -> ExecutionResult {
        todo!()
    }
}

impl SubscriptionPlan {
    /// The topic this subscription listens to.
    ///
    /// # Errors
    ///
    /// An argument or claim that a topic must not contain.
    pub fn topic(&self, _claims: &JsonObject) -> Result<String, RenderError> {
        todo!()
    }

    /// What every subscription that must receive exactly the same bytes has in common, apart from the topic.
    pub fn audience_key(&self, _claims: &JsonObject) -> String {
        todo!()
    }

    /// The result for one event.
    ///
    /// # Errors
    ///
    /// The payload cannot be this field's value at all: text for an object, say.
    pub fn project(&self, _event: &Event) -> Result<ExecutionResult, Malformed> {
        todo!()
    }
}
