//! From an HTTP request to a connection's task: [`upgrade`].

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use stentor_protocol::{CloseCode, SUBPROTOCOL};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    driver::{Driver, DriverLimits},
    frame::{accept_key, close_frame},
    link::Link,
};
use crate::{app::App, hangup::Place, http::reject::Rejection};

/// Bytes the kernel may hold for a client beyond what is on its way to it. What a slow client leaves behind is to
/// wait where it is counted.
const KERNEL_BACKLOG: u32 = 32 << 10;

/// How long a refused client may take to end the connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers an upgrade request, and serves the connection in a task of its own.
///
/// # Errors
///
/// The request is not a WebSocket handshake of version 13 (RFC 6455, section 4.2.1), or its origin is not allowed.
pub(crate) fn upgrade(app: &Arc<App>, mut request: Request<Body>) -> Result<Response<Body>, Rejection> {
    let headers = request.headers();
    let key = check_handshake(&request)?;
    app.origins.check(headers)?;
    let (protocol, mut fate) = choose_protocol(headers);
    let accept = accept_key(key.as_bytes());
    if matches!(fate, Fate::Serve) {
        fate = app.admit();
    }
    if let Some(upgrading) = request.extensions_mut().remove::<OnUpgrade>() {
        tokio::spawn(serve(Arc::clone(app), upgrading, fate));
    }
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response.body(Body::empty()).map_err(|_| Rejection::BadHandshake("the subprotocol is not a token"))
}

/// What becomes of a socket once it is open.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Closed at once. Only a close frame on an open socket can be seen by a browser.
    Close(CloseCode),
    /// May be served, if there is a place.
    Serve,
    /// Served.
    Seated(Place),
}

/// The client's key, if the request keeps every rule of RFC 6455, section 4.2.1.
fn check_handshake(request: &Request<Body>) -> Result<&HeaderValue, Rejection> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Rejection::Method { allow: "GET", message: "a WebSocket is opened by GET" });
    }
    if !has_token(headers, header::CONNECTION, "upgrade") || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err(Rejection::BadHandshake("this address speaks WebSocket: send an upgrade request"));
    }
    if request.version() < Version::HTTP_11 {
        return Err(Rejection::BadHandshake("a WebSocket needs HTTP/1.1"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Rejection::WebSocketVersion);
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key),
        _ => Err(Rejection::BadHandshake("Sec-WebSocket-Key must be there once, and be 16 bytes in base64")),
    }
}

/// Whether this is the base64 form of 16 bytes.
fn is_key(text: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len() == 24 && text.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(digit))
}

/// The subprotocol to answer with, and whether the socket can be served.
///
/// Chromium drops a connection whose answer names none of the subprotocols that it offered. So that it sees 4406, an
/// offer that is of no use is accepted in name.
fn choose_protocol(headers: &HeaderMap) -> (Option<HeaderValue>, Fate) {
    let offered: Vec<_> = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).collect();
    if offered.contains(&SUBPROTOCOL) {
        return (Some(HeaderValue::from_static(SUBPROTOCOL)), Fate::Serve);
    }
    let named = offered.first().and_then(|first| HeaderValue::from_str(first).ok());
    (named, Fate::Close(CloseCode::SubprotocolNotAcceptable))
}

/// Whether a request asks for a WebSocket. One that is not a GET cannot, and is answered as if it had not.
pub(crate) fn is_upgrade(request: &Request<Body>) -> bool {
    request.method() == Method::GET && has_token(request.headers(), header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

async fn serve(app: Arc<App>, upgrading: OnUpgrade, fate: Fate) {
    let Ok(upgraded) = upgrading.await else { return };
    match fate {
        Fate::Seated(place) => run(app, upgraded, place).await,
        Fate::Close(code) => refuse(upgraded, code).await,
        Fate::Serve => {}
    }
}

/// Sends a close frame, then reads what the client had already sent: a socket dropped with unread bytes is reset, and
/// the frame may be lost with it.
async fn refuse(upgraded: Upgraded, code: CloseCode) {
    let mut socket = TokioIo::new(upgraded);
    let farewell = async {
        socket.write_all(&close_frame(code.code(), code.reason())).await?;
        socket.shutdown().await?;
        tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
    };
    // A client that is gone already need not be told, one that lingers need not be waited for.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

async fn run(app: Arc<App>, upgraded: Upgraded, place: Place) {
    let limits = DriverLimits {
        message_bytes: app.config.limits.message_bytes.get(),
        stall_timeout: app.config.limits.stall_timeout.get(),
    };
    let link = Link::new(app, place.number);
    let hangup = Arc::clone(&place.hangup);
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner();
            prepare(&socket, limits.stall_timeout);
            // A copy: as a rule `read_buf` is empty, but keeps the whole buffer that the request was read into.
            let early = parts.read_buf.to_vec();
            drop(parts.read_buf);
            Driver::new(socket, early, link, hangup, limits).await;
        }
        Err(upgraded) => Driver::new(TokioIo::new(upgraded), Vec::new(), link, hangup, limits).await,
    }
    drop(place);
}

fn prepare(socket: &TcpStream, stall_timeout: Duration) {
    // They only improve delay and honesty; a kernel that refuses them still serves.
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(KERNEL_BACKLOG);
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(stall_timeout));
}
