//! One connection's running operations: [`Session`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use stentor_auth::Principal;
use stentor_schema::{
    ErrorCode, Feed, GraphQLError, JsonObject, Operation, Overflow, Request, RootPlan, SubscriptionPlan,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    Delivery, Engine, Summary,
    execution::Order,
    guard::authorize,
    hub::{Entry, Member},
    mailbox::Capacity,
    membership::Address,
    outbox::Outbox,
    stream::Streaming,
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
    /// Queries, mutations and streams under way, and subscriptions whose guards are asked; one that has joined an audience
    /// has no task.
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
        if self.outbox.is_full() || self.outbox.commands_under_way() >= MAX_COMMANDS {
            return Err(vec![error(ErrorCode::LimitExceeded, "too much waits for this connection already")]);
        }
        // A fault in a library that a document provokes ends this operation, not the connection.
        let planned = catch_unwind(AssertUnwindSafe(|| self.engine.prepare(request)));
        let operation = planned.unwrap_or_else(|_| Err(vec![broken()]))?;
        let started = match operation {
            Operation::Query(plan) => self.respond(id, plan, Order::Concurrent),
            Operation::Mutation(plan) => self.respond(id, plan, Order::Serial),
            Operation::Subscription(plan) => self.subscribe(id, plan),
        };
        started.map_err(|error| vec![error])
    }

    /// Ends an operation on the client's wish; nothing more comes out for it.
    pub fn stop(&mut self, id: OperationId) -> Option<Summary> {
        if let Some(place) = self.tasks.iter().position(|(task, _)| *task == id) {
            self.tasks.swap_remove(place).1.abort();
        }
        let (summary, membership) = self.outbox.remove(id)?;
        if let Some(membership) = membership {
            self.engine.0.hub.leave(membership, self.outbox.ticket());
        }
        Some(summary)
    }

    /// Ends every operation; what each of them did.
    pub fn stop_all(&mut self) -> Vec<(OperationId, Summary)> {
        for (_, task) in std::mem::take(&mut self.tasks) {
            task.abort();
        }
        let ended = self.outbox.remove_all();
        ended
            .into_iter()
            .map(|(id, summary, membership)| {
                if let Some(membership) = membership {
                    self.engine.0.hub.leave(membership, self.outbox.ticket());
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

    fn respond(&mut self, id: OperationId, plan: RootPlan, order: Order) -> Result<(), GraphQLError> {
        self.engine.0.answering.authorize(&plan, self.principal.as_deref())?;
        let permit = Arc::clone(&self.engine.0.requests)
            .try_acquire_owned()
            .map_err(|_| error(ErrorCode::Unavailable, "the server has enough to do; try again later"))?;
        let patience = self.engine.0.limits.request_timeout;
        let field = plan.calls.first().map_or("__typename", |call| call.field.name.as_str());
        self.outbox.open(id, field.into(), ONE_RESULT);
        let outbox = Arc::clone(&self.outbox);
        let answering = Arc::clone(&self.engine.0.answering);
        let principal = self.principal.clone();
        let work = async move {
            let work = async {
                answering.admit_all(&plan, principal.as_ref()).await?;
                Ok(answering.respond(&plan, order, principal.as_ref()).await)
            };
            match timeout(patience, AssertUnwindSafe(work).catch_unwind()).await {
                Ok(Ok(Ok(result))) => outbox.answer(id, &result, Instant::now()),
                Ok(Ok(Err(refused))) => outbox.fail(id, vec![refused]),
                Ok(Err(_)) => outbox.fail(id, vec![broken()]),
                Err(_) => outbox.fail(id, vec![too_slow()]),
            }
            drop(permit);
        };
        self.spawn(id, work);
        Ok(())
    }

    fn spawn(&mut self, id: OperationId, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|(_, task)| !task.is_finished());
        self.tasks.push((id, tokio::spawn(work)));
    }

    fn subscribe(&mut self, id: OperationId, plan: SubscriptionPlan) -> Result<(), GraphQLError> {
        let field = Arc::clone(&plan.field);
        if self.engine.0.answering.authentication {
            authorize(&field, &plan.arguments, self.principal.as_deref())?;
        }
        let address: fn(Arc<str>) -> Address = match field.feed {
            Feed::Hash(..) => Address::Hash,
            Feed::Topic(_) => Address::Topic,
            Feed::Resolver => return self.stream(id, plan),
            Feed::Version => return Err(unfed()),
        };
        let claims = self.shared_claims(&plan);
        let name =
            plan.address(&claims).map_err(|error| GraphQLError::new(ErrorCode::BadUserInput, error.0))?;
        let resolvers = &self.engine.0.answering.resolvers;
        let loader = match field.load {
            Some(_) => Some(Arc::clone(resolvers.loader(&field.coordinate()).ok_or_else(unfed)?)),
            None => None,
        };
        self.open(id, &plan);
        let member = Member { outbox: Arc::clone(&self.outbox), operation: id };
        let principal = self.principal.clone().filter(|_| plan.is_guarded());
        let address = address(name.into());
        let entry = Entry { address, plan, claims, tenants: self.tenants(), principal, loader };
        if self.engine.0.answering.guards.guard(&field) {
            let (engine, principal) = (self.engine.clone(), self.principal.clone());
            self.spawn(id, async move {
                match engine.admit(&entry.plan, principal.as_ref()).await {
                    Ok(()) => engine.0.hub.join(entry, member),
                    Err(refused) => member.outbox.fail(id, vec![refused]),
                }
            });
        } else {
            self.engine.0.hub.join(entry, member);
        }
        Ok(())
    }

    /// Starts a subscription that the embedding program feeds: it has a task, as it has a stream of its own.
    fn stream(&mut self, id: OperationId, plan: SubscriptionPlan) -> Result<(), GraphQLError> {
        let parts = &self.engine.0;
        let streamer = parts.answering.resolvers.streamer(&plan.field.coordinate()).ok_or_else(unfed)?;
        let streamer = Arc::clone(streamer);
        self.open(id, &plan);
        let call = parts.answering.call(&plan.arguments, self.principal.as_ref());
        let streaming = Streaming {
            claims: self.shared_claims(&plan),
            principal: self.principal.clone().filter(|_| plan.is_guarded()),
            plan,
            outbox: Arc::clone(&self.outbox),
            operation: id,
            patience: parts.limits.request_timeout,
            open: parts.metrics.streams.clone(),
        };
        let engine = self.engine.clone();
        self.spawn(id, async move {
            match engine.admit(&streaming.plan, call.principal.as_ref()).await {
                Ok(()) => streaming.run(streamer, call).await,
                Err(refused) => streaming.outbox.fail(id, vec![refused]),
            }
        });
        Ok(())
    }

    /// Makes room for what a subscription delivers.
    fn open(&self, id: OperationId, plan: &SubscriptionPlan) {
        let (limits, delivery) = (&self.engine.0.limits, &plan.field.delivery);
        let capacity = Capacity {
            events: delivery.buffer.unwrap_or(limits.mailbox_events),
            bytes: limits.mailbox_bytes,
            overflow: delivery.overflow,
        };
        self.outbox.open(id, plan.field.name.as_str().into(), capacity);
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

impl Engine {
    /// Asks the program's guards before a subscription. They may wait, and nothing else waits for them.
    async fn admit(
        &self,
        plan: &SubscriptionPlan,
        principal: Option<&Arc<Principal>>,
    ) -> Result<(), GraphQLError> {
        let parts = &self.0;
        if !parts.answering.guards.guard(&plan.field) {
            return Ok(());
        }
        let work = async {
            let _permit = parts.admissions.acquire().await;
            parts.answering.admit(&plan.field, &plan.arguments, principal).await
        };
        timeout(parts.limits.request_timeout, work).await.unwrap_or_else(|_| Err(too_slow()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// A query or mutation has one result, which nothing may displace.
const ONE_RESULT: Capacity = Capacity { events: 1, bytes: usize::MAX, overflow: Overflow::DropNewest };

/// Joining and leaving of one connection that the hub has not got round to: more than any client has a use for.
const MAX_COMMANDS: usize = 4_096;

fn unfed() -> GraphQLError {
    error(ErrorCode::InternalServerError, "nothing feeds this field")
}

fn broken() -> GraphQLError {
    error(ErrorCode::InternalServerError, "the operation could not be run")
}

fn too_slow() -> GraphQLError {
    error(ErrorCode::Unavailable, "the answer took too long")
}

fn error(code: ErrorCode, message: &str) -> GraphQLError {
    GraphQLError::new(code, message)
}
