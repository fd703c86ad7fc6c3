//! Topics and their audiences on this node: [`Hub`].
//!
//! Each shard is one task that owns its topics outright, so nothing here is locked: events and commands reach it
//! through one queue, in one order, which is what makes "only events that arrived after it joined" true.

mod arrivals;
mod audience;
mod command;
mod idle;
mod load;
mod shard;
mod topic;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use stentor_auth::Principal;
use stentor_broker::{Broker, HashStore};
use stentor_schema::{JsonObject, SubscriptionPlan};
use tokio::{sync::Semaphore, task::JoinHandle};

use self::{
    arrivals::Arrivals,
    command::{Command, Join, Ticket},
    load::{LoadLimits, LoadRunner},
    shard::Shard,
};
use crate::{
    Limits, Loader, Metrics,
    guard::Holder,
    membership::{Address, AudienceKey, MemberId, Membership},
};

pub(crate) use command::Member;

/// The shards of one node, and which of them owns a topic.
#[derive(Debug)]
pub(crate) struct Hub {
    shards: Box<[Arc<Arrivals>]>,
    tasks: Box<[JoinHandle<()>]>,
    hasher: RandomState,
    next_member: AtomicU64,
}

/// What a subscription brings with it when it joins.
pub(crate) struct Entry {
    pub(crate) address: Address,
    pub(crate) plan: SubscriptionPlan,
    /// The claims that are part of the audience's key.
    pub(crate) claims: JsonObject,
    /// The principal's tenants, for `@tenant(field)`; they are among those claims.
    pub(crate) tenants: Vec<String>,
    /// Who asks, if anything below the root is guarded.
    pub(crate) principal: Option<Arc<Principal>>,
    /// What loads the value after each event, for a field that has a load.
    pub(crate) loader: Option<Arc<dyn Loader>>,
}

impl Hub {
    /// Starts `shards` tasks on the current runtime.
    pub(crate) fn start(
        broker: &Arc<dyn Broker>,
        hashes: &Arc<dyn HashStore>,
        limits: &Limits,
        metrics: &Arc<Metrics>,
        shards: usize,
    ) -> Self {
        let queues: Box<[_]> = (0..shards).map(|_| Arc::new(Arrivals::new(limits.queue(shards)))).collect();
        let permits = Arc::new(Semaphore::new(limits.loads));
        let start = |queue| {
            let runner = LoadRunner {
                permits: Arc::clone(&permits),
                limits: limits.loads_of_one(),
                arrivals: Arc::clone(queue),
                metrics: Arc::clone(metrics),
            };
            tokio::spawn(Shard::new(Arc::clone(broker), Arc::clone(hashes), runner).run())
        };
        let tasks = queues.iter().map(start).collect();
        Self { shards: queues, tasks, hasher: RandomState::new(), next_member: AtomicU64::new(0) }
    }

    /// Puts a subscription into the audience it belongs to, unless it has ended. What it hears reaches its outbox.
    pub(crate) fn join(&self, entry: Entry, member: Member) {
        let Entry { address, plan, claims, tenants, principal, loader } = entry;
        let holder = principal.as_deref().map(Holder);
        let key = plan.audience_key(&claims, holder.as_ref().map(Holder::grants));
        let audience = AudienceKey(blake3::hash(key.as_bytes()).into());
        let id = MemberId(self.next_member.fetch_add(1, Ordering::Relaxed));
        let membership = Membership { address: address.clone(), audience, member: id };
        if !member.outbox.set_membership(member.operation, membership) {
            return;
        }
        let ticket = member.outbox.ticket();
        let (outbox, operation) = (Arc::clone(&member.outbox), member.operation);
        let (queue, place) = (self.queue(&address), address.clone());
        let join = Join { address, audience, id, member, plan, claims, tenants, principal, loader };
        queue.command(Command::Join(Box::new(join)), ticket);
        // Where it joins from a task, its connection may have ended it meanwhile, and told to leave before the join.
        if !outbox.runs(operation) {
            self.leave(Membership { address: place, audience, member: id }, outbox.ticket());
        }
    }

    pub(crate) fn leave(&self, membership: Membership, ticket: Ticket) {
        let Membership { address, audience, member } = membership;
        let queue = self.queue(&address);
        queue.command(Command::Leave { address, audience, member }, ticket);
    }

    fn queue(&self, address: &Address) -> &Arrivals {
        let place = self.hasher.hash_one(address) as usize % self.shards.len();
        &self.shards[place]
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Limits {
    /// The bounds of one audience's loads.
    fn loads_of_one(&self) -> LoadLimits {
        let in_flight = self.loads.div_ceil(AUDIENCE_SHARE).min(self.load_queue).max(1);
        LoadLimits { waiting: self.load_queue, in_flight, timeout: self.load_timeout }
    }
}

/// One audience has at most one load of so many that may be in flight, so that a slow one leaves room to others.
const AUDIENCE_SHARE: usize = 16;
