//! One connection's running operations: [`Session`].

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use stentor_auth::Principal;
use stentor_schema::{
    ErrorCode, Feed, GraphQLError, JsonObject, Operation, Overflow, Request, RootPlan, SubscriptionPlan,
};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    Delivery, Engine, Summary,
    execution::Order,
    guard::authorize,
    hub::{Entry, Member},
    mailbox::Capacity,
    outbox::Outbox,
};

/// An operation of one connection. Ids count up and are never used again on it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OperationId(pub u64);

/// The operations of one connection and what waits for them. Dropping it ends them all.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
    outbox: Arc<Outbox>,
    principal: Option<Arc<Principal>>,
    /// Queries and mutations under way; a subscription has no task.
    tasks: Vec<(OperationId, JoinHandle<()>)>,
}

impl Session {
    pub(crate) fn new(engine: Engine, outbox: Arc<Outbox>) -> Self {
        Self { engine, outbox, principal: None, tasks: Vec::new() }
    }

    /// Says who is behind the connection; operations that start later run on its behalf.
    pub fn authenticate(&mut self, principal: Option<Arc<Principal>>) {
        self.principal = principal;
    }

    /// Who is behind the connection.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }

    /// Starts an operation; its results come out of [`poll_next`](Self::poll_next). `id` must be larger than every
    /// earlier one.
    ///
    /// # Errors
    ///
    /// What the client did wrong or may not do; the operation does not run then.
    pub fn start(&mut self, id: OperationId, request: &Request) -> Result<(), Vec<GraphQLError>> {
        match self.engine.prepare(request)? {
            Operation::Query(plan) => self.respond(id, plan, Order::Concurrent),
            Operation::Mutation(plan) => self.respond(id, plan, Order::Serial),
            Operation::Subscription(plan) => return self.subscribe(id, plan).map_err(|error| vec![error]),
        }
        Ok(())
    }

    /// Ends an operation on the client's wish; nothing more comes out for it.
    pub fn stop(&mut self, id: OperationId) -> Option<Summary> {
        if let Some(place) = self.tasks.iter().position(|(task, _)| *task == id) {
            self.tasks.swap_remove(place).1.abort();
        }
        let (summary, membership) = self.outbox.remove(id)?;
        if let Some(membership) = membership {
            self.engine.0.hub.leave(membership);
        }
        Some(summary)
    }

    /// Ends every operation; what each of them did.
    pub fn stop_all(&mut self) -> Vec<(OperationId, Summary)> {
        for (_, task) in self.tasks.drain(..) {
            task.abort();
        }
        let ended = self.outbox.remove_all();
        ended
            .into_iter()
            .map(|(id, summary, membership)| {
                if let Some(membership) = membership {
                    self.engine.0.hub.leave(membership);
                }
                (id, summary)
            })
            .collect()
    }

    /// What to do next; when there is nothing, the task of `context` is woken once there is.
    ///
    /// Each operation that has something waiting gets its turn.
    pub fn poll_next(&self, context: &mut Context<'_>, now: Instant) -> Poll<Delivery> {
        self.outbox.poll_next(context, now)
    }

    /// When `poll_next` must be called although nothing woke the task.
    pub fn deadline(&self) -> Option<Instant> {
        self.outbox.deadline()
    }

    fn respond(&mut self, id: OperationId, plan: RootPlan, order: Order) {
        let field = plan.calls.first().map_or("__typename", |call| call.field.name.as_str());
        self.outbox.open(id, field.into(), ONE_RESULT);
        let outbox = Arc::clone(&self.outbox);
        let answering = Arc::clone(&self.engine.0.answering);
        let principal = self.principal.clone();
        let work = async move {
            let answer =
                AssertUnwindSafe(answering.respond(&plan, order, principal.as_ref())).catch_unwind().await;
            match answer {
                Ok(result) => outbox.answer(id, &result, Instant::now()),
                Err(_) => outbox.fail(id, vec![broken()]),
            }
        };
        self.tasks.retain(|(_, task)| !task.is_finished());
        self.tasks.push((id, tokio::spawn(work)));
    }

    fn subscribe(&self, id: OperationId, plan: SubscriptionPlan) -> Result<(), GraphQLError> {
        let field = Arc::clone(&plan.field);
        if self.engine.0.answering.authentication {
            authorize(&field, &plan.arguments, self.principal.as_deref())?;
        }
        if !matches!(field.feed, Feed::Topic(_)) {
            return Err(GraphQLError::new(ErrorCode::InternalServerError, "nothing feeds this field"));
        }
        let claims = self.shared_claims(&plan);
        let topic =
            plan.topic(&claims).map_err(|error| GraphQLError::new(ErrorCode::BadUserInput, error.0))?;
        let limits = &self.engine.0.limits;
        let capacity = Capacity {
            events: field.delivery.buffer.unwrap_or(limits.mailbox_events),
            bytes: limits.mailbox_bytes,
            overflow: field.delivery.overflow,
        };
        self.outbox.open(id, field.name.as_str().into(), capacity);
        let member = Member { outbox: Arc::clone(&self.outbox), operation: id };
        let entry = Entry { topic, plan, claims, tenants: self.tenants() };
        self.engine.0.hub.join(entry, member);
        Ok(())
    }

    /// The claims that are part of the audience's key, as far as the principal has them.
    fn shared_claims(&self, plan: &SubscriptionPlan) -> JsonObject {
        let Some(principal) = &self.principal else { return JsonObject::new() };
        let claims = principal.claims();
        plan.field
            .claims
            .iter()
            .filter_map(|name| claims.get(name).map(|value| (name.clone(), value.clone())))
            .collect()
    }

    fn tenants(&self) -> Vec<String> {
        let tenants = self.principal.as_ref().map(|principal| principal.tenants());
        tenants.into_iter().flatten().map(ToString::to_string).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// A query or mutation has one result, which nothing may displace.
const ONE_RESULT: Capacity = Capacity { events: 1, bytes: usize::MAX, overflow: Overflow::DropNewest };

fn broken() -> GraphQLError {
    GraphQLError::new(ErrorCode::InternalServerError, "the operation could not be run")
}
