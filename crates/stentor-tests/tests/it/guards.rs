//! Guards of the embedding program and guards below the root, seen by clients.

use serde_json::{Value, json};
use stentor::{Call, Config, ErrorCode, ResolverError, Stentor};
use stentor_tests::{HttpResponse, Served, TestServer, auth, request, token};

const SCHEMA: &str = r#"
    type Query { note(id: ID!): Note @resolver }
    type Mutation { write(id: ID!): Note @resolver }
    type Subscription { notes(id: ID!): Note @subscribe(topic: "notes:{{ args.id }}") }
    type Note { id: ID!  text: String @hasScope(scope: "read", resource: "note:{{ parent.id }}") }
"#;

#[derive(serde::Deserialize)]
struct Id {
    id: String,
}

async fn server() -> TestServer {
    let config = Config { auth: Some(auth()), ..Config::default() };
    let answer = async |Id { id }: Id, _: Call| Ok(json!({"id": id, "text": "hidden"}));
    let guard = async |Id { id }: Id, call: Call| match call.principal().and_then(|who| who.subject()) {
        _ if id == "lost" => Err(ResolverError::new(ErrorCode::Unauthenticated, "who are you?")),
        Some(subject) if subject == id => Ok(()),
        _ => Err(ResolverError::new(ErrorCode::Forbidden, "not yours")),
    };
    let mut builder = Stentor::builder().schema(SCHEMA).config(config);
    for coordinate in ["Query.note", "Mutation.write", "Subscription.notes"] {
        builder = builder.guard(coordinate, guard);
    }
    TestServer::build(builder.resolver("Query.note", answer).resolver("Mutation.write", answer)).await
}

async fn post(server: &TestServer, query: &str, token: &str) -> HttpResponse {
    let body = json!({ "query": query }).to_string();
    let authorization = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
    request(server.address(), "POST", "/graphql", &headers, &body).await
}

fn refusal(code: &str, message: &str) -> Value {
    json!([{"message": message, "extensions": {"code": code}}])
}

#[tokio::test]
async fn a_programs_guard_is_a_status_over_http_and_an_error_over_websocket() {
    let server = server().await;
    let token = token(json!({"sub": "n1", "scope": "note:n1:read"}));
    let rows = [
        ("{ note(id: \"n1\") { text } }", 200, Value::Null),
        ("{ note(id: \"n2\") { text } }", 403, refusal("FORBIDDEN", "not yours")),
        ("{ note(id: \"lost\") { text } }", 401, refusal("UNAUTHENTICATED", "who are you?")),
        ("mutation { write(id: \"n2\") { id } }", 403, refusal("FORBIDDEN", "not yours")),
    ];
    let mut client = server.client_with(&token).await;
    for (number, (query, status, errors)) in rows.into_iter().enumerate() {
        let answer = post(&server, query, &token).await;
        assert_eq!((answer.status, &answer.json()["errors"]), (status, &errors), "{query}");
        let id = number.to_string();
        client.subscribe(&id, query).await;
        let message = client.next_json().await;
        let kind = if status == 200 { "next" } else { "error" };
        assert_eq!((message["type"].as_str(), message["id"].as_str()), (Some(kind), Some(&*id)), "{query}");
        if status == 200 {
            assert_eq!(client.next_json().await["type"], "complete");
        } else {
            assert_eq!(message["payload"], errors, "{query}");
        }
    }
    client.subscribe("s", "subscription { notes(id: \"n2\") { id } }").await;
    let refused = json!({"type": "error", "id": "s", "payload": refusal("FORBIDDEN", "not yours")});
    assert_eq!(client.next_json().await, refused);
    client.listen("s", "subscription { notes(id: \"n1\") { id text } }").await;
    server.publish("notes:n1", &json!({"id": "n2", "text": "of another"})).await;
    let denied = json!([{
        "message": "the scope \"read\" is missing",
        "path": ["notes", "text"],
        "extensions": {"code": "FORBIDDEN"},
    }]);
    let payload = json!({"data": {"notes": {"id": "n2", "text": null}}, "errors": denied});
    assert_eq!(client.next_json().await["payload"], payload);
}

#[tokio::test]
async fn a_guard_for_no_field_or_a_public_one_is_refused_with_the_fix() {
    let schema = "type Query { bots: Int @resolver  open: Int @resolver @public }";
    let rows = [
        (
            "Query.bot",
            "a guard was given for Query.bot, which the schema does not have; did you mean `Query.bots`?",
        ),
        (
            "Subscription.bots",
            "a guard was given for Subscription.bots, which the schema does not have; known here: `Query.bots`, `Query.open`",
        ),
        ("Query.open", "a guard was given for Query.open, which is @public: take away one of them"),
    ];
    for (coordinate, expected) in rows {
        let answer = async |_: Value, _: Call| Ok(1);
        let builder = Stentor::builder().schema(schema).guard(coordinate, async |_: Value, _: Call| Ok(()));
        let builder = builder.resolver("Query.bots", answer).resolver("Query.open", answer);
        let refused = builder.check().expect_err("the guard is wrong").to_string();
        assert_eq!(refused, expected);
    }
}
