//! Subscriptions that the embedding program feeds by itself: [`Streaming`].

use std::{future::poll_fn, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use metrics::Gauge;
use serde_json::Value;
use stentor_auth::Principal;
use stentor_schema::{ErrorCode, Event, GraphQLError, JsonObject, Overflow, SubscriptionPlan};
use tokio::{
    task::consume_budget,
    time::{Instant, timeout},
};

use crate::{Call, OperationId, ResolverError, Streamer, guard::Holder, outbox::Outbox};

/// One subscription with a stream of its own. It runs in a task of its own, which ends when it is aborted.
pub(crate) struct Streaming {
    pub(crate) plan: SubscriptionPlan,
    /// For `@delivery(key)`.
    pub(crate) claims: JsonObject,
    /// Who asks, if anything below the root is guarded.
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) operation: OperationId,
    /// How long the stream may take to begin.
    pub(crate) patience: Duration,
    /// How many there are.
    pub(crate) open: Gauge,
}

impl Streaming {
    /// Puts every value of the stream into the subscription's mailbox, and ends the subscription with it.
    pub(crate) async fn run(self, streamer: Arc<dyn Streamer>, call: Call) {
        let _open = Counted::new(self.open.clone());
        match AssertUnwindSafe(self.follow(streamer, call)).catch_unwind().await {
            Ok(Ok(())) => self.outbox.complete(self.operation),
            Ok(Err(error)) => self.outbox.fail(self.operation, vec![error]),
            Err(_) => {
                tracing::error!(field = %self.plan.field.name, "a stream panicked; its subscription was ended");
                let message = "the subscription could not go on";
                let error = GraphQLError::new(ErrorCode::InternalServerError, message);
                self.outbox.fail(self.operation, vec![error]);
            }
        }
    }

    async fn follow(&self, streamer: Arc<dyn Streamer>, call: Call) -> Result<(), GraphQLError> {
        let mut stream = timeout(self.patience, streamer.stream(call)).await.map_err(|_| too_long())??;
        self.outbox.live(self.operation);
        loop {
            // A stream can wait, so its values need not be lost to a reader that is slow.
            poll_fn(|context| self.outbox.poll_room(self.operation, context)).await;
            let Some(value) = stream.next().await else { return Ok(()) };
            self.send(value);
            // One that is always ready would keep its thread from everybody else.
            consume_budget().await;
        }
    }

    fn send(&self, value: Result<Value, ResolverError>) {
        let holder = self.principal.as_deref().map(Holder);
        let grants = holder.as_ref().map(Holder::grants);
        let (result, key) = match value {
            Ok(value) if self.plan.field.delivery.overflow == Overflow::Latest => {
                let event = Event::from_json(value);
                let key = self.plan.state_key(&self.claims, &event);
                (self.plan.answer(Ok(event.into_json()), grants), key.map(Arc::from))
            }
            value => (self.plan.answer(value.map_err(GraphQLError::from), grants), None),
        };
        self.outbox.put(self.operation, &result, key.as_ref(), Instant::now());
    }
}

/// One more in a gauge, until it is dropped.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn too_long() -> GraphQLError {
    GraphQLError::new(ErrorCode::Unavailable, "the subscription took too long to begin")
}
