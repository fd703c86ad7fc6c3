//! How the server is: `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;

use crate::app::App;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether new clients should be sent here, and how the broker is.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    let broker = app.engine.broker();
    let state = broker.state();
    let (status, word) = match () {
        () if app.is_draining() => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        () if app.config.broker.required && !state.is_up() => {
            (StatusCode::SERVICE_UNAVAILABLE, "broker down")
        }
        () => (StatusCode::OK, "ready"),
    };
    let broker = json!({
        "kind": broker.kind(),
        "state": state.mode.as_str(),
        "since": humantime::format_rfc3339_seconds(state.since).to_string(),
    });
    (status, axum::Json(json!({ "status": word, "broker": broker }))).into_response()
}

/// Every figure, in the text format of Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    let body = app.telemetry.render(app.engine.broker().state().mode, app.engine.hashes().reads());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}
