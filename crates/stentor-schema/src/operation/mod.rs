//! What a client asked for: [`Operation`].

mod cache;
mod coerce;
mod compile;
mod document;
mod forward;
mod guard;
mod introspection;
mod key;
mod leaf;
mod limits;
mod plan;
mod project;
mod projected;
mod respond;
mod selection;

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use serde_json::Value;

pub(crate) use self::{cache::DocumentCache, selection::snake_case};
pub use self::{
    forward::Forwarded,
    projected::{Projected, Resolved},
};
use self::{
    guard::Asking,
    project::{Nulled, Projector},
    respond::Entry,
    selection::RootSelection,
};
use crate::{Event, Grants, GraphQLError, JsonObject, Malformed, RenderError, RootField, TemplateScope};

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
    /// Every key of the response, in its order.
    entries: Vec<Entry>,
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
    /// What is selected of it.
    selection: Arc<RootSelection>,
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionPlan {
    /// The root field.
    pub field: Arc<RootField>,
    /// Its coerced arguments.
    pub arguments: Arc<JsonObject>,
    /// What is selected: shared with every plan of the same document, unless a variable changes it.
    selection: Arc<RootSelection>,
}

/// An execution result in JSON: an object that has at least one key, whose last byte is its closing brace.
///
/// What comes before that brace is the same for a whole audience; `extensions` may be spliced in there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecutionResult(Bytes);

impl ExecutionResult {
    /// `result` is a JSON object with at least one key, and nothing after its closing brace.
    fn new(result: Vec<u8>) -> Self {
        Self(result.into())
    }

    /// A result that was encoded elsewhere; `None` unless it is at least `{}`.
    pub fn from_encoded(result: Bytes) -> Option<Self> {
        (result.starts_with(b"{") && result.ends_with(b"}") && result.len() > 1).then_some(Self(result))
    }

    /// The whole object.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The object without its closing brace.
    pub fn open(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }
}

impl SubscriptionPlan {
    /// The topic that this subscription listens to, or the key of the hash that it watches.
    ///
    /// # Errors
    ///
    /// An argument or claim that a topic must not contain, or a field that no events feed.
    pub fn address(&self, claims: &JsonObject) -> Result<String, RenderError> {
        let Some(feed) = self.field.feed.events() else {
            return Err(RenderError(format!("field \"{}\" is not fed by events", self.field.name)));
        };
        feed.address.render_topic(&TemplateScope { args: &self.arguments, claims, event: None })
    }

    /// What every subscription that must receive exactly the same bytes has in common, apart from the topic.
    ///
    /// It holds the root field, the response key, the selection, the coerced arguments, and of `claims` those that the
    /// field's templates and conditions read. Of each guard on what is selected it holds what it says, or, where it
    /// reads the object around its field, the claims that it reads and a digest of what `grants` say about its scope.
    /// The operation's name, white space, how the document is cut into fragments, and variables that are not used do
    /// not show in it.
    pub fn audience_key(&self, claims: &JsonObject, grants: Option<&dyn Grants>) -> String {
        key::audience(&self.selection, &self.arguments, &self.field.claims, claims, grants)
    }

    /// Whether anything that is selected has a guard of its own, for which [`project`](Self::project) needs grants.
    pub fn is_guarded(&self) -> bool {
        !self.selection.guards.is_empty()
    }

    /// The result for one event. Its errors have no locations: an audience shares the bytes between documents that
    /// differ in white space. What `grants` do not allow is null, with an error; without any, the client is anonymous.
    ///
    /// # Errors
    ///
    /// The payload cannot be this field's value at all: text for an object, say.
    pub fn project(&self, event: &Event, grants: Option<&dyn Grants>) -> Result<ExecutionResult, Malformed> {
        let mut projector = self.projector(grants);
        let data = projector.event(&self.selection, event)?;
        Ok(self.finish(projector, data))
    }

    /// The result for an event after which a value was loaded: fields take from the value, and from the event what the value
    /// lacks.
    pub fn project_loaded(
        &self,
        event: &Event,
        loaded: &Value,
        grants: Option<&dyn Grants>,
    ) -> ExecutionResult {
        let mut projector = self.projector(grants);
        let data = projector.loaded(&self.selection, loaded, event);
        self.finish(projector, data)
    }

    /// The result for a value that came without an event, or for the reason why there is none.
    pub fn answer(&self, value: Result<Value, GraphQLError>, grants: Option<&dyn Grants>) -> ExecutionResult {
        let mut projector = self.projector(grants);
        let data = projector.resolved(&self.selection, value.map(Resolved::Payload));
        self.finish(projector, data)
    }

    /// For [`Overflow::Latest`](crate::Overflow::Latest): what the event is a newer state of. Without a key, or where the
    /// event lacks it, all events are states of one thing.
    pub fn state_key(&self, claims: &JsonObject, event: &Event) -> Option<String> {
        let key = self.field.delivery.key.as_ref()?;
        key.render(&TemplateScope { args: &self.arguments, claims, event: Some(event) }).ok()
    }

    fn projector<'a>(&'a self, grants: Option<&'a dyn Grants>) -> Projector<'a> {
        let asking = Asking { arguments: &self.arguments, grants };
        Projector::new(asking, self.selection.length.load(Ordering::Relaxed))
    }

    fn finish(&self, projector: Projector<'_>, data: Result<(), Nulled>) -> ExecutionResult {
        let result = projector.finish(data);
        self.selection.length.store(result.len().min(REMEMBERED_BYTES), Ordering::Relaxed);
        ExecutionResult::new(result)
    }
}

impl Default for OperationLimits {
    fn default() -> Self {
        Self { depth: 20, aliases: 50, root_fields: 20, tokens: 10_000, introspection: true }
    }
}

/// Bytes at most that the next result reserves because the last one was as long.
const REMEMBERED_BYTES: usize = 64 << 10;
