//! What a sink hears of a hash on Redis and of one in memory while they take turns: [`Key`]. No I/O.

use super::era::Era;
use crate::{GapReason, HashEvent};

/// One key, from the beginning of its watch on.
///
/// It is watched anew in each era, so what it hears is of one era and counts in that era alone.
#[derive(Debug)]
pub(super) struct Key {
    era: Era,
    /// Whether the sink has been told that changes are seen.
    heard: bool,
}

/// What happens to a key.
#[derive(Debug)]
pub(super) enum Input {
    /// Redis or memory speaks, to a watch that was begun in this era.
    Told(Era, HashEvent),
    /// Nothing but the beginning of a new era.
    Switched,
}

impl Key {
    pub(super) fn new(era: Era) -> Self {
        Self { era, heard: false }
    }

    /// Takes `input`, which comes in `era`, and lets `tell` say what the sink is to hear of it. `Refused` is the last.
    pub(super) fn handle(&mut self, era: Era, input: Input, mut tell: impl FnMut(HashEvent)) {
        if self.era != era {
            self.era = era;
            if self.heard {
                tell(HashEvent::Gap { reason: GapReason::Failover });
            }
        }
        match input {
            Input::Told(begun, HashEvent::Watching) if begun == era => {
                if !std::mem::replace(&mut self.heard, true) {
                    tell(HashEvent::Watching);
                }
            }
            Input::Told(begun, event) if begun == era => tell(event),
            Input::Told(..) | Input::Switched => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to one key, and what its sink hears of it, in words:
    ///
    /// - `switch`: a new era begins, and the key is told; `SWITCH`: not yet;
    /// - `watching`, `value`, `absent`, `refused`: this is said to the watch of the present era; `old`: a value, to the one before;
    /// - after `>`: what the sink hears: `W`atching, `F`ailover, `v`alue, `A`bsent, `X` refused, `-` nothing.
    const TABLE: &[(&str, &str)] = &[
        ("one era", "watching>W value>v absent>A value>v"),
        ("there and back", "watching>W value>v switch>F watching>- value>v switch>F watching>- value>v"),
        ("nothing of an era is heard after it", "watching>W switch>F old>- watching>- old>- value>v"),
        ("a value may come before the key is told of the new era", "watching>W SWITCH value>Fv value>v"),
        ("the old era's last word tells of the new one", "watching>W SWITCH old>F value>v"),
        ("a key that waits hears of no gap", "switch>- watching>W value>v"),
        ("refused", "refused>X"),
        ("refused later", "watching>W switch>F refused>X"),
    ];

    #[test]
    fn redis_and_memory_take_turns() {
        for (fact, steps) in TABLE {
            let (mut era, mut key) = (Era::REDIS, Key::new(Era::REDIS));
            let mut before = era;
            for step in steps.split_whitespace() {
                let (word, expected) = step.split_once('>').unwrap_or((step, ""));
                if matches!(word, "SWITCH" | "switch") {
                    before = era;
                    era = era.next();
                }
                let input = match word {
                    "SWITCH" => continue,
                    "switch" => Input::Switched,
                    "watching" => Input::Told(era, HashEvent::Watching),
                    "value" => Input::Told(era, HashEvent::Value(Default::default())),
                    "absent" => Input::Told(era, HashEvent::Absent),
                    "old" => Input::Told(before, HashEvent::Value(Default::default())),
                    "refused" => Input::Told(era, HashEvent::Refused("no".into())),
                    _ => panic!("no such step: {step}"),
                };
                assert_eq!(heard(&mut key, era, input), expected, "{fact}: {step} in {steps}");
            }
        }
    }

    fn heard(key: &mut Key, era: Era, input: Input) -> String {
        let mut heard = String::new();
        key.handle(era, input, |event| {
            heard.push(match event {
                HashEvent::Absent => 'A',
                HashEvent::Gap { .. } => 'F',
                HashEvent::Refused(_) => 'X',
                HashEvent::Value(_) => 'v',
                HashEvent::Watching => 'W',
            });
        });
        if heard.is_empty() { "-".into() } else { heard }
    }
}
