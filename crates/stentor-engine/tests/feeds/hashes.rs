//! The latest value of a hash.

use std::time::Duration;

use serde_json::json;
use stentor_broker::{GapReason, HashEvent};
use stentor_engine::{OperationId, Resolvers};
use tokio::time::advance;

use crate::support::{Client, World};

const SCHEMA: &str = r#"
    type Subscription {
      progress(id: ID!): Progress
        @subscribe(hash: "progress:{{ args.id }}", until: "event.stage == 'completed'", idleTimeout: "10s") @public
      late(id: ID!): Progress @subscribe(hash: "progress:{{ args.id }}", where: "event.progress >= 0.5") @public
      own(id: ID!): Progress @subscribe(hash: "progress:{{ args.id }}") @tenant(field: "tenant")
      event(id: ID!): Progress @subscribe(topic: "progress:{{ args.id }}") @public
    }
    type Progress { id: ID @from(argument: "id")  stage: String  progress: Float }
"#;

const PROGRESS: &str = r#"subscription { progress(id: "1") { stage } }"#;

fn world() -> World {
    World::new(SCHEMA, Resolvers::default())
}

fn stage(id: u64, stage: &str) -> String {
    format!("{id} {}", json!({ "progress": { "stage": stage } }))
}

#[tokio::test]
async fn every_member_begins_with_the_latest_value_and_one_watch_is_enough_for_all() {
    let world = world();
    world.write("progress:1", &[("stage", "received"), ("progress", "0.0")]).await;
    let mut clients: Vec<Client> = (0..1_000).map(|_| world.client()).collect();
    for client in &mut clients {
        client.listen(1, PROGRESS).await;
        assert_eq!(client.next().await, stage(1, "received"));
    }
    world.write("progress:1", &[("stage", "retrieving")]).await;
    let mut last = world.client();
    last.listen(1, r#"subscription { progress(id: "1") { progress stage } }"#).await;
    assert_eq!(last.next().await, r#"1 {"progress":{"progress":0.0,"stage":"retrieving"}}"#);
    for client in &mut clients {
        assert_eq!(client.next().await, stage(1, "retrieving"));
    }
    assert_eq!(world.hashes.counts(), (1, 0));
    drop(clients);
    assert_eq!(last.rest().await, Vec::<String>::new());
    assert_eq!(world.hashes.counts(), (1, 0));
    last.0.stop(OperationId(1));
    assert_eq!(last.rest().await, Vec::<String>::new());
    assert_eq!(world.hashes.counts(), (1, 1));
}

#[tokio::test]
async fn an_absent_key_is_waited_for_and_its_last_value_completes() {
    let world = world();
    let mut client = world.client();
    client.listen(1, PROGRESS).await;
    assert_eq!(client.rest().await, Vec::<String>::new());
    let stages = ["received", "retrieving", "reranking", "generating"];
    for (place, name) in stages.iter().enumerate() {
        world.write("progress:1", &[("stage", name), ("progress", &format!("{}", place as f64 / 4.0))]).await;
        assert_eq!(client.rest().await, [stage(1, name)]);
    }
    world.write("progress:1", &[("stage", "completed"), ("progress", "1.0")]).await;
    assert_eq!(client.rest().await, [stage(1, "completed"), "1 complete after 5".to_owned()]);
    assert_eq!(world.hashes.counts(), (1, 1));
    client.listen(2, PROGRESS).await;
    assert_eq!(client.rest().await, [stage(2, "completed"), "2 complete after 1".to_owned()]);
}

#[tokio::test]
async fn who_joins_after_a_hash_was_deleted_does_not_begin_with_what_it_held() {
    let world = world();
    let (mut first, mut last) = (world.client(), world.client());
    first.listen(1, PROGRESS).await;
    world.write("progress:1", &[("stage", "received")]).await;
    assert_eq!(first.rest().await, [stage(1, "received")]);
    world.hashes.tell("progress:1", HashEvent::Absent);
    assert_eq!(first.rest().await, Vec::<String>::new());
    last.listen(1, PROGRESS).await;
    last.listen(2, r#"subscription { progress(id: "1") { progress } }"#).await;
    assert_eq!(last.rest().await, Vec::<String>::new());
    world.write("progress:1", &[("stage", "retrieving"), ("progress", "0.25")]).await;
    assert_eq!(first.rest().await, [stage(1, "retrieving")]);
    assert_eq!(last.rest().await, [stage(1, "retrieving"), r#"2 {"progress":{"progress":0.25}}"#.to_owned()]);
}

#[tokio::test]
async fn who_joins_after_a_switch_does_not_begin_with_a_value_from_before_it() {
    let world = world();
    let (mut first, mut last) = (world.client(), world.client());
    first.listen(1, PROGRESS).await;
    world.write("progress:1", &[("stage", "received")]).await;
    assert_eq!(first.rest().await, [stage(1, "received")]);
    world.hashes.tell("progress:1", HashEvent::Gap { reason: GapReason::Failover });
    last.listen(1, PROGRESS).await;
    assert_eq!(last.rest().await, Vec::<String>::new());
    world.write("progress:1", &[("stage", "retrieving")]).await;
    assert_eq!(last.rest().await, [stage(1, "retrieving")]);
}

#[tokio::test]
async fn of_values_that_follow_each_other_quickly_the_last_is_sent_and_no_gap_is_told() {
    let world = world();
    let mut client = world.client();
    client.listen(1, PROGRESS).await;
    for number in 0..1_000 {
        world.write("progress:1", &[("stage", &number.to_string())]).await;
    }
    assert_eq!(client.rest().await, [stage(1, "999")]);
    for number in 0..10 {
        world.write("progress:1", &[("stage", &number.to_string())]).await;
        crate::support::settle().await;
    }
    assert_eq!(client.rest().await, [stage(1, "9")], "a reader that pauses finds the latest");
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_does_not_change_for_the_idle_timeout_completes() {
    let world = world();
    let mut client = world.client();
    client.listen(1, PROGRESS).await;
    advance(Duration::from_secs(9)).await;
    world.write("progress:1", &[("stage", "received")]).await;
    assert_eq!(client.rest().await, [stage(1, "received")]);
    advance(Duration::from_secs(9)).await;
    assert_eq!(client.rest().await, Vec::<String>::new());
    advance(Duration::from_secs(2)).await;
    assert_eq!(client.rest().await, ["1 complete after 1"]);
}

#[tokio::test]
async fn conditions_see_numbers_where_the_schema_says_so() {
    let world = world();
    world.write("progress:1", &[("stage", "a"), ("progress", "0.25")]).await;
    let mut client = world.client();
    client.listen(1, r#"subscription { late(id: "1") { progress } }"#).await;
    assert_eq!(client.rest().await, Vec::<String>::new());
    world.write("progress:1", &[("progress", "0.5")]).await;
    assert_eq!(client.rest().await, [r#"1 {"late":{"progress":0.5}}"#]);
    world.write("progress:1", &[("progress", "0.25")]).await;
    client.listen(2, r#"subscription { late(id: "1") { progress } }"#).await;
    assert_eq!(
        client.rest().await,
        Vec::<String>::new(),
        "what is not sent to others is no beginning either"
    );
}

#[tokio::test]
async fn text_that_is_no_number_is_an_error_of_its_field() {
    let world = world();
    world.write("progress:1", &[("stage", "a"), ("progress", "half")]).await;
    let mut client = world.client();
    client.listen(1, r#"subscription { progress(id: "1") { id stage progress } }"#).await;
    let expected = r#"1 {"progress":{"id":"1","stage":"a","progress":null}} ["FIELD_ERROR"]"#;
    assert_eq!(client.rest().await, [expected]);
}

#[tokio::test]
async fn a_hash_of_another_tenant_is_kept_back() {
    let world = world();
    world.write("progress:1", &[("stage", "a"), ("tenant", "t1")]).await;
    let mut own = world.client().of(&json!({ "tenant": "t1" }));
    let mut foreign = world.client().of(&json!({ "tenant": "t2" }));
    for client in [&mut own, &mut foreign] {
        client.listen(1, r#"subscription { own(id: "1") { stage } }"#).await;
    }
    assert_eq!(own.rest().await, [r#"1 {"own":{"stage":"a"}}"#]);
    assert_eq!(foreign.rest().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_topic_and_a_hash_of_one_name_have_nothing_to_do_with_each_other() {
    let world = world();
    let mut client = world.client();
    client.listen(1, PROGRESS).await;
    client.listen(2, r#"subscription { event(id: "1") { stage } }"#).await;
    world.publish("progress:1", r#"{"stage": "published"}"#).await;
    assert_eq!(client.rest().await, [r#"2 {"event":{"stage":"published"}}"#]);
    world.write("progress:1", &[("stage", "written")]).await;
    assert_eq!(client.rest().await, [stage(1, "written")]);
    client.0.stop(OperationId(1));
    world.publish("progress:1", r#"{"stage": "published"}"#).await;
    assert_eq!(client.rest().await, [r#"2 {"event":{"stage":"published"}}"#]);
}
