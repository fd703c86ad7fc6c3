//! The broker's contract, kept by the memory broker.

use stentor_broker::{Broker, MemoryBroker, testing::RecordingSink, testing::conformance::World};

stentor_broker::broker_conformance!(world);

async fn world() -> World {
    let broker = MemoryBroker::new();
    World::new(broker.clone(), broker, ())
}

#[tokio::test]
async fn brokers_made_apart_are_apart() {
    let (here, there) = (MemoryBroker::new(), MemoryBroker::new());
    let mut heard = RecordingSink::subscribe(&here, "a");
    heard.expect_subscribed().await;
    there.publish("a", "there".into()).await.unwrap();
    heard.expect_nothing();
}

#[tokio::test]
async fn publish_returns_after_the_sink_was_told() {
    let broker = MemoryBroker::new();
    let mut heard = RecordingSink::subscribe(&broker, "a");
    heard.expect_subscribed().await;
    broker.publish("a", "told".into()).await.unwrap();
    heard.expect_message("told").await;
    heard.expect_nothing();
}
