//! What a connection's driver takes out: [`Delivery`].

use std::sync::Arc;

use stentor_schema::{ExecutionResult, GraphQLError};

use crate::{Gap, OperationId};

/// What a connection's driver has to do next.
#[derive(Debug)]
pub enum Delivery {
    /// The operation ended by itself; nothing follows for it.
    Complete(OperationId, Summary),
    /// The operation failed; nothing follows for it.
    Error(OperationId, Vec<GraphQLError>, Summary),
    /// A loss that no event leaves with.
    Gap(OperationId, Gap),
    /// The subscription listens: every event from here on is delivered or counted as lost.
    Live(OperationId),
    /// A result, and a loss just before it.
    Next(OperationId, ExecutionResult, Option<Gap>),
    /// A subscription that must not lose events has lost one: close with 1013.
    Overflow(OperationId),
}

/// What an ended operation did, for the log.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The root field.
    pub field: Arc<str>,
    /// Results handed to the connection.
    pub delivered: u64,
    /// Events that gave way in its mailbox, and those that never reached the node as far as their number is known.
    pub dropped: u64,
}
