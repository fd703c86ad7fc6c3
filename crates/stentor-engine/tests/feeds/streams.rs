//! Streams of the embedding program.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, future, stream};
use serde_json::{Value, json};
use stentor_engine::{Call, OperationId, ResolverError, Resolvers, Streamer, ValueStream};
use stentor_schema::ErrorCode;
use tokio::time::advance;

use crate::support::World;

const SCHEMA: &str = r#"
    type Subscription {
      count(to: Int!): Int @resolver @public @delivery(buffer: 3)
      latest(to: Int!): Int @resolver @public @delivery(overflow: LATEST)
      strict(to: Int!): Int! @resolver @public
      broken: Int @resolver @public
      refused: Int @resolver @public
      never: Int @resolver @public
      who: String @resolver
      tick: String @subscribe(topic: "tick") @public
    }
"#;

/// A streamer that is a function.
struct Function<F>(F);

#[async_trait]
impl<F> Streamer for Function<F>
where
    F: Fn(Call) -> Result<ValueStream, ResolverError> + Send + Sync + 'static,
{
    async fn stream(&self, call: Call) -> Result<ValueStream, ResolverError> {
        (self.0)(call)
    }
}

/// Counts up, and says how many values were taken and how many streams were dropped.
#[derive(Clone, Default)]
struct Counting {
    taken: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counting {
    fn stream(&self, call: &Call) -> ValueStream {
        let (taken, dropped) = (Arc::clone(&self.taken), Dropped(Arc::clone(&self.dropped)));
        let to = call.arguments["to"].as_i64().unwrap_or_default();
        Box::pin(stream::iter(1..=to).map(move |number| {
            let _alive = &dropped;
            taken.fetch_add(1, Ordering::Relaxed);
            // Every third has no value.
            if number % 3 == 0 {
                return Err(ResolverError::new(ErrorCode::Unavailable, "three of them"));
            }
            Ok(json!(number))
        }))
    }
}

fn world(counting: &Counting) -> World {
    let mut resolvers = Resolvers::default();
    for name in ["count", "latest", "strict"] {
        let counting = counting.clone();
        let coordinate = format!("Subscription.{name}");
        resolvers.insert_streamer(coordinate, Function(move |call: Call| Ok(counting.stream(&call))));
    }
    let fault = |_: &mut Context<'_>| -> Poll<Option<Result<Value, ResolverError>>> {
        panic!("a fault of the embedding program")
    };
    let broken = move |_| Ok(Box::pin(stream::poll_fn(fault)) as ValueStream);
    resolvers.insert_streamer("Subscription.broken", Function(broken));
    let refuse = |_| Err(ResolverError::new(ErrorCode::Forbidden, "not you"));
    resolvers.insert_streamer("Subscription.refused", Function(refuse));
    resolvers.insert_streamer("Subscription.never", Never);
    let who = |call: Call| {
        let subject = call.principal.and_then(|principal| principal.subject().map(str::to_owned));
        Ok(Box::pin(stream::iter([Ok(json!(subject))])) as ValueStream)
    };
    resolvers.insert_streamer("Subscription.who", Function(who));
    World::new(SCHEMA, resolvers)
}

/// A streamer that does not come to a beginning.
struct Never;

#[async_trait]
impl Streamer for Never {
    async fn stream(&self, _call: Call) -> Result<ValueStream, ResolverError> {
        future::pending().await
    }
}

#[tokio::test]
async fn each_value_is_a_result_and_the_end_completes() {
    let world = world(&Counting::default());
    let mut client = world.client();
    client.listen(1, "subscription { n: count(to: 2) }").await;
    assert_eq!(client.rest().await, [r#"1 {"n":1}"#, r#"1 {"n":2}"#, "1 complete after 2"]);
}

#[tokio::test]
async fn a_value_that_failed_is_an_error_of_its_field_and_the_stream_goes_on() {
    let world = world(&Counting::default());
    let mut client = world.client();
    client.listen(1, "subscription { count(to: 4) }").await;
    let mut heard = client.rest().await;
    heard.extend(client.rest().await);
    let failed = r#"1 {"count":null} ["UNAVAILABLE"]"#;
    let expected = [r#"1 {"count":1}"#, r#"1 {"count":2}"#, failed, r#"1 {"count":4}"#, "1 complete after 4"];
    assert_eq!(heard, expected);
    client.listen(2, "subscription { strict(to: 3) }").await;
    assert_eq!(client.rest().await[2..], [r#"2 null ["UNAVAILABLE"]"#, "2 complete after 3"]);
}

#[tokio::test]
async fn a_stream_pauses_while_its_mailbox_is_full_and_loses_nothing() {
    let counting = Counting::default();
    let world = world(&counting);
    let mut client = world.client();
    client.listen(1, "subscription { count(to: 1000) }").await;
    crate::support::settle().await;
    assert_eq!(counting.taken.load(Ordering::Relaxed), 3, "as many as may wait");
    for number in 1..=1_000 {
        let expected = if number % 3 == 0 {
            r#"1 {"count":null} ["UNAVAILABLE"]"#.to_owned()
        } else {
            format!(r#"1 {{"count":{number}}}"#)
        };
        assert_eq!(client.next().await, expected);
    }
    assert_eq!(client.next().await, "1 complete after 1000");
}

#[tokio::test]
async fn of_a_stream_of_states_the_reader_finds_the_latest() {
    let counting = Counting::default();
    let world = world(&counting);
    let mut client = world.client();
    client.start(1, "subscription { latest(to: 10000) }");
    let mut heard = client.rest().await;
    while !heard.last().is_some_and(|line| line.contains("complete")) {
        heard.push(client.next().await);
    }
    assert!(heard.contains(&r#"1 {"latest":10000}"#.to_owned()), "{heard:?}");
    assert_eq!(counting.taken.load(Ordering::Relaxed), 10_000);
    assert!(heard.len() < 1_000, "{} results", heard.len());
}

#[tokio::test]
async fn a_subscription_that_ends_drops_its_stream() {
    let counting = Counting::default();
    let world = world(&counting);
    let mut client = world.client();
    client.listen(1, "subscription { tick }").await;
    client.listen(2, "subscription { count(to: 1000) }").await;
    client.0.stop(OperationId(2));
    crate::support::settle().await;
    assert_eq!(counting.dropped.load(Ordering::Relaxed), 1);
    let mut other = world.client();
    other.listen(1, "subscription { count(to: 1000) }").await;
    drop(other);
    crate::support::settle().await;
    assert_eq!(counting.dropped.load(Ordering::Relaxed), 2);
    world.publish("tick", "x").await;
    assert_eq!(client.rest().await, [r#"1 {"tick":"x"}"#]);
}

#[tokio::test]
async fn a_stream_that_panics_or_is_refused_ends_its_own_operation_with_an_error() {
    let world = world(&Counting::default());
    let mut client = world.client();
    client.listen(1, "subscription { tick }").await;
    client.listen(2, "subscription { broken }").await;
    assert_eq!(client.rest().await, ["2 error INTERNAL_SERVER_ERROR"]);
    client.start(3, "subscription { refused }");
    assert_eq!(client.rest().await, ["3 error FORBIDDEN"]);
    world.publish("tick", "x").await;
    assert_eq!(client.rest().await, [r#"1 {"tick":"x"}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_fails() {
    let world = world(&Counting::default());
    let mut client = world.client();
    client.start(1, "subscription { never }");
    assert_eq!(client.rest().await, Vec::<String>::new());
    advance(Duration::from_secs(31)).await;
    assert_eq!(client.rest().await, ["1 error UNAVAILABLE"]);
}

#[tokio::test]
async fn a_stream_is_told_who_asks() {
    let world = world(&Counting::default());
    let mut client = world.client().of(&json!({ "sub": "ada" }));
    client.listen(1, "subscription { who }").await;
    let expected: [Value; 1] = [json!({ "who": "ada" })];
    assert_eq!(client.rest().await, [format!("1 {}", expected[0]), "1 complete after 1".to_owned()]);
}
