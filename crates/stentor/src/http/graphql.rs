//! Queries and mutations over HTTP: [`answer`].

use std::{pin::pin, sync::Arc, task::Poll};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use futures_util::poll;
use serde_json::json;
use stentor_auth::{Principal, token_from_header};
use stentor_schema::{ErrorCode, GraphQLError, Operation};
use tokio::time::timeout;

use super::{
    body,
    media::{Accept, Media, check_content},
    reject::Rejection,
    request::{from_body, from_query},
};
use crate::{app::App, identity::Refused};

/// The methods that there are, as `Allow` tells them.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// Answers one GraphQL request by the GraphQL over HTTP specification.
pub(super) async fn answer(app: &Arc<App>, request: Request) -> Response<Body> {
    let mut response = respond(app, request).await;
    let headers = response.headers_mut();
    // The next answer to the same request may be another one, and is for nobody else.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // And JSON, whatever it may look like to a browser that guesses.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(header::VARY, HeaderValue::from_static("accept, authorization"));
    response
}

async fn respond(app: &Arc<App>, request: Request) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let accepted = Accept::of(&parts.headers).media();
    let media = accepted.unwrap_or(Media::Json);
    let Ok(_exchange) = app.http_exchanges.try_acquire() else { return Rejection::Overloaded.answer(media) };
    let outcome = match check(app, &parts, accepted) {
        Ok(()) => handle(app, media, &parts, &mut body).await,
        Err(rejection) => {
            body::discard(&mut body, &parts.headers, &app.config.limits).await;
            Err(rejection)
        }
    };
    outcome.unwrap_or_else(|rejection| rejection.answer(media))
}

/// What can be said against a request before its body is read.
fn check(app: &App, parts: &Parts, accepted: Option<Media>) -> Result<(), Rejection> {
    app.origins.check_request(&parts.headers)?;
    match parts.method {
        Method::GET | Method::HEAD => {}
        Method::POST => check_content(&parts.headers)?,
        _ => return Err(Rejection::Method { allow: METHODS, message: "send a query by GET or POST" }),
    }
    accepted.map(|_| ()).ok_or(Rejection::NotAcceptable)
}

async fn handle(
    app: &Arc<App>,
    media: Media,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response<Body>, Rejection> {
    let (request, _permit) = if parts.method == Method::POST {
        let received = body::read(body, &app.http_bodies, &app.config.limits).await?;
        // Taken before the body's room is given back: what is parsed is bounded as well.
        let permit = app.http_requests.try_acquire().map_err(|_| Rejection::Overloaded)?;
        (from_body(&received.bytes)?, permit)
    } else {
        let permit = app.http_requests.try_acquire().map_err(|_| Rejection::Overloaded)?;
        (from_query(&parts.uri)?, permit)
    };
    let work = run(app, media, parts, &request);
    timeout(app.config.limits.request_timeout.get(), work).await.unwrap_or(Err(Rejection::Timeout))
}

async fn run(
    app: &Arc<App>,
    media: Media,
    parts: &Parts,
    request: &stentor_schema::Request,
) -> Result<Response<Body>, Rejection> {
    let principal = authenticate(app, &parts.headers).await?;
    let operation = match app.engine.prepare(request) {
        Ok(operation) => operation,
        Err(errors) => return Ok(refuse(media, &errors)),
    };
    let principal = principal.as_ref();
    let (Operation::Query(plan) | Operation::Mutation(plan)) = &operation else {
        let error = GraphQLError::new(ErrorCode::BadUserInput, "subscriptions need a WebSocket");
        return Ok(refuse(media, &[error]));
    };
    if matches!(operation, Operation::Mutation(_)) && parts.method != Method::POST {
        return Err(Rejection::Method { allow: "POST", message: "a mutation must be sent by POST" });
    }
    if let Err(error) = app.engine.authorize(plan, principal).await {
        return Ok(refuse(media, &[error]));
    }
    let result = match operation {
        Operation::Mutation(_) => app.engine.mutate(plan, principal).await,
        _ => app.engine.query(plan, principal).await,
    };
    Ok(reply(media, StatusCode::OK, result.bytes().clone()))
}

async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Rejection> {
    let mut headers = headers.get_all(header::AUTHORIZATION).into_iter();
    // Bytes that are not text are a wrong token, not a missing one; so are two, of which a proxy may have read the other.
    let text = match (headers.next(), headers.next()) {
        (Some(value), None) => value.to_str().unwrap_or(NO_TOKEN),
        (Some(_), Some(_)) => NO_TOKEN,
        (None, _) => "",
    };
    let token = token_from_header(text);
    let mut identity = pin!(app.identify(token));
    let verdict = match poll!(&mut identity) {
        Poll::Ready(verdict) => verdict,
        // A key must be fetched. Those who wait for it leave half of the places to others.
        Poll::Pending if app.http_requests.available_permits() < app.config.limits.http_requests / 2 => {
            return Err(Rejection::Overloaded);
        }
        Poll::Pending => identity.await,
    };
    verdict.map_err(|refused| match refused {
        Refused::Token(error) => Rejection::Unauthenticated(error.to_string()),
        Refused::Undecided { retry_after } => Rejection::Undecided { retry_after },
    })
}

/// Text that no verifier takes for a token.
const NO_TOKEN: &str = "?";

/// Answers a request that was understood but cannot be run.
fn refuse(media: Media, errors: &[GraphQLError]) -> Response<Body> {
    let status = match errors.first().map(|error| error.code) {
        Some(ErrorCode::Unauthenticated) => StatusCode::UNAUTHORIZED,
        Some(ErrorCode::Forbidden) => StatusCode::FORBIDDEN,
        _ => media.failed(),
    };
    reply(media, status, json!({ "errors": errors }).to_string().into())
}

fn reply(media: Media, status: StatusCode, body: Bytes) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, media.content_type())], body).into_response()
}
