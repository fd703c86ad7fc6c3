//! One subscriber's connection, up to the moment its subscription is live.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::event::{OPERATION, QUERY};
use crate::error::Error;
use crate::websocket::{self, Frame};

/// A connection with one live subscription.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    bot: String,
    /// Bytes of a frame that is not whole yet.
    partial: Vec<u8>,
}

impl Client {
    /// Connects, subscribes to one bot's status, and waits until the server says that events will come.
    pub(crate) async fn connect(server: SocketAddr, bot: String) -> Result<Self, Error> {
        let connecting = tokio::time::timeout(PATIENCE, Self::subscribed(server, bot));
        connecting.await.map_err(|_| {
            Error::Setup(format!(
                "no live subscription within {} s: does the server run?",
                PATIENCE.as_secs()
            ))
        })?
    }

    async fn subscribed(server: SocketAddr, bot: String) -> Result<Self, Error> {
        let stream = TcpStream::connect(server).await.map_err(Error::io("connect to the server"))?;
        stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
        let mut client = Self { stream, bot, partial: Vec::new() };
        client.upgrade(server).await?;
        client.send(&json!({"type": "connection_init"})).await?;
        let ack = client.message().await?;
        if ack["type"] != "connection_ack" {
            return Err(Error::Setup(format!("{ack} where connection_ack was due")));
        }
        // The server sends this back in a ping as soon as the subscription is live.
        let extensions = json!({"ackId": OPERATION});
        let variables = json!({"botId": client.bot});
        let payload = json!({"query": QUERY, "variables": variables, "extensions": extensions});
        client.send(&json!({"id": OPERATION, "type": "subscribe", "payload": payload})).await?;
        let live = client.message().await?;
        if live["type"] != "ping" || live["payload"]["ackId"] != OPERATION {
            return Err(Error::Setup(format!("{live} where a ping with the ackId was due")));
        }
        client.send(&json!({"type": "pong", "payload": live["payload"]})).await?;
        client.partial.shrink_to_fit();
        Ok(client)
    }

    /// The bot whose status it hears.
    pub(crate) fn bot(&self) -> &str {
        &self.bot
    }

    /// The socket, the bot, and the bytes of a frame that is not whole yet.
    pub(crate) fn into_parts(self) -> (TcpStream, String, Vec<u8>) {
        (self.stream, self.bot, self.partial)
    }

    async fn upgrade(&mut self, server: SocketAddr) -> Result<(), Error> {
        // Key and answer are the example of RFC 6455, section 1.3.
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        );
        self.write(request.as_bytes()).await?;
        let end = loop {
            if let Some(end) = self.partial.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let head = String::from_utf8_lossy(&self.partial[..end]).into_owned();
        self.partial.drain(..end);
        if head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
            return Ok(());
        }
        Err(Error::Setup(format!(
            "the server refused the upgrade: {}",
            head.lines().next().unwrap_or_default()
        )))
    }

    async fn message(&mut self) -> Result<Value, Error> {
        loop {
            let frame = Frame::parse(&self.partial).map_err(|reason| Error::Setup(reason.into()))?;
            let Some(frame) = frame else {
                self.read().await?;
                continue;
            };
            let payload: Vec<u8> =
                self.partial.drain(..frame.payload.end).skip(frame.payload.start).collect();
            match frame.opcode {
                websocket::TEXT => {
                    return serde_json::from_slice(&payload).map_err(|error| Error::Setup(error.to_string()));
                }
                websocket::PING => self.write(&websocket::client_frame(websocket::PONG, &payload)).await?,
                websocket::CLOSE => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                    return Err(Error::Setup(format!("the server closed the connection: {reason}")));
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Error> {
        let frame = websocket::client_frame(websocket::TEXT, message.to_string().as_bytes());
        self.write(&frame).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).await.map_err(Error::io("write to the server"))
    }

    async fn read(&mut self) -> Result<(), Error> {
        let read =
            self.stream.read_buf(&mut self.partial).await.map_err(Error::io("read from the server"))?;
        if read == 0 {
            return Err(Error::Setup("the server ended the connection".into()));
        }
        Ok(())
    }
}

/// How long one connection may take to become a live subscription.
const PATIENCE: Duration = Duration::from_secs(30);
