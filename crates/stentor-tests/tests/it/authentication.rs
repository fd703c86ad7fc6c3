//! Who is let in, in which words the others are refused, and what those inside may do.

use serde_json::{Map, Value, json};
use stentor::{Call, Config, Principal, Stentor, sign_hs256};
use stentor_tests::{HttpResponse, SECRET, Served, TestServer, auth, request, seconds_since_epoch, token};

use crate::raw::{Frame, RawSocket, error_code};

const SCHEMA: &str = r#"
    type Query { open: String @resolver @public, own: String @resolver, guarded(id: ID!): String @resolver @hasScope(scope: "view", resource: "bot:{{ args.id }}") }
    type Subscription {
        news: News @subscribe(topic: "news") @public
        mail: News @subscribe(topic: "mail")
        bot(id: ID!): News @subscribe(topic: "bot:{{ args.id }}") @hasScope(scope: "view", resource: "bot:{{ args.id }}")
        audit: News @subscribe(topic: "audit") @hasScope(scope: "audit")
    }
    type News { text: String }
"#;

async fn server(change: impl FnOnce(&mut Config)) -> TestServer {
    let mut config = Config { auth: Some(auth()), ..Config::default() };
    change(&mut config);
    let answer = async |_: Value, call: Call| {
        let subject = call.principal().and_then(Principal::subject);
        Ok(subject.unwrap_or("nobody").to_owned())
    };
    let builder = Stentor::builder().schema(SCHEMA).config(config);
    let builder = builder.resolver("Query.open", answer).resolver("Query.own", answer);
    TestServer::build(builder.resolver("Query.guarded", answer)).await
}

fn anonymous(config: &mut Config) {
    if let Some(auth) = &mut config.auth {
        auth.anonymous = true;
    }
}

fn particular(config: &mut Config) {
    if let Some(auth) = &mut config.auth {
        auth.jwt.audience = vec!["stentor".into()];
        auth.jwt.issuer = Some("https://issuer.example".into());
    }
}

async fn get(server: &TestServer, query: &str, token: Option<&str>) -> HttpResponse {
    let body = json!({ "query": query }).to_string();
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
    request(server.address(), "POST", "/graphql", &headers, &body).await
}

/// What `connection_init` with this payload is answered with: an acknowledgement, or a close.
async fn init(server: &TestServer, payload: &Value) -> Result<RawSocket, (u16, String)> {
    let mut socket = RawSocket::websocket(server.address()).await;
    socket.say(&json!({ "type": "connection_init", "payload": payload })).await;
    match socket.frame().await {
        Frame::Text(text) => {
            assert_eq!(text, r#"{"type":"connection_ack"}"#);
            Ok(socket)
        }
        Frame::Close(code, reason) => Err((code, reason)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_found_wherever_clients_put_it() {
    let server = server(|_| {}).await;
    let token = token(json!({ "sub": "ada" }));
    let bearer = format!("Bearer {token}");
    for payload in [
        json!({ "Authorization": bearer }),
        json!({ "Authorization": token }),
        json!({ "authorization": bearer }),
        json!({ "authorization": format!("bearer {token}") }),
        json!({ "authToken": token }),
        json!({ "authToken": bearer }),
        json!({ "token": token }),
        json!({ "token": bearer }),
        json!({ "headers": { "Authorization": bearer } }),
        json!({ "headers": { "Authorization": token } }),
        json!({ "Authorization": null, "authToken": token }),
        json!({ "Authorization": "", "token": token }),
    ] {
        let mut socket = init(&server, &payload).await.unwrap_or_else(|close| panic!("{payload}: {close:?}"));
        socket.subscribe("1", "{ own }").await;
        let message = socket.message().await;
        assert_eq!(message["payload"]["data"]["own"], "ada", "{payload}: {message}");
    }
}

#[tokio::test]
async fn no_token_is_a_close_4403_and_a_401() {
    let server = server(|_| {}).await;
    for payload in [
        Value::Null,
        json!({}),
        json!({ "Authorization": "" }),
        json!({ "Authorization": null }),
        json!({ "Authorization": "Bearer " }),
        json!({ "password": "x" }),
        json!({ "headers": {} }),
    ] {
        let (code, reason) = init(&server, &payload).await.expect_err("no token");
        assert!(code == 4403 && reason.contains("a token is needed"), "{payload}: {code} {reason}");
    }
    let answer = get(&server, "{ own }", None).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    assert!(answer.body.contains("a token is needed"), "{answer:?}");
    assert_eq!(error_code(&answer.json()["errors"]), "UNAUTHENTICATED");
}

/// Each row: what is wrong, the token, a word that the reason must have.
#[tokio::test]
async fn a_wrong_token_is_refused_in_words_that_a_person_understands() {
    let now = seconds_since_epoch();
    let sign = |claims: Value| {
        let mut all = json!({ "aud": "stentor", "iss": "https://issuer.example", "exp": now + 60 });
        all.as_object_mut().expect("it is one").extend(claims.as_object().expect("it is one").clone());
        token(all)
    };
    let good = sign(json!({}));
    let [header, payload, signature] = [0, 1, 2].map(|part| good.split('.').nth(part).expect("three parts"));
    let other: Map<_, _> = [("exp".to_owned(), json!(now + 60))].into_iter().collect();
    let eternal = json!({ "aud": "stentor", "iss": "https://issuer.example" });
    let rows = [
        ("garbage", "garbage".into(), "JSON Web Token"),
        ("dots", "..".into(), "JSON Web Token"),
        ("half a token", format!("{header}.{payload}"), "JSON Web Token"),
        ("four parts", format!("{good}.x"), "JSON Web Token"),
        ("an opaque token of 100 bytes", "f".repeat(100), "JSON Web Token"),
        ("a token of 100 KiB", format!("{header}.{}.{signature}", "a".repeat(100 << 10)), "longer"),
        // {"alg":"none","typ":"JWT"} and {"alg":"RS256"}
        ("alg none", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."), "\"none\""),
        ("alg RS256", format!("eyJhbGciOiJSUzI1NiJ9.{payload}.{signature}"), "\"RS256\""),
        ("another secret", sign_hs256("another-secret-than-the-servers-one", &other), "signature"),
        ("a changed payload", format!("{header}.{payload}x.{signature}"), "signature"),
        ("no signature", format!("{header}.{payload}."), "signature"),
        ("expired", sign(json!({ "exp": now - 3_600 })), "expired"),
        ("expired beyond the leeway", sign(json!({ "exp": now - 7 })), "expired"),
        ("no exp", sign_hs256(SECRET, eternal.as_object().expect("it is one")), "\"exp\""),
        ("exp is text", sign(json!({ "exp": "tomorrow" })), "\"exp\""),
        ("not yet valid", sign(json!({ "nbf": now + 3_600 })), "only in"),
        ("another audience", sign(json!({ "aud": "billing" })), "audience"),
        ("other audiences", sign(json!({ "aud": ["billing", "mail"] })), "audience"),
        ("an audience that is null", sign(json!({ "aud": null })), "\"aud\""),
        ("another issuer", sign(json!({ "iss": "https://issuer.example/" })), "issue"),
        ("no issuer", sign(json!({ "iss": null })), "iss"),
        ("a long audience in it", sign(json!({ "aud": "ü\u{1b}[31m".repeat(200) })), "audience"),
    ];
    let server = server(particular).await;
    assert!(init(&server, &json!({ "token": good })).await.is_ok());
    for (name, token, word) in rows {
        let (code, reason) = init(&server, &json!({ "token": token })).await.expect_err(name);
        assert_eq!(code, 4403, "{name}");
        assert!(reason.contains(word) && reason.len() <= 123, "{name}: {reason}");
        assert!(!reason.chars().any(char::is_control), "{name}: {reason}");
        let secrets = token.split('.').filter(|part| part.len() > 10);
        assert!(!secrets.clone().any(|part| reason.contains(part)), "{name} is in {reason}");

        let answer = get(&server, "{ open }", Some(&token)).await;
        if token.len() < 64 << 10 {
            assert_eq!(
                (answer.status, error_code(&answer.json()["errors"])),
                (401, "UNAUTHENTICATED".into()),
                "{name}"
            );
            assert_eq!(answer.json()["errors"][0]["message"], reason, "{name}");
        }
    }
    server.expect_metric("stentor_connections", 0).await;
}

#[tokio::test]
async fn a_token_that_is_no_text_is_a_wrong_token() {
    let server = server(anonymous).await;
    for payload in [
        json!({ "Authorization": 1 }),
        json!({ "token": { "jwt": "x" } }),
        json!({ "authToken": ["x"] }),
        json!({ "Authorization": "Basic YTpi" }),
    ] {
        assert_eq!(init(&server, &payload).await.expect_err("a wrong token").0, 4403, "{payload}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_five_seconds() {
    let server = server(|_| {}).await;
    let now = seconds_since_epoch();
    for claims in [json!({ "exp": now - 2 }), json!({ "nbf": now + 3 }), json!({ "iat": now + 60 })] {
        let token = token(claims.clone());
        assert!(init(&server, &json!({ "token": token })).await.is_ok(), "{claims}");
        assert_eq!(get(&server, "{ own }", Some(&token)).await.status, 200, "{claims}");
    }
}

#[tokio::test]
async fn a_connection_whose_token_ends_is_closed_4403() {
    let server = server(|_| {}).await;
    let token = token(json!({ "exp": seconds_since_epoch() - 4 }));
    let mut client = server.client_with(&token).await;
    client.listen("1", "subscription { mail { text } }").await;
    server.publish("mail", &json!({ "text": "in time" })).await;
    client.expect_data("1", json!({ "mail": { "text": "in time" } })).await;
    assert_eq!(client.expect_close().await, (4403, "the token has expired".into()));
    server.expect_metric("stentor_operations", 0).await;
}

/// Who must be somebody, over both ways in: field, token or none, code of the error.
#[tokio::test]
async fn anonymous_clients_reach_public_fields_and_no_others() {
    let server = server(anonymous).await;
    let mut client = server.client().await;
    client.listen("news", "subscription { news { text } }").await;
    client.subscribe("open", "{ open }").await;
    client.expect_data("open", json!({ "open": "nobody" })).await;
    client.expect_complete("open").await;
    for query in ["subscription { mail { text } }", r#"subscription { bot(id: "1") { text } }"#] {
        client.subscribe("1", query).await;
        assert_eq!(error_code(&client.expect_error("1").await), "UNAUTHENTICATED", "{query}");
    }
    client.expect_nothing().await;

    let answer = get(&server, "{ open }", None).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "data": { "open": "nobody" } })));
    for query in ["{ own }", r#"{ guarded(id: "1") }"#] {
        let answer = get(&server, query, None).await;
        assert_eq!((answer.status, error_code(&answer.json()["errors"])), (401, "UNAUTHENTICATED".into()));
    }
    assert_eq!(init(&server, &json!({ "token": "wrong" })).await.expect_err("a wrong token").0, 4403);
    assert_eq!(get(&server, "{ open }", Some("wrong")).await.status, 401);
}

/// A query with a field that is refused among others: nothing of it may be seen.
#[tokio::test]
async fn a_refused_field_among_others_tells_nothing_of_itself() {
    let server = server(anonymous).await;
    let mut client = server.client().await;
    client.subscribe("1", "{ open own }").await;
    let message = client.next_json().await;
    assert!(!message.to_string().contains("ada"), "{message}");
    assert!(message.to_string().contains("UNAUTHENTICATED"), "{message}");
}

/// Scopes as tokens hold them, and whether they let `view` on `bot:42` through.
#[tokio::test]
async fn scopes_and_permissions_decide_who_may_view_a_bot() {
    let permission = |entry: Value| json!({ "authorization": { "permissions": [entry] } });
    let server = server(|_| {}).await;
    for (claims, allowed) in [
        (json!({ "scope": "bot:42:view" }), true),
        (json!({ "scope": "openid bot:view email" }), true),
        (json!({ "scope": ["openid", "bot:42:view"] }), true),
        (permission(json!({ "rsname": "bot:42", "scopes": ["view"] })), true),
        (permission(json!({ "rsname": "42", "scopes": ["edit", "view"] })), true),
        (permission(json!({ "rsid": "42", "rsname": "Bot 42", "scopes": ["view"] })), true),
        (json!({}), false),
        (json!({ "scope": "view" }), false),
        (json!({ "scope": "bot:43:view" }), false),
        (json!({ "scope": "bot:4:view bot:421:view" }), false),
        (json!({ "scope": "bot:42:viewer" }), false),
        (json!({ "scope": "bot:42:edit" }), false),
        (json!({ "scope": "xbot:view" }), false),
        (json!({ "scope": "bot:*:view" }), false),
        (json!({ "scope": ["openid bot:view"] }), false),
        (json!({ "scope": { "bot:view": true } }), false),
        (permission(json!({ "rsname": "bot:42" })), false),
        (permission(json!({ "rsname": "bot:42", "scopes": [] })), false),
        (permission(json!({ "rsname": "bot:42", "scopes": "view" })), false),
        (permission(json!({ "rsname": "org:42", "scopes": ["view"] })), false),
        (permission(json!({ "rsid": "bot:42", "scopes": ["view"] })), false),
    ] {
        let token = token(claims.clone());
        let mut client = server.client_with(&token).await;
        client.begin_to_listen("1", json!({ "query": r#"subscription { bot(id: "42") { text } }"# })).await;
        if allowed {
            client.expect_live("1").await;
        } else {
            assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{claims}");
        }
        let answer = get(&server, r#"{ guarded(id: "42") }"#, Some(&token)).await;
        assert_eq!(answer.status, if allowed { 200 } else { 403 }, "{claims}: {answer:?}");
        if !allowed {
            assert_eq!(error_code(&answer.json()["errors"]), "FORBIDDEN");
            assert!(answer.json().get("data").is_none_or(Value::is_null));
        }
    }
}

/// However a request is cut and named, its guard sees the argument that the topic is made of.
#[tokio::test]
async fn no_way_of_writing_an_operation_leads_around_a_guard() {
    let server = server(|_| {}).await;
    let mut client = server.client_with(&token(json!({ "scope": "bot:42:view" }))).await;
    let foreign = json!({ "id": "43", "own": "42" });
    for query in [
        r#"subscription { bot(id: "43") { text } }"#,
        r#"subscription { bot: bot(id: "43") { text } }"#,
        r#"subscription { mail: bot(id: "43") { text } }"#,
        "subscription S($id: ID!) { bot(id: $id) { text } }",
        r#"subscription S($missing: ID = "43") { bot(id: $missing) { text } }"#,
        r#"subscription { ...F } fragment F on Subscription { bot(id: "43") { text } }"#,
        r#"subscription { ... on Subscription { x: bot(id: 43) { text } } }"#,
        r#"subscription { bot(id: "\u0034\u0033") { text } }"#,
        r#"subscription { bot(id: "42 ") { text } }"#,
        r#"subscription { bot(id: "042") { text } }"#,
        r#"subscription { audit { text } }"#,
    ] {
        client.subscribe_to("1", json!({ "query": query, "variables": foreign })).await;
        assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{query}");
    }
    client.listen("1", "subscription { bot(id: 42) { text } }").await;
    server.expect_metric("stentor_topics", 1).await;
}

#[tokio::test]
async fn audit_needs_its_very_word() {
    let server = server(|_| {}).await;
    for (scope, allowed) in [("audit", true), ("x audit", true), ("auditor", false), ("bot:audit", false)] {
        let mut client = server.client_with(&token(json!({ "scope": scope }))).await;
        client.begin_to_listen("1", json!({ "query": "subscription { audit { text } }" })).await;
        if allowed {
            client.expect_live("1").await;
        } else {
            assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{scope}");
        }
    }
}

#[tokio::test]
async fn without_auth_a_token_is_passed_over() {
    let schema = "type Query { whoami: String @resolver }";
    let builder = Stentor::builder().schema(schema).resolver("Query.whoami", async |_: Value, call: Call| {
        Ok(call.principal().map(|_| "somebody").unwrap_or("nobody"))
    });
    let server = TestServer::build(builder).await;
    for token in ["garbage", &token(json!({ "sub": "ada" }))] {
        let mut socket = init(&server, &json!({ "token": token })).await.expect("everyone is let in");
        socket.subscribe("1", "{ whoami }").await;
        assert_eq!(socket.message().await["payload"]["data"], json!({ "whoami": "nobody" }));
        assert_eq!(
            get(&server, "{ whoami }", Some(token)).await.json()["data"],
            json!({ "whoami": "nobody" })
        );
    }
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let server = server(anonymous).await;
    let (ada, bob) = (token(json!({ "sub": "ada" })), token(json!({ "sub": "bob" })));
    let headers = [("Content-Type", "application/json"), ("Authorization", &*ada), ("Authorization", &*bob)];
    let answer = request(server.address(), "POST", "/graphql", &headers, r#"{"query":"{ own }"}"#).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
