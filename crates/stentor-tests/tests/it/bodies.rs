//! How requests arrive over HTTP: too long, too slow, too many, one behind another.

use serde_json::json;
use stentor::config::{ByteSize, Period};
use stentor_tests::{Served, TestServer, exchange};

use crate::{
    http::{configured, post, server},
    raw::{RawSocket, error_code},
};

#[tokio::test]
async fn a_body_of_more_than_message_bytes_is_refused_with_413() {
    let (server, _) =
        configured(|config| config.limits.message_bytes = "1KiB".parse().expect("a size")).await;
    let body = |length: usize| {
        let request = r#"{"query":"{ hello }"}"#;
        format!("{}{request}", " ".repeat(length - request.len()))
    };
    assert_eq!(post(&server, &body(1_024)).await.status, 200);
    let answer = post(&server, &body(1_025)).await;
    assert_eq!((answer.status, error_code(&answer.json()["errors"])), (413, "LIMIT_EXCEEDED".into()));

    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    for (chunks, status) in [
        (chunk(&body(500)) + "0\r\n\r\n", "200"),
        (chunk(&" ".repeat(700)).repeat(2) + "0\r\n\r\n", "413"),
        ("zz\r\n".to_owned(), "400"),
    ] {
        let answer = exchange(server.address(), format!("{head}{chunks}").as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{chunks:?}: {answer}");
    }
}

#[tokio::test]
async fn a_busy_server_says_503_before_it_works() {
    let (server, gate) = configured(|config| config.limits.http_requests = 1).await;
    let waiting = post(&server, r#"{"query":"{ wait }"}"#);
    let meanwhile = async {
        gate.begun.acquire().await.expect("it is never closed").forget();
        let answer = post(&server, r#"{"query":"{ wait }"}"#).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(error_code(&answer.json()["errors"]), "UNAVAILABLE");
        assert_eq!(server.get("/healthz").await.status, 200, "who asks how it is gets an answer");
        gate.open.notify_one();
    };
    let (answer, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(answer.json(), json!({ "data": { "wait": "waited" } }));
    assert_eq!(gate.begun.available_permits(), 0, "the second one never began");
    assert_eq!(post(&server, r#"{"query":"{ hello }"}"#).await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_504() {
    let (server, _) = configured(|config| config.limits.request_timeout = Period::millis(100)).await;
    let answer = post(&server, r#"{"query":"{ wait }"}"#).await;
    assert_eq!((answer.status, error_code(&answer.json()["errors"])), (504, "UNAVAILABLE".into()));
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let server = server().await;
    let target = |name: &str| format!("/graphql?query=%7Bhello(name%3A%22{name}%22)%7D");
    let requests = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n\r\nGET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        target("first"),
        target("second")
    );
    let answers = exchange(server.address(), requests.as_bytes()).await;
    let answers = String::from_utf8_lossy(&answers);
    let place = |word: &str| answers.find(word).unwrap_or_else(|| panic!("{word} is not in {answers}"));
    assert!(place("hello first") < place("hello second"));
}

/// The beginning of a POST, whose body is to have `length` bytes.
fn head(length: usize) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// A socket on which a body has begun with so many bytes, and goes no further.
async fn slow(server: &TestServer, length: usize) -> RawSocket {
    let mut socket = RawSocket::open(server.address()).await;
    socket.send(format!("{}{}", head(QUERY.len() + length), " ".repeat(length)).as_bytes()).await;
    socket
}

const QUERY: &str = r#"{"query":"{ hello }"}"#;

#[tokio::test]
async fn bodies_that_come_drop_by_drop_are_in_nobodys_way() {
    let (server, _) = configured(|config| config.limits.http_requests = 1).await;
    let mut slow_ones = Vec::new();
    for _ in 0..50 {
        slow_ones.push(slow(&server, 1).await);
    }
    for _ in 0..3 {
        assert_eq!(post(&server, QUERY).await.status, 200);
    }
    for mut socket in slow_ones {
        socket.send(QUERY.as_bytes()).await;
        assert_eq!(socket.head().await.map(|head| head.status), Some(200));
    }
}

#[tokio::test]
async fn what_bodies_hold_on_their_way_is_bounded() {
    let (server, _) = configured(|config| {
        config.limits.message_bytes = ByteSize::kib(1);
        config.limits.http_body_bytes = ByteSize::kib(2);
    })
    .await;
    let mut first = slow(&server, 1_000).await;
    let mut second = slow(&server, 1_000).await;
    // 48 bytes are left: enough for a short body, not for a longer one.
    let long = format!("{}{QUERY}", " ".repeat(100));
    stentor_tests::eventually("the bodies have arrived so far", async || {
        post(&server, &long).await.status == 503
    })
    .await;
    let refused = post(&server, &long).await;
    assert_eq!(
        (refused.header("retry-after"), error_code(&refused.json()["errors"])),
        (Some("1"), "UNAVAILABLE".into())
    );
    assert_eq!(post(&server, QUERY).await.status, 200);

    first.send(QUERY.as_bytes()).await;
    assert_eq!(first.head().await.map(|head| head.status), Some(200));
    assert_eq!(post(&server, &long).await.status, 200);
    second.send(QUERY.as_bytes()).await;
    assert_eq!(second.head().await.map(|head| head.status), Some(200));
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_answered_408_and_costs_the_connection() {
    let (server, _) = configured(|config| config.limits.request_timeout = Period::millis(100)).await;
    let mut socket = slow(&server, 1).await;
    let head = socket.head().await.expect("the server answers");
    assert_eq!((head.status, head.header("connection")), (408, Some("close")));
    let length = head.header("content-length").and_then(|length| length.parse().ok());
    socket.skip(length.expect("the answer has a length")).await;
    assert!(socket.head().await.is_none(), "the socket is closed");
}

/// A body that is announced too long is not read; who asks before sending it is told at once.
#[tokio::test]
async fn a_body_that_promises_to_be_too_long_is_refused_before_it_comes() {
    let server = server().await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut socket = RawSocket::open(server.address()).await;
        let head = head(300 << 10).replacen("Host", &format!("{expect}Host"), 1);
        socket.send(head.as_bytes()).await;
        let head = socket.head().await.expect("the server answers");
        assert_eq!((head.status, head.header("connection")), (413, Some("close")), "{expect}");
    }
    let mut socket = RawSocket::open(server.address()).await;
    let head = head(QUERY.len()).replacen("Host", "Expect: 100-continue\r\nHost", 1);
    socket.send(head.as_bytes()).await;
    assert_eq!(socket.head().await.map(|head| head.status), Some(100));
    socket.send(QUERY.as_bytes()).await;
    assert_eq!(socket.head().await.map(|head| head.status), Some(200));
}

/// Each row is a request that is refused, with a body that fills more than one packet; the next one on the same connection is answered.
#[tokio::test]
async fn a_refused_request_leaves_its_connection_to_the_next_one() {
    let server = server().await;
    let body = format!("{}{QUERY}", " ".repeat(100 << 10));
    let json = "Content-Type: application/json";
    let mut socket = RawSocket::open(server.address()).await;
    for (line, headers, status) in [
        ("POST /graphql", "Content-Type: text/plain", 415),
        ("POST /graphql", "Accept: x/y", 415),
        ("POST /graphql", "Content-Type: application/json\r\nContent-Encoding: gzip", 415),
        ("POST /graphql", "Content-Type: application/json\r\nAccept: text/html", 406),
        ("POST /graphql", "Content-Type: application/json\r\nOrigin: http://evil.example", 403),
        ("PUT /graphql", json, 405),
        ("OPTIONS /graphql", "Origin: http://x", 200),
        ("GET /graphql?query=mutation%7B__typename%7D", json, 405),
        ("GET /graphql?query=%7B__typename%7D", json, 200),
        ("POST /graphql", json, 200),
    ] {
        let length = body.len();
        let request =
            format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}");
        socket.send(request.as_bytes()).await;
        let head = socket.head().await.unwrap_or_else(|| panic!("the socket ended at {line} {headers}"));
        assert_eq!(head.status, status, "{line} {headers}");
        let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        socket.skip(length).await;
    }
}
