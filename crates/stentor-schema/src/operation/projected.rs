//! The answer of another GraphQL API to a [`Forwarded`](crate::Forwarded) document: [`Projected`].

use serde_json::Value;

use super::{
    forward::client_key,
    project::MAX_ERRORS,
    selection::{Field, RootSelection},
};
use crate::{ErrorCode, GraphQLError, JsonObject, PathSegment};

/// A root field's value whose keys are response keys already, and the errors that came with it.
///
/// Neither `@from` nor snake_case finds a value in it. Its types are checked like those of any other value, and guards
/// below the root hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projected {
    /// The field's value.
    pub value: Value,
    /// What failed below the field. A path begins below it; one that is empty means the field itself.
    pub errors: Vec<GraphQLError>,
}

/// What a resolver found.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// A value of the program's own, which the selection is yet to be applied to.
    Payload(Value),
    /// What another GraphQL API answered.
    Projected(Projected),
}

impl Projected {
    /// Takes apart the response to a forwarded document: `{"data": {"key": …}, "errors": […]}`.
    ///
    /// Of an error its message, its path and its extensions are kept; its locations are in a document that the client does
    /// not know. What is no response at all is an error of its own.
    pub fn from_response(mut response: JsonObject) -> Self {
        if !response.contains_key("data") && !response.contains_key("errors") {
            let error = GraphQLError::new(ErrorCode::InternalServerError, UNRESOLVED);
            return Self { value: Value::Null, errors: vec![error] };
        }
        let data = match response.remove("data") {
            Some(Value::Object(data)) => data.into_iter().next().map(|(_, value)| value),
            _ => None,
        };
        let errors = match response.remove("errors") {
            Some(Value::Array(errors)) => errors.into_iter().filter_map(error).collect(),
            _ => Vec::new(),
        };
        Self { value: data.unwrap_or_default(), errors }
    }
}

impl From<Value> for Resolved {
    fn from(value: Value) -> Self {
        Self::Payload(value)
    }
}

impl From<Projected> for Resolved {
    fn from(projected: Projected) -> Self {
        Self::Projected(projected)
    }
}

/// Errors of an upstream response, and what the guards on the way said.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// With whole paths; at most as many as a response tells.
    errors: Vec<GraphQLError>,
    /// Whether there were more.
    more: bool,
    /// The guarded fields that were come by, and whether they may be seen.
    decisions: Vec<(Vec<PathSegment>, bool)>,
}

impl Upstream {
    /// The errors of one root field, at their places in the whole response.
    pub(super) fn new(root: &RootSelection, errors: Vec<GraphQLError>) -> Self {
        let more = errors.len() > MAX_ERRORS;
        let errors = errors.into_iter().take(MAX_ERRORS).map(|error| rooted(root, error)).collect();
        Self { errors, more, decisions: Vec::new() }
    }

    /// Whether a null at `path` is the consequence of one of the errors.
    pub(super) fn explains(&self, path: &[PathSegment]) -> bool {
        self.more || self.errors.iter().any(|error| error.path.starts_with(path))
    }

    /// Notes what the guards of a field said; nobody asks if there are no errors.
    pub(super) fn decided(&mut self, path: impl FnOnce() -> Vec<PathSegment>, allowed: bool) {
        if !self.errors.is_empty() {
            self.decisions.push((path(), allowed));
        }
    }

    /// The errors that the client may know of. What failed at or below a hidden field, or in a field that only a guard
    /// reads, is not told in the words of the upstream.
    pub(super) fn tell(mut self, root: &RootSelection) -> Vec<GraphQLError> {
        let errors = std::mem::take(&mut self.errors);
        errors.into_iter().filter_map(|error| self.censor(root, error)).collect()
    }

    fn censor(&self, root: &RootSelection, error: GraphQLError) -> Option<GraphQLError> {
        let mut fields = vec![&root.field];
        for (place, segment) in error.path.iter().enumerate().skip(1) {
            let PathSegment::Field(key) = segment else { continue };
            fields = below(&fields, key);
            if fields.iter().all(|field| field.guards.is_empty()) {
                continue;
            }
            let path = &error.path[..=place];
            match self.decisions.iter().find(|(decided, _)| decided == path) {
                Some((_, true)) => {}
                // The denial is told already.
                Some((_, false)) => return None,
                None => return Some(unspoken(path)),
            }
        }
        Some(error)
    }
}

/// The error with the client's keys in its path, from the root on. One of a field that only a guard reads is that of the
/// object around it.
fn rooted(root: &RootSelection, error: GraphQLError) -> GraphQLError {
    let private = root.private_prefix();
    let mut path = vec![PathSegment::Field(root.field.key.name().to_owned())];
    for segment in &error.path {
        let key = match segment {
            PathSegment::Field(key) => key,
            index => {
                path.push(index.clone());
                continue;
            }
        };
        match client_key(private, key) {
            Some(key) => path.push(PathSegment::Field(key.to_owned())),
            None => return unspoken(&path),
        }
    }
    GraphQLError { path, ..error }
}

/// The fields of one response key on every type that a value may be of.
fn below<'a>(fields: &[&'a Field], key: &str) -> Vec<&'a Field> {
    let selections = fields.iter().flat_map(|field| field.shape.kind.selections());
    selections.flat_map(|selection| &selection.fields).filter(|field| field.key.name() == key).collect()
}

fn unspoken(path: &[PathSegment]) -> GraphQLError {
    let error = GraphQLError::new(ErrorCode::FieldError, UNRESOLVED);
    GraphQLError { path: path.to_vec(), ..error }
}

/// An error of a response, with its path below the root field.
fn error(value: Value) -> Option<GraphQLError> {
    let Value::Object(mut members) = value else { return None };
    let message = match members.remove("message") {
        Some(Value::String(message)) => message,
        _ => UNRESOLVED.to_owned(),
    };
    let mut error = GraphQLError::new(ErrorCode::FieldError, message);
    if let Some(Value::Array(path)) = members.remove("path") {
        error.path = path.into_iter().skip(1).filter_map(segment).collect();
    }
    if let Some(Value::Object(extensions)) = members.remove("extensions") {
        error.extensions = Some(Box::new(extensions));
    }
    Some(error)
}

fn segment(value: Value) -> Option<PathSegment> {
    match value {
        Value::String(key) => Some(PathSegment::Field(key)),
        Value::Number(index) => {
            index.as_u64().and_then(|index| usize::try_from(index).ok()).map(PathSegment::Index)
        }
        _ => None,
    }
}

/// What is said of a field where nothing else may be.
const UNRESOLVED: &str = "the field could not be resolved";
