//! Everything that a client could make grow, and what it is told when it has grown enough.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stentor::{Config, config::ByteSize};
use stentor_tests::{Served, TestServer, WsClient};

use crate::raw::{PROTOCOL_HEADER, RawSocket, error_code, frame, text_frame, upgrade_request};

const SCHEMA: &str = r#"
    type Subscription { tree(id: ID!): Tree @subscribe(topic: "tree:{{ args.id }}") }
    type Tree { name: String any: Any child: Tree children(first: [[Int]], filter: Filter): [Tree] }
    input Filter { name: String and: [Filter!] any: Any }
    scalar Any
"#;

async fn configured(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::configured(SCHEMA, change).await
}

/// What the first answer to a `subscribe` with this document is: the code of its error, or that it is live.
async fn ask(client: &mut WsClient, query: &str) -> String {
    client.begin_to_listen("1", json!({ "query": query })).await;
    let message = client.next_json().await;
    match message["type"].as_str() {
        Some("error") => error_code(&message["payload"]),
        Some("ping") => {
            client.complete("1").await;
            client.expect_nothing().await;
            "live".into()
        }
        _ => panic!("{message}"),
    }
}

#[tokio::test]
async fn a_connection_too_many_is_closed_1013() {
    let server = configured(|config| config.limits.connections = 2).await;
    let first = server.client().await;
    let _second = server.client().await;
    let mut third = RawSocket::websocket(server.address()).await;
    assert_eq!(third.close_code().await, 1013);
    first.close().await;
    server.expect_metric("stentor_connections", 1).await;
    let mut fourth = server.client().await;
    fourth.expect_nothing().await;
}

#[tokio::test]
async fn a_socket_too_many_is_answered_503() {
    let server = configured(|config| config.limits.http_connections = 1).await;
    let mut first = RawSocket::open(server.address()).await;
    first.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.head().await.map(|head| head.status), Some(200));
    let mut second = RawSocket::open(server.address()).await;
    let head = second.head().await.expect("it is told why");
    assert_eq!((head.status, head.header("retry-after")), (503, Some("1")));

    // A socket that has become a WebSocket is none of these any more.
    first.skip("alive\n".len()).await;
    first.send(upgrade_request("/ws", PROTOCOL_HEADER).as_bytes()).await;
    assert_eq!(first.head().await.map(|head| head.status), Some(101));
    server.expect_metric("stentor_connections", 1).await;
}

#[tokio::test]
async fn a_subscription_too_many_is_an_error_of_its_own() {
    let server = configured(|config| config.limits.subscriptions_per_connection = 2).await;
    let mut client = server.client().await;
    let query = r#"subscription { tree(id: "1") { name } }"#;
    client.listen("1", query).await;
    client.listen("2", query).await;
    client.subscribe("3", query).await;
    assert_eq!(error_code(&client.expect_error("3").await), "LIMIT_EXCEEDED");
    client.subscribe("4", "{ __typename }").await;
    assert_eq!(error_code(&client.expect_error("4").await), "LIMIT_EXCEEDED");
    server.publish("tree:1", &json!({ "name": "oak" })).await;
    for id in ["1", "2"] {
        client.expect_data(id, json!({ "tree": { "name": "oak" } })).await;
    }
    client.complete("1").await;
    client.listen("3", query).await;
    server.expect_metric("stentor_operations", 2).await;
}

/// Each limit, a document that just fits, and one that does not.
#[tokio::test]
async fn documents_are_measured() {
    let tree = |selection: &str| format!(r#"subscription {{ tree(id: "1") {selection} }}"#);
    let nested =
        |depth: usize| tree(&format!("{}{{ name }}{}", "{ child ".repeat(depth - 2), " }".repeat(depth - 2)));
    let aliases = |count: usize| tree(&format!("{{ {} }}", names(count, |n| format!("a{n}: name "))));
    let hidden = |count: usize| {
        let fragment = format!("fragment F on Tree {{ {} }}", names(count / 2, |n| format!("a{n}: name ")));
        format!("{} {fragment}", tree("{ child { ...F } ...F }"))
    };
    let roots = |count: usize| format!("{{ {} }}", names(count, |n| format!("a{n}: __typename ")));
    // Fourteen and three around them, and with its space each name is two.
    let tokens = |count: usize| tree(&format!("{{ {} }}", "name ".repeat(count)));
    check_limit("depth", |config| config.limits.operation_depth = 5, nested(5), nested(6)).await;
    check_limit("aliases", |config| config.limits.aliases = 4, aliases(4), aliases(5)).await;
    check_limit("fragments", |config| config.limits.aliases = 4, hidden(4), hidden(6)).await;
    check_limit("root fields", |config| config.limits.root_fields = 3, roots(3), roots(4)).await;
    check_limit("tokens", |config| config.limits.operation_tokens = 50, tokens(16), tokens(17)).await;
}

async fn check_limit(name: &str, change: fn(&mut Config), fits: String, too_much: String) {
    let server = configured(change).await;
    let mut client = server.client().await;
    let begin = begins(&mut client, &fits).await;
    assert!(begin == "live" || begin == "next", "{name}: {begin} for {fits}");
    assert_eq!(begins(&mut client, &too_much).await, "LIMIT_EXCEEDED", "{name}: {too_much}");
    let body = json!({ "query": too_much }).to_string();
    let answer = server.post("/graphql", &body).await;
    assert_eq!(error_code(&answer.json()["errors"]), "LIMIT_EXCEEDED", "{name}");
}

/// As [`ask`], for queries too.
async fn begins(client: &mut WsClient, query: &str) -> String {
    if query.starts_with("subscription") {
        return ask(client, query).await;
    }
    client.subscribe("q", query).await;
    let message = client.next_json().await;
    if message["type"] == "error" {
        return error_code(&message["payload"]);
    }
    client.expect_complete("q").await;
    message["type"].as_str().unwrap_or_default().into()
}

fn names(count: usize, name: impl Fn(usize) -> String) -> String {
    (0..count).map(name).collect()
}

/// Documents made to exhaust who reads them: name, document.
fn bombs() -> Vec<(&'static str, String)> {
    let fragments = |spread: &str| {
        let chain = names(60, |n| {
            format!("fragment F{n} on Tree {{ {} }} ", spread.replace('#', &format!("F{}", n + 1)))
        });
        format!(r#"subscription {{ tree(id: "1") {{ ...F0 }} }} {chain} fragment F60 on Tree {{ name }}"#)
    };
    let root = |rest: &str| format!(r#"subscription {{ tree(id: "1") {rest} }}"#);
    vec![
        ("100,000 braces", "{".repeat(100_000)),
        ("100,000 fields in each other", format!("{}{}", "{a".repeat(50_000), "}".repeat(50_000))),
        ("100,000 lists in an argument", root(&format!("{{ children(first: {}", "[".repeat(100_000)))),
        ("100,000 objects in an argument", root(&format!("{{ children(filter: {}", "{and:".repeat(40_000)))),
        ("100,000 lists in a type", format!("query Q($a: {}", "[".repeat(100_000))),
        ("20,000 inline fragments in each other", root(&format!("{{ {}", "...{".repeat(20_000)))),
        ("a document of 200 KiB", root(&format!("{{ {} }}", "name ".repeat(40_000)))),
        ("50,000 operations", "query A{a}".repeat(20_000)),
        ("fragments that double 60 times", fragments("...# child { ...# }")),
        ("fragments that double beside each other", fragments("a: child { ...# } b: child { ...# }")),
        ("a fragment that spreads itself", root("{ ...F } fragment F on Tree { child { ...F } }")),
        (
            "two that spread each other",
            root("{ ...F } fragment F on Tree { ...G } fragment G on Tree { ...F }"),
        ),
        ("9,000 repeated directives", root(&format!("{{ name {} }}", "@skip(if:false)".repeat(1_900)))),
        (
            "fields that may not merge, 2,000 times",
            root(&format!("{{ {} }}", names(2_000, |n| format!("children(first: {n}) {{ name }} ")))),
        ),
        ("an alias of 100 KiB", root(&format!("{{ {}: nothing }}", "a".repeat(100 << 10)))),
        (
            "an int of 100,000 digits",
            root(&format!("{{ children(first: {}) {{ name }} }}", "9".repeat(100_000))),
        ),
    ]
}

#[tokio::test]
async fn documents_made_to_exhaust_are_refused_quickly() {
    let server = configured(|_| {}).await;
    let mut client = server.client().await;
    for (name, document) in bombs() {
        let begin = Instant::now();
        let code = ask(&mut client, &document).await;
        assert!(code.starts_with("GRAPHQL_") || code == "LIMIT_EXCEEDED", "{name}: {code}");
        let answer = server.post("/graphql", &json!({ "query": document }).to_string()).await;
        assert_eq!(error_code(&answer.json()["errors"]), code, "{name}");
        assert!(answer.body.len() < 32 << 10, "{name} makes an answer of {} bytes", answer.body.len());
        assert!(begin.elapsed() < QUICKLY, "{name} takes {:?}", begin.elapsed());
    }
    client.expect_nothing().await;
}

/// Far more than any of it takes, with room for a busy machine.
const QUICKLY: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_long_comment_is_no_bomb() {
    let server = configured(|_| {}).await;
    let mut client = server.client().await;
    let document = format!("#{}\n{}", "x".repeat(200 << 10), r#"subscription { tree(id: "1") { name } }"#);
    assert_eq!(ask(&mut client, &document).await, "live");
}

#[tokio::test]
async fn json_that_nests_too_deeply_is_refused() {
    let server = configured(|_| {}).await;
    let nested = |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for variables in [
        nested("[", "]", 100_000),
        nested(r#"{"a":"#, "}", 30_000),
        nested("[", "]", 200),
        nested(r#"{"any":["#, "]}", 100),
    ] {
        let request = format!(
            r#"{{"query":"subscription S($f: Filter, $id: ID!) {{ tree(id: $id) {{ children(filter: $f) {{ name }} }} }}","variables":{{"id":"1","f":{variables}}}}}"#
        );
        let mut socket = RawSocket::ready(server.address(), Value::Null).await;
        socket.send(&text_frame(&format!(r#"{{"id":"1","type":"subscribe","payload":{request}}}"#))).await;
        assert_eq!(socket.close_code().await, 4400);
        assert_eq!(server.post("/graphql", &request).await.status, 400);
    }
    for message in ["[".repeat(200_000), r#"{"type":"#.repeat(20_000)] {
        let mut socket = RawSocket::websocket(server.address()).await;
        socket.send(&text_frame(&message)).await;
        assert_eq!(socket.close_code().await, 4400);
    }
}

/// A member of this name makes the JSON reader read text within text, each level of which may nest anew.
#[tokio::test]
async fn json_within_json_does_not_nest_deeper() {
    let server = configured(|_| {}).await;
    let mut value = "1".to_owned();
    while value.len() < 100 << 10 {
        let within = Value::from(value).to_string();
        value =
            format!(r#"{}{{"$serde_json::private::RawValue":{within}}}{}"#, "[".repeat(100), "]".repeat(100));
    }
    let request = format!(
        r#"{{"query":"query Q($v: Any) {{ __typename @skip(if: false) }}","variables":{{"v":{value}}}}}"#
    );
    assert_eq!(server.post("/graphql", &request).await.status, 400);
    let mut socket = RawSocket::ready(server.address(), Value::Null).await;
    socket.send(&text_frame(&format!(r#"{{"id":"1","type":"subscribe","payload":{request}}}"#))).await;
    assert_eq!(socket.close_code().await, 4400);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_message_may_have_message_bytes_and_no_more() {
    let server = configured(|config| config.limits.message_bytes = ByteSize::kib(1)).await;
    let ping = r#"{"type":"ping"}"#;
    let message = |length: usize| text_frame(&format!("{ping}{}", " ".repeat(length - ping.len())));
    let mut socket = RawSocket::websocket(server.address()).await;
    socket.send(&message(1_024)).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
    socket.send(&message(1_025)).await;
    assert_eq!(socket.close_code().await, 1009);
}

/// What is announced but never sent costs nothing, and what is sent in crumbs is bounded as well.
#[tokio::test]
async fn a_message_in_a_thousand_pieces_is_bounded_too() {
    let server = configured(|config| config.limits.message_bytes = ByteSize::kib(1)).await;
    let mut socket = RawSocket::websocket(server.address()).await;
    socket.send(&frame(0x01, b"{")).await;
    for _ in 0..2_000 {
        socket.send(&frame(0x00, b" ")).await;
    }
    assert_eq!(socket.close_code().await, 1009);
    let mut empty = RawSocket::websocket(server.address()).await;
    empty.send(&frame(0x01, b"")).await;
    for _ in 0..10_000 {
        empty.send(&frame(0x00, b"")).await;
    }
    empty.send(&frame(0x80, br#"{"type":"ping"}"#)).await;
    assert_eq!(empty.message().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn a_client_that_never_reads_its_pongs_is_not_read_either() {
    let server = configured(|config| config.limits.stall_timeout = "1s".parse().expect("a period")).await;
    let mut socket = RawSocket::websocket(server.address()).await;
    let ping = text_frame(&format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(200 << 10)));
    // Far more than both systems' buffers hold: the server stops reading, and then it lets go.
    socket.send_until_it_is_not_taken(&ping).await;
    server.expect_metric("stentor_connections", 0).await;
}
