//! Who hears what, and how often it is made.

use serde_json::json;
use stentor_tests::{Served, TestServer};

const SCHEMA: &str = r#"
    type Subscription {
        price(pair: String!): Price! @subscribe(topic: "price:{{ args.pair }}")
    }
    type Price { pair: String! value: Int! }
"#;

#[tokio::test]
async fn an_event_reaches_its_subscriber() {
    let server = TestServer::start(SCHEMA).await;
    let mut client = server.client().await;
    client.listen("1", r#"subscription { price(pair: "a") { value } }"#).await;
    server.publish("price:a", &json!({ "pair": "a", "value": 1 })).await;
    client.expect_data("1", json!({ "price": { "value": 1 } })).await;
    server.expect_metric("stentor_executions_total", 1).await;
}
