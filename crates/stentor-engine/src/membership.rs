//! Which subscription belongs where: [`Membership`].

use std::sync::Arc;

/// Where a subscription is a member, so that it can leave.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) topic: Arc<str>,
    pub(crate) audience: AudienceKey,
    pub(crate) member: MemberId,
}

/// A digest of everything that the members of an audience have in common, apart from the topic.
///
/// 256 bits of BLAKE3: members never share an audience by accident or by design.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct AudienceKey(pub(crate) [u8; 32]);

/// Names a member on its node; never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct MemberId(pub(crate) u64);
