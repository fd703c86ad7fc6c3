//! What is served over HTTP: [`router`].

mod body;
mod graphiql;
mod graphql;
mod health;
mod media;
pub(crate) mod origins;
pub(crate) mod reject;
mod request;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, Response, header},
    middleware::{self, Next},
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
    // Outside of CORS, which answers every OPTIONS request by itself.
    let graphql = any(graphql_address).layer(cors(app)).layer(middleware::from_fn(tell_methods));
    Router::new()
        .route("/graphql/assets/{name}", get(graphiql::asset))
        .route("/ws", any(websocket))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(cors(app))
        .route("/graphql", graphql)
        .with_state(Arc::clone(app))
}

async fn graphql_address(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    if is_upgrade(&request) {
        return upgrade(&app, request).into_response();
    }
    if graphiql::is_wanted(&app, &request) {
        return graphiql::page();
    }
    graphql::answer(&app, request).await
}

async fn websocket(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    upgrade(&app, request).into_response()
}

/// Answers OPTIONS with the methods that there are, whether or not a browser asks for a page.
async fn tell_methods(request: Request, next: Next) -> Response<Body> {
    let asked = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if asked {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(graphql::METHODS));
    }
    response
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
