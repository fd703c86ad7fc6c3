//! What a shard is told to do: [`Command`].

use std::{fmt, sync::Arc};

use stentor_auth::Principal;
use stentor_schema::{JsonObject, SubscriptionPlan};

use crate::{
    Loader, OperationId,
    membership::{Address, AudienceKey, MemberId},
    outbox::Outbox,
};

/// What a shard is told to do.
#[derive(Debug)]
pub(super) enum Command {
    Join(Box<Join>),
    Leave { address: Address, audience: AudienceKey, member: MemberId },
}

/// Held by every command under way of one connection, so that they can be counted.
pub(crate) type Ticket = Arc<()>;

/// A subscription that enters an audience.
pub(super) struct Join {
    pub(super) address: Address,
    pub(super) audience: AudienceKey,
    pub(super) id: MemberId,
    pub(super) member: Member,
    pub(super) plan: SubscriptionPlan,
    pub(super) claims: JsonObject,
    pub(super) tenants: Vec<String>,
    pub(super) principal: Option<Arc<Principal>>,
    pub(super) loader: Option<Arc<dyn Loader>>,
}

impl fmt::Debug for Join {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Join").field("address", &self.address).finish_non_exhaustive()
    }
}

/// One subscription in an audience: its connection, and which of its operations.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) operation: OperationId,
}
