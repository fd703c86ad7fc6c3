//! What a shard is told to do: [`Command`].

use std::sync::Arc;

use stentor_auth::Principal;
use stentor_schema::{JsonObject, SubscriptionPlan};

use crate::{
    OperationId,
    membership::{AudienceKey, MemberId},
    outbox::Outbox,
};

/// What a shard is told to do.
#[derive(Debug)]
pub(super) enum Command {
    Join(Box<Join>),
    Leave { topic: Arc<str>, audience: AudienceKey, member: MemberId },
}

/// Held by every command under way of one connection, so that they can be counted.
pub(crate) type Ticket = Arc<()>;

/// A subscription that enters an audience.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) topic: Arc<str>,
    pub(super) audience: AudienceKey,
    pub(super) id: MemberId,
    pub(super) member: Member,
    pub(super) plan: SubscriptionPlan,
    pub(super) claims: JsonObject,
    pub(super) tenants: Vec<String>,
    pub(super) principal: Option<Arc<Principal>>,
}

/// One subscription in an audience: its connection, and which of its operations.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) operation: OperationId,
}
