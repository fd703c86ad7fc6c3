//! Which subscription belongs where: [`Membership`].

use std::{fmt, sync::Arc};

/// Where a subscription is a member, so that it can leave.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) address: Address,
    pub(crate) audience: AudienceKey,
    pub(crate) member: MemberId,
}

/// Where events come from. A topic and a hash of one name have nothing to do with each other.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Address {
    /// The key of a hash, whose values are the events.
    Hash(Arc<str>),
    Topic(Arc<str>),
}

/// A digest of everything that the members of an audience have in common, apart from the address.
///
/// 256 bits of BLAKE3: members never share an audience by accident or by design.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct AudienceKey(pub(crate) [u8; 32]);

/// Names a member on its node; never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct MemberId(pub(crate) u64);

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(key) => write!(formatter, "hash {key}"),
            Self::Topic(topic) => formatter.write_str(topic),
        }
    }
}
