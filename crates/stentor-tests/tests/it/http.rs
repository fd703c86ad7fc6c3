//! GraphQL over HTTP, and the pages for operators.

use std::sync::Arc;

use serde_json::{Value, json};
use stentor::{Call, Config, Stentor, config::ByteSize};
use stentor_tests::{HttpResponse, Served, TestServer, exchange, request};
use tokio::sync::{Notify, Semaphore};

use crate::raw::error_code;

const SCHEMA: &str = r#"
    type Query { hello(name: String = "world"): String! @resolver wait: String @resolver fail: String! @resolver }
    type Mutation { say(text: String!): String @resolver }
    type Subscription { tick: Tick @subscribe(topic: "tick") }
    type Tick { n: Int! }
"#;

/// Asked once by each call of `wait` that begins, and told by the test when it may end.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) begun: Semaphore,
    pub(crate) open: Notify,
}

pub(crate) async fn server() -> TestServer {
    configured(|_| {}).await.0
}

pub(crate) async fn configured(change: impl FnOnce(&mut Config)) -> (TestServer, Arc<Gate>) {
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

pub(crate) async fn post(server: &TestServer, body: &str) -> HttpResponse {
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
    for method in ["DELETE", "PUT", "PATCH", "TRACE", "BREW"] {
        let answer = request(server.address(), method, "/graphql?query=%7Bhello%7D", &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, OPTIONS, POST")),
            "{method}"
        );
    }
}

/// A HEAD is a GET whose answer has no body.
#[tokio::test]
async fn head_and_options_tell_what_a_request_would_be_answered() {
    let server = server().await;
    for (target, status) in
        [("query=%7Bhello%7D", 200), ("query=mutation%7Bsay(text%3A%22hi%22)%7D", 405), ("", 400)]
    {
        let target = format!("/graphql?{target}");
        let (head, get) =
            (request(server.address(), "HEAD", &target, &[], "").await, server.get(&target).await);
        assert_eq!((head.status, head.body.as_str()), (status, ""), "{target}");
        for name in ["content-type", "content-length", "allow", "vary", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {target}");
        }
    }
    let options = request(server.address(), "OPTIONS", "/graphql", &[], "").await;
    assert_eq!((options.status, options.header("allow")), (200, Some("GET, HEAD, OPTIONS, POST")));
}

/// The same request may be answered otherwise to somebody else, and otherwise the next time.
#[tokio::test]
async fn caches_are_told_to_keep_nothing_and_what_answers_depend_on() {
    let server = server().await;
    for (method, target) in [
        ("GET", "/graphql?query=%7Bhello%7D"),
        ("GET", "/graphql?query=%7B"),
        ("GET", "/graphql"),
        ("POST", "/graphql"),
        ("DELETE", "/graphql"),
    ] {
        let answer = request(server.address(), method, target, &[], "").await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {target}");
        let vary: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "vary").collect();
        let vary = format!("{vary:?}");
        for name in ["accept", "authorization", "origin"] {
            assert!(vary.contains(name), "{name} is not in {vary} of {method} {target}");
        }
    }
}

#[tokio::test]
async fn a_batch_is_refused_in_words() {
    let server = server().await;
    let answer = post(&server, r#"[{"query":"{ hello }"},{"query":"{ hello }"}]"#).await;
    let error = &answer.json()["errors"][0];
    assert_eq!(
        (answer.status, &error["message"]),
        (400, &json!("batches are not taken: send each request by itself"))
    );
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
}

/// Each row is a reason not to run a request at all; the status is the same for both media types.
#[tokio::test]
async fn a_refusal_is_in_the_accepted_media_type() {
    let (server, _) = configured(|config| config.limits.message_bytes = ByteSize::kib(1)).await;
    let (json, query, long) = ("application/json", r#"{"query":"{ hello }"}"#, " ".repeat(2_000));
    for (method, target, content_type, body, status) in [
        ("POST", "/graphql", json, "{", 400),
        ("POST", "/graphql", json, "[]", 400),
        ("POST", "/graphql", json, "", 400),
        ("POST", "/graphql", json, &long, 413),
        ("POST", "/graphql", "text/plain", query, 415),
        ("PUT", "/graphql", json, query, 405),
        ("GET", "/graphql", json, "", 400),
        ("GET", "/graphql?query=mutation%7B__typename%7D", json, "", 405),
    ] {
        for accept in ["application/json", "application/graphql-response+json"] {
            let headers = [("Content-Type", content_type), ("Accept", accept)];
            let answer = request(server.address(), method, target, &headers, body).await;
            assert_eq!(answer.status, status, "{accept}: {method} {target} {body}");
            assert_eq!(answer.header("content-type"), Some(format!("{accept}; charset=utf-8").as_str()));
            assert!(answer.json()["errors"][0]["message"].is_string() && answer.json().get("data").is_none());
        }
    }
    let headers = [("Content-Type", "application/json"), ("Accept", "text/html, image/*")];
    let answer = request(server.address(), "POST", "/graphql", &headers, query).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (406, Some("application/json; charset=utf-8"))
    );
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
