//! What the directives on a field say, checked: [`RootField`].

use std::{collections::BTreeSet, time::Duration};

use apollo_compiler::ast::OperationType;

use crate::{Condition, HashTypes, Template};

/// A field of Query, Mutation or Subscription, with everything its directives say.
#[derive(Debug)]
pub struct RootField {
    /// The operation type it is a field of.
    pub operation: OperationType,
    /// Its name, without the type.
    pub name: String,
    /// What feeds it.
    pub feed: Feed,
    /// What is loaded after each event.
    pub load: Option<Load>,
    /// Every `@hasScope` on it; all must hold.
    pub guards: Vec<ScopeGuard>,
    /// `@tenant`.
    pub tenant: Option<TenantGuard>,
    /// `@public`: needs no principal.
    pub public: bool,
    /// `@delivery`, or its defaults.
    pub delivery: Delivery,
    /// The claims that its templates, conditions and guards on events read: they are part of an audience's key.
    pub claims: BTreeSet<String>,
}

impl RootField {
    /// `Query.bots`, say: the operation's type, whatever its own name, and the field.
    pub fn coordinate(&self) -> String {
        format!("{}.{}", self.operation.default_type_name(), self.name)
    }

    /// What the embedding program must give it.
    pub fn handler(&self) -> Option<HandlerKind> {
        match (&self.feed, self.operation) {
            _ if self.load.is_some() => Some(HandlerKind::Load),
            (Feed::Resolver, OperationType::Subscription) => Some(HandlerKind::Stream),
            (Feed::Resolver, _) => Some(HandlerKind::Resolver),
            _ => None,
        }
    }
}

impl Feed {
    /// What it says of its events, if events feed the field.
    pub fn events(&self) -> Option<&EventFeed> {
        match self {
            Self::Hash(feed, _) | Self::Topic(feed) => Some(feed),
            Self::Resolver | Self::Version => None,
        }
    }
}

impl HandlerKind {
    /// With its article, as in "needs a stream".
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Load => "a load",
            Self::Resolver => "a resolver",
            Self::Stream => "a stream",
        }
    }
}

/// What feeds a root field.
#[derive(Debug)]
pub enum Feed {
    /// The values of a hash: `@subscribe(hash)`.
    Hash(EventFeed, HashTypes),
    /// The embedding program: `@resolver`.
    Resolver,
    /// Events of a topic: `@subscribe(topic)`.
    Topic(EventFeed),
    /// The server's version: the `stentor` field of a schema without Query.
    Version,
}

/// `@subscribe(topic or hash, where, until, idleTimeout)`.
#[derive(Debug)]
pub struct EventFeed {
    /// The topic, or the hash's key, from arguments and claims.
    pub address: Template,
    /// `where`: which events are sent.
    pub filter: Option<Condition>,
    /// `until`: the event that is the last.
    pub until: Option<Condition>,
    /// How long without an event before the subscription completes.
    pub idle_timeout: Option<Duration>,
}

/// A value that is loaded after an event, and lies over it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// What becomes of an event for which there is no value.
    pub on_missing: OnMissing,
}

/// What a missing value means.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnMissing {
    /// The subscription completes.
    Complete,
    /// The event is not sent.
    #[default]
    Skip,
}

/// What the embedding program must give a field that bears `@resolver`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HandlerKind {
    /// A value after each event.
    Load,
    /// One value.
    Resolver,
    /// One value after another.
    Stream,
}

/// `@hasScope(scope, resource)`.
#[derive(Debug)]
pub struct ScopeGuard {
    /// The scope, `view` say.
    pub scope: String,
    /// The resource it must be held on, from arguments and claims.
    pub resource: Option<Template>,
}

/// `@tenant(argument, field)`.
#[derive(Debug)]
pub struct TenantGuard {
    /// The argument that must equal the tenant claim.
    pub argument: Option<String>,
    /// The event's key that must equal the tenant claim.
    pub field: Option<String>,
}

/// `@delivery(buffer, overflow, key)`: what a subscription's mailbox holds, and what it does when it is full.
#[derive(Debug)]
pub struct Delivery {
    /// Events that may wait; `None` when the schema does not say, then the configuration does.
    pub buffer: Option<u32>,
    /// What gives way when the mailbox is full.
    pub overflow: Overflow,
    /// For [`Overflow::Latest`]: events with the same rendered key replace each other; without it all do.
    pub key: Option<Template>,
}

/// What gives way when a mailbox is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overflow {
    /// The connection is closed with 1013.
    Close,
    /// The event that came last is dropped.
    DropNewest,
    /// The event that waited longest is dropped.
    #[default]
    DropOldest,
    /// A waiting event gives way to a newer one of its key.
    Latest,
}

/// `@from`: where a field of an object takes its value from. Without it: the exact name, then its snake_case form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ValueSource {
    /// The value of the root field's argument of this name.
    ///
    /// At least one root field that leads to the type has it; below one that has not, there is no value.
    Argument(String),
    /// The first of these payload keys that is there.
    Keys(Vec<String>),
}
