//! The format of messages: what is read, what is refused, and in which words.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stentor_protocol::{ClientMessage, ParseError, ServerMessage, SubscribePayload};

#[test]
fn malformed_messages_are_refused_in_words() {
    let rows = [
        ("", "the message must be a JSON object"),
        ("hello", "the message must be a JSON object"),
        ("null", "the message must be a JSON object"),
        (r#""ping""#, "the message must be a JSON object"),
        // serde would read a struct from an array.
        (r#"["ping"]"#, "the message must be a JSON object"),
        ("\u{feff}{\"type\":\"ping\"}", "the message must be a JSON object"),
        ("\u{a0}{\"type\":\"ping\"}", "the message must be a JSON object"),
        ("{", "the message is not valid JSON: EOF while parsing an object at line 1 column 1"),
        (r#"{"type":"ping"}x"#, "the message is not valid JSON: trailing characters at line 1 column 16"),
        (r#"{"type":"ping",}"#, "the message is not valid JSON: trailing comma at line 1 column 16"),
        (r#"{'type':'ping'}"#, "the message is not valid JSON: key must be a string at line 1 column 2"),
        (
            r#"{"type":"ping","type":"ping"}"#,
            "the message is not valid JSON: duplicate field `type` at line 1 column 21",
        ),
        (
            r#"{"type":"complete","id":"a","id":"b"}"#,
            "the message is not valid JSON: duplicate field `id` at line 1 column 32",
        ),
        ("{}", r#"the message needs a "type", and it must be a string"#),
        (r#"{"type":null}"#, r#"the message needs a "type", and it must be a string"#),
        (r#"{"type":1}"#, r#"the message needs a "type", and it must be a string"#),
        (r#"{"type":["ping"]}"#, r#"the message needs a "type", and it must be a string"#),
        (r#"{"type":"\ud800"}"#, r#"the message needs a "type", and it must be a string"#),
        (r#"{"type":""}"#, r#"unknown message type """#),
        (r#"{"type":"Ping"}"#, r#"unknown message type "Ping""#),
        (r#"{"type":"start\n"}"#, r#"unknown message type "start\n""#),
        (r#"{"type":"connection_ack"}"#, r#""connection_ack" is sent by the server only"#),
        (r#"{"type":"next","id":"a","payload":{}}"#, r#""next" is sent by the server only"#),
        (r#"{"type":"error","id":"a","payload":[]}"#, r#""error" is sent by the server only"#),
        (
            r#"{"type":"connection_init","payload":"t"}"#,
            r#"in "connection_init", "payload" must be an object, null or absent"#,
        ),
        (
            r#"{"type":"connection_init","payload":[]}"#,
            r#"in "connection_init", "payload" must be an object, null or absent"#,
        ),
        (r#"{"type":"ping","payload":false}"#, r#"in "ping", "payload" must be an object, null or absent"#),
        (r#"{"type":"pong","payload":0}"#, r#"in "pong", "payload" must be an object, null or absent"#),
        (r#"{"type":"complete"}"#, r#"in "complete", "id" must be a non-empty string"#),
        (r#"{"type":"complete","id":1}"#, r#"in "complete", "id" must be a non-empty string"#),
        (r#"{"type":"complete","id":""}"#, r#"in "complete", "id" must be a non-empty string"#),
        (r#"{"type":"complete","id":"\udfff"}"#, r#"in "complete", "id" must be a non-empty string"#),
        (
            r#"{"type":"subscribe","payload":{"query":"q"}}"#,
            r#"in "subscribe", "id" must be a non-empty string"#,
        ),
        (
            r#"{"type":"subscribe","id":null,"payload":{"query":"q"}}"#,
            r#"in "subscribe", "id" must be a non-empty string"#,
        ),
        (
            r#"{"type":"subscribe","id":"","payload":{"query":"q"}}"#,
            r#"in "subscribe", "id" must be a non-empty string"#,
        ),
        (r#"{"type":"subscribe","id":"a"}"#, r#"in "subscribe", "payload" must be an object"#),
        (r#"{"type":"subscribe","id":"a","payload":null}"#, r#"in "subscribe", "payload" must be an object"#),
        (
            r#"{"type":"subscribe","id":"a","payload":["q"]}"#,
            r#"in "subscribe", "payload" must be an object"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{}}"#,
            r#"in "subscribe", "payload.query" must be a string"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":null}}"#,
            r#"in "subscribe", "payload.query" must be a string"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"\ud83d"}}"#,
            r#"in "subscribe", "payload.query" must be a string"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","query":"r"}}"#,
            r#"in "subscribe", "payload" is not acceptable: duplicate field `query` at line 1 column 20"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","operationName":1}}"#,
            r#"in "subscribe", "payload.operationName" must be a string, null or absent"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","variables":[1]}}"#,
            r#"in "subscribe", "payload.variables" must be an object, null or absent"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","variables":"{}"}}"#,
            r#"in "subscribe", "payload.variables" must be an object, null or absent"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","extensions":true}}"#,
            r#"in "subscribe", "payload.extensions" must be an object, null or absent"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","variables":{"x":[{"y":1,"y":2}]}}}"#,
            r#"in "subscribe", "payload.variables" is not acceptable: duplicate member "y" at line 1 column 16"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","variables":{"x":"\ud800"}}}"#,
            r#"in "subscribe", "payload.variables" is not acceptable: unexpected end of hex escape at line 1 column 13"#,
        ),
        (
            r#"{"type":"subscribe","id":"a","payload":{"query":"q","variables":{"x":1e999}}}"#,
            r#"in "subscribe", "payload.variables" is not acceptable: number out of range at line 1 column 10"#,
        ),
    ];
    for (text, words) in rows {
        assert_eq!(
            ClientMessage::parse(text).map_err(|error| error.to_string()),
            Err(words.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn odd_but_valid_messages_are_read() {
    let ping = Ok(ClientMessage::Pong { payload: None });
    let rows = [
        " \t\r\n{ \"type\" : \"pong\" } \n".to_owned(),
        r#"{"payload":null,"type":"pong"}"#.to_owned(),
        r#"{"t\u0079pe":"\u0070ong"}"#.to_owned(),
        // Members that the protocol does not name are skipped, whatever they hold.
        r#"{"type":"pong","id":7,"more":"\ud800","more":1e999}"#.to_owned(),
        format!(r#"{{"more":{},"type":"pong"}}"#, nested(100_000)),
    ];
    for text in rows {
        assert_eq!(ClientMessage::parse(&text), ping, "{:.80}", text);
    }
}

#[test]
fn nesting_is_read_to_127_levels() {
    for (levels, accepted) in [(127, true), (128, false), (100_000, false)] {
        // The object itself is the first level.
        let object = format!(r#"{{"x":{}}}"#, nested(levels - 1));
        let texts = [
            format!(r#"{{"type":"connection_init","payload":{object}}}"#),
            format!(r#"{{"type":"ping","payload":{object}}}"#),
            format!(r#"{{"type":"pong","payload":{object}}}"#),
            format!(r#"{{"type":"subscribe","id":"a","payload":{{"query":"q","variables":{object}}}}}"#),
            format!(r#"{{"type":"subscribe","id":"a","payload":{{"query":"q","extensions":{object}}}}}"#),
        ];
        for text in texts {
            assert_eq!(ClientMessage::parse(&text).is_ok(), accepted, "{levels} levels, {text:.60}");
        }
    }
}

#[test]
fn a_private_name_of_the_json_reader_is_refused_at_any_depth() {
    for name in ["RawValue", "Number", "", r"Raw\u0056alue"] {
        let variables = format!(r#"{{"x":[{{"$serde_json::private::{name}":"[1]"}}]}}"#);
        let text =
            format!(r#"{{"type":"subscribe","id":"a","payload":{{"query":"q","variables":{variables}}}}}"#);
        let error = ClientMessage::parse(&text).expect_err("a reserved name").to_string();
        assert!(error.contains("is reserved"), "{error}");
    }
}

#[test]
fn nulls_in_a_request_are_absent() {
    let text = r#"{"type":"subscribe","id":"a","payload":{
        "query":"q","operationName":null,"variables":null,"extensions":null,"more":1}}"#;
    let payload = SubscribePayload { query: "q".to_owned(), ..SubscribePayload::default() };
    assert_eq!(ClientMessage::parse(text), Ok(ClientMessage::Subscribe { id: "a".to_owned(), payload }));
}

#[test]
fn server_messages_are_read_as_strictly() {
    let rows = [
        (r#"{"type":"connection_init"}"#, r#""connection_init" is sent by the client only"#),
        (r#"{"type":"subscribe"}"#, r#""subscribe" is sent by the client only"#),
        (r#"{"type":"data"}"#, r#"unknown message type "data""#),
        (
            r#"{"type":"connection_ack","payload":1}"#,
            r#"in "connection_ack", "payload" must be an object, null or absent"#,
        ),
        (r#"{"type":"next","payload":{}}"#, r#"in "next", "id" must be a non-empty string"#),
        (r#"{"type":"next","id":"a"}"#, r#"in "next", "payload" must be an object"#),
        (r#"{"type":"next","id":"a","payload":[]}"#, r#"in "next", "payload" must be an object"#),
        (r#"{"type":"complete","id":""}"#, r#"in "complete", "id" must be a non-empty string"#),
        (
            r#"{"type":"error","id":"a"}"#,
            r#"in "error", "payload" must be a non-empty array of GraphQL errors"#,
        ),
        (
            r#"{"type":"error","id":"a","payload":[]}"#,
            r#"in "error", "payload" must be a non-empty array of GraphQL errors"#,
        ),
        (
            r#"{"type":"error","id":"a","payload":{}}"#,
            r#"in "error", "payload" must be a non-empty array of GraphQL errors"#,
        ),
        (
            r#"{"type":"error","id":"a","payload":[{"message":1}]}"#,
            r#"in "error", "payload" must be a non-empty array of GraphQL errors"#,
        ),
    ];
    for (text, words) in rows {
        assert_eq!(
            ServerMessage::parse(text).map_err(|error| error.to_string()),
            Err(words.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn debug_output_holds_no_token() {
    for kind in ["connection_init", "ping"] {
        let text = format!(r#"{{"type":"{kind}","payload":{{"token":"hunter2"}}}}"#);
        let message = ClientMessage::parse(&text).expect("the message is well-formed");
        assert!(!format!("{message:?}").contains("hunter2"), "{message:?}");
    }
    let event = stentor_protocol::Event::Init { payload: Some(json!({ "token": "hunter2" })) };
    assert!(!format!("{event:?}").contains("hunter2"));
}

#[test]
fn parse_errors_can_be_compared() {
    let unknown = ParseError::UnknownType { kind: "x".to_owned() };
    assert_eq!(ClientMessage::parse(r#"{"type":"x"}"#), Err(unknown));
}

proptest! {
    #[test]
    fn client_messages_survive_the_wire(message in client_message()) {
        prop_assert_eq!(ClientMessage::parse(&message.to_text()), Ok(message));
    }

    #[test]
    fn server_messages_survive_the_wire(message in server_message()) {
        prop_assert_eq!(ServerMessage::parse(&message.to_text()), Ok(message));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in any::<String>()) {
        let refused = ClientMessage::parse(&text).is_err() && ServerMessage::parse(&text).is_err();
        prop_assert!(refused, "no random text is a message");
    }
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    prop_oneof![
        optional_object().prop_map(|payload| ClientMessage::ConnectionInit { payload }),
        optional_object().prop_map(|payload| parsed_client("ping", payload.as_ref())),
        optional_object().prop_map(|payload| ClientMessage::Pong { payload }),
        (id(), request()).prop_map(|(id, payload)| ClientMessage::Subscribe { id, payload }),
        id().prop_map(|id| ClientMessage::Complete { id }),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    prop_oneof![
        optional_object().prop_map(|payload| ServerMessage::ConnectionAck { payload }),
        optional_object().prop_map(|payload| ServerMessage::Pong { payload }),
        (id(), object()).prop_map(|(id, payload)| parsed_next(&id, &payload)),
        (id(), any::<String>())
            .prop_map(|(id, text)| ServerMessage::Error { id, payload: vec![json!({ "message": text })] }),
        id().prop_map(|id| ServerMessage::Complete { id }),
    ]
}

fn parsed_client(kind: &str, payload: Option<&Map<String, Value>>) -> ClientMessage {
    let text = json!({ "type": kind, "payload": payload }).to_string();
    ClientMessage::parse(&text).expect("the message is well-formed")
}

fn parsed_next(id: &str, payload: &Map<String, Value>) -> ServerMessage {
    let text = json!({ "type": "next", "id": id, "payload": payload }).to_string();
    ServerMessage::parse(&text).expect("the message is well-formed")
}

fn request() -> impl Strategy<Value = SubscribePayload> {
    (any::<String>(), any::<Option<String>>(), optional_object(), optional_object()).prop_map(
        |(query, operation_name, variables, extensions)| SubscribePayload {
            query,
            operation_name,
            variables,
            extensions,
        },
    )
}

fn id() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("ids are not empty", |id| !id.is_empty())
}

fn optional_object() -> impl Strategy<Value = Option<Map<String, Value>>> {
    proptest::option::of(object())
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner).prop_map(Value::from),
        ]
    });
    members(value)
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec((any::<String>(), value), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

/// An array in an array in an array, so many levels deep.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
