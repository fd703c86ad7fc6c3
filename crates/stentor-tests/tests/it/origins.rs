//! Pages of other origins, and what the server does when a browser asks for them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use stentor::{Call, ResolverError, Stentor};
use stentor_tests::{Served, TestServer, request};

use crate::http::configured;

/// A page's browser asks first, and hands an answer to the page only if the server names the page's origin.
#[tokio::test]
async fn browsers_are_told_which_pages_may_read() {
    let own: &[&str] = &[];
    for (listed, origin, allowed) in [
        (own, "http://localhost:5173", true),
        (own, "https://127.0.0.1", true),
        (own, "https://evil.example", false),
        (own, "null", false),
        (&["https://app.example"], "https://app.example", true),
        (&["https://app.example"], "https://app.example.evil.example", false),
        (&["*"], "https://evil.example", true),
    ] {
        let origins = listed.iter().map(ToString::to_string).collect();
        let (server, _) = configured(|config| config.allowed_origins = origins).await;
        let expected = allowed.then_some(origin);
        let preflight = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,authorization"),
        ];
        let answer = request(server.address(), "OPTIONS", "/graphql", &preflight, "").await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}, {listed:?}");
        if allowed {
            let headers = answer.header("access-control-allow-headers").unwrap_or_default();
            let methods = answer.header("access-control-allow-methods").unwrap_or_default();
            assert!(headers.contains("content-type") && headers.contains("authorization"), "{answer:?}");
            assert!(methods.contains("POST") && answer.status == 200, "{answer:?}");
        }
        let simple = [("Origin", origin), ("Content-Type", "application/json")];
        let answer = request(server.address(), "POST", "/graphql", &simple, r#"{"query":"{ hello }"}"#).await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}, {listed:?}");
        let varies = answer.headers.iter().any(|(name, value)| name == "vary" && value.contains("origin"));
        assert!(varies, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let wrong = request(server.address(), "POST", "/graphql", &simple, "{").await;
        assert_eq!(
            wrong.header("access-control-allow-origin"),
            expected,
            "pages may read why they are refused"
        );
    }
}

/// Every request that a page may send to another origin without asking first. Nothing of it runs, not even a query.
#[tokio::test]
async fn what_a_foreign_page_sends_unasked_does_nothing() {
    let calls = Arc::new(AtomicUsize::new(0));
    let builder = Stentor::builder()
        .state(Arc::clone(&calls))
        .schema("type Query { touch: Boolean @resolver } type Mutation { touch: Boolean @resolver }")
        .resolver("Query.touch", touch)
        .resolver("Mutation.touch", touch);
    let server = TestServer::build(builder).await;
    let (foreign, cross, no_cors) =
        (("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"));
    let body = r#"{"query":"mutation { touch }"}"#;
    for (what, method, target, headers, body, status) in [
        (
            "a form",
            "POST",
            "/graphql",
            vec![foreign, cross, ("Content-Type", "application/x-www-form-urlencoded")],
            "query=mutation%7Btouch%7D",
            403,
        ),
        (
            "a form with files",
            "POST",
            "/graphql",
            vec![foreign, cross, ("Content-Type", "multipart/form-data; boundary=b")],
            body,
            403,
        ),
        (
            "a form of text",
            "POST",
            "/graphql",
            vec![foreign, cross, ("Content-Type", "text/plain")],
            body,
            403,
        ),
        (
            "fetch with no-cors",
            "POST",
            "/graphql",
            vec![foreign, cross, no_cors, ("Content-Type", "text/plain")],
            body,
            403,
        ),
        ("a beacon without a type", "POST", "/graphql", vec![foreign, cross], body, 403),
        ("an image", "GET", "/graphql?query=%7Btouch%7D", vec![cross, no_cors], "", 403),
        (
            "a script of the same site",
            "GET",
            "/graphql?query=%7Btouch%7D",
            vec![("Sec-Fetch-Site", "same-site"), no_cors],
            "",
            403,
        ),
        ("a link", "GET", "/graphql?query=%7Btouch%7D", vec![cross, ("Sec-Fetch-Mode", "navigate")], "", 403),
        (
            "fetch by GET",
            "GET",
            "/graphql?query=%7Btouch%7D",
            vec![foreign, cross, ("Sec-Fetch-Mode", "cors")],
            "",
            403,
        ),
        ("a form of an older browser", "POST", "/graphql", vec![("Content-Type", "text/plain")], body, 415),
        (
            "a mutation as an image of an older browser",
            "GET",
            "/graphql?query=mutation%7Btouch%7D",
            vec![],
            "",
            405,
        ),
    ] {
        let answer = request(server.address(), method, target, &headers, body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(server.post("/graphql", body).await.status, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

async fn touch(_: Value, call: Call<Arc<AtomicUsize>>) -> Result<bool, ResolverError> {
    call.state().fetch_add(1, Ordering::Relaxed);
    Ok(true)
}
