//! `graphql-transport-ws` over real sockets: every close code, and every order of messages that a client may think of.

use serde_json::{Value, json};
use stentor::{Call, Stentor, config::Period};
use stentor_tests::{Served, TestServer};

use crate::raw::{Frame, RawSocket, close_frame, error_code, frame, length_bytes, subscribe, text_frame};

const SCHEMA: &str = r#"
    type Query { hello(name: String = "world"): String! @resolver never: String @resolver }
    type Mutation { say(text: String!): String! @resolver }
    type Subscription {
        tick(id: ID!): Tick @subscribe(topic: "tick:{{ args.id }}")
        tock(id: ID!): Tick @subscribe(topic: "tock:{{ args.id }}")
    }
    type Tick { n: Int! text: String }
"#;

async fn server() -> TestServer {
    configured(|_| {}).await
}

async fn configured(change: impl FnOnce(&mut stentor::Config)) -> TestServer {
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

fn init() -> Value {
    json!({ "type": "connection_init" })
}

fn data(id: &str, data: &Value) -> Value {
    json!({ "id": id, "type": "next", "payload": { "data": data } })
}

fn complete(id: &str) -> Value {
    json!({ "id": id, "type": "complete" })
}

/// Each row: what it is, the frames that are sent, what comes before the close, the code.
#[tokio::test]
async fn whoever_breaks_a_rule_is_closed_with_its_code() {
    let server = server().await;
    let ack = json!({ "type": "connection_ack" });
    let text = |message: Value| text_frame(&message.to_string());
    let tick = |id: &str| text(subscribe(id, r#"subscription { tick(id: "1") { n } }"#));
    let utf8_split = [frame(0x01, b"\"\xE2"), frame(0x80, b"\x28\"")].concat();
    let rows: Vec<(&str, Vec<Vec<u8>>, Vec<&Value>, u16)> = vec![
        ("not JSON", vec![text_frame("hello")], vec![], 4400),
        ("nothing", vec![text_frame("")], vec![], 4400),
        ("an array", vec![text_frame("[]")], vec![], 4400),
        ("no type", vec![text(json!({}))], vec![], 4400),
        ("a type that is no text", vec![text(json!({ "type": 1 }))], vec![], 4400),
        ("a type of another protocol", vec![text(json!({ "type": "start" }))], vec![], 4400),
        ("a type in capitals", vec![text(json!({ "type": "CONNECTION_INIT" }))], vec![], 4400),
        ("a server's message", vec![text(json!({ "type": "connection_ack" }))], vec![], 4400),
        (
            "a payload that is text",
            vec![text(json!({ "type": "connection_init", "payload": "x" }))],
            vec![],
            4400,
        ),
        ("two types", vec![text_frame(r#"{"type":"ping","type":"pong"}"#)], vec![], 4400),
        ("binary", vec![frame(0x82, init().to_string().as_bytes())], vec![], 4400),
        ("subscribe before the init", vec![tick("1")], vec![], 4401),
        ("two inits", vec![text(init()), text(init())], vec![&ack], 4429),
        ("an id that runs", vec![text(init()), tick("1"), tick("1")], vec![&ack], 4409),
        ("an empty id", vec![text(init()), tick("")], vec![&ack], 4400),
        ("an id of 2 KiB", vec![text(init()), tick(&"x".repeat(2 << 10))], vec![&ack], 4400),
        (
            "no id",
            vec![
                text(init()),
                text(json!({ "type": "subscribe", "payload": { "query": "{ __typename }" } })),
            ],
            vec![&ack],
            4400,
        ),
        (
            "no query",
            vec![text(init()), text(json!({ "id": "1", "type": "subscribe", "payload": {} }))],
            vec![&ack],
            4400,
        ),
        ("no payload", vec![text(init()), text(json!({ "id": "1", "type": "subscribe" }))], vec![&ack], 4400),
        (
            "variables that are a list",
            vec![
                text(init()),
                text(
                    json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }", "variables": [] } }),
                ),
            ],
            vec![&ack],
            4400,
        ),
        (
            "a complete without an id",
            vec![text(init()), text(json!({ "type": "complete" }))],
            vec![&ack],
            4400,
        ),
        ("a frame that is not masked", vec![b"\x81\x02{}".to_vec()], vec![], 1002),
        ("a reserved bit", vec![frame(0xC1, b"{}")], vec![], 1002),
        ("an unknown opcode", vec![frame(0x83, b"{}")], vec![], 1002),
        ("a continuation of nothing", vec![frame(0x80, b"{}")], vec![], 1002),
        ("a message within a message", vec![frame(0x01, b"{"), text_frame("{}")], vec![], 1002),
        ("a ping in pieces", vec![frame(0x09, b"{")], vec![], 1002),
        ("a ping of 126 bytes", vec![frame(0x89, &[0; 126])], vec![], 1002),
        (
            "a length that is longer than it need be",
            vec![b"\x81\xFE\x00\x02\0\0\0\0{}".to_vec()],
            vec![],
            1002,
        ),
        ("a close with half a code", vec![frame(0x88, &[3])], vec![], 1002),
        ("a close with a code that is never sent", vec![close_frame(1005)], vec![], 1002),
        ("a close with a code of nobody", vec![close_frame(2999)], vec![], 1002),
        ("a close whose reason is not UTF-8", vec![frame(0x88, b"\x03\xE8\xFF")], vec![], 1007),
        ("text that is not UTF-8", vec![frame(0x81, b"\"\xFF\"")], vec![], 1007),
        ("pieces that are not UTF-8 together", vec![utf8_split], vec![], 1007),
        ("a message of 256 KiB and a byte", vec![text_frame(&" ".repeat((256 << 10) + 1))], vec![], 1009),
        (
            "pieces of more than 256 KiB",
            vec![frame(0x01, &vec![b' '; 200 << 10]), frame(0x80, &vec![b' '; 100 << 10])],
            vec![],
            1009,
        ),
        (
            "a header that announces 1 EiB",
            vec![[&b"\x81"[..], &length_bytes(1 << 60, 0x80), b"\0\0\0\0"].concat()],
            vec![],
            1009,
        ),
    ];
    for (name, frames, before, code) in rows {
        let mut socket = RawSocket::websocket(server.address()).await;
        for frame in frames {
            socket.send(&frame).await;
        }
        for message in before {
            assert_eq!(&socket.message().await, message, "{name}");
        }
        let (found, reason) = socket.close().await;
        assert_eq!((found, reason.is_empty()), (code, false), "{name}: {reason}");
    }
    server.expect_metric("stentor_operations", 0).await;
    server.expect_metric("stentor_connections", 0).await;
}

#[tokio::test]
async fn whoever_says_nothing_is_closed_4408() {
    let server = configured(|config| config.limits.init_timeout = Period::millis(100)).await;
    let mut socket = RawSocket::websocket(server.address()).await;
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.message().await, json!({ "type": "pong" }));
    assert_eq!(socket.close_code().await, 4408);
}

#[tokio::test]
async fn an_init_in_time_stops_its_clock() {
    let server = configured(|config| {
        config.limits.init_timeout = Period::millis(100);
        config.websocket.ping_interval = Period::millis(300);
    })
    .await;
    let mut socket = RawSocket::ready(server.address(), Value::Null).await;
    assert_eq!(socket.message().await, json!({ "type": "ping" }));
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
async fn an_answering_client_lives_and_a_silent_one_is_dropped() {
    let server = configured(|config| {
        config.websocket.ping_interval = Period::millis(200);
        config.websocket.pong_timeout = Period::millis(200);
    })
    .await;
    let mut silent = RawSocket::ready(server.address(), Value::Null).await;
    let mut answering = RawSocket::ready(server.address(), Value::Null).await;
    for _ in 0..5 {
        assert_eq!(answering.message().await, json!({ "type": "ping" }));
        answering.say(&json!({ "type": "pong" })).await;
    }
    assert_eq!(silent.message().await, json!({ "type": "ping" }));
    assert_eq!(silent.frame().await, Frame::End);
    server.expect_metric("stentor_connections", 1).await;
}

#[tokio::test]
async fn any_byte_is_a_sign_of_life() {
    let server = configured(|config| {
        config.websocket.ping_interval = Period::millis(100);
        config.websocket.pong_timeout = Period::seconds(60);
    })
    .await;
    let mut socket = RawSocket::ready(server.address(), Value::Null).await;
    for _ in 0..3 {
        assert_eq!(socket.message().await, json!({ "type": "ping" }));
        socket.send(&frame(0x8A, b"")).await;
    }
}

#[tokio::test]
async fn a_close_of_the_client_ends_its_operations() {
    let server = server().await;
    for code in [1000, 1001, 3000, 4999] {
        let mut socket = RawSocket::ready(server.address(), Value::Null).await;
        socket.subscribe("1", r#"subscription { tick(id: "1") { n } }"#).await;
        socket.send(&close_frame(code)).await;
        assert_eq!(socket.frame().await, Frame::Close(code, String::new()));
        assert_eq!(socket.frame().await, Frame::End);
    }
    let mut vanishing = RawSocket::ready(server.address(), Value::Null).await;
    vanishing.subscribe("1", r#"subscription { tick(id: "1") { n } }"#).await;
    drop(vanishing);
    server.expect_metric("stentor_operations", 0).await;
    server.expect_metric("stentor_topics", 0).await;
    server.expect_metric("stentor_connections", 0).await;
}

#[tokio::test]
async fn nothing_is_sent_after_a_close_frame() {
    let server = server().await;
    let mut socket = RawSocket::ready(server.address(), Value::Null).await;
    let mut packet = text_frame("?");
    packet.extend(text_frame(r#"{"type":"ping"}"#));
    packet.extend(frame(0x89, b"ping"));
    packet.extend(text_frame(&subscribe("1", "{ hello }").to_string()));
    packet.extend(close_frame(4400));
    socket.send(&packet).await;
    assert!(matches!(socket.frame().await, Frame::Close(4400, _)));
    assert_eq!(socket.frame().await, Frame::End);
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
