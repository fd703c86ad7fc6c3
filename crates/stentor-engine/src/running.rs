//! One operation, as its connection sees it: [`Running`].

use std::{sync::Arc, task::Waker};

use stentor_schema::{ExecutionResult, GraphQLError};
use tokio::time::Instant;

use crate::{
    Delivery, Gap, OperationId, Summary,
    gap::Gaps,
    mailbox::{Capacity, Mailbox},
    membership::Membership,
};

/// One running operation, as its connection sees it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) mailbox: Mailbox,
    pub(crate) membership: Option<Membership>,
    pub(crate) summary: Summary,
    /// Losses taken out of the mailbox of which all but the last are told before their event.
    pub(crate) gaps: Gaps,
    pub(crate) held: Option<ExecutionResult>,
    pub(crate) liveness: Liveness,
    pub(crate) ending: Option<Ending>,
    /// The task that fills the mailbox, while it waits for room.
    pub(crate) filler: Option<Waker>,
    /// Whether it stands among those that are ready.
    pub(crate) listed: bool,
    /// When its losses were last logged.
    pub(crate) logged: Option<Instant>,
}

impl Running {
    pub(crate) fn new(field: Arc<str>, capacity: Capacity) -> Self {
        Self {
            mailbox: Mailbox::new(capacity),
            membership: None,
            summary: Summary { field, ..Summary::default() },
            gaps: Gaps::default(),
            held: None,
            liveness: Liveness::Waiting,
            ending: None,
            filler: None,
            listed: false,
            logged: None,
        }
    }

    pub(crate) fn has_more(&self) -> bool {
        self.held.is_some() || !self.mailbox.is_empty() || self.ending.is_some()
    }

    /// The event taken from the mailbox, after every gap before it but the last has been told by itself.
    pub(crate) fn take_held(
        &mut self,
        id: OperationId,
        mut tell: impl FnMut(&mut Self, Gap),
    ) -> Option<Delivery> {
        self.held.as_ref()?;
        let several = self.gaps.is_several();
        let gap = self.gaps.pop();
        if let Some(gap) = gap {
            tell(self, gap);
            if several {
                return Some(Delivery::Gap(id, gap));
            }
        }
        let result = self.held.take()?;
        self.summary.delivered += 1;
        Some(Delivery::Next(id, result, gap))
    }
}

/// Whether the topic is listened to, and the connection knows.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Liveness {
    Waiting,
    Untold,
    Told,
}

/// How the operation ends once what waits has been delivered.
#[derive(Debug)]
pub(crate) enum Ending {
    Complete,
    Error(Vec<GraphQLError>),
    Overflow,
}
