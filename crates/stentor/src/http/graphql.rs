//! Queries and mutations over HTTP: [`answer`].

use std::{error::Error, sync::Arc, time::SystemTime};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Query, Request},
    http::{Method, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde_json::json;
use stentor_auth::{Principal, token_from_header};
use stentor_protocol::StrictObject;
use stentor_schema::{ErrorCode, GraphQLError, Operation};

use super::{
    media::{Media, is_json},
    reject::Rejection,
};
use crate::app::App;

/// Answers one GraphQL request by the GraphQL over HTTP specification.
pub(super) async fn answer(app: &Arc<App>, request: Request) -> Response<Body> {
    let Ok(_permit) = app.http_requests.try_acquire() else { return Rejection::Overloaded.into_response() };
    let work = respond(app, request);
    match tokio::time::timeout(app.config.limits.request_timeout.get(), work).await {
        Ok(response) => response.unwrap_or_else(IntoResponse::into_response),
        Err(_) => Rejection::Timeout.into_response(),
    }
}

async fn respond(app: &Arc<App>, request: Request) -> Result<Response<Body>, Rejection> {
    let (mut parts, body) = request.into_parts();
    let media = Media::accepted(&parts.headers).ok_or(Rejection::NotAcceptable)?;
    let principal = authenticate(app, &parts)?;
    let request = read(app, &mut parts, body).await?;
    let operation = match app.engine.prepare(&request) {
        Ok(operation) => operation,
        Err(errors) => return Ok(refuse(media, status(media, &errors), &errors)),
    };
    let principal = principal.as_ref();
    let (Operation::Query(plan) | Operation::Mutation(plan)) = &operation else {
        let error = GraphQLError::new(ErrorCode::BadUserInput, "subscriptions need a WebSocket");
        return Ok(refuse(media, media.failed(), &[error]));
    };
    if matches!(operation, Operation::Mutation(_)) && parts.method == Method::GET {
        return Err(Rejection::Method { allow: "POST", message: "a mutation must be sent by POST" });
    }
    if let Err(error) = app.engine.authorize(plan, principal.map(Arc::as_ref)) {
        let errors = [error];
        return Ok(refuse(media, status(media, &errors), &errors));
    }
    let result = match operation {
        Operation::Mutation(_) => app.engine.mutate(plan, principal).await,
        _ => app.engine.query(plan, principal).await,
    };
    Ok(reply(media, StatusCode::OK, result.bytes().clone()))
}

fn authenticate(app: &App, parts: &Parts) -> Result<Option<Arc<Principal>>, Rejection> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).into_iter();
    // Bytes that are not text are a wrong token, not a missing one; so are two, of which a proxy may have read the other.
    let text = match (headers.next(), headers.next()) {
        (Some(value), None) => value.to_str().unwrap_or(NO_TOKEN),
        (Some(_), Some(_)) => NO_TOKEN,
        (None, _) => "",
    };
    let token = token_from_header(text);
    app.identify(token, SystemTime::now()).map_err(|error| Rejection::Unauthenticated(error.to_string()))
}

/// Text that no verifier takes for a token.
const NO_TOKEN: &str = "?";

/// A request as the body or the query string carries it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Carried<V> {
    query: String,
    operation_name: Option<String>,
    variables: Option<V>,
    extensions: Option<V>,
}

impl Carried<StrictObject> {
    fn into_request(self) -> stentor_schema::Request {
        let variables = self.variables.unwrap_or_default().0;
        stentor_schema::Request { query: self.query, operation_name: self.operation_name, variables }
    }
}

async fn read(app: &App, parts: &mut Parts, body: Body) -> Result<stentor_schema::Request, Rejection> {
    match parts.method {
        Method::POST if !is_json(&parts.headers) => Err(Rejection::UnsupportedMediaType),
        Method::POST => {
            let limit = app.config.limits.message_bytes.get();
            let bytes = to_bytes(body, limit).await.map_err(|error| unread(&error))?;
            // A list would be read as the members in order, and a batch is a list.
            if !bytes.trim_ascii_start().starts_with(b"{") {
                return Err(Rejection::BadRequest("a GraphQL request is one JSON object".into()));
            }
            serde_json::from_slice::<Carried<_>>(&bytes).map(Carried::into_request).map_err(bad_request)
        }
        Method::GET => {
            let Query(carried) = Query::<Carried<String>>::from_request_parts(parts, &())
                .await
                .map_err(|error| Rejection::BadRequest(error.body_text()))?;
            parameters(carried).map(Carried::into_request).map_err(bad_request)
        }
        _ => Err(Rejection::Method { allow: "GET, POST", message: "send a query by GET or POST" }),
    }
}

/// Why a body could not be read: it is too long, or not in order.
fn unread(error: &axum::Error) -> Rejection {
    let too_long = error.source().is_some_and(|source| source.is::<LengthLimitError>());
    if too_long { Rejection::TooLarge } else { Rejection::BadRequest("the body cannot be read".into()) }
}

/// The objects within a query string; an empty parameter is an absent one.
fn parameters(carried: Carried<String>) -> Result<Carried<StrictObject>, serde_json::Error> {
    let object = |text: Option<String>| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => serde_json::from_str::<Option<StrictObject>>(text),
    };
    let Carried { query, operation_name, variables, extensions } = carried;
    Ok(Carried { query, operation_name, variables: object(variables)?, extensions: object(extensions)? })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn bad_request(error: serde_json::Error) -> Rejection {
    Rejection::BadRequest(format!("this is not a GraphQL request: {error}"))
}

/// The status of a request that was refused for these errors.
fn status(media: Media, errors: &[GraphQLError]) -> StatusCode {
    match errors.first().map(|error| error.code) {
        Some(ErrorCode::Unauthenticated) => StatusCode::UNAUTHORIZED,
        Some(ErrorCode::Forbidden) => StatusCode::FORBIDDEN,
        _ => media.failed(),
    }
}

fn refuse(media: Media, status: StatusCode, errors: &[GraphQLError]) -> Response<Body> {
    reply(media, status, json!({ "errors": errors }).to_string().into())
}

fn reply(media: Media, status: StatusCode, body: Bytes) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, media.content_type())], body).into_response()
}
