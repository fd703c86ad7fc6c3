//! Loss that is known: [`Gap`].

/// Events known to be lost at one place in a subscription's order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gap {
    /// How many; `None` when nobody can know.
    pub dropped: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

/// Why events were lost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GapReason {
    /// The connection to the broker was lost and made anew.
    BrokerReconnect,
    /// The broker gave way to its fallback, or came back.
    Failover,
    /// The subscriber read more slowly than events came.
    SlowConsumer,
    /// Events came faster than the node could take them in.
    Source,
}

impl GapReason {
    /// The text on the wire and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BrokerReconnect => "BROKER_RECONNECT",
            Self::Failover => "FAILOVER",
            Self::SlowConsumer => "SLOW_CONSUMER",
            Self::Source => "SOURCE",
        }
    }
}

impl From<stentor_broker::GapReason> for GapReason {
    fn from(reason: stentor_broker::GapReason) -> Self {
        match reason {
            stentor_broker::GapReason::BrokerReconnect => Self::BrokerReconnect,
            stentor_broker::GapReason::Failover => Self::Failover,
        }
    }
}

/// The gaps at one place, at most one for each reason. Owns nothing while there is none.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Vec<Gap>);

impl Gaps {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a gap to the one with its reason: known counts add up, an unknown one makes the sum unknown.
    pub(crate) fn add(&mut self, gap: Gap) {
        match self.0.iter_mut().find(|known| known.reason == gap.reason) {
            Some(known) => {
                known.dropped =
                    known.dropped.zip(gap.dropped).map(|(before, more)| before.saturating_add(more));
            }
            None => self.0.push(gap),
        }
    }

    /// Puts gaps that lie before these into them.
    pub(crate) fn merge(&mut self, earlier: Self) {
        for gap in earlier.0 {
            self.add(gap);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Gap> {
        let gap = self.0.pop();
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        gap
    }

    /// Whether more than one gap is left, so that one must be told by itself.
    pub(crate) fn is_several(&self) -> bool {
        self.0.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_one_reason_add_up_and_an_unknown_count_stays_unknown() {
        let mut gaps = Gaps::default();
        gaps.add(Gap { dropped: Some(2), reason: GapReason::SlowConsumer });
        gaps.add(Gap { dropped: Some(3), reason: GapReason::SlowConsumer });
        assert!(!gaps.is_several());
        gaps.add(Gap { dropped: None, reason: GapReason::BrokerReconnect });
        gaps.add(Gap { dropped: Some(1), reason: GapReason::BrokerReconnect });
        assert!(gaps.is_several());
        assert_eq!(gaps.pop(), Some(Gap { dropped: None, reason: GapReason::BrokerReconnect }));
        assert_eq!(gaps.pop(), Some(Gap { dropped: Some(5), reason: GapReason::SlowConsumer }));
        assert!(gaps.is_empty());
    }
}
