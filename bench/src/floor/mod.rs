//! The floor: the least a server can do between a `PUBLISH` and the sockets, with no GraphQL at all.
//!
//! It answers the messages of `graphql-transport-ws` that the load generator sends, encodes one `next` message per
//! event, the same bytes for everyone, and writes it. It checks nothing, forgets nothing, and lives for one run.

mod hub;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error::Error;
use crate::websocket::{self, Frame};
use hub::Hub;
use socket::{Socket, Wake};

/// What `floor` takes.
#[derive(Debug, Args)]
pub(crate) struct FloorOptions {
    /// How frames leave.
    #[arg(long)]
    mode: Mode,
    /// Where to accept connections, such as 127.0.0.1:4100.
    #[arg(long)]
    listen: SocketAddr,
    /// Where events come from.
    #[arg(long)]
    redis: SocketAddr,
}

/// How frames leave the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// One write per message and socket, by the task that reads from Redis.
    Each,
    /// One write for all messages that wait for a socket, by the socket's own task.
    Join,
}

/// Serves until the process is ended.
///
/// # Errors
///
/// When Redis cannot be reached, is lost, or the address cannot be bound.
pub(crate) fn run(options: &FloorOptions) -> Result<(), Error> {
    // A new runtime has one worker thread per core, which is what the `stentor` program uses.
    let runtime = tokio::runtime::Runtime::new().map_err(Error::io("start tokio"))?;
    rlimit::increase_nofile_limit(u64::MAX).map_err(Error::io("raise the limit of open files"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: &FloorOptions) -> Result<(), Error> {
    let redis = TcpStream::connect(options.redis).await.map_err(Error::io("connect to Redis"))?;
    let (reader, writer) = redis.into_split();
    let hub = Arc::new(Hub::new(options.mode, writer));
    let listener = TcpListener::bind(options.listen).await.map_err(Error::io("listen"))?;
    let accepting = tokio::spawn(accept(listener, Arc::clone(&hub)));
    // On a task of its own, since the thread that called `block_on` is not one of the workers.
    let reading = tokio::spawn(async move { hub.read_events(reader).await });
    tokio::select! {
        ended = accepting => ended.map_err(|error| Error::Setup(error.to_string()))?,
        ended = reading => ended.map_err(|error| Error::Setup(error.to_string()))?,
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await.map_err(Error::io("accept a connection"))?;
        let hub = Arc::clone(&hub);
        tokio::spawn(async move {
            if let Err(error) = connection(stream, &hub).await {
                eprintln!("connection ended: {}", crate::error::chain(&error));
            }
        });
    }
}

async fn connection(mut stream: TcpStream, hub: &Hub) -> Result<(), Error> {
    stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
    upgrade(&mut stream).await?;
    let socket = Arc::new(Socket::new(stream));
    loop {
        match socket.wake().await.map_err(Error::io("wait for a socket"))? {
            Wake::Outbox => socket.flush().await,
            Wake::Input => {
                let Some(requests) = read_requests(&socket)? else { return Ok(()) };
                for request in requests {
                    answer(&request, &socket, hub).await?;
                }
            }
        }
    }
}

async fn upgrade(stream: &mut TcpStream) -> Result<(), Error> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut request).await.map_err(Error::io("read an upgrade"))?;
        if read == 0 || request.len() > MAX_REQUEST {
            return Err(Error::Setup("no upgrade request".into()));
        }
    }
    let head = String::from_utf8_lossy(&request);
    let header = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let key = header.ok_or_else(|| Error::Setup("no WebSocket key".into()))?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
        tungstenite::handshake::derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).await.map_err(Error::io("answer an upgrade"))
}

/// The messages that have arrived, or none when the client has gone.
///
/// The load generator writes each message whole and waits for the answer, so a partial frame is refused.
fn read_requests(socket: &Socket) -> Result<Option<Vec<Value>>, Error> {
    let mut buffer = [0; MAX_REQUEST];
    let Some(length) = socket.read(&mut buffer).map_err(Error::io("read from a socket"))? else {
        return Ok(None);
    };
    let mut input = &mut buffer[..length];
    let mut requests = Vec::new();
    while !input.is_empty() {
        let whole = Frame::parse(input).map_err(|reason| Error::Setup(reason.into()))?;
        let frame = whole.ok_or_else(|| Error::Setup("a frame that did not arrive whole".into()))?;
        let (bytes, rest) = input.split_at_mut(frame.payload.end);
        let payload = &mut bytes[frame.payload];
        websocket::apply_mask(frame.mask.unwrap_or_default(), payload);
        match frame.opcode {
            websocket::TEXT => requests.push(
                serde_json::from_slice(payload)
                    .map_err(|error| Error::Setup(format!("not JSON: {error}")))?,
            ),
            websocket::CLOSE => return Ok(None),
            _ => {}
        }
        input = rest;
    }
    Ok(Some(requests))
}

async fn answer(request: &Value, socket: &Arc<Socket>, hub: &Hub) -> Result<(), Error> {
    match request["type"].as_str() {
        Some("connection_init") => {
            let ack = websocket::server_frame(websocket::TEXT, br#"{"type":"connection_ack"}"#);
            socket.write(&ack).await;
        }
        Some("subscribe") => {
            let bot = request["payload"]["variables"]["botId"].as_str().unwrap_or_default();
            hub.join(format!("bot:{bot}"), socket).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Bytes of an upgrade request or of what one read of a socket takes.
const MAX_REQUEST: usize = 4096;
