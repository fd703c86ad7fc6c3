//! GraphQL over HTTP, and the pages for operators.

use std::sync::Arc;

use serde_json::{Value, json};
use stentor::{Call, Config, Stentor, config::Period};
use stentor_tests::{HttpResponse, Served, TestServer, exchange, request};
use tokio::sync::{Notify, Semaphore};

use crate::raw::{RawSocket, error_code};

const SCHEMA: &str = r#"
    type Query { hello(name: String = "world"): String! @resolver wait: String @resolver fail: String! @resolver }
    type Mutation { say(text: String!): String @resolver }
    type Subscription { tick: Tick @subscribe(topic: "tick") }
    type Tick { n: Int! }
"#;

/// Asked once by each call of `wait` that begins, and told by the test when it may end.
#[derive(Debug)]
struct Gate {
    begun: Semaphore,
    open: Notify,
}

async fn server() -> TestServer {
    configured(|_| {}).await.0
}

async fn configured(change: impl FnOnce(&mut Config)) -> (TestServer, Arc<Gate>) {
    let mut config = Config::default();
    change(&mut config);
    let gate = Arc::new(Gate { begun: Semaphore::new(0), open: Notify::new() });
    let waited = Arc::clone(&gate);
    let builder = Stentor::builder()
        .schema(SCHEMA)
        .config(config)
        .resolver("Query.hello", async |arguments: Value, _: Call| {
            Ok(format!("hello {}", arguments["name"].as_str().unwrap_or("nobody")))
        })
        .resolver("Query.fail", async |_: Value, _: Call| Ok(Value::Null))
        .resolver("Mutation.say", async |arguments: Value, _: Call| Ok(arguments["text"].clone()))
        .resolver("Query.wait", move |_: Value, _: Call| {
            let gate = Arc::clone(&waited);
            async move {
                gate.begun.add_permits(1);
                gate.open.notified().await;
                Ok("waited")
            }
        });
    (TestServer::build(builder).await, gate)
}

async fn post(server: &TestServer, body: &str) -> HttpResponse {
    server.post("/graphql", body).await
}

#[tokio::test]
async fn queries_and_mutations_are_answered() {
    let server = server().await;
    for (request, data) in [
        (json!({ "query": "{ hello }" }), json!({ "hello": "hello world" })),
        (
            json!({ "query": "query Q($n: String) { hello(name: $n) }", "variables": { "n": "you" } }),
            json!({ "hello": "hello you" }),
        ),
        (
            json!({ "query": "query A { a: hello } query B { b: hello }", "operationName": "B" }),
            json!({ "b": "hello world" }),
        ),
        (
            json!({ "query": "{ hello }", "variables": null, "operationName": null, "extensions": null }),
            json!({ "hello": "hello world" }),
        ),
        (
            json!({ "query": "{ hello }", "extensions": { "a": [1] }, "more": 1 }),
            json!({ "hello": "hello world" }),
        ),
        (json!({ "query": r#"mutation { say(text: "hi") }"# }), json!({ "say": "hi" })),
        (json!({ "query": "{ __typename }" }), json!({ "__typename": "Query" })),
    ] {
        let answer = post(&server, &request.to_string()).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "data": data })), "{request}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    }
}

/// By <https://graphql.github.io/graphql-over-http/draft/>: the older media type says 200 to every well-formed request.
#[tokio::test]
async fn the_accepted_media_type_decides_type_and_status() {
    let server = server().await;
    let (old, new) = ("application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8");
    for (accept, query, status, media) in [
        ("application/json", "{ hello }", 200, old),
        ("*/*", "{ hello }", 200, old),
        ("application/*", "{ hello }", 200, old),
        ("text/html, application/json;q=0.5", "{ hello }", 200, old),
        ("application/graphql-response+json", "{ hello }", 200, new),
        ("application/json, application/graphql-response+json", "{ hello }", 200, new),
        ("application/graphql-response+json; charset=utf-8, application/json", "{ hello }", 200, new),
        ("APPLICATION/GraphQL-Response+JSON", "{ hello }", 200, new),
        ("application/json", "{ nothing }", 200, old),
        ("application/graphql-response+json", "{ nothing }", 400, new),
        ("application/graphql-response+json", "{", 400, new),
        ("application/graphql-response+json", "{ fail }", 200, new),
        ("application/json", "subscription { tick { n } }", 200, old),
        ("application/graphql-response+json", "subscription { tick { n } }", 400, new),
    ] {
        let headers = [("Content-Type", "application/json"), ("Accept", accept)];
        let body = json!({ "query": query }).to_string();
        let answer = request(server.address(), "POST", "/graphql", &headers, &body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some(media)),
            "{accept}: {query}"
        );
    }
    for accept in ["text/html", "application/xml, text/*", "image/png"] {
        let headers = [("Content-Type", "application/json"), ("Accept", accept)];
        let answer =
            request(server.address(), "POST", "/graphql", &headers, r#"{"query":"{ hello }"}"#).await;
        assert_eq!(answer.status, 406, "{accept}");
    }
}

/// A form or plain text can be posted by any page without asking first.
#[tokio::test]
async fn only_json_is_taken() {
    let server = server().await;
    for (content_type, status) in [
        (Some("application/json"), 200),
        (Some("application/json; charset=utf-8"), 200),
        (Some("Application/JSON"), 200),
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("multipart/form-data; boundary=x"), 415),
        (Some("application/graphql"), 415),
        (Some("text/plain; application/json"), 415),
        (Some("application/jsonp"), 415),
    ] {
        let headers: Vec<_> = content_type.map(|value| ("Content-Type", value)).into_iter().collect();
        let answer =
            request(server.address(), "POST", "/graphql", &headers, r#"{"query":"{ hello }"}"#).await;
        assert_eq!(answer.status, status, "{content_type:?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_400() {
    let server = server().await;
    let deep =
        format!(r#"{{"query":"{{ hello }}","variables":{{"a":{}{}}}}}"#, "[".repeat(300), "]".repeat(300));
    for body in [
        "",
        " ",
        "hello",
        "{",
        "null",
        "7",
        r#""{ hello }""#,
        "[]",
        "{}",
        r#"[{"query":"{ hello }"}]"#,
        r#"["{ hello }",null,null,null]"#,
        r#"{"query":"{ hello }"}{"query":"{ hello }"}"#,
        r#"{"query":null}"#,
        r#"{"query":7}"#,
        r#"{"query":["{ hello }"]}"#,
        r#"{"query":"{ hello }","query":"{ fail }"}"#,
        r#"{"query":"{ hello }","operationName":7}"#,
        r#"{"query":"{ hello }","operationName":{}}"#,
        r#"{"query":"{ hello }","variables":"x"}"#,
        r#"{"query":"{ hello }","variables":[]}"#,
        r#"{"query":"{ hello }","variables":7}"#,
        r#"{"query":"{ hello }","variables":{"a":1,"a":2}}"#,
        r#"{"query":"{ hello }","variables":{"a":{"$serde_json::private::RawValue":"7"}}}"#,
        r#"{"query":"{ hello }","extensions":"x"}"#,
        r#"{"query":"{ hello }","extensions":[]}"#,
        &deep,
    ] {
        let answer = post(&server, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert_eq!(error_code(&answer.json()["errors"]), "BAD_USER_INPUT", "{body}");
    }
    let answer = exchange(server.address(), b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n\xFF{}\xFF\xFF").await;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

/// Each row: the query string, the status, what the body must have in it.
#[tokio::test]
async fn queries_may_come_by_get() {
    let server = server().await;
    let named = "query=query+A%7Ba%3Ahello%7Dquery+B%7Bb%3Ahello%7D";
    let with_variables = "query=query(%24n%3AString)%7Bhello(name%3A%24n)%7D";
    for (target, status, word) in [
        ("query=%7Bhello%7D".to_owned(), 200, "hello world"),
        ("query=%7B%20hello%20%7D&variables=&operationName=&extensions=".to_owned(), 200, "hello world"),
        (format!("{named}&operationName=B"), 200, r#""b":"hello"#),
        (format!(r#"{with_variables}&variables=%7B%22n%22%3A%22you%22%7D"#), 200, "hello you"),
        (format!("{with_variables}&variables=null"), 200, "hello"),
        ("query=%7Bhello%7D&extensions=%7B%7D&more=1".to_owned(), 200, "hello world"),
        (String::new(), 400, "query"),
        ("query=".to_owned(), 200, "GRAPHQL_PARSE_FAILED"),
        ("variables=%7B%7D".to_owned(), 400, "query"),
        (format!("{with_variables}&variables=%5B%5D"), 400, "BAD_USER_INPUT"),
        (format!("{with_variables}&variables=%7B"), 400, "BAD_USER_INPUT"),
        (format!("{with_variables}&variables=7"), 400, "BAD_USER_INPUT"),
        ("query=%7Bhello%7D&extensions=x".to_owned(), 400, "BAD_USER_INPUT"),
        ("query=%7Bhello%7D&extensions=%5B%5D".to_owned(), 400, "BAD_USER_INPUT"),
        ("query=%7Bhello%7D&query=%7Bfail%7D".to_owned(), 400, "BAD_USER_INPUT"),
        ("query=%FF".to_owned(), 200, "GRAPHQL_PARSE_FAILED"),
        ("query=subscription%7Btick%7Bn%7D%7D".to_owned(), 200, "WebSocket"),
        ("query=mutation%7Bsay(text%3A%22hi%22)%7D".to_owned(), 405, "POST"),
    ] {
        let answer = server.get(&format!("/graphql?{target}")).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert!(answer.body.contains(word), "{target}: {answer:?}");
    }
    let mutation = server.get("/graphql?query=mutation%7Bsay(text%3A%22hi%22)%7D").await;
    assert_eq!(mutation.header("allow"), Some("POST"));
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let server = server().await;
    for method in ["DELETE", "PUT", "PATCH", "HEAD", "TRACE", "BREW"] {
        let answer = request(server.address(), method, "/graphql?query=%7Bhello%7D", &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")), "{method}");
    }
}

#[tokio::test]
async fn a_post_that_asks_for_an_upgrade_is_a_post() {
    let server = server().await;
    let headers = [("Content-Type", "application/json"), ("Upgrade", "websocket")];
    let answer = request(server.address(), "POST", "/graphql", &headers, r#"{"query":"{ hello }"}"#).await;
    assert_eq!(answer.json()["data"]["hello"], "hello world");
}

#[tokio::test]
async fn a_null_in_a_non_null_field_leaves_no_data() {
    let server = server().await;
    let answer = post(&server, r#"{"query":"{ hello fail }"}"#).await;
    assert_eq!((answer.status, &answer.json()["data"]), (200, &Value::Null));
    assert_eq!(answer.json()["errors"][0]["path"], json!(["fail"]));
}

/// A page's browser asks first, and hands an answer to the page only if the server names the page's origin.
#[tokio::test]
async fn browsers_are_told_which_pages_may_read() {
    let own: &[&str] = &[];
    for (listed, origin, allowed) in [
        (own, "http://localhost:5173", true),
        (own, "https://127.0.0.1", true),
        (own, "https://evil.example", false),
        (own, "null", false),
        (&["https://app.example"], "https://app.example", true),
        (&["https://app.example"], "https://app.example.evil.example", false),
        (&["*"], "https://evil.example", true),
    ] {
        let origins = listed.iter().map(ToString::to_string).collect();
        let (server, _) = configured(|config| config.allowed_origins = origins).await;
        let expected = allowed.then_some(origin);
        let preflight = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,authorization"),
        ];
        let answer = request(server.address(), "OPTIONS", "/graphql", &preflight, "").await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}, {listed:?}");
        if allowed {
            let headers = answer.header("access-control-allow-headers").unwrap_or_default();
            let methods = answer.header("access-control-allow-methods").unwrap_or_default();
            assert!(headers.contains("content-type") && headers.contains("authorization"), "{answer:?}");
            assert!(methods.contains("POST") && answer.status == 200, "{answer:?}");
        }
        let simple = [("Origin", origin), ("Content-Type", "application/json")];
        let answer = request(server.address(), "POST", "/graphql", &simple, r#"{"query":"{ hello }"}"#).await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}, {listed:?}");
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let wrong = request(server.address(), "POST", "/graphql", &simple, "{").await;
        assert_eq!(
            wrong.header("access-control-allow-origin"),
            expected,
            "pages may read why they are refused"
        );
    }
}

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
    let head =
        "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{";
    let mut slow = RawSocket::open(server.address()).await;
    slow.send(head.as_bytes()).await;
    assert_eq!(slow.head().await.map(|head| head.status), Some(504));
}

#[tokio::test]
async fn operators_find_health_readiness_and_figures() {
    let server = server().await;
    let health = server.get("/healthz").await;
    assert_eq!((health.status, health.body.trim()), (200, "alive"));

    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, ready.header("content-type")), (200, Some("application/json")));
    let ready = ready.json();
    assert_eq!(ready["status"], "ready");
    assert_eq!((&ready["broker"]["kind"], &ready["broker"]["state"]), (&json!("memory"), &json!("up")));
    assert!(ready["broker"]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{ready}");

    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for name in [
        "stentor_connections 0",
        "stentor_operations 0",
        "stentor_topics 0",
        "stentor_audiences 0",
        "stentor_events_total 0",
        "stentor_executions_total 0",
        "stentor_deliveries_total 0",
        "stentor_dropped_total{reason=\"SLOW_CONSUMER\"} 0",
        "stentor_gaps_total{reason=\"BROKER_RECONNECT\"} 0",
        "stentor_broker_state 1",
    ] {
        assert!(metrics.body.lines().any(|line| line == name), "{name} is not in\n{}", metrics.body);
    }
}

#[tokio::test]
async fn other_addresses_are_404_and_other_methods_405() {
    let server = server().await;
    for target in ["/", "/graphql/", "/graphQL", "/ws/x", "/metrics/x", "/..%2fetc/passwd", "//graphql"] {
        assert_eq!(server.get(target).await.status, 404, "{target}");
    }
    for target in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(request(server.address(), "POST", target, &[], "").await.status, 405, "{target}");
        assert_eq!(request(server.address(), "HEAD", target, &[], "").await.status, 200, "{target}");
    }
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
