//! How connections end: every close code, clients that fall silent, and what happens at the end.

use serde_json::{Value, json};
use stentor::config::Period;
use stentor_tests::Served;

use crate::{
    protocol::{configured, init, server},
    raw::{Frame, RawSocket, close_frame, frame, length_bytes, subscribe, text_frame},
};

/// Each row: what it is, the frames that are sent, what comes before the close, the code.
#[tokio::test]
async fn whoever_breaks_a_rule_is_closed_with_its_code() {
    let server = server().await;
    let ack = json!({ "type": "connection_ack" });
    let text = |message: Value| text_frame(&message.to_string());
    let tick = |id: &str| text(subscribe(id, r#"subscription { tick(id: "1") { n } }"#));
    let utf8_split = [frame(0x01, b"\"\xE2"), frame(0x80, b"\x28\"")].concat();
    let rows = [
        ("not JSON", vec![text_frame("hello")], vec![], 4400),
        ("nothing", vec![text_frame("")], vec![], 4400),
        ("an array", vec![text_frame("[]")], vec![], 4400),
        ("no type", vec![text(json!({}))], vec![], 4400),
        ("a type that is no text", vec![text(json!({ "type": 1 }))], vec![], 4400),
        ("a type of another protocol", vec![text(json!({ "type": "start" }))], vec![], 4400),
        ("a type in capitals", vec![text(json!({ "type": "CONNECTION_INIT" }))], vec![], 4400),
        ("a type of 10 KiB", vec![text(json!({ "type": "é".repeat(5 << 10) }))], vec![], 4400),
        ("a ping with a list", vec![text(json!({ "type": "ping", "payload": [1] }))], vec![], 4400),
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
        (
            "a long id that runs",
            vec![text(init()), tick(&"é".repeat(500)), tick(&"é".repeat(500))],
            vec![&ack],
            4409,
        ),
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
