//! The contract of hash stores, kept by the memory store.

use stentor_broker::{
    HashStore, MemoryHashStore,
    testing::{RecordingSink, hash_conformance::HashWorld},
};

stentor_broker::hash_conformance!(world);

async fn world() -> HashWorld {
    let store = MemoryHashStore::new();
    HashWorld::new(store.clone(), store, ())
}

#[tokio::test]
async fn stores_made_apart_are_apart() {
    let (here, there) = (MemoryHashStore::new(), MemoryHashStore::new());
    let mut heard = RecordingSink::watch(&here, "a");
    heard.expect_watching().await;
    there.write("a", &[("text".into(), "there".into())]).await.unwrap();
    heard.expect_nothing();
    assert_eq!(here.read("a").await, Ok(None));
}

#[tokio::test]
async fn write_returns_after_the_sink_was_told() {
    let store = MemoryHashStore::new();
    let mut heard = RecordingSink::watch(&store, "a");
    heard.expect_watching().await;
    store.write("a", &[("text".into(), "told".into())]).await.unwrap();
    heard.expect_value(&[("text", "told")]).await;
    heard.expect_nothing();
}
