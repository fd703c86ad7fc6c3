//! HTTP as plain text: [`exchange`], [`request`].

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::PATIENCE;

/// What a server answered to one request.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names in lower case, with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: String,
}

impl HttpResponse {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Sends one request with these headers and body, and reads the answer.
///
/// `Host`, `Connection: close` and, for a body, `Content-Length` are added.
///
/// # Panics
///
/// When the server does not answer with HTTP in time.
pub async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> HttpResponse {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let answer = exchange(address, format!("{head}\r\n{body}").as_bytes()).await;
    parse(&answer)
}

/// Sends these bytes on a socket of their own, and returns everything that comes back until the server closes it.
///
/// # Panics
///
/// When the server does not close it in time.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let conversation = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(bytes).await?;
        let mut answer = Vec::new();
        // A server that refuses a request before it has read all of it may reset the socket after its answer.
        let _ = socket.read_to_end(&mut answer).await;
        std::io::Result::Ok(answer)
    };
    let outcome = timeout(PATIENCE, conversation).await;
    let answer = outcome.unwrap_or_else(|_| panic!("{address} did not close the socket within {PATIENCE:?}"));
    answer.unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn parse(answer: &[u8]) -> HttpResponse {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an HTTP answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let status = status.unwrap_or_else(|| panic!("not an HTTP answer: {text:?}"));
    HttpResponse { status, headers, body: body.to_owned() }
}
