//! Who hears what, and how often it is made.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use stentor_tests::{Dial, RedisServer, Served, TestServer, WsClient, auth, eventually, token};

const DEALS: &str = r#"
    type Subscription {
        deal(desk: String!): Deal!
            @subscribe(topic: "deals:{{ args.desk }}", where: "event.tenants.exists(t, t == claims.tenant_id)")
    }
    type Deal { id: Int! price: Int! note: String! }
"#;

/// Subscribers of one topic, each on a socket of its own.
const SUBSCRIBERS: usize = 1_000;

/// Two tenants with two selections each, however they are written.
const GROUPS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn one_topic_with_a_thousand_subscribers_in_four_groups_is_executed_four_times_for_each_event() {
    let redis = RedisServer::start().await;
    let server = TestServer::on_redis(&redis, DEALS, |config| config.auth = Some(auth())).await;
    // A few at a time, since a busy machine greets each within seconds.
    let arriving = stream::iter(0..SUBSCRIBERS).map(|number| deal_subscriber(&server, number)).buffered(50);
    let mut clients: Vec<_> = arriving.collect().await;
    server.expect_metric("stentor_operations", SUBSCRIBERS as u64).await;
    assert_eq!(server.metric("stentor_audiences").await, GROUPS);
    assert_eq!(server.metric("stentor_topics").await, 1);
    assert_eq!(redis.listeners("deals:d").await, 1);

    let tenants: [&[&str]; 5] = [&["a", "b"], &["a"], &["b"], &["c"], &["b", "a"]];
    for (id, tenants) in tenants.iter().enumerate() {
        assert_eq!(redis.publish("deals:d", &deal(id, tenants).to_string()).await, 1);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let group = Group::of(number);
        for (id, _) in tenants.iter().enumerate().filter(|(_, tenants)| tenants.contains(&group.tenant)) {
            client.expect_data("deal", group.data(id)).await;
        }
        client.expect_nothing().await;
    }
    let events = tenants.len() as u64;
    assert_eq!(server.metric("stentor_events_total").await, events);
    assert_eq!(server.metric("stentor_executions_total").await, events * GROUPS);
    assert_eq!(server.metric("stentor_deliveries_total").await, 3 * SUBSCRIBERS as u64);

    drop(clients);
    eventually("nobody listens any more", async || redis.listeners("deals:d").await == 0).await;
    for figure in ["stentor_connections", "stentor_operations", "stentor_audiences", "stentor_topics"] {
        server.expect_metric(figure, 0).await;
    }
}

/// What a subscriber shares with others.
struct Group {
    tenant: &'static str,
    with_price: bool,
}

impl Group {
    fn of(number: usize) -> Self {
        Self { tenant: ["a", "b"][number % 2], with_price: number % 4 < 2 }
    }

    fn data(&self, id: usize) -> Value {
        if self.with_price {
            json!({ "deal": { "id": id, "price": 10 * id } })
        } else {
            json!({ "deal": { "id": id, "note": format!("note {id}") } })
        }
    }
}

fn deal(id: usize, tenants: &[&str]) -> Value {
    json!({ "id": id, "price": 10 * id, "note": format!("note {id}"), "tenants": tenants })
}

/// A subscriber of the group of its number, which writes the group's operation in its own way.
async fn deal_subscriber(server: &TestServer, number: usize) -> WsClient {
    let group = Group::of(number);
    let selection = if group.with_price { "price" } else { "note" };
    let spelling = number / 4 % 4;
    let query = match spelling {
        0 => format!(r#"subscription {{ deal(desk: "d") {{ id {selection} }} }}"#),
        1 => {
            format!("subscription Named{number}($desk: String!) {{ deal(desk: $desk) {{ id {selection} }} }}")
        }
        2 => format!(
            "# of {number}\nsubscription\n($d:String!=\"d\")\n{{\tdeal(desk:$d){{\n,,id,\n {selection},}}}}"
        ),
        _ => format!(
            r#"subscription S {{ deal(desk: """d""") {{ ...Both }} }} fragment Both on Deal {{ id {selection} }}"#
        ),
    };
    let variables = match spelling {
        1 => json!({ "desk": "d", "unused": number }),
        _ => json!({ "unused": [number] }),
    };
    let claims =
        json!({ "sub": format!("user {number}"), "tenant_id": group.tenant, "email": number.to_string() });
    let mut client = server.client_with(&token(claims)).await;
    client.listen_to("deal", json!({ "query": query, "variables": variables })).await;
    client
}

#[tokio::test]
async fn claims_that_the_topic_reads_part_audiences_and_claims_that_nothing_reads_do_not() {
    let schema = r#"
        type Subscription { mail: Mail! @subscribe(topic: "mail:{{ claims.sub }}") }
        type Mail { text: String! }
    "#;
    let server = TestServer::configured(schema, |config| config.auth = Some(auth())).await;
    let mut clients = Vec::new();
    for (subject, unread) in [("ann", "x"), ("ann", "y"), ("bob", "x")] {
        let mut client = server.client_with(&token(json!({ "sub": subject, "unread": unread }))).await;
        client.listen("1", "subscription { mail { text } }").await;
        clients.push(client);
    }
    assert_eq!(server.metric("stentor_audiences").await, 2);
    server.publish("mail:ann", &json!({ "text": "for ann" })).await;
    server.publish("mail:bob", &json!({ "text": "for bob" })).await;
    for (client, text) in clients.iter_mut().zip(["for ann", "for ann", "for bob"]) {
        client.expect_data("1", json!({ "mail": { "text": text } })).await;
        client.expect_nothing().await;
    }
    assert_eq!(server.metric("stentor_executions_total").await, 2);
}

#[tokio::test]
async fn arguments_that_differ_part_audiences_of_one_topic() {
    let schema = r#"
        type Subscription {
            above(limit: Int!): Price! @subscribe(topic: "prices", where: "event.value > args.limit")
        }
        type Price { value: Int! }
    "#;
    let server = TestServer::start(schema).await;
    let mut client = server.client().await;
    for limit in [1, 5] {
        let query = format!("subscription {{ above(limit: {limit}) {{ value }} }}");
        client.listen(&limit.to_string(), &query).await;
    }
    assert_eq!(server.metric("stentor_audiences").await, 2);
    assert_eq!(server.metric("stentor_topics").await, 1);
    for value in [1, 3, 7] {
        server.publish("prices", &json!({ "value": value })).await;
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        let message = client.next_json().await;
        heard.push((message["id"].clone(), message["payload"]["data"]["above"]["value"].clone()));
    }
    heard.sort_by_key(|(id, value)| (id.to_string(), value.as_i64()));
    assert_eq!(heard, [(json!("1"), json!(3)), (json!("1"), json!(7)), (json!("5"), json!(7))]);
    client.expect_nothing().await;
}

#[tokio::test]
async fn events_of_another_tenant_or_of_none_are_kept_from_a_tenant_and_counted() {
    let schema = r#"
        type Subscription {
            document(tenantId: String!): Document!
                @subscribe(topic: "documents") @tenant(argument: "tenantId", field: "tenant")
        }
        type Document { id: Int! }
    "#;
    let server = TestServer::configured(schema, |config| config.auth = Some(auth())).await;
    let mut one = server.client_with(&token(json!({ "sub": "one", "tenant_id": "t1" }))).await;
    one.listen("1", r#"subscription { document(tenantId: "t1") { id } }"#).await;
    let mut two = server.client_with(&token(json!({ "sub": "two", "tenant_id": ["t2", "7"] }))).await;
    two.listen("1", r#"subscription { document(tenantId: "t2") { id } }"#).await;
    let events = [
        json!({ "id": 1, "tenant": "t2" }),
        json!({ "id": 2 }),
        json!({ "id": 3, "tenant": null }),
        json!({ "id": 4, "tenant": ["t1"] }),
        json!({ "id": 5, "tenant": 7 }),
        json!({ "id": 6, "tenant": "t1" }),
        json!({ "id": 7, "tenant": "t2" }),
    ];
    for event in &events {
        server.publish("documents", event).await;
    }
    one.expect_data("1", json!({ "document": { "id": 6 } })).await;
    for id in [1, 5, 7] {
        two.expect_data("1", json!({ "document": { "id": id } })).await;
    }
    one.expect_nothing().await;
    two.expect_nothing().await;
    assert_eq!(server.metric("stentor_foreign_tenant_total").await, 6 + 4);
}

#[tokio::test]
async fn all_operations_of_a_socket_get_their_turn_and_their_own_bytes() {
    let server = Arc::new(TestServer::configured(DEALS, |config| config.auth = Some(auth())).await);
    let claims = token(json!({ "sub": "one", "tenant_id": "a" }));
    let mut client =
        WsClient::connect(server.address(), &Dial { token: Some(claims), ..Dial::default() }).await;
    for operation in 0..10 {
        let query = r#"subscription { deal(desk: "d") { id } }"#;
        client.listen(&format!("op {operation} \"\\ü"), query).await;
    }
    assert_eq!(server.metric("stentor_audiences").await, 1);
    server.publish("deals:d", &deal(1, &["a"])).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let message = client.next_json().await;
        assert_eq!(message["payload"], json!({ "data": { "deal": { "id": 1 } } }));
        ids.push(message["id"].as_str().map(str::to_owned));
    }
    ids.sort();
    let expected: Vec<_> = (0..10).map(|operation| Some(format!("op {operation} \"\\ü"))).collect();
    assert_eq!(ids, expected);
    client.expect_nothing().await;
}
