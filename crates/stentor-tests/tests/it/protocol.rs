//! `graphql-transport-ws` over real sockets: every order of messages that a client may think of.

use serde_json::{Value, json};
use stentor::{Call, Stentor};
use stentor_tests::{Served, TestServer};

use crate::raw::{Frame, RawSocket, error_code, frame, subscribe, text_frame};

const SCHEMA: &str = r#"
    type Query { hello(name: String = "world"): String! @resolver never: String @resolver }
    type Mutation { say(text: String!): String! @resolver }
    type Subscription {
        tick(id: ID!): Tick @subscribe(topic: "tick:{{ args.id }}")
        tock(id: ID!): Tick @subscribe(topic: "tock:{{ args.id }}")
    }
    type Tick { n: Int! text: String }
"#;

/// A server with queries, a mutation and subscriptions.
pub(crate) async fn server() -> TestServer {
    configured(|_| {}).await
}

/// As [`server`], with its configuration changed.
pub(crate) async fn configured(change: impl FnOnce(&mut stentor::Config)) -> TestServer {
    let mut config = stentor::Config::default();
    change(&mut config);
    let builder = Stentor::builder()
        .schema(SCHEMA)
        .config(config)
        .resolver("Query.hello", async |arguments: Value, _: Call| {
            Ok(format!("hello {}", arguments["name"].as_str().unwrap_or("nobody")))
        })
        .resolver("Query.never", async |_: Value, _: Call| std::future::pending::<Result<String, _>>().await)
        .resolver("Mutation.say", async |arguments: Value, _: Call| Ok(arguments["text"].clone()));
    TestServer::build(builder).await
}

/// The message that asks for the connection.
pub(crate) fn init() -> Value {
    json!({ "type": "connection_init" })
}

fn data(id: &str, data: &Value) -> Value {
    json!({ "id": id, "type": "next", "payload": { "data": data } })
}

fn complete(id: &str) -> Value {
    json!({ "id": id, "type": "complete" })
}

#[tokio::test]
async fn pings_are_answered_in_every_state_with_their_own_payload() {
    let server = server().await;
    let mut socket = RawSocket::websocket(server.address()).await;
    let payload = r#"{"digits":1.00,"big":123456789012345678901234567890,"text":"\u00e9"}"#;
    let pong = format!(r#"{{"type":"pong","payload":{payload}}}"#);
    for message in [init(), json!({ "type": "complete", "id": "of nothing" })] {
        socket.send(&text_frame(&format!(r#"{{"type":"ping","payload":{payload}}}"#))).await;
        assert_eq!(socket.frame().await, Frame::Text(pong.clone()));
        socket.say(&json!({ "type": "pong", "payload": { "unasked": true } })).await;
        socket.say(&message).await;
        if message == init() {
            assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        }
    }
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn pings_of_websocket_are_answered_too() {
    let server = server().await;
    let mut socket = RawSocket::websocket(server.address()).await;
    for payload in [&b""[..], b"\xFF\x00 any bytes", &[7; 125]] {
        socket.send(&frame(0x89, payload)).await;
        assert_eq!(socket.frame().await, Frame::Pong(payload.to_vec()));
    }
    socket.send(&frame(0x8A, b"unasked")).await;
    socket.say(&init()).await;
    assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
}

/// The acknowledgement is sent before the next message is looked at, wherever the two came together.
#[tokio::test]
async fn what_follows_an_init_in_the_same_packet_is_answered_after_the_acknowledgement() {
    let server = server().await;
    let mut socket = RawSocket::websocket(server.address()).await;
    let mut packet = text_frame(&init().to_string());
    packet.extend(text_frame(&subscribe("1", "{ hello }").to_string()));
    socket.send(&packet).await;
    assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
    assert_eq!(socket.message().await, data("1", &json!({ "hello": "hello world" })));
    assert_eq!(socket.message().await, complete("1"));
}

#[tokio::test]
async fn text_in_pieces_with_pings_between_them_is_one_message() {
    let server = server().await;
    let mut socket = RawSocket::websocket(server.address()).await;
    let message = r#"{"type":"ping","payload":{"word":"Ä€𝄞"}}"#.as_bytes();
    let last = message.len() - 1;
    for (place, byte) in message.iter().enumerate() {
        let first = if place == 0 { 0x01 } else { 0x00 } | if place == last { 0x80 } else { 0x00 };
        let piece = frame(first, std::slice::from_ref(byte));
        let (front, back) = piece.split_at(place % piece.len());
        socket.send(front).await;
        socket.send(back).await;
        if place == 10 {
            socket.send(&frame(0x89, b"between")).await;
            assert_eq!(socket.frame().await, Frame::Pong(b"between".to_vec()));
        }
    }
    assert_eq!(socket.message().await, json!({ "type": "pong", "payload": { "word": "Ä€𝄞" } }));
}

#[tokio::test]
async fn queries_mutations_and_subscriptions_share_a_socket() {
    let server = server().await;
    let mut client = server.client().await;
    client.listen("s1", r#"subscription { tick(id: "1") { n } }"#).await;
    client
        .listen_to(
            "s2",
            json!({ "query": "subscription S($id: ID!) { tock(id: $id) { text } }", "variables": { "id": 7 } }),
        )
        .await;
    client.subscribe("q", "{ hello }").await;
    client.expect_data("q", json!({ "hello": "hello world" })).await;
    client.expect_complete("q").await;
    client.subscribe_to("m", json!({ "query": r#"mutation { say(text: "hi") }"#, "extensions": {} })).await;
    client.expect_data("m", json!({ "say": "hi" })).await;
    client.expect_complete("m").await;
    server.publish("tock:7", &json!({ "n": 1, "text": "tock" })).await;
    client.expect_data("s2", json!({ "tock": { "text": "tock" } })).await;
    server.publish("tick:1", &json!({ "n": 2 })).await;
    client.expect_data("s1", json!({ "tick": { "n": 2 } })).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn an_id_is_free_again_once_its_operation_has_ended() {
    let server = server().await;
    let mut client = server.client().await;
    for number in 0..3 {
        client.subscribe("1", "{ hello }").await;
        client.expect_data("1", json!({ "hello": "hello world" })).await;
        client.expect_complete("1").await;
        client.subscribe("1", "{ nothing }").await;
        assert_eq!(error_code(&client.expect_error("1").await), "GRAPHQL_VALIDATION_FAILED");
        client.listen("1", r#"subscription { tick(id: "1") { n } }"#).await;
        server.publish("tick:1", &json!({ "n": number })).await;
        client.expect_data("1", json!({ "tick": { "n": number } })).await;
        client.complete("1").await;
    }
    client.expect_nothing().await;
    server.expect_metric("stentor_operations", 0).await;
}

#[tokio::test]
async fn nothing_comes_for_an_id_after_its_complete() {
    let server = server().await;
    let mut client = server.client().await;
    client.listen("1", r#"subscription { tick(id: "1") { n } }"#).await;
    client.listen("2", r#"subscription { tick(id: "1") { n } }"#).await;
    client.complete("1").await;
    client.expect_nothing().await;
    server.publish("tick:1", &json!({ "n": 1 })).await;
    client.expect_data("2", json!({ "tick": { "n": 1 } })).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_complete_that_crosses_the_servers_is_ignored() {
    let server = server().await;
    let mut socket = RawSocket::ready(server.address(), Value::Null).await;
    let mut packet = text_frame(&subscribe("1", "{ nothing }").to_string());
    for id in ["1", "1", "2"] {
        packet.extend(text_frame(&complete(id).to_string()));
    }
    socket.send(&packet).await;
    assert_eq!(socket.message().await["type"], "error");
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn a_query_that_is_completed_by_the_client_is_given_up() {
    let server = server().await;
    let mut client = server.client().await;
    client.subscribe("1", "{ never }").await;
    server.expect_metric("stentor_operations", 1).await;
    client.complete("1").await;
    client.expect_nothing().await;
    server.expect_metric("stentor_operations", 0).await;
}

#[tokio::test]
async fn an_error_is_never_followed_by_complete() {
    let server = server().await;
    let mut client = server.client().await;
    for (query, code) in [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (r#"subscription { tick(id: "1") { n } tock(id: "1") { n } }"#, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { tick { n } }", "GRAPHQL_VALIDATION_FAILED"),
        (r#"subscription { tick(id: "1") }"#, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription S($id: ID!) { tick(id: $id) { n } }", "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", "GRAPHQL_VALIDATION_FAILED"),
        ("type A { b: Int }", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation { say(text: null) }", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        client.subscribe("1", query).await;
        assert_eq!(error_code(&client.expect_error("1").await), code, "{query}");
        client.expect_nothing().await;
    }
}

#[tokio::test]
async fn the_operation_is_chosen_by_its_name() {
    let server = server().await;
    let mut client = server.client().await;
    let both = r#"query A { a: hello(name: "a") } query B { b: hello(name: "b") }"#;
    for (query, name, expected) in [
        (both, json!("A"), Some(json!({ "a": "hello a" }))),
        (both, json!("B"), Some(json!({ "b": "hello b" }))),
        (both, json!("C"), None),
        (both, Value::Null, None),
        ("query A { a: hello }", json!("A"), Some(json!({ "a": "hello world" }))),
        ("query A { a: hello }", Value::Null, Some(json!({ "a": "hello world" }))),
        ("query A { a: hello }", json!("B"), None),
        ("{ a: hello }", Value::Null, Some(json!({ "a": "hello world" }))),
        ("{ a: hello }", json!("A"), None),
    ] {
        client.subscribe_to("1", json!({ "query": query, "operationName": name })).await;
        match expected {
            Some(data) => {
                client.expect_data("1", data).await;
                client.expect_complete("1").await;
            }
            None => drop(client.expect_error("1").await),
        }
    }
}

#[tokio::test]
async fn introspection_is_answered_over_the_socket_unless_it_is_turned_off() {
    let query = "{ __schema { subscriptionType { name } directives { name } } }";
    let server = server().await;
    let mut client = server.client().await;
    client.subscribe("1", query).await;
    let payload = client.expect_next("1").await;
    assert_eq!(payload["data"]["__schema"]["subscriptionType"]["name"], "Subscription");
    let directives = payload["data"]["__schema"]["directives"].to_string();
    assert!(directives.contains("skip") && !directives.contains("subscribe"), "{directives}");
    client.expect_complete("1").await;

    let closed = configured(|config| config.introspection = false).await;
    let mut client = closed.client().await;
    client.subscribe("1", query).await;
    assert_eq!(error_code(&client.expect_error("1").await), "GRAPHQL_VALIDATION_FAILED");
    client.subscribe("1", "{ __typename }").await;
    client.expect_data("1", json!({ "__typename": "Query" })).await;
    client.expect_complete("1").await;
}

#[tokio::test]
async fn odd_ids_come_back_letter_for_letter() {
    let server = server().await;
    let mut client = server.client().await;
    for id in ["\"", "\\", "\u{0}\u{1f}", "é𝄞", "</script>", "\u{2028}", &"x".repeat(1_024)] {
        client.subscribe(id, "{ hello }").await;
        client.expect_data(id, json!({ "hello": "hello world" })).await;
        client.expect_complete(id).await;
    }
}
