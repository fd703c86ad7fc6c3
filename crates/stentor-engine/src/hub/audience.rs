//! All subscriptions that must receive the same bytes: [`Audience`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::Value;
use stentor_auth::Principal;
use stentor_schema::{
    Bindings, Condition, ConditionError, ErrorCode, Event, ExecutionResult, Feed, GraphQLError, JsonObject,
    Overflow, SubscriptionPlan, TemplateScope, TopicFeed,
};
use tokio::time::Instant;

use super::command::{Join, Member};
use crate::{Gap, Metrics, guard::Holder, membership::MemberId};

/// One audience: what its members share, and who they are.
#[derive(Debug)]
pub(super) struct Audience {
    plan: SubscriptionPlan,
    claims: JsonObject,
    tenants: Vec<String>,
    /// Who joined first, if anything below the root is guarded: the same grants as every other member.
    principal: Option<Arc<Principal>>,
    /// Arguments and claims as conditions read them; absent when there is no condition.
    bindings: Option<Bindings>,
    members: IndexMap<MemberId, (Member, Option<Instant>)>,
    /// When the last event was sent; kept only for `idleTimeout`.
    last_event: Option<Instant>,
}

/// What one event is to an audience.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Not for this audience.
    Nothing,
    /// A condition could not be decided, and counted as false.
    Undecided(String),
    /// The event says another tenant, or none.
    ForeignTenant,
    /// The payload cannot be this field's value.
    Malformed(String),
    /// Sent to every member.
    Sent(Sent),
    /// The code that makes the result panicked: the audience is over.
    Broken,
}

/// What is to be known after an event was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// `until` holds: the audience is over.
    pub(super) last: bool,
    /// `until` could not be decided, and counted as false.
    pub(super) undecided: Option<String>,
    /// A member's mailbox is filling: the connections should be let to write.
    pub(super) filling: bool,
}

impl Audience {
    pub(super) fn new(join: Join, now: Instant) -> Self {
        let Join { id, member, plan, claims, tenants, principal, .. } = join;
        let conditional = feed(&plan).is_some_and(|feed| feed.filter.is_some() || feed.until.is_some());
        let bindings = conditional.then(|| Bindings::new(&plan.arguments, &claims));
        let mut audience =
            Self { plan, claims, tenants, principal, bindings, members: IndexMap::new(), last_event: None };
        audience.add(id, member, now);
        audience
    }

    pub(super) fn add(&mut self, id: MemberId, member: Member, now: Instant) {
        let since = self.idle_timeout().map(|_| now);
        self.members.insert(id, (member, since));
    }

    pub(super) fn remove(&mut self, id: MemberId) {
        self.members.swap_remove(&id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Filters, projects and encodes one event, once, and puts the bytes into every member's mailbox.
    pub(super) fn hear(&mut self, event: &Event, metrics: &Metrics, now: Instant) -> Verdict {
        metrics.executions.increment(1);
        // What a schema or a payload may provoke in a library ends this audience, not the shard.
        match catch_unwind(AssertUnwindSafe(|| self.execute(event))) {
            Ok(Ok((result, sent))) => {
                let filling = self.send(event, &result, now);
                Verdict::Sent(Sent { filling, ..sent })
            }
            Ok(Err(verdict)) => verdict,
            Err(_) => Verdict::Broken,
        }
    }

    /// Tells every member of a loss. How many of the topic's events were this audience's, nobody knows if it does not hear
    /// all of them; to say how many there were would also tell one tenant of another's.
    pub(super) fn lose(&self, gap: Gap, metrics: &Metrics, now: Instant) {
        let gap = if self.hears_all() { gap } else { Gap { dropped: None, ..gap } };
        if let Some(count) = gap.dropped {
            metrics.dropped(gap.reason, count * self.members.len() as u64);
        }
        for member in self.members() {
            member.outbox.lose(member.operation, gap, now);
        }
    }

    pub(super) fn live(&self) {
        for member in self.members() {
            member.outbox.live(member.operation);
        }
    }

    pub(super) fn complete(&self) {
        for member in self.members() {
            member.outbox.complete(member.operation);
        }
    }

    pub(super) fn fail(&self, code: ErrorCode, message: &str) {
        for member in self.members() {
            member.outbox.fail(member.operation, vec![GraphQLError::new(code, message)]);
        }
    }

    /// Completes the members that have heard nothing for `idleTimeout`, and says when the next one is due.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let timeout = self.idle_timeout()?;
        let last_event = self.last_event;
        let due = |since: &Option<Instant>| (*since).max(last_event).map(|heard| heard + timeout);
        self.members.retain(|_, (member, since)| {
            let idle = due(since).is_some_and(|due| due <= now);
            if idle {
                member.outbox.complete(member.operation);
            }
            !idle
        });
        // Members that joined shortly after one another are looked at together.
        let earliest = now + timeout / 64;
        self.members.values().filter_map(|(_, since)| due(since)).min().map(|due| due.max(earliest))
    }

    /// When the first member may have heard nothing for `idleTimeout`.
    pub(super) fn idle_deadline(&self, now: Instant) -> Option<Instant> {
        self.idle_timeout().map(|timeout| now + timeout)
    }

    fn hears_all(&self) -> bool {
        let filtered = feed(&self.plan).is_some_and(|feed| feed.filter.is_some());
        let by_tenant = self.plan.field.tenant.as_ref().is_some_and(|guard| guard.field.is_some());
        !filtered && !by_tenant
    }

    fn idle_timeout(&self) -> Option<Duration> {
        feed(&self.plan).and_then(|feed| feed.idle_timeout)
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(|(member, _)| member)
    }

    fn execute(&self, event: &Event) -> Result<(ExecutionResult, Sent), Verdict> {
        self.check_tenant(event)?;
        let feed = feed(&self.plan);
        match self.holds(event, feed.and_then(|feed| feed.filter.as_ref())) {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => return Err(Verdict::Nothing),
            Some(Err(error)) => return Err(Verdict::Undecided(error.0)),
        }
        let holder = self.principal.as_deref().map(Holder);
        let grants = holder.as_ref().map(Holder::grants);
        let result = self.plan.project(event, grants).map_err(|malformed| Verdict::Malformed(malformed.0))?;
        let sent = match self.holds(event, feed.and_then(|feed| feed.until.as_ref())) {
            None => Sent::default(),
            Some(Ok(last)) => Sent { last, ..Sent::default() },
            Some(Err(error)) => Sent { undecided: Some(error.0), ..Sent::default() },
        };
        Ok((result, sent))
    }

    fn holds(&self, event: &Event, condition: Option<&Condition>) -> Option<Result<bool, ConditionError>> {
        Some(condition?.holds(event, self.bindings.as_ref()?))
    }

    fn check_tenant(&self, event: &Event) -> Result<(), Verdict> {
        let Some(key) = self.plan.field.tenant.as_ref().and_then(|guard| guard.field.as_ref()) else {
            return Ok(());
        };
        let own = match event.json().and_then(|payload| payload.get(key)) {
            Some(Value::String(tenant)) => self.tenants.contains(tenant),
            Some(Value::Number(tenant)) => self.tenants.contains(&tenant.to_string()),
            _ => false,
        };
        if own { Ok(()) } else { Err(Verdict::ForeignTenant) }
    }

    /// Puts a result into every member's mailbox; whether one of them is filling.
    fn send(&mut self, event: &Event, result: &ExecutionResult, now: Instant) -> bool {
        let key = self.conflation_key(event);
        let mut filling = false;
        for member in self.members() {
            filling |= member.outbox.put(member.operation, result, key.as_ref(), now);
        }
        if self.idle_timeout().is_some() {
            self.last_event = Some(now);
        }
        filling
    }

    /// What the event is a newer state of. Without a key, or where the event lacks it, all such events are one.
    fn conflation_key(&self, event: &Event) -> Option<Arc<str>> {
        let delivery = &self.plan.field.delivery;
        if delivery.overflow != Overflow::Latest {
            return None;
        }
        let scope = TemplateScope { args: &self.plan.arguments, claims: &self.claims, event: Some(event) };
        delivery.key.as_ref().and_then(|key| key.render(&scope).ok()).map(Arc::from)
    }
}

fn feed(plan: &SubscriptionPlan) -> Option<&TopicFeed> {
    match &plan.field.feed {
        Feed::Topic(feed) => Some(feed),
        Feed::Resolver | Feed::Version => None,
    }
}
