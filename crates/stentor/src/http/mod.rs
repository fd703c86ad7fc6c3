//! What is served over HTTP: [`router`].

mod graphql;
mod health;
mod media;
pub(crate) mod origins;
pub(crate) mod reject;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, Response, header},
    response::IntoResponse,
    routing::{any, get},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    app::App,
    websocket::{is_upgrade, upgrade},
};

/// Every address of the server.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let body_limit = app.config.limits.message_bytes.get();
    Router::new()
        .route("/graphql", any(graphql_or_upgrade))
        .route("/ws", any(websocket))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(cors(app))
        .with_state(Arc::clone(app))
}

async fn graphql_or_upgrade(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    if is_upgrade(&request) {
        return upgrade(&app, request).into_response();
    }
    graphql::answer(&app, request).await
}

async fn websocket(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    upgrade(&app, request).into_response()
}

/// Browsers may read answers for the same origins that may open a WebSocket.
fn cors(app: &Arc<App>) -> CorsLayer {
    let origins = app.origins.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, request| origins.allow(origin, &request.headers)))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT])
        .max_age(std::time::Duration::from_secs(3_600))
}
