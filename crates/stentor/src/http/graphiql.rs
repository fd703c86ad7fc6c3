//! GraphiQL, for people who open `/graphql` in a browser: [`is_wanted`], [`page`], [`asset`].

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderName, Method, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{media::Accept, request::has_query};
use crate::app::App;

// What `web/graphiql` has built: `PAGE`, which is none where it was not built, and `ASSETS` by their names.
include!(concat!(env!("OUT_DIR"), "/graphiql.rs"));

/// Everything comes from the server itself, and nothing of it is shown within another page. Monaco makes style sheets while it
/// runs; fonts and small images stand as data in the style sheets of its package.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; font-src 'self' data:; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Stentor</title>
<p>This is a GraphQL endpoint, and GraphiQL is not built into the program that serves it.
<p>To have it here, run <code>make web</code> in the repository of Stentor (Node.js does it), then build the program again.
";

/// Whether a person has opened the address: a browser that would rather see a page, and asks nothing.
pub(super) fn is_wanted(app: &App, request: &Request) -> bool {
    app.serves_graphiql()
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !has_query(request.uri())
        && Accept::of(request.headers()).prefers_page()
}

/// The page. Its links are relative to its own address, wherever the router is mounted.
pub(super) fn page() -> Response<Body> {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept"),
    ];
    (headers, SAFETY, PAGE.unwrap_or(NOT_BUILT)).into_response()
}

/// A file of the page. Its name changes with what is in it, so that browsers may keep it. `licenses.md` says whose work they are.
pub(super) async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response<Body> {
    let found = ASSETS.iter().find(|(known, _)| *known == name).filter(|_| app.serves_graphiql());
    let Some((_, compressed)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, content_type(&name)),
        (header::CONTENT_ENCODING, "gzip"), // no browser is without it
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, SAFETY, *compressed).into_response()
}

/// A worker has the policy that its own file comes with, so that they all have it.
const SAFETY: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("md") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_has_a_type() {
        for (name, compressed) in ASSETS {
            assert_ne!(content_type(name), "application/octet-stream", "{name}");
            assert!(compressed.starts_with(&[0x1F, 0x8B]), "{name} is gzip");
        }
    }
}
