//! The front of one node: [`Engine`].

use std::{fmt, num::NonZeroUsize, sync::Arc};

use stentor_auth::Principal;
use stentor_broker::{Broker, HashStore};
use stentor_schema::{ExecutionResult, GraphQLError, Operation, Request, RootPlan, Schema};
use tokio::sync::Semaphore;

use crate::{
    Guards, Limits, Metrics, Publisher, Resolvers, Session,
    execution::{Answering, Order},
    hub::Hub,
    outbox::Outbox,
};

/// Everything between a broker and the connections of one node. A handle: clones share.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Parts>);

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineConfig {
    /// The checked schema.
    pub schema: Schema,
    /// Where events come from.
    pub broker: Arc<dyn Broker>,
    /// Where hashes are.
    pub hashes: Arc<dyn HashStore>,
    /// What answers the schema's `@resolver` fields.
    pub resolvers: Resolvers,
    /// What the embedding program asks before a root field is used.
    pub guards: Guards,
    /// Bounds.
    pub limits: Limits,
    /// Figures.
    pub metrics: Metrics,
    /// Whether root fields without `@public` need a principal.
    pub authentication: bool,
    /// Tasks that share the topics; one for each processor when `None`.
    pub shards: Option<NonZeroUsize>,
}

pub(crate) struct Parts {
    pub(crate) schema: Schema,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hashes: Arc<dyn HashStore>,
    pub(crate) answering: Arc<Answering>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) hub: Hub,
    /// Queries and mutations that connections may still start.
    pub(crate) requests: Arc<Semaphore>,
    /// Subscriptions whose guards may be asked at a time.
    pub(crate) admissions: Arc<Semaphore>,
}

impl Engine {
    /// Starts the hub on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(config: EngineConfig) -> Self {
        let EngineConfig {
            schema,
            broker,
            hashes,
            resolvers,
            guards,
            limits,
            metrics,
            authentication,
            shards,
        } = config;
        let metrics = Arc::new(metrics);
        let shards =
            shards.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let hub = Hub::start(&broker, &hashes, &limits, &metrics, shards);
        let publisher = Publisher::new(Arc::clone(&broker), Arc::clone(&hashes));
        let answering = Arc::new(Answering { resolvers, guards, publisher, authentication });
        let requests = Arc::new(Semaphore::new(limits.requests));
        let admissions = Arc::new(Semaphore::new(limits.requests));
        Self(Arc::new(Parts {
            schema,
            broker,
            hashes,
            answering,
            limits,
            metrics,
            hub,
            requests,
            admissions,
        }))
    }

    /// Begins a connection; `number` names it in the log.
    pub fn session(&self, number: u64) -> Session {
        let limit = self.0.limits.connection_bytes;
        let outbox = Outbox::new(number, limit, Arc::clone(&self.0.metrics));
        Session::new(self.clone(), Arc::new(outbox))
    }

    /// Parses and validates a request, without running it.
    ///
    /// # Errors
    ///
    /// What the client did wrong.
    pub fn prepare(&self, request: &Request) -> Result<Operation, Vec<GraphQLError>> {
        self.0.schema.plan(request, &self.0.limits.operation)
    }

    /// Whether `principal` may run every root field of `plan`: asks the guards of the schema, then those of the program.
    ///
    /// # Errors
    ///
    /// The first that it may not run.
    pub async fn authorize(
        &self,
        plan: &RootPlan,
        principal: Option<&Arc<Principal>>,
    ) -> Result<(), GraphQLError> {
        self.0.answering.authorize(plan, principal.map(Arc::as_ref))?;
        self.0.answering.admit_all(plan, principal).await
    }

    /// Runs a query that is [authorized](Self::authorize): its root fields are resolved together.
    pub async fn query(&self, plan: &RootPlan, principal: Option<&Arc<Principal>>) -> ExecutionResult {
        self.0.answering.respond(plan, Order::Concurrent, principal).await
    }

    /// Runs a mutation that is [authorized](Self::authorize): its root fields are resolved one after another.
    pub async fn mutate(&self, plan: &RootPlan, principal: Option<&Arc<Principal>>) -> ExecutionResult {
        self.0.answering.respond(plan, Order::Serial, principal).await
    }

    /// Where the node's own events go out.
    pub fn publisher(&self) -> &Publisher {
        &self.0.answering.publisher
    }

    /// The schema it serves.
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// The broker it listens to.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.0.broker
    }

    /// The hash store that it watches.
    pub fn hashes(&self) -> &Arc<dyn HashStore> {
        &self.0.hashes
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("broker", &self.0.broker.kind()).finish_non_exhaustive()
    }
}
