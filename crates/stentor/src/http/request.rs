//! A GraphQL request as it is carried over HTTP: [`from_body`], [`from_query`].

use axum::{extract::Query, http::Uri};
use serde::Deserialize;
use stentor_protocol::StrictObject;
use stentor_schema::Request;

use super::reject::Rejection;

/// What a body or a query string has in it. Names that are not known are passed over, as the specification has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Carried<V> {
    query: String,
    operation_name: Option<String>,
    variables: Option<V>,
    extensions: Option<V>,
}

impl Carried<StrictObject> {
    fn into_request(self) -> Request {
        let variables = self.variables.unwrap_or_default().0;
        Request { query: self.query, operation_name: self.operation_name, variables }
    }
}

/// The request in a JSON body.
///
/// # Errors
///
/// It is none.
pub(super) fn from_body(bytes: &[u8]) -> Result<Request, Rejection> {
    // A list would be read as the members in order, and a batch is a list.
    match bytes.trim_ascii_start().first() {
        Some(b'{') => {
            serde_json::from_slice::<Carried<_>>(bytes).map(Carried::into_request).map_err(bad_request)
        }
        Some(b'[') => Err(Rejection::BadRequest("batches are not taken: send each request by itself".into())),
        _ => Err(Rejection::BadRequest("a GraphQL request is one JSON object".into())),
    }
}

/// The request in the query string of an address.
///
/// # Errors
///
/// It is none.
pub(super) fn from_query(uri: &Uri) -> Result<Request, Rejection> {
    let Query(carried) = Query::<Carried<String>>::try_from_uri(uri)
        .map_err(|error| Rejection::BadRequest(error.body_text()))?;
    parameters(carried).map(Carried::into_request).map_err(bad_request)
}

/// Whether the query string has a document in it.
pub(super) fn has_query(uri: &Uri) -> bool {
    let names = uri.query().unwrap_or_default().split('&');
    names.map(|pair| pair.split('=').next().unwrap_or_default()).any(|name| name == "query")
}

/// The objects within a query string; an empty parameter is an absent one.
fn parameters(carried: Carried<String>) -> Result<Carried<StrictObject>, serde_json::Error> {
    let object = |text: Option<String>| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => serde_json::from_str::<Option<StrictObject>>(text),
    };
    let Carried { query, operation_name, variables, extensions } = carried;
    let operation_name = operation_name.filter(|name| !name.is_empty());
    Ok(Carried { query, operation_name, variables: object(variables)?, extensions: object(extensions)? })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn bad_request(error: serde_json::Error) -> Rejection {
    Rejection::BadRequest(format!("this is not a GraphQL request: {error}"))
}
