//! `__schema` and `__type`.

use std::collections::HashMap;

use apollo_compiler::{
    executable::Operation,
    introspection,
    response::{JsonMap, serde_json_bytes::to_value},
    validation::Valid,
};

use super::document::Document;
use crate::{ErrorCode, GraphQLError, JsonObject, Schema};

/// The values of an operation's introspection fields as JSON, by response key.
///
/// # Errors
///
/// None that a valid document can cause.
pub(super) fn execute(
    schema: &Schema,
    document: &Document,
    operation: &Operation,
    variables: &JsonObject,
) -> Result<HashMap<String, Vec<u8>>, GraphQLError> {
    let public = schema.public();
    let variables: JsonMap = variables
        .iter()
        .map(|(name, value)| Ok((name.as_str().into(), to_value(value).map_err(|_| failed())?)))
        .collect::<Result<_, _>>()?;
    let response = introspection::partial_execute(
        public,
        schema.documents.implementers(public),
        &document.executable,
        operation,
        Valid::assume_valid_ref(&variables),
    );
    let data = response.ok().and_then(|response| response.data).ok_or_else(failed)?;
    data.iter()
        .map(|(key, value)| Ok((key.as_str().to_owned(), serde_json::to_vec(value).map_err(|_| failed())?)))
        .collect()
}

fn failed() -> GraphQLError {
    GraphQLError::new(ErrorCode::InternalServerError, "Introspection failed.")
}
