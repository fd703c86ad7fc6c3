//! From an HTTP request to an open WebSocket, and everything that is refused on the way.

use serde_json::json;
use stentor_tests::{Dial, Incoming, Served, TestServer, WsClient, exchange, request};

use crate::raw::{Frame, PROTOCOL_HEADER, RawSocket, close_frame, subscribe, text_frame, upgrade_request};

const SCHEMA: &str = r#"
    type Subscription { tick(id: ID!): Tick @subscribe(topic: "tick:{{ args.id }}") }
    type Tick { n: Int! }
"#;

#[tokio::test]
async fn both_addresses_speak_the_protocol() {
    let server = TestServer::start(SCHEMA).await;
    for path in ["/graphql", "/ws", "/graphql?client=1"] {
        let mut client = WsClient::connect(server.address(), &Dial { path, ..Dial::default() }).await;
        client.subscribe("q", "{ __typename }").await;
        client.expect_data("q", json!({ "__typename": "Query" })).await;
        client.expect_complete("q").await;
    }
}

#[tokio::test]
async fn an_accepted_handshake_is_answered_as_rfc_6455_says() {
    let server = TestServer::start(SCHEMA).await;
    let mut socket = RawSocket::open(server.address()).await;
    socket.send(upgrade_request("/ws", PROTOCOL_HEADER).as_bytes()).await;
    let head = socket.head().await.expect("an answer");
    assert_eq!(head.status, 101);
    assert_eq!(head.header("upgrade"), Some("websocket"));
    assert_eq!(head.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    // The key and its answer are the example of RFC 6455, section 1.3.
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.header("sec-websocket-protocol"), Some("graphql-transport-ws"));
    assert_eq!(head.header("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn the_protocol_is_found_wherever_it_is_offered() {
    let server = TestServer::start(SCHEMA).await;
    for offer in [
        "Sec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n",
        "sec-websocket-protocol: graphql-ws\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n",
        "Sec-WebSocket-Protocol:graphql-transport-ws ,x\r\n",
    ] {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(upgrade_request("/graphql", offer).as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        let chosen = head.header("sec-websocket-protocol");
        assert_eq!((head.status, chosen), (101, Some("graphql-transport-ws")), "{offer}");
    }
}

/// A browser shows a page the code of a close, but nothing of a refused handshake; and Chromium gives up a socket whose
/// handshake names none of the subprotocols that it offered.
#[tokio::test]
async fn another_subprotocol_is_opened_in_name_and_closed_4406() {
    let server = TestServer::start(SCHEMA).await;
    for (offer, named) in [
        ("", None),
        ("Sec-WebSocket-Protocol: graphql-ws\r\n", Some("graphql-ws")),
        ("Sec-WebSocket-Protocol: mqtt, graphql-ws\r\n", Some("mqtt")),
        ("Sec-WebSocket-Protocol: GraphQL-Transport-WS\r\n", Some("GraphQL-Transport-WS")),
        ("Sec-WebSocket-Protocol: graphql-transport-ws2\r\n", Some("graphql-transport-ws2")),
    ] {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(upgrade_request("/ws", offer).as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        assert_eq!((head.status, head.header("sec-websocket-protocol")), (101, named), "{offer}");
        socket.say(&json!({ "type": "connection_init" })).await;
        assert_eq!(socket.close_code().await, 4406, "{offer}");
    }
    server.expect_metric("stentor_connections", 0).await;
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_refused() {
    let server = TestServer::start(SCHEMA).await;
    let upgrade = |from: &str, to: &str| {
        let request = upgrade_request("/ws", PROTOCOL_HEADER);
        assert!(request.contains(from), "{from}");
        request.replacen(from, to, 1)
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (name, request, status) in [
        ("version 8", upgrade("Version: 13", "Version: 8"), 426),
        ("no version", upgrade("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("no key", upgrade(key, ""), 400),
        ("an empty key", upgrade(key, "Sec-WebSocket-Key:\r\n"), 400),
        ("a key of 15 bytes", upgrade(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"), 400),
        ("a key that is not base64", upgrade(key, "Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==\r\n"), 400),
        ("two keys", upgrade(key, &key.repeat(2)), 400),
        ("no upgrade", upgrade("Upgrade: websocket\r\n", ""), 400),
        ("another upgrade", upgrade("Upgrade: websocket", "Upgrade: h2c"), 400),
        ("a connection that is kept alive", upgrade("Connection: Upgrade", "Connection: keep-alive"), 400),
        ("POST", upgrade("GET", "POST"), 405),
        ("PUT", upgrade("GET", "PUT"), 405),
        ("HTTP/1.0", upgrade("HTTP/1.1", "HTTP/1.0"), 400),
    ] {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(request.as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        assert_eq!(head.status, status, "{name}");
        let version = (status == 426).then_some("13");
        assert_eq!(head.header("sec-websocket-version"), version, "{name}");
    }
    server.expect_metric("stentor_connections", 0).await;
}

#[tokio::test]
async fn a_plain_request_to_ws_is_told_what_to_send() {
    let server = TestServer::start(SCHEMA).await;
    for method in ["GET", "POST"] {
        let answer = request(server.address(), method, "/ws", &[], "").await;
        let status = if method == "GET" { 400 } else { 405 };
        assert_eq!(answer.status, status, "{method}");
        assert!(
            answer.json()["errors"][0]["message"].as_str().is_some_and(|text| text.contains("WebSocket"))
        );
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_before_a_socket_opens() {
    let own: &[&str] = &[];
    let listed: &[&str] = &["https://app.example"];
    for (allowed, origin, status) in [
        (own, None, 101),
        (own, Some("http://localhost:5173"), 101),
        (own, Some("http://127.0.0.1"), 101),
        (own, Some("https://evil.example"), 403),
        (own, Some("http://localhost.evil.example"), 403),
        (own, Some("http://evil.example/localhost"), 403),
        (own, Some("http://localhost@evil.example"), 403),
        (own, Some("null"), 403),
        (own, Some(""), 403),
        (own, Some("file://"), 403),
        (listed, None, 101),
        (listed, Some("https://app.example"), 101),
        (listed, Some("http://app.example"), 403),
        (listed, Some("http://localhost:5173"), 403),
        (&["*"], Some("https://evil.example"), 101),
    ] {
        let allowed_origins: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let server = TestServer::configured(SCHEMA, |config| config.allowed_origins = allowed_origins).await;
        let mut socket = RawSocket::open(server.address()).await;
        let origin_header = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let headers = format!("{PROTOCOL_HEADER}{origin_header}");
        socket.send(upgrade_request("/graphql", &headers).as_bytes()).await;
        let head = socket.head().await.expect("an answer");
        assert_eq!(head.status, status, "{origin:?} where {allowed:?} are allowed");
    }
}

#[tokio::test]
async fn what_comes_together_with_the_upgrade_request_is_not_lost() {
    let server = TestServer::start(SCHEMA).await;
    let mut socket = RawSocket::open(server.address()).await;
    let mut bytes = upgrade_request("/graphql", PROTOCOL_HEADER).into_bytes();
    bytes.extend(text_frame(r#"{"type":"connection_init"}"#));
    bytes.extend(text_frame(&subscribe("q", "{ __typename }").to_string()));
    let last = bytes.split_off(bytes.len() - 5);
    socket.send(&bytes).await;
    assert_eq!(socket.head().await.map(|head| head.status), Some(101));
    assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
    socket.send(&last).await;
    let next = json!({ "id": "q", "type": "next", "payload": { "data": { "__typename": "Query" } } });
    assert_eq!(socket.message().await, next);
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let server = TestServer::start(SCHEMA).await;
    let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
    let long = format!("X: {}\r\n", "x".repeat(600 << 10));
    for headers in [many, long] {
        let answer = exchange(server.address(), upgrade_request("/ws", &headers).as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused() {
    let server = TestServer::start(SCHEMA).await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n"] {
        let answer = exchange(server.address(), bytes).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{bytes:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_after_its_request_leaves_its_place() {
    let server = TestServer::start(SCHEMA).await;
    for _ in 0..50 {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(upgrade_request("/graphql", PROTOCOL_HEADER).as_bytes()).await;
    }
    server.expect_metric("stentor_connections", 0).await;
}

/// The clock is paused: the runtime moves it to the next deadline whenever nothing is left to do.
#[tokio::test(start_paused = true)]
async fn a_socket_that_says_too_little_is_dropped_after_a_while() {
    let server = TestServer::start(SCHEMA).await;
    for begin in ["", "GET /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
        let mut socket = RawSocket::open(server.address()).await;
        socket.send(begin.as_bytes()).await;
        let head = socket.head().await;
        assert!(head.as_ref().is_none_or(|head| head.status == 408), "{begin:?}: {head:?}");
    }
    let mut idle = RawSocket::open(server.address()).await;
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.head().await.map(|head| head.status), Some(200));
    idle.skip("alive\n".len()).await;
    assert!(idle.head().await.is_none());
}

/// The clock is paused, as above.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_a_close_is_dropped() {
    let server = TestServer::start(SCHEMA).await;
    let mut silent = RawSocket::websocket(server.address()).await;
    assert!(matches!(silent.frame().await, Frame::Close(4408, _)));
    assert_eq!(silent.frame().await, Frame::End);

    let mut wrong = RawSocket::websocket(server.address()).await;
    wrong.send(&text_frame("?")).await;
    assert!(matches!(wrong.frame().await, Frame::Close(4400, _)));
    assert_eq!(wrong.frame().await, Frame::End);
}

#[tokio::test]
async fn a_client_that_answers_a_close_is_let_go_at_once() {
    let server = TestServer::start(SCHEMA).await;
    let mut client = server.client().await;
    client.send_text("?").await;
    assert_eq!(client.expect_close().await.0, 4400);
    assert_eq!(client.next().await, Incoming::Lost);
    let mut polite = RawSocket::websocket(server.address()).await;
    polite.send(&close_frame(1000)).await;
    assert_eq!(polite.frame().await, Frame::Close(1000, String::new()));
    assert_eq!(polite.frame().await, Frame::End);
    server.expect_metric("stentor_connections", 0).await;
}
