//! GraphiQL: who is shown it, and what the page may do. What it does in a browser is tried in `interop`.

use std::net::SocketAddr;

use axum::Router;
use stentor::{Config, Stentor};
use stentor_tests::{HttpResponse, Served, TestServer, request};
use tokio::net::TcpListener;

const SCHEMA: &str = r#"type Subscription { tick: Int @subscribe(topic: "tick") }"#;
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const NOT_BUILT: &str = "GraphiQL is not built into the program";

async fn visit(address: SocketAddr, target: &str) -> HttpResponse {
    request(address, "GET", target, &[("Accept", BROWSER)], "").await
}

#[tokio::test]
async fn a_person_sees_a_page_and_a_program_does_not() {
    let server = TestServer::start(SCHEMA).await;
    let page = visit(server.address(), "/graphql").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("<title>GraphiQL</title>") || page.body.contains(NOT_BUILT), "{page:?}");
    for (method, target, accept, status, media) in [
        ("HEAD", "/graphql", BROWSER, 200, "text/html; charset=utf-8"),
        ("GET", "/graphql?theme=dark", BROWSER, 200, "text/html; charset=utf-8"),
        ("GET", "/graphql?query=%7B__typename%7D", BROWSER, 200, "application/json; charset=utf-8"),
        ("GET", "/graphql?a=b&query", BROWSER, 200, "application/json; charset=utf-8"),
        ("GET", "/graphql", "*/*", 400, "application/json; charset=utf-8"),
        ("GET", "/graphql", "application/json, text/html;q=0.9", 400, "application/json; charset=utf-8"),
        ("POST", "/graphql", BROWSER, 415, "application/json; charset=utf-8"),
    ] {
        let answer = request(server.address(), method, target, &[("Accept", accept)], "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some(media)),
            "{method} {target} {accept}"
        );
    }
}

#[tokio::test]
async fn the_page_is_shut_in() {
    let server = TestServer::start(SCHEMA).await;
    let page = visit(server.address(), "/graphql").await;
    let policy = page.header("content-security-policy").unwrap_or_default();
    for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("http") && !policy.contains("unsafe-eval") && !policy.contains('*'), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert!(page.headers.iter().any(|(name, value)| name == "vary" && value == "accept"), "{page:?}");
}

/// Each row: what the configuration says, and whether the page is there for a router in another program, and for a server
/// at a loopback address.
#[tokio::test]
async fn without_a_word_about_it_only_a_server_at_a_loopback_address_shows_it() {
    for (graphiql, embedded, served) in
        [(None, false, true), (Some(true), true, true), (Some(false), false, false)]
    {
        let config = Config { graphiql, ..Config::default() };
        let stentor =
            Stentor::builder().schema(SCHEMA).config(config.clone()).build().await.expect("it is right");
        let other = Other::serve(stentor.router()).await;
        let own = TestServer::configured(SCHEMA, |own| *own = config).await;
        for (address, shown) in [(other.address(), embedded), (own.address(), served)] {
            let status = visit(address, "/graphql").await.status;
            assert_eq!(status, if shown { 200 } else { 400 }, "{graphiql:?}");
        }
    }
}

#[tokio::test]
async fn a_page_below_a_path_finds_its_files_there() {
    let config = Config { graphiql: Some(true), ..Config::default() };
    let stentor = Stentor::builder().schema(SCHEMA).config(config).build().await.expect("it is right");
    let server = Other::serve(Router::new().nest("/some/where", stentor.router())).await;
    let page = visit(server.address(), "/some/where/graphql").await;
    let links: Vec<_> = page.body.split('"').filter_map(|text| text.strip_prefix("./")).collect();
    assert!(links.len() >= 3 || page.body.contains(NOT_BUILT), "{}", page.body);
    for link in links {
        // As a browser reads it: `./` is the folder of the page's own address.
        let asset = visit(server.address(), &format!("/some/where/{link}")).await;
        assert_eq!((asset.status, asset.header("content-encoding")), (200, Some("gzip")), "{link}");
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"), "{link}");
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"), "{link}");
        assert!(asset.header("content-security-policy").is_some(), "{link}");
        let kind = match link.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(asset.header("content-type"), Some(kind), "{link}");
    }
    assert_eq!(visit(server.address(), "/some/where/graphql/assets/other.js").await.status, 404);
}

/// A program of somebody else's, which serves a router by its own means until it is dropped.
struct Other {
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Other {
    async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let serving =
            tokio::spawn(async { axum::serve(listener, router).await.expect("the listener stands") });
        Self { address, serving }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served for Other {
    fn address(&self) -> SocketAddr {
        self.address
    }
}
