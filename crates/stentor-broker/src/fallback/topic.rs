//! What a sink hears of Redis and of memory while they take turns: [`Topic`]. No I/O.

use bytes::Bytes;

use super::era::Era;
use crate::{BrokerEvent, GapReason};

/// One topic, from its subscription on.
///
/// Redis is asked to listen in every era. In its own eras its word passes; in those of memory it is only remembered
/// that it has confirmed, or refused. The first thing that is said in a new era is the gap between the two, and on the
/// way back it waits until Redis has confirmed the topic: what was published before that moment is part of it.
///
/// A confirmation is remembered for good. Redis is back only when each topic that it ever confirmed is confirmed anew.
#[derive(Debug)]
pub(super) struct Topic {
    era: Era,
    /// Whether the sink has been told that events arrive.
    heard: bool,
    /// Whether a gap is due as soon as Redis confirms.
    gap_due: bool,
    confirmed: bool,
    refused: Option<String>,
}

/// What happens to a topic.
#[derive(Debug)]
pub(super) enum Input {
    /// A publisher on this node speaks, in an era of memory.
    Memory(Bytes),
    /// Redis speaks.
    Redis(BrokerEvent),
    /// Nothing but the beginning of a new era, or of the topic.
    Switched,
}

impl Topic {
    pub(super) fn new(era: Era) -> Self {
        Self { era, heard: false, gap_due: false, confirmed: false, refused: None }
    }

    /// Takes `input`, which comes in `era`, and lets `tell` say what the sink is to hear of it. `Refused` is the last.
    pub(super) fn handle(&mut self, era: Era, input: Input, mut tell: impl FnMut(BrokerEvent)) {
        if self.era != era {
            self.era = era;
            self.gap_due = self.heard;
        }
        if era.is_memory() {
            self.in_memory(input, &mut tell);
        } else {
            self.on_redis(input, &mut tell);
        }
    }

    fn in_memory(&mut self, input: Input, tell: &mut impl FnMut(BrokerEvent)) {
        if !std::mem::replace(&mut self.heard, true) {
            tell(BrokerEvent::Subscribed);
        }
        self.tell_gap(tell);
        match input {
            Input::Memory(payload) => tell(BrokerEvent::Message(payload)),
            Input::Redis(BrokerEvent::Subscribed | BrokerEvent::Gap { .. }) => self.confirmed = true,
            Input::Redis(BrokerEvent::Refused(reason)) => self.refused = Some(reason),
            // Other nodes' events, before the gap that covers them.
            Input::Redis(BrokerEvent::Message(_)) | Input::Switched => {}
        }
    }

    fn on_redis(&mut self, input: Input, tell: &mut impl FnMut(BrokerEvent)) {
        if let Some(reason) = self.refused.take() {
            tell(BrokerEvent::Refused(reason));
            return;
        }
        let confirms = matches!(&input, Input::Redis(BrokerEvent::Subscribed | BrokerEvent::Gap { .. }));
        self.confirmed |= confirms;
        if self.confirmed && self.tell_gap(tell) && confirms {
            // One loss, one gap.
            return;
        }
        match input {
            Input::Redis(BrokerEvent::Subscribed) if self.heard => {}
            Input::Redis(event) => {
                self.heard |= event == BrokerEvent::Subscribed;
                tell(event);
            }
            Input::Memory(_) | Input::Switched => {}
        }
    }

    /// Tells the gap that is due; whether one was.
    fn tell_gap(&mut self, tell: &mut impl FnMut(BrokerEvent)) -> bool {
        let due = std::mem::take(&mut self.gap_due);
        if due {
            tell(BrokerEvent::Gap { dropped: None, reason: GapReason::Failover });
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to one topic, and what its sink hears of it, in words:
    ///
    /// - `begin`: it is subscribed to;
    /// - `away`, `back`: an era of memory, or of Redis, begins, and the topic is told; `AWAY`, `BACK`: not yet;
    /// - `subscribed`, `reconnect`, `redis`, `refused`: Redis confirms the topic, or says a gap, a message, a refusal;
    /// - `memory`: this node publishes in an era of memory;
    /// - after `>`: what the sink hears: `S`ubscribed, `F`ailover, `B`roker reconnect, `r`edis' message, `m`emory's,
    ///   `X` refused, `-` nothing.
    const TABLE: &[(&str, &str)] = &[
        ("Redis alone", "begin>- subscribed>S redis>r redis>r"),
        ("a short outage is Redis' own gap", "begin>- subscribed>S reconnect>B redis>r"),
        ("there and back, quiet", "begin>- subscribed>S away>F memory>m reconnect>- back>F redis>r"),
        (
            "nothing of Redis is heard before the gap, nothing of memory after it",
            "begin>- subscribed>S redis>r away>F memory>m reconnect>- redis>- memory>m back>F redis>r",
        ),
        (
            "an event may come before the topic is told of the new era",
            "begin>- subscribed>S AWAY memory>Fm away>- reconnect>- redis>- BACK redis>Fr back>- redis>r",
        ),
        ("a topic that begins in memory", "begin>- AWAY away>S memory>m subscribed>- back>F redis>r"),
        (
            "a topic that begins in memory and is confirmed only after the return",
            "AWAY begin>S memory>m BACK back>- subscribed>F redis>r",
        ),
        (
            "a topic that waits for Redis hears it from memory, and of no gap before that",
            "begin>- away>S memory>m subscribed>- back>F",
        ),
        (
            "a topic that waits for Redis, and memory's first event",
            "begin>- AWAY memory>Sm away>- BACK subscribed>F redis>r",
        ),
        (
            "Redis comes and goes before the switch",
            "begin>- subscribed>S away>F reconnect>- redis>- reconnect>- redis>- back>F redis>r",
        ),
        (
            "Redis was on its way back when memory took over",
            "begin>- subscribed>S reconnect>B redis>r away>F redis>- back>F redis>r",
        ),
        (
            "Redis is gone again before the topic was confirmed",
            "AWAY begin>S BACK back>- AWAY away>F memory>m subscribed>- back>F",
        ),
        (
            "Redis is gone again and has said so",
            "begin>- subscribed>S away>F reconnect>- back>F reconnect>B away>F",
        ),
        ("two switches at once are one gap", "begin>- subscribed>S AWAY BACK back>F redis>r"),
        (
            "two switches at once where nobody was told anything are none",
            "begin>- AWAY BACK back>- subscribed>S",
        ),
        ("refused", "begin>- refused>X"),
        ("refused after a reconnect", "begin>- subscribed>S refused>X"),
        ("refused while memory serves", "begin>- subscribed>S away>F refused>- memory>m back>X"),
        ("refused while memory serves, and heard of by a message", "AWAY begin>S refused>- BACK redis>X"),
    ];

    #[test]
    fn redis_and_memory_take_turns() {
        for (fact, steps) in TABLE {
            let (mut era, mut topic) = (Era::REDIS, None);
            for step in steps.split_whitespace() {
                let (word, expected) = step.split_once('>').unwrap_or((step, ""));
                let switches = match word {
                    "AWAY" | "BACK" => true,
                    "away" => !era.is_memory(),
                    "back" => era.is_memory(),
                    _ => false,
                };
                era = if switches { era.next() } else { era };
                if !matches!(word, "AWAY" | "BACK") {
                    let topic = topic.get_or_insert_with(|| Topic::new(era));
                    assert_eq!(heard(topic, era, input(word)), expected, "{fact}: {step} in {steps}");
                }
            }
        }
    }

    fn input(word: &str) -> Input {
        match word {
            "begin" | "away" | "back" => Input::Switched,
            "memory" => Input::Memory("m".into()),
            "subscribed" => Input::Redis(BrokerEvent::Subscribed),
            "reconnect" => {
                Input::Redis(BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect })
            }
            "redis" => Input::Redis(BrokerEvent::Message("r".into())),
            "refused" => Input::Redis(BrokerEvent::Refused("no".into())),
            _ => panic!("no such step: {word}"),
        }
    }

    fn heard(topic: &mut Topic, era: Era, input: Input) -> String {
        let mut heard = String::new();
        topic.handle(era, input, |event| {
            let word = match event {
                BrokerEvent::Gap { reason: GapReason::BrokerReconnect, .. } => "B",
                BrokerEvent::Gap { reason: GapReason::Failover, .. } => "F",
                BrokerEvent::Message(payload) => {
                    return heard.push_str(std::str::from_utf8(&payload).unwrap());
                }
                BrokerEvent::Refused(_) => "X",
                BrokerEvent::Subscribed => "S",
            };
            heard.push_str(word);
        });
        if heard.is_empty() { "-".into() } else { heard }
    }
}
