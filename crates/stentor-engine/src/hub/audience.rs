//! All subscriptions that must receive the same bytes: [`Audience`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::Value;
use stentor_auth::Principal;
use stentor_broker::HashValue;
use stentor_schema::{
    Bindings, Condition, ConditionError, ErrorCode, Event, ExecutionResult, Feed, GraphQLError, JsonObject,
    OnMissing, Overflow, SubscriptionPlan,
};
use tokio::time::Instant;

use super::{
    command::{Join, Member},
    load::{LoadQueue, LoadRunner, Loaded, Outcome, Place, Pushed, Ready},
};
use crate::{Gap, GapReason, LoadCall, Metrics, guard::Holder, membership::MemberId};

/// One audience: what its members share, and who they are.
#[derive(Debug)]
pub(super) struct Audience {
    plan: SubscriptionPlan,
    claims: Arc<JsonObject>,
    tenants: Vec<String>,
    /// Who joined first, if anything below the root is guarded: the same grants as every other member.
    principal: Option<Arc<Principal>>,
    /// Arguments and claims as conditions read them; absent when there is no condition.
    bindings: Option<Bindings>,
    members: IndexMap<MemberId, Seat>,
    /// When the last event was sent; kept only for `idleTimeout`.
    last_event: Option<Instant>,
    /// Events that wait for their values; absent when nothing is loaded.
    loads: Option<Box<LoadQueue>>,
    /// What the latest value of a hash became: a member begins with it.
    present: Option<Box<Message>>,
}

/// A member in its audience.
#[derive(Debug)]
struct Seat {
    member: Member,
    /// When it joined; kept only for `idleTimeout`.
    since: Option<Instant>,
    /// The number of the first event that it hears, where events wait for their values.
    from: u64,
}

/// One event, encoded.
#[derive(Debug)]
struct Message {
    result: ExecutionResult,
    /// What it is a newer state of, for [`Overflow::Latest`].
    key: Option<Arc<str>>,
}

/// What one event is to an audience.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Not for this audience, or not yet.
    Nothing,
    /// A condition could not be decided, and counted as false.
    Undecided(String),
    /// The event says another tenant, or none.
    ForeignTenant,
    /// The payload cannot be this field's value.
    Malformed(String),
    /// Sent to every member.
    Sent(Sent),
    /// There is no value for the event any more: the audience is over.
    Gone,
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
    /// Why the value could not be loaded: an error was sent in its place.
    pub(super) not_loaded: Option<String>,
    /// A member's mailbox is filling: the connections should be let to write.
    pub(super) filling: bool,
}

/// The members that hear everything: what waits for no value is for all of them.
pub(super) const EVERYONE: u64 = u64::MAX;

impl Audience {
    /// An audience with its first member. `place` is where the values of its events are delivered, if any are loaded.
    pub(super) fn new(join: Join, place: Place, now: Instant) -> Self {
        let Join { id, member, plan, claims, tenants, principal, loader, .. } = join;
        let conditional =
            plan.field.feed.events().is_some_and(|feed| feed.filter.is_some() || feed.until.is_some());
        let bindings = conditional.then(|| Bindings::new(&plan.arguments, &claims));
        let loads = loader.map(|loader| Box::new(LoadQueue::new(loader, place)));
        let mut audience = Self {
            plan,
            claims: Arc::new(claims),
            tenants,
            principal,
            bindings,
            members: IndexMap::new(),
            last_event: None,
            loads,
            present: None,
        };
        audience.add(id, member, now);
        audience
    }

    /// Lets one more in; it begins with the latest value of a hash.
    pub(super) fn add(&mut self, id: MemberId, member: Member, now: Instant) {
        let since = self.idle_timeout().map(|_| now);
        let from = self.loads.as_mut().map_or(0, |loads| loads.join());
        if let Some(present) = &self.present {
            member.outbox.put(member.operation, &present.result, present.key.as_ref(), now);
        }
        self.members.insert(id, Seat { member, since, from });
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

    /// Filters, projects and encodes one event, once, and puts the bytes into every member's mailbox. Where a value is to
    /// be loaded first, the event waits for it instead.
    pub(super) fn hear(&mut self, event: &Arc<Event>, runner: &LoadRunner, now: Instant) -> Verdict {
        runner.metrics.executions.increment(1);
        self.guarded(|audience| {
            audience.check(event)?;
            if audience.loads.is_some() {
                audience.wait(event, runner);
                return Err(Verdict::Nothing);
            }
            let grants = audience.holder();
            let grants = grants.as_ref().map(Holder::grants);
            let result = audience.plan.project(event, grants);
            let result = result.map_err(|malformed| Verdict::Malformed(malformed.0))?;
            let message = Message { result, key: audience.state_key(event) };
            Ok(audience.send(&message, event, EVERYONE, now))
        })
    }

    /// As [`hear`](Self::hear), for the latest value of a hash; those who join later begin with what it becomes.
    pub(super) fn behold(&mut self, value: &HashValue, metrics: &Metrics, now: Instant) -> Verdict {
        metrics.executions.increment(1);
        self.present = None;
        self.guarded(|audience| {
            let Feed::Hash(_, types) = &audience.plan.field.feed else { return Err(Verdict::Nothing) };
            let event = types.event(value.fields());
            audience.check(&event)?;
            let grants = audience.holder();
            let result = audience.plan.project(&event, grants.as_ref().map(Holder::grants));
            let result = result.map_err(|malformed| Verdict::Malformed(malformed.0))?;
            let message = Message { result, key: audience.state_key(&event) };
            let sent = audience.send(&message, &event, EVERYONE, now);
            audience.present = Some(Box::new(message));
            Ok(sent)
        })
    }

    /// Those who join from here on do not begin with the latest value of the hash.
    pub(super) fn forget_value(&mut self) {
        self.present = None;
    }

    /// Takes in the outcome of a load; then [`next_loaded`](Self::next_loaded) may have something.
    pub(super) fn settle(&mut self, loaded: Loaded, runner: &LoadRunner) {
        if let Some(loads) = &mut self.loads {
            loads.settle(loaded);
        }
        self.start_loads(runner);
    }

    /// Sends the next event that has its value, or tells the next loss; and for which members that was.
    pub(super) fn next_loaded(&mut self, now: Instant) -> Option<(Verdict, u64)> {
        match self.loads.as_mut()?.pop_ready()? {
            Ready::Lost { number, gap } => {
                self.tell(gap, number, now);
                Some((Verdict::Nothing, number))
            }
            Ready::Event { number, event, outcome } => {
                Some((self.guarded(|audience| audience.send_loaded(&event, &outcome, number, now)), number))
            }
        }
    }

    /// Tells every member of a loss, once what came before it has left. How many of the topic's events were this audience's,
    /// nobody knows if it does not hear all of them; to say how many there were would also tell one tenant of another's.
    pub(super) fn lose(&mut self, gap: Gap, runner: &LoadRunner, now: Instant) {
        let gap = if self.hears_all() { gap } else { Gap { dropped: None, ..gap } };
        if let Some(count) = gap.dropped {
            runner.metrics.dropped(gap.reason, count * self.members.len() as u64);
        }
        match &mut self.loads {
            Some(loads) if !loads.is_empty() => loads.lose(gap, runner.limits),
            _ => self.tell(gap, EVERYONE, now),
        }
    }

    pub(super) fn live(&self) {
        for member in self.members(EVERYONE) {
            member.outbox.live(member.operation);
        }
    }

    /// Ends those who have heard the event of this number.
    pub(super) fn complete(&mut self, number: u64) {
        self.members.retain(|_, seat| {
            let over = seat.from <= number;
            if over {
                seat.member.outbox.complete(seat.member.operation);
            }
            !over
        });
    }

    pub(super) fn fail(&self, code: ErrorCode, message: &str) {
        for member in self.members(EVERYONE) {
            member.outbox.fail(member.operation, vec![GraphQLError::new(code, message)]);
        }
    }

    /// Completes the members that have heard nothing for `idleTimeout`, and says when the next one is due.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let timeout = self.idle_timeout()?;
        // Members that joined shortly after one another are looked at together.
        let earliest = now + timeout / 64;
        if self.loads.as_ref().is_some_and(|loads| !loads.is_empty()) {
            return Some(earliest);
        }
        let last_event = self.last_event;
        let due = |seat: &Seat| seat.since.max(last_event).map(|heard| heard + timeout);
        self.members.retain(|_, seat| {
            let idle = due(seat).is_some_and(|due| due <= now);
            if idle {
                seat.member.outbox.complete(seat.member.operation);
            }
            !idle
        });
        self.members.values().filter_map(due).min().map(|due| due.max(earliest))
    }

    /// When the first member may have heard nothing for `idleTimeout`.
    pub(super) fn idle_deadline(&self, now: Instant) -> Option<Instant> {
        self.idle_timeout().map(|timeout| now + timeout)
    }

    /// What a schema or a payload may provoke in a library ends this audience, not the shard.
    fn guarded(&mut self, act: impl FnOnce(&mut Self) -> Result<Sent, Verdict>) -> Verdict {
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(Ok(sent)) => Verdict::Sent(sent),
            Ok(Err(verdict)) => verdict,
            Err(_) => Verdict::Broken,
        }
    }

    fn hears_all(&self) -> bool {
        let filtered = self.plan.field.feed.events().is_some_and(|feed| feed.filter.is_some());
        let by_tenant = self.plan.field.tenant.as_ref().is_some_and(|guard| guard.field.is_some());
        !filtered && !by_tenant
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.plan.field.feed.events().and_then(|feed| feed.idle_timeout)
    }

    /// Those who hear the event of this number.
    fn members(&self, number: u64) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |seat| seat.from <= number).map(|seat| &seat.member)
    }

    fn holder(&self) -> Option<Holder<'_>> {
        self.principal.as_deref().map(Holder)
    }

    /// Whether the event is for this audience.
    fn check(&self, event: &Event) -> Result<(), Verdict> {
        self.check_tenant(event)?;
        let feed = self.plan.field.feed.events();
        match self.holds(event, feed.and_then(|feed| feed.filter.as_ref())) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Verdict::Nothing),
            Some(Err(error)) => Err(Verdict::Undecided(error.0)),
        }
    }

    fn wait(&mut self, event: &Arc<Event>, runner: &LoadRunner) {
        let Some(loads) = &mut self.loads else { return };
        if loads.push(event, runner.limits) == Pushed::Lost {
            runner.metrics.dropped(GapReason::Source, self.members.len() as u64);
        }
        self.start_loads(runner);
    }

    fn start_loads(&mut self, runner: &LoadRunner) {
        let Some(loads) = &mut self.loads else { return };
        let (arguments, claims) = (&self.plan.arguments, &self.claims);
        loads.start(runner, |event| LoadCall {
            arguments: Arc::clone(arguments),
            claims: Arc::clone(claims),
            event: Arc::clone(event),
        });
    }

    fn send_loaded(
        &mut self,
        event: &Event,
        outcome: &Outcome,
        number: u64,
        now: Instant,
    ) -> Result<Sent, Verdict> {
        let grants = self.holder();
        let grants = grants.as_ref().map(Holder::grants);
        match outcome {
            Ok(Some(value)) => {
                let result = self.plan.project_loaded(event, value, grants);
                let event = event.under(value);
                let message = Message { result, key: self.state_key(&event) };
                Ok(self.send(&message, &event, number, now))
            }
            Ok(None) => match self.plan.field.load.map(|load| load.on_missing) {
                Some(OnMissing::Complete) => Err(Verdict::Gone),
                Some(OnMissing::Skip) | None => Err(Verdict::Nothing),
            },
            Err(error) => {
                let result = self.plan.answer(Err(error.clone()), grants);
                let message = Message { result, key: self.state_key(event) };
                let filling = self.put(&message, number, now);
                let reason = format!("{}: {}", error.code.as_str(), error.message);
                Ok(Sent { filling, not_loaded: Some(reason), ..Sent::default() })
            }
        }
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

    /// Puts the message of an event into the mailboxes of those who hear it, and decides `until`.
    fn send(&mut self, message: &Message, event: &Event, number: u64, now: Instant) -> Sent {
        let filling = self.put(message, number, now);
        let feed = self.plan.field.feed.events();
        match self.holds(event, feed.and_then(|feed| feed.until.as_ref())) {
            None => Sent { filling, ..Sent::default() },
            Some(Ok(last)) => Sent { filling, last, ..Sent::default() },
            Some(Err(error)) => Sent { filling, undecided: Some(error.0), ..Sent::default() },
        }
    }

    /// Puts a message into the mailboxes of those who hear it; whether one of them is filling.
    fn put(&mut self, message: &Message, number: u64, now: Instant) -> bool {
        let mut filling = false;
        for member in self.members(number) {
            filling |= member.outbox.put(member.operation, &message.result, message.key.as_ref(), now);
        }
        if self.idle_timeout().is_some() {
            self.last_event = Some(now);
        }
        filling
    }

    fn tell(&self, gap: Gap, number: u64, now: Instant) {
        for member in self.members(number) {
            member.outbox.lose(member.operation, gap, now);
        }
    }

    fn state_key(&self, event: &Event) -> Option<Arc<str>> {
        if self.plan.field.delivery.overflow != Overflow::Latest {
            return None;
        }
        self.plan.state_key(&self.claims, event).map(Arc::from)
    }
}
