//! The response of a query or mutation.

use super::{
    ExecutionResult, RootPlan,
    guard::Asking,
    leaf,
    project::{Nulled, Projector},
    selection::JsonKey,
};
use crate::{ErrorCode, Grants, GraphQLError, JsonObject, Resolved};

/// One key of a query's or mutation's response.
#[derive(Debug)]
pub(super) enum Entry {
    /// The next of the plan's calls.
    Call,
    /// Key and value, known since the operation was planned.
    Known(Vec<u8>),
}

impl Entry {
    /// `__schema` or `__type`; null if there is no such type.
    pub(super) fn introspection(key: &str, value: Option<&[u8]>) -> Self {
        let mut json = JsonKey::new(key).json().as_bytes().to_vec();
        json.extend_from_slice(value.unwrap_or(b"null"));
        Self::Known(json)
    }

    /// `__typename`.
    pub(super) fn typename(key: &JsonKey, name: &str) -> Self {
        let mut json = key.json().as_bytes().to_vec();
        leaf::write_json(&mut json, name);
        Self::Known(json)
    }
}

impl RootPlan {
    /// The response: `values[i]` is the value of `calls[i]`, or why there is none.
    ///
    /// What `grants` do not allow is null, with an error; without any, the client is anonymous.
    /// An error without a path gets its root field's. A value too few counts as an internal error.
    pub fn respond(
        &self,
        values: Vec<Result<Resolved, GraphQLError>>,
        grants: Option<&dyn Grants>,
    ) -> ExecutionResult {
        let none = JsonObject::new();
        let mut projector = Projector::new(Asking { arguments: &none, grants }, RESPONSE_BYTES);
        let mut calls = self.calls.iter();
        let mut values = values.into_iter();
        let mut data = Ok(());
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                projector.raw(b",");
            }
            match entry {
                Entry::Known(json) => projector.raw(json),
                Entry::Call => {
                    let Some(call) = calls.next() else { continue };
                    projector.set_arguments(&call.arguments);
                    let value = values.next().unwrap_or_else(|| Err(unanswered()));
                    // The others are projected all the same: their errors belong into the response too.
                    if let Err(Nulled) = projector.resolved(&call.selection, value) {
                        data = Err(Nulled);
                    }
                }
            }
        }
        ExecutionResult::new(projector.finish(data))
    }
}

fn unanswered() -> GraphQLError {
    GraphQLError::new(ErrorCode::InternalServerError, "The field was not resolved.")
}

/// Bytes that a response begins with room for.
const RESPONSE_BYTES: usize = 256;
