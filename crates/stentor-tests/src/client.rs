//! A client of `graphql-transport-ws` that does nothing unasked: [`WsClient`].

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, Utf8Bytes,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
        protocol::WebSocketConfig,
    },
};

use crate::{PATIENCE, transcript::Transcript};

/// One WebSocket connection. It sends only what it is told to, and reads only when it is asked to.
#[derive(Debug)]
pub struct WsClient {
    socket: WebSocketStream<TcpStream>,
    transcript: Transcript,
    pings: u64,
}

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The path.
    pub path: &'static str,
    /// What `Sec-WebSocket-Protocol` offers; `None`: the header is left out.
    pub subprotocol: Option<&'static str>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Sent as `Authorization` in the payload of `connection_init`.
    pub token: Option<String>,
    /// Bytes that the system may hold for the client; `None`: as many as it likes.
    pub receive_buffer: Option<u32>,
}

/// What came from the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A message.
    Json(Value),
    /// A close frame; without a code it is 1005.
    Close(u16, String),
    /// The end of the socket, without a close frame.
    Lost,
}

impl Default for Dial {
    fn default() -> Self {
        Self {
            path: "/graphql",
            subprotocol: Some("graphql-transport-ws"),
            headers: Vec::new(),
            token: None,
            receive_buffer: None,
        }
    }
}

impl WsClient {
    /// Opens a connection and sends nothing.
    ///
    /// # Panics
    ///
    /// When the server does not accept it.
    pub async fn open(address: SocketAddr, dial: &Dial) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        if let Some(bytes) = dial.receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer may be small");
        }
        let mut request =
            format!("ws://{address}{}", dial.path).into_client_request().expect("the address is right");
        if let Some(subprotocol) = dial.subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            request.headers_mut().insert("Sec-WebSocket-Protocol", value);
        }
        for (name, value) in &dial.headers {
            let value = HeaderValue::from_str(value).expect("a header's value");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let opening = async {
            let socket = socket.connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
            socket.set_nodelay(true).expect("a socket may send at once");
            client_async_with_config(request, socket, Some(small_buffers())).await
        };
        let (socket, _) = timeout(PATIENCE, opening)
            .await
            .unwrap_or_else(|_| panic!("{address} did not answer the handshake"))
            .unwrap_or_else(|error| panic!("{address} refused the handshake: {error}"));
        Self { socket, transcript: Transcript::default(), pings: 0 }
    }

    /// Opens a connection, and waits for its acknowledgement.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn connect(address: SocketAddr, dial: &Dial) -> Self {
        let mut client = Self::open(address, dial).await;
        let payload =
            dial.token.as_ref().map_or_else(|| json!({}), |token| json!({ "Authorization": token }));
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        client.expect_json(json!({ "type": "connection_ack" })).await;
        client
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends text as it is.
    ///
    /// # Panics
    ///
    /// When the socket does not take it.
    pub async fn send_text(&mut self, text: &str) {
        self.transcript.sent(text);
        let sent = timeout(PATIENCE, self.socket.send(Message::text(text))).await;
        let sent = sent.unwrap_or_else(|_| panic!("the server does not read\n{}", self.transcript));
        sent.unwrap_or_else(|error| panic!("{error}\n{}", self.transcript));
    }

    /// Sends a WebSocket message or control frame of any kind.
    ///
    /// # Panics
    ///
    /// When the socket does not take it.
    pub async fn send_frame(&mut self, message: Message) {
        self.transcript.sent(&format!("{message:?}"));
        self.socket.send(message).await.unwrap_or_else(|error| panic!("{error}\n{}", self.transcript));
    }

    /// Sends a `subscribe`.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.subscribe_to(id, json!({ "query": query })).await;
    }

    /// Sends a `subscribe` with this payload.
    pub async fn subscribe_to(&mut self, id: &str, payload: Value) {
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// Starts a subscription, and waits until it is live: from then on no event passes it by.
    pub async fn listen(&mut self, id: &str, query: &str) {
        self.listen_to(id, json!({ "query": query })).await;
    }

    /// As [`listen`](Self::listen), with this payload.
    pub async fn listen_to(&mut self, id: &str, payload: Value) {
        self.begin_to_listen(id, payload).await;
        self.expect_live(id).await;
    }

    /// Starts a subscription that [`expect_live`](Self::expect_live) can be asked about.
    pub async fn begin_to_listen(&mut self, id: &str, mut payload: Value) {
        payload["extensions"]["ackId"] = id.into();
        self.subscribe_to(id, payload).await;
    }

    /// The next message says that this subscription is live.
    pub async fn expect_live(&mut self, id: &str) {
        self.expect_json(json!({ "type": "ping", "payload": { "ackId": id } })).await;
    }

    /// Sends a `complete`.
    pub async fn complete(&mut self, id: &str) {
        self.send(json!({ "id": id, "type": "complete" })).await;
    }

    /// What comes next.
    ///
    /// # Panics
    ///
    /// When nothing does.
    pub async fn next(&mut self) -> Incoming {
        let incoming = self.next_within(PATIENCE).await;
        incoming.unwrap_or_else(|| panic!("nothing came within {PATIENCE:?}\n{}", self.transcript))
    }

    /// What comes next, if something does within `patience`.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Incoming> {
        let frame = timeout(patience, self.next_data()).await.ok()?;
        Some(match frame {
            Some(Message::Text(text)) => {
                self.transcript.received(&text);
                let value = serde_json::from_str(&text);
                Incoming::Json(value.unwrap_or_else(|error| panic!("{error}\n{}", self.transcript)))
            }
            Some(Message::Close(close)) => {
                self.transcript.received(&format!("{close:?}"));
                let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
                let (code, reason) = close.unwrap_or((1005, String::new()));
                Incoming::Close(code, reason)
            }
            Some(other) => panic!("unexpected {other:?}\n{}", self.transcript),
            None => {
                self.transcript.received("the end of the socket");
                Incoming::Lost
            }
        })
    }

    /// The text of the next message, unparsed; for floods.
    ///
    /// # Panics
    ///
    /// When the next is no message, or nothing comes.
    pub async fn next_text(&mut self) -> Utf8Bytes {
        match timeout(PATIENCE, self.next_data()).await {
            Ok(Some(Message::Text(text))) => text,
            other => panic!("expected a message, not {other:?}\n{}", self.transcript),
        }
    }

    /// The next message.
    ///
    /// # Panics
    ///
    /// When the next is the connection's end, or nothing comes.
    pub async fn next_json(&mut self) -> Value {
        match self.next().await {
            Incoming::Json(value) => value,
            end => panic!("expected a message, not {end:?}\n{}", self.transcript),
        }
    }

    /// The next message is this one.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub async fn expect_json(&mut self, expected: Value) {
        let message = self.next_json().await;
        assert_eq!(message, expected, "\n{}", self.transcript);
    }

    /// The next message is a `next` of this operation; its payload.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub async fn expect_next(&mut self, id: &str) -> Value {
        self.expect_payload("next", id).await
    }

    /// The next message is a `next` of this operation with this data, and without errors or extensions.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub async fn expect_data(&mut self, id: &str, data: Value) {
        let payload = self.expect_next(id).await;
        assert_eq!(payload, json!({ "data": data }), "\n{}", self.transcript);
    }

    /// The next message is an `error` of this operation; its errors.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub async fn expect_error(&mut self, id: &str) -> Value {
        self.expect_payload("error", id).await
    }

    /// The next message is the `complete` of this operation.
    pub async fn expect_complete(&mut self, id: &str) {
        self.expect_json(json!({ "id": id, "type": "complete" })).await;
    }

    /// The next message is a ping that tells a gap of this operation; what it says of it.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub async fn expect_gap_ping(&mut self, id: &str) -> Value {
        let message = self.next_json().await;
        let gap = &message["payload"]["stentor"]["gap"];
        assert!(
            message["type"] == "ping" && gap["id"] == id,
            "expected a gap ping: {message}\n{}",
            self.transcript
        );
        gap.clone()
    }

    /// The next thing is a close frame; its code and reason.
    ///
    /// # Panics
    ///
    /// When it is something else.
    pub async fn expect_close(&mut self) -> (u16, String) {
        match self.next().await {
            Incoming::Close(code, reason) => (code, reason),
            other => panic!("expected a close, not {other:?}\n{}", self.transcript),
        }
    }

    /// The server has nothing more to say of what it was told so far: a ping is answered, and nothing comes before
    /// the answer.
    pub async fn expect_nothing(&mut self) {
        let barrier = self.ping().await;
        self.expect_json(barrier).await;
    }

    /// Everything that comes before the answer to a ping that is sent now.
    pub async fn drain(&mut self) -> Vec<Value> {
        let barrier = self.ping().await;
        let mut messages = Vec::new();
        loop {
            let message = self.next_json().await;
            if message == barrier {
                return messages;
            }
            messages.push(message);
        }
    }

    /// Ends the connection in good order.
    pub async fn close(mut self) {
        // A server that has closed already is as good.
        let _ = timeout(PATIENCE, self.socket.close(None)).await;
        while let Some(Ok(_)) = timeout(PATIENCE, self.socket.next()).await.ok().flatten() {}
    }

    async fn ping(&mut self) -> Value {
        self.pings += 1;
        let payload = json!({ "barrier": self.pings });
        self.send(json!({ "type": "ping", "payload": payload })).await;
        json!({ "type": "pong", "payload": payload })
    }

    async fn expect_payload(&mut self, kind: &str, id: &str) -> Value {
        let mut message = self.next_json().await;
        let expected = message["type"] == kind && message["id"] == id;
        assert!(expected, "expected {kind} of {id}: {message}\n{}", self.transcript);
        message["payload"].take()
    }

    /// The next message or close frame; control frames are the library's business.
    async fn next_data(&mut self) -> Option<Message> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Many clients live in one test; the default is 128 KiB each.
fn small_buffers() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4 << 10)
}
