//! `@tenant(argument)`: nobody hears another tenant, however the argument is written. And what a topic may be made of.

use serde_json::{Value, json};
use stentor::{Call, Config, Stentor};
use stentor_tests::{Served, TestServer, auth, request, token};

use crate::raw::error_code;

const SCHEMA: &str = r#"
    type Query { documents(tenantId: String!): String @resolver @tenant(argument: "tenantId") }
    type Subscription {
        documents(tenantId: String!): Document @subscribe(topic: "documents:{{ args.tenantId }}") @tenant(argument: "tenantId")
        optional(tenantId: String! = "b"): Document @subscribe(topic: "optional") @tenant(argument: "tenantId")
    }
    type Document { name: String }
"#;

async fn server() -> TestServer {
    let config = Config { auth: Some(auth()), ..Config::default() };
    let builder = Stentor::builder().schema(SCHEMA).config(config);
    TestServer::build(builder.resolver("Query.documents", async |_: Value, _: Call| Ok("secret"))).await
}

/// The tenant claim, the argument, whether it is let through.
#[tokio::test]
async fn the_argument_must_be_a_tenant_of_the_principal() {
    let server = server().await;
    for (claim, argument, allowed) in [
        (json!("a"), "a", true),
        (json!(["a", "b"]), "b", true),
        (json!(7), "7", true),
        (json!("a"), "b", false),
        (json!("a"), "A", false),
        (json!("a"), "a ", false),
        (json!("a"), "", false),
        (json!("ab"), "a", false),
        (json!(["a", "b"]), "c", false),
        (json!([]), "a", false),
        (json!(["a,b"]), "a", false),
        (json!(null), "null", false),
        (json!({ "a": true }), "a", false),
        (json!(true), "true", false),
        (json!("*"), "a", false),
    ] {
        let token = token(json!({ "sub": "ada", "tenant_id": claim }));
        let mut client = server.client_with(&token).await;
        let query = "subscription S($t: String!) { documents(tenantId: $t) { name } }";
        client.begin_to_listen("1", json!({ "query": query, "variables": { "t": argument } })).await;
        if allowed {
            client.expect_live("1").await;
        } else {
            assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{claim} for {argument:?}");
        }
        let query = json!({ "query": format!("{{ documents(tenantId: {argument:?}) }}") }).to_string();
        let bearer = format!("Bearer {token}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
        let answer = request(server.address(), "POST", "/graphql", &headers, &query).await;
        assert_eq!(answer.status, if allowed { 200 } else { 403 }, "{claim} for {argument:?}: {answer:?}");
        assert_eq!(answer.body.contains("secret"), allowed);
    }
}

#[tokio::test]
async fn a_principal_without_the_claim_has_no_tenant() {
    let server = server().await;
    let mut client = server.client_with(&token(json!({ "sub": "ada", "tenantId": "a" }))).await;
    for argument in ["a", "", "null", "undefined"] {
        client
            .subscribe("1", &format!("subscription {{ documents(tenantId: {argument:?}) {{ name }} }}"))
            .await;
        assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{argument:?}");
    }
}

#[tokio::test]
async fn no_way_of_writing_an_operation_leads_to_another_tenant() {
    let server = server().await;
    let mut client = server.client_with(&token(json!({ "tenant_id": "a" }))).await;
    let variables = json!({ "t": "b", "own": "a" });
    for query in [
        r#"subscription { documents(tenantId: "b") { name } }"#,
        r#"subscription { documents: documents(tenantId: "b") { name } }"#,
        r#"subscription { own: documents(tenantId: "b") { name } }"#,
        "subscription S($t: String!) { documents(tenantId: $t) { name } }",
        r#"subscription S($u: String = "b") { documents(tenantId: $u) { name } }"#,
        r#"subscription S($u: String! = "b") { documents(tenantId: $u) { name } }"#,
        r#"subscription { ...F } fragment F on Subscription { documents(tenantId: "b") { name } }"#,
        r#"subscription { ... { ... on Subscription { documents(tenantId: "\u0062") { name } } } }"#,
        r#"subscription { documents(tenantId: """b""") { name } }"#,
        r#"subscription { optional(tenantId: "b") { name } }"#,
        "subscription { optional { name } }",
        "subscription S($missing: String) { optional(tenantId: $missing) { name } }",
    ] {
        client.subscribe_to("1", json!({ "query": query, "variables": variables })).await;
        assert_eq!(error_code(&client.expect_error("1").await), "FORBIDDEN", "{query}");
    }
    server.expect_metric("stentor_topics", 0).await;
}

#[tokio::test]
async fn each_tenant_hears_its_own() {
    let server = server().await;
    let mut clients = Vec::new();
    for tenant in ["a", "b"] {
        let mut client = server.client_with(&token(json!({ "tenant_id": tenant }))).await;
        client.listen("1", &format!("subscription {{ documents(tenantId: {tenant:?}) {{ name }} }}")).await;
        clients.push(client);
    }
    server.publish("documents:a", &json!({ "name": "of a" })).await;
    server.publish("documents:b", &json!({ "name": "of b" })).await;
    for (client, name) in clients.iter_mut().zip(["of a", "of b"]) {
        client.expect_data("1", json!({ "documents": { "name": name } })).await;
        client.expect_nothing().await;
    }
}

/// An argument is rendered into a topic as a value. What would make it another topic, or many, is refused before the
/// broker hears of it.
#[tokio::test]
async fn an_argument_that_would_change_the_topic_is_refused() {
    let schema = r#"
        type Subscription { room(id: ID!): Message @subscribe(topic: "room:{{ args.id }}") }
        type Message { text: String }
    "#;
    let server = TestServer::start(schema).await;
    let mut client = server.client().await;
    let query = "subscription S($id: ID!) { room(id: $id) { text } }";
    let long = "x".repeat(257);
    for id in ["a:b", ":", "*", "a*", "?", "[a]", "a\\", "", "a\nb", "a\0b", "\u{7f}", "\u{85}", &long] {
        client.begin_to_listen("1", json!({ "query": query, "variables": { "id": id } })).await;
        assert_eq!(error_code(&client.expect_error("1").await), "BAD_USER_INPUT", "{id:?}");
    }
    server.expect_metric("stentor_topics", 0).await;
    for id in ["x".repeat(256), "é𝄞 /%#{}".into(), ".".into(), "{{args.id}}".into()] {
        client.listen_to("1", json!({ "query": query, "variables": { "id": id } })).await;
        server.publish(&format!("room:{id}"), &json!({ "text": "hi" })).await;
        client.expect_data("1", json!({ "room": { "text": "hi" } })).await;
        client.complete("1").await;
    }
}
