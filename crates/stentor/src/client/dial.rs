//! From an address to an open WebSocket: [`Address`].

use std::{sync::Arc, time::Duration};

use stentor_protocol::SUBPROTOCOL;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName},
};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tungstenite::{
    Error as WebSocketError, client::ClientRequestBuilder, http::Uri, protocol::WebSocketConfig,
};

use super::{
    MAX_MESSAGE_BYTES,
    error::{Error, Loss},
};

/// Where a server is.
#[derive(Clone, Debug)]
pub(super) struct Address {
    uri: Uri,
    host: String,
    port: u16,
    /// Whether the socket is encrypted.
    tls: bool,
}

/// An open WebSocket, encrypted or not.
pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let not_one = |why: &str| Error::Address(format!("{url:?} is no address of a server: {why}"));
        let uri: Uri = url.parse().map_err(|_| not_one("it should look like ws://127.0.0.1:4000/graphql"))?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(not_one("it must begin with ws:// or wss://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| not_one("it names no host"))?;
        // An IPv6 address stands in brackets, which belong to the URL alone.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(Error::Address(
                "the address must not hold a user or password; pass a token instead".into(),
            ));
        }
        Ok(Self { uri, host, port, tls })
    }

    /// Opens a WebSocket; what is slow counts as away.
    pub(super) async fn dial(&self) -> Result<Socket, Loss> {
        let dialled = timeout(DIAL_DEADLINE, async { self.upgrade(self.connect().await?).await });
        let late = || Loss::Passing(format!("{} does not answer for {DIAL_DEADLINE:?}", self.uri));
        dialled.await.map_err(|_| late())?
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Loss> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await;
        let socket =
            socket.map_err(|error| Loss::Passing(format!("{} is not reached: {error}", self.uri)))?;
        // A ping must not wait for an acknowledgement; a kernel that refuses still works.
        let _ = socket.set_nodelay(true);
        if self.tls { self.encrypt(socket).await } else { Ok(Box::new(socket)) }
    }

    async fn encrypt(&self, socket: TcpStream) -> Result<Box<dyn Stream>, Loss> {
        let refused = |why: String| Loss::Final(Error::Connect(format!("{}: {why}", self.uri)));
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| refused("the host is no name that a certificate can have".into()))?;
        let connector = TlsConnector::from(trust().map_err(refused)?);
        match connector.connect(name, socket).await {
            Ok(socket) => Ok(Box::new(socket)),
            // What rustls says of a certificate or of the other side is said with this kind, and would be said again.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(refused(format!("no TLS connection: {error}")))
            }
            Err(error) => Err(Loss::Passing(format!("{} broke off the TLS handshake: {error}", self.uri))),
        }
    }

    async fn upgrade(&self, stream: Box<dyn Stream>) -> Result<Socket, Loss> {
        let request = ClientRequestBuilder::new(self.uri.clone()).with_sub_protocol(SUBPROTOCOL);
        match client_async_with_config(request, stream, Some(limits())).await {
            Ok((socket, _)) => Ok(socket),
            Err(WebSocketError::Io(error)) => {
                Err(Loss::Passing(format!("{} broke off the handshake: {error}", self.uri)))
            }
            Err(WebSocketError::Http(response)) => Err(self.turned_away(response.status().as_u16())),
            Err(error) => {
                let advice = "is it a GraphQL server that speaks graphql-transport-ws?";
                Err(Loss::Final(Error::Connect(format!(
                    "{} opens no WebSocket: {error}; {advice}",
                    self.uri
                ))))
            }
        }
    }

    /// The server answered the handshake with another status than 101.
    fn turned_away(&self, status: u16) -> Loss {
        let what = format!("{} answers with HTTP {status} instead of opening a WebSocket", self.uri);
        match status {
            408 | 425 | 429 | 500.. => Loss::Passing(what),
            404 => Loss::Final(Error::Connect(format!("{what}: is the path right? Stentor's is /graphql"))),
            _ => Loss::Final(Error::Connect(what)),
        }
    }
}

/// The certificates that the system trusts, with the program's one provider of cryptography.
fn trust() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("the system trusts no certificate: install ca-certificates, or set SSL_CERT_FILE".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_MESSAGE_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

const DIAL_DEADLINE: Duration = Duration::from_secs(10);
const READ_BUFFER_BYTES: usize = 16 << 10;
