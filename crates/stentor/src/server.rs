//! The sockets: accepting, and leaving in good order. [`serve`].

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use crate::app::App;

/// How long a client may take to send the head of a request, and how long an idle HTTP connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may leave an answer unread.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait after the system refused to hand out a socket (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a socket too many is told before it is dropped.
const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until `shutdown` is ready, then drains.
pub(crate) async fn serve(
    app: &Arc<App>,
    router: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    app.listens_at(listener.local_addr()?);
    let sockets = Arc::new(Semaphore::new(app.config.limits.http_connections));
    let door = Door { service: router, sockets };
    tokio::select! {
        never = door.accept(&listener) => return never,
        () = shutdown => {}
    }
    let drain = pin!(drain(app));
    tokio::select! {
        never = door.accept(&listener) => never,
        () = drain => Ok(()),
    }
}

/// Lets sockets in.
struct Door {
    service: Router,
    /// Sockets that are not (yet) WebSockets.
    sockets: Arc<Semaphore>,
}

impl Door {
    /// Accepts sockets until the listener itself fails.
    async fn accept(&self, listener: &TcpListener) -> io::Result<()> {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => self.admit(socket),
                Err(error) if is_about_one_socket(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no socket can be accepted; waiting a moment");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, socket: TcpStream) {
        match Arc::clone(&self.sockets).try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(serve_http(self.service.clone(), socket, permit));
            }
            // The kernel's buffer of a new socket is empty: this does not wait, and need not succeed.
            Err(_) => drop(socket.try_write(OVERLOADED)),
        }
    }
}

/// Serves one socket until it closes or becomes a WebSocket, which has a task of its own.
async fn serve_http(service: Router, socket: TcpStream, permit: OwnedSemaphorePermit) {
    // An answer of two small packets would wait for an acknowledgement between them, and a client that does not read its
    // answer would hold the socket for ever; a kernel that refuses still serves.
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(&socket).set_tcp_user_timeout(Some(ANSWER_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service))
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "an HTTP connection failed");
    }
    drop(permit);
}

/// Readiness flips first; sockets are still accepted, and told to come back, until every client has left.
async fn drain(app: &App) {
    app.start_draining();
    let config = &app.config.shutdown;
    tracing::info!(window = ?config.window.get(), "draining");
    let everyone = async {
        app.connections.drain(config.window.get()).await;
        let all = u32::try_from(app.config.limits.http_connections).unwrap_or(u32::MAX);
        let _answered = app.http_exchanges.acquire_many(all).await;
    };
    match timeout(config.timeout.get(), everyone).await {
        Ok(()) => tracing::info!("drained"),
        Err(_) => tracing::warn!(timeout = ?config.timeout.get(), "some clients were dropped"),
    }
    app.engine.hashes().close().await;
    app.engine.broker().close().await;
}

fn is_about_one_socket(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
