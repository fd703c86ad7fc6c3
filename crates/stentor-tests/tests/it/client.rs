//! The library's own client, against this server and against servers that do what this one never does.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use stentor::client::{Client, Error, Gap, Request, Subscription, Update};
use stentor_tests::{PATIENCE, Served, TestServer, auth, token};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request as Handshake, Response},
        http::HeaderValue,
        protocol::CloseFrame,
    },
};

const SCHEMA: &str = r#"
    type Subscription { botStatusChanged(botId: ID!): Bot! @subscribe(topic: "bot:{{ args.botId }}", until: "event.status == 'gone'") }
    type Bot { status: String! }
"#;
const QUERY: &str = r#"subscription ($id: ID!) { botStatusChanged(botId: $id) { status } }"#;

#[tokio::test]
async fn results_arrive_as_they_were_sent_until_the_server_completes() {
    let server = TestServer::start(SCHEMA).await;
    let mut bot = subscribe(&Client::new(&url(server.address())).unwrap());
    assert_eq!(next(&mut bot).await, Update::Connected { again: false });
    assert_eq!(next(&mut bot).await, Update::Live);
    for status in ["running", "gone"] {
        server.publish("bot:42", &json!({ "status": status })).await;
        assert_eq!(
            result(&mut bot).await,
            format!(r#"{{"data":{{"botStatusChanged":{{"status":"{status}"}}}}}}"#)
        );
    }
    for _ in 0..2 {
        assert_eq!(bot.next().await, Ok(None));
    }
}

#[tokio::test]
async fn a_token_is_shown_and_a_refused_one_ends_it_at_once() {
    let server = TestServer::configured(SCHEMA, |config| config.auth = Some(auth())).await;
    let client = Client::new(&url(server.address())).unwrap();
    let mut bot = subscribe(&client.clone().token(token(json!({ "sub": "ann" }))));
    assert_eq!(next(&mut bot).await, Update::Connected { again: false });
    for refused in [client.clone(), client.token("wrong")] {
        let error = subscribe(&refused).next().await.unwrap_err();
        assert!(matches!(error, Error::Closed { code: 4403, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_refused_operation_is_told_with_its_errors() {
    let server = TestServer::start(SCHEMA).await;
    let client = Client::new(&url(server.address())).unwrap();
    let mut nothing = client.subscribe(Request::new("subscription { nothing }"));
    next(&mut nothing).await;
    let error = nothing.next().await.unwrap_err();
    assert!(matches!(&error, Error::Operation(errors) if errors.len() == 1), "{error:?}");
    assert_eq!(nothing.next().await, Ok(None));
}

#[tokio::test]
async fn a_first_connection_that_cannot_be_made_is_an_error_at_once() {
    let fake = Fake::listen().await;
    let client = fake.client();
    drop(fake);
    let error = subscribe(&client).next().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn codes_that_would_come_again_are_final_and_told_with_the_servers_words() {
    for code in [1002, 1011, 4400, 4403, 4406, 4500] {
        let fake = Fake::listen().await;
        let mut bot = subscribe(&fake.client());
        let mut socket = fake.start(&mut bot).await;
        socket.close(code).await;
        assert_eq!(bot.next().await, Err(Error::Closed { code, reason: "so it is".into() }));
    }
}

#[tokio::test]
async fn a_restarted_server_is_asked_again_for_the_same_operation() {
    let fake = Fake::listen().await;
    let mut bot = subscribe(&fake.client());
    let mut socket = fake.start(&mut bot).await;
    socket.close(1012).await;
    let Update::Lost { reason, wait, attempt: 1 } = next(&mut bot).await else { panic!("it is lost") };
    assert_eq!(reason, "the server restarts (1012: so it is)");
    assert!((Duration::from_millis(1_300)..Duration::from_secs(4)).contains(&wait), "{wait:?}");
    let mut socket = fake.connected(&mut bot, true).await;
    socket.send(json!({ "id": "1", "type": "next", "payload": { "data": 1 } })).await;
    assert_eq!(result(&mut bot).await, r#"{"data":1}"#);
}

#[tokio::test]
async fn a_server_that_says_nothing_to_a_ping_is_given_up() {
    let fake = Fake::listen().await;
    let keep_alive = Duration::from_millis(50);
    let mut bot = subscribe(&fake.client().keep_alive(keep_alive, keep_alive).retries(0));
    let mut socket = fake.start(&mut bot).await;
    let (error, ping) = tokio::join!(bot.next(), socket.receive());
    assert_eq!(ping, json!({ "type": "ping" }));
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::RetriesUsedUp { reason, attempts: 0 } if reason.contains("silent")),
        "{error}"
    );
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let fake = Fake::listen().await;
    let mut bot = subscribe(&fake.client());
    let mut socket = fake.start(&mut bot).await;
    socket.send(json!({ "type": "ping", "payload": { "seq": 7 } })).await;
    socket.send(json!({ "id": "1", "type": "next", "payload": {} })).await;
    result(&mut bot).await;
    // Written at the latest when the next result is asked for.
    let (_, pong) = tokio::join!(timeout(Duration::from_millis(100), bot.next()), socket.receive());
    assert_eq!(pong, json!({ "type": "pong", "payload": { "seq": 7 } }));
}

#[tokio::test]
async fn gaps_are_told_wherever_the_server_tells_them() {
    let fake = Fake::listen().await;
    let mut bot = subscribe(&fake.client());
    let mut socket = fake.start(&mut bot).await;
    let gap = |dropped| json!({ "id": "1", "dropped": dropped, "reason": "SLOW_CONSUMER" });
    socket.send(json!({ "type": "ping", "payload": { "stentor": { "gap": gap(None) } } })).await;
    let payload = json!({ "data": 1, "extensions": { "stentor": { "gap": gap(Some(3)) } } });
    socket.send(json!({ "id": "1", "type": "next", "payload": payload })).await;
    let expected = |dropped| Gap { dropped, reason: "SLOW_CONSUMER".into() };
    assert_eq!(next(&mut bot).await, Update::Gap(expected(None)));
    let Update::Result(result) = next(&mut bot).await else { panic!("a result") };
    assert_eq!(result.gap(), Some(expected(Some(3))));
}

#[tokio::test]
async fn what_is_no_message_of_the_protocol_ends_it_and_the_server_is_told() {
    for nonsense in [Message::text("{}"), Message::binary(b"{}".to_vec())] {
        let fake = Fake::listen().await;
        let mut bot = subscribe(&fake.client());
        let mut socket = fake.start(&mut bot).await;
        socket.0.send(nonsense).await.unwrap();
        let (error, code) = tokio::join!(bot.next(), socket.closed());
        assert!(matches!(error, Err(Error::Closed { code: 4004, .. })), "{error:?}");
        assert_eq!(code, 4004);
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_it() {
    let fake = Fake::listen().await;
    let mut bot = subscribe(&fake.client());
    let mut socket = fake.start(&mut bot).await;
    let long = Message::text("x".repeat(stentor::client::MAX_MESSAGE_BYTES + 1));
    let sending = tokio::spawn(async move { socket.0.send(long).await });
    let error = bot.next().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error}");
    drop(bot);
    assert!(sending.await.unwrap().is_err());
}

#[tokio::test]
async fn closing_completes_the_operation_and_says_goodbye() {
    let fake = Fake::listen().await;
    let mut bot = subscribe(&fake.client());
    let mut socket = fake.start(&mut bot).await;
    let ((), (complete, code)) =
        tokio::join!(bot.close(), async { (socket.receive().await, socket.closed().await) });
    assert_eq!((complete, code), (json!({ "id": "1", "type": "complete" }), 1000));
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let server = TestServer::start(SCHEMA).await;
    let mut bot = subscribe(&Client::new(&url(server.address())).unwrap());
    next(&mut bot).await;
    next(&mut bot).await;
    let long = "x".repeat(200_000);
    server.publish("bot:42", &json!({ "status": long })).await;
    let received = async {
        loop {
            if let Ok(update) = timeout(Duration::from_micros(1), bot.next()).await {
                break update;
            }
        }
    };
    let update = timeout(PATIENCE, received).await.expect("the result comes");
    assert!(matches!(update, Ok(Some(Update::Result(result))) if result.as_str().contains(&long)));
}

#[test]
fn addresses_that_are_none_are_refused_with_the_reason() {
    let cases = [
        ("http://localhost/graphql", "ws://"),
        ("ws://", "ws://127.0.0.1:4000/graphql"),
        ("ws://ann:hunter2@localhost/", "token"),
    ];
    for (url, reason) in cases {
        let error = Client::new(url).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains("hunter2"), "{url}: {error}");
    }
}

/// A server that does what it is told.
struct Fake(TcpListener);

struct FakeSocket(WebSocketStream<TcpStream>);

impl Fake {
    async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback is free"))
    }

    fn client(&self) -> Client {
        Client::new(&url(self.0.local_addr().expect("it is bound"))).expect("its own address is right")
    }

    /// A connection that has been acknowledged.
    async fn accept(&self) -> FakeSocket {
        let (socket, _) = timeout(PATIENCE, self.0.accept()).await.expect("the client connects").unwrap();
        #[expect(clippy::result_large_err, reason = "the shape that tungstenite wants")]
        let speak = |_: &Handshake, mut response: Response| {
            let subprotocol = HeaderValue::from_static("graphql-transport-ws");
            response.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
            Ok(response)
        };
        let mut socket = FakeSocket(accept_hdr_async(socket, speak).await.expect("a handshake"));
        assert_eq!(socket.receive().await["type"], "connection_init");
        socket.send(json!({ "type": "connection_ack" })).await;
        socket
    }

    /// Lets the subscription begin.
    async fn start(&self, subscription: &mut Subscription) -> FakeSocket {
        self.connected(subscription, false).await
    }

    /// Lets the subscription connect and ask for its operation.
    async fn connected(&self, subscription: &mut Subscription, again: bool) -> FakeSocket {
        let (update, mut socket) = tokio::join!(next(subscription), self.accept());
        assert_eq!(update, Update::Connected { again });
        // The client writes while it is asked for what comes next.
        let subscribe = tokio::select! {
            message = socket.receive() => message,
            update = subscription.next() => panic!("nothing has happened, but {update:?}"),
        };
        assert_eq!(subscribe["type"], "subscribe");
        assert_eq!(subscribe["payload"]["variables"], json!({ "id": "42" }));
        socket
    }
}

impl FakeSocket {
    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("the client reads");
    }

    async fn receive(&mut self) -> Value {
        match timeout(PATIENCE, self.0.next()).await.expect("the client says something") {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// The code that the client closes with.
    async fn closed(&mut self) -> u16 {
        match timeout(PATIENCE, self.0.next()).await.expect("the client says something") {
            Some(Ok(Message::Close(Some(close)))) => close.code.into(),
            other => panic!("{other:?}"),
        }
    }

    async fn close(&mut self, code: u16) {
        let close = CloseFrame { code: code.into(), reason: "so it is".into() };
        self.0.send(Message::Close(Some(close))).await.expect("the client reads");
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/graphql")
}

fn subscribe(client: &Client) -> Subscription {
    let Value::Object(variables) = json!({ "id": "42" }) else { unreachable!() };
    client.subscribe(Request::new(QUERY).variables(variables))
}

async fn next(subscription: &mut Subscription) -> Update {
    let update = timeout(PATIENCE, subscription.next()).await.expect("something happens");
    update.expect("it goes on").expect("it has not ended")
}

async fn result(subscription: &mut Subscription) -> String {
    match next(subscription).await {
        Update::Result(result) => result.as_str().to_owned(),
        other => panic!("a result is expected, not {other:?}"),
    }
}
