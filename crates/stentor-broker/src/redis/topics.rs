//! Which topics are wanted, and what the server knows of them: [`Topics`]. No I/O.
//!
//! Named here as the server names them: by their channels. The channels on which the server announces changes of hashes
//! are among them, with sinks of our own.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{BrokerEvent, GapReason, Sink};

/// Every topic that somebody wants, or that the server still knows.
///
/// What is wanted changes at any time; what the server knows changes only by its confirmations. A topic where the two
/// may differ is *unsettled*; [`Topics::commands`] says what to ask of the server so that they agree, and asks nothing
/// of a topic whose last command is not confirmed yet.
#[derive(Default)]
pub(super) struct Topics {
    by_name: HashMap<Arc<str>, Topic>,
    unsettled: HashSet<Arc<str>>,
    closed: bool,
}

struct Topic {
    /// Who wants it, if anyone still does.
    sink: Option<Arc<dyn Sink>>,
    server: ServerSide,
    heard: Heard,
}

/// What the server knows of a topic on this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ServerSide {
    Absent,
    Subscribed,
    Subscribing,
    Unsubscribing,
}

/// What the present sink has been told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    Nothing,
    /// That every event arrives, and so it is.
    Subscribed,
    /// That every event arrives, but the connection was lost since: a gap is due.
    Stale,
}

/// What is to be asked of the server for some topics.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Commands {
    pub(super) subscribe: Vec<Arc<str>>,
    pub(super) unsubscribe: Vec<Arc<str>>,
}

impl Topics {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Wants `name` for `sink`. The sink it had is handed back, to be dropped where no lock is held.
    pub(super) fn subscribe(&mut self, name: &str, sink: Arc<dyn Sink>) -> Option<Arc<dyn Sink>> {
        if self.closed {
            return Some(sink);
        }
        let name = Arc::<str>::from(name);
        self.unsettled.insert(Arc::clone(&name));
        let topic = self.by_name.entry(name).or_insert(Topic {
            sink: None,
            server: ServerSide::Absent,
            heard: Heard::Nothing,
        });
        topic.heard = Heard::Nothing;
        topic.sink.replace(sink)
    }

    /// Wants `name` no longer. Its sink is handed back, to be dropped where no lock is held.
    pub(super) fn unsubscribe(&mut self, name: &str) -> Option<Arc<dyn Sink>> {
        let topic = self.by_name.get_mut(name)?;
        if topic.server == ServerSide::Absent {
            return self.remove(name);
        }
        topic.heard = Heard::Nothing;
        let sink = topic.sink.take();
        self.unsettle(name);
        sink
    }

    /// Forgets everything, for good. What was forgotten is handed back, to be dropped where no lock is held.
    pub(super) fn close(&mut self) -> Self {
        std::mem::replace(self, Self { closed: true, ..Self::default() })
    }

    /// The names of the topics that may need a command. They count as settled until something happens to them.
    pub(super) fn take_unsettled(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.unsettled).into_iter().collect()
    }

    /// What to ask of the server for `names`; counts as asked.
    pub(super) fn commands(&mut self, names: &[Arc<str>]) -> Commands {
        let mut commands = Commands::default();
        for name in names {
            let Some(topic) = self.by_name.get_mut(name) else { continue };
            match (topic.server, &topic.sink, topic.heard) {
                (ServerSide::Absent, Some(_), _) | (ServerSide::Subscribed, Some(_), Heard::Nothing) => {
                    topic.server = ServerSide::Subscribing;
                    commands.subscribe.push(Arc::clone(name));
                }
                (ServerSide::Subscribed, None, _) => {
                    topic.server = ServerSide::Unsubscribing;
                    commands.unsubscribe.push(Arc::clone(name));
                }
                (ServerSide::Subscribed, Some(_), Heard::Subscribed | Heard::Stale)
                | (ServerSide::Absent, None, _)
                | (ServerSide::Subscribing | ServerSide::Unsubscribing, _, _) => {}
            }
        }
        commands
    }

    /// The server confirms that it sends `name`'s events from here on: whom to tell, and what.
    pub(super) fn subscribed(&mut self, name: &str) -> Option<(Arc<dyn Sink>, BrokerEvent)> {
        let topic = self.by_name.get_mut(name)?;
        topic.server = ServerSide::Subscribed;
        let Some(sink) = &topic.sink else {
            self.unsettle(name);
            return None;
        };
        let event = match topic.heard {
            Heard::Nothing => BrokerEvent::Subscribed,
            Heard::Stale => BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect },
            Heard::Subscribed => return None,
        };
        topic.heard = Heard::Subscribed;
        Some((Arc::clone(sink), event))
    }

    /// The server confirms that it sends `name`'s events no more.
    pub(super) fn unsubscribed(&mut self, name: &str) {
        let Some(topic) = self.by_name.get_mut(name) else { return };
        topic.server = ServerSide::Absent;
        if topic.sink.is_some() {
            self.unsettle(name);
        } else {
            self.remove(name);
        }
    }

    /// The server will never send `name`'s events: whom to tell.
    pub(super) fn refused(&mut self, name: &str) -> Option<Arc<dyn Sink>> {
        self.remove(name)
    }

    /// The connection is lost, and with it everything that the server knew.
    pub(super) fn disconnected(&mut self) {
        self.by_name.retain(|_, topic| topic.sink.is_some());
        for topic in self.by_name.values_mut() {
            topic.server = ServerSide::Absent;
            if topic.heard == Heard::Subscribed {
                topic.heard = Heard::Stale;
            }
        }
        self.unsettled = self.by_name.keys().cloned().collect();
    }

    /// Who is to hear an event of `name`: a sink that has been told that events arrive, and not one before that.
    pub(super) fn sink(&self, name: &str) -> Option<Arc<dyn Sink>> {
        let topic = self.by_name.get(name)?;
        topic.sink.as_ref().filter(|_| topic.heard == Heard::Subscribed).cloned()
    }

    fn unsettle(&mut self, name: &str) {
        if let Some((name, _)) = self.by_name.get_key_value(name) {
            self.unsettled.insert(Arc::clone(name));
        }
    }

    fn remove(&mut self, name: &str) -> Option<Arc<dyn Sink>> {
        self.unsettled.remove(name);
        self.by_name.remove(name)?.sink
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to one topic, and what must be seen, in words:
    ///
    /// - `want:1`, `leave`, `lost`: sink 1 subscribes, the sink unsubscribes, the connection is lost;
    /// - `SUBSCRIBE`, `UNSUBSCRIBE`, `quiet`: what is asked of the server now, or that nothing is;
    /// - `subscribed`, `unsubscribed`: the server confirms, and nobody is told anything;
    /// - `subscribed:1`, `gap:1`: the server confirms, and this is what sink 1 is told;
    /// - `message:1`, `refused:1`, or `:0`: the server says so, and sink 1, or nobody, is told;
    /// - `empty`: nothing is remembered.
    const TABLE: &[(&str, &str)] = &[
        (
            "a topic lives and ends",
            "want:1 message:0 SUBSCRIBE message:0 subscribed:1 message:1 quiet \
             leave message:0 UNSUBSCRIBE message:0 unsubscribed quiet empty",
        ),
        ("left before it was asked for", "want:1 leave quiet empty"),
        (
            "left while it is asked for",
            "want:1 SUBSCRIBE leave quiet subscribed UNSUBSCRIBE unsubscribed quiet empty",
        ),
        (
            "left and wanted again while it is asked for",
            "want:1 SUBSCRIBE leave want:2 quiet subscribed:2 message:2 quiet",
        ),
        (
            "wanted again before its end is asked for",
            "want:1 SUBSCRIBE subscribed:1 leave want:2 message:0 SUBSCRIBE message:0 subscribed:2 message:2 quiet",
        ),
        (
            "wanted again while its end is asked for",
            "want:1 SUBSCRIBE subscribed:1 leave UNSUBSCRIBE want:2 quiet message:0 unsubscribed \
             SUBSCRIBE subscribed:2 message:2 quiet",
        ),
        (
            "wanted and left again while its end is asked for",
            "want:1 SUBSCRIBE subscribed:1 leave UNSUBSCRIBE want:2 leave quiet unsubscribed quiet empty",
        ),
        (
            "replaced before the confirmation",
            "want:1 SUBSCRIBE want:2 message:0 subscribed:2 message:2 quiet",
        ),
        (
            "replaced after the confirmation",
            "want:1 SUBSCRIBE subscribed:1 want:2 message:0 SUBSCRIBE subscribed:2 message:2 quiet",
        ),
        (
            "a lost connection is a gap",
            "want:1 SUBSCRIBE subscribed:1 lost message:0 SUBSCRIBE message:0 gap:1 message:1 quiet",
        ),
        (
            "two losses in a row are one gap",
            "want:1 SUBSCRIBE subscribed:1 lost SUBSCRIBE lost SUBSCRIBE gap:1 quiet",
        ),
        (
            "two losses apart are two gaps",
            "want:1 SUBSCRIBE subscribed:1 lost SUBSCRIBE gap:1 lost SUBSCRIBE gap:1",
        ),
        ("a loss before the confirmation is no gap", "want:1 SUBSCRIBE lost SUBSCRIBE subscribed:1 quiet"),
        (
            "a sink that came during the loss hears of no gap",
            "want:1 SUBSCRIBE subscribed:1 lost want:2 SUBSCRIBE subscribed:2 message:2 quiet",
        ),
        ("left during the loss", "want:1 SUBSCRIBE subscribed:1 lost leave quiet empty"),
        (
            "lost while its end is asked for",
            "want:1 SUBSCRIBE subscribed:1 leave UNSUBSCRIBE lost quiet empty",
        ),
        ("refused", "want:1 SUBSCRIBE refused:1 quiet empty message:0"),
        ("refused after it was left", "want:1 SUBSCRIBE leave refused:0 quiet empty"),
        ("refused and wanted again", "want:1 SUBSCRIBE refused:1 want:2 SUBSCRIBE subscribed:2"),
        ("refused after a loss", "want:1 SUBSCRIBE subscribed:1 lost SUBSCRIBE refused:1 quiet empty"),
        ("nobody asked", "subscribed unsubscribed message:0 refused:0 leave quiet empty"),
    ];

    #[test]
    fn what_is_wanted_and_what_the_server_knows_come_to_agree() {
        for (fact, steps) in TABLE {
            let mut table = Table::default();
            for step in steps.split_whitespace() {
                assert_eq!(table.step(step), step, "{fact}: {steps}");
            }
        }
    }

    #[test]
    fn topics_that_come_and_go_while_the_server_is_away_leave_nothing() {
        let mut topics = Topics::default();
        for i in 0..1000 {
            topics.subscribe(&i.to_string(), Arc::new(Silent));
            topics.unsubscribe(&i.to_string());
        }
        assert_eq!((topics.by_name.len(), topics.unsettled.len()), (0, 0));
    }

    #[test]
    fn a_closed_broker_wants_nothing() {
        let mut topics = Topics::default();
        topics.subscribe("t", Arc::new(Silent));
        assert_eq!(topics.close().len(), 1);
        assert!(topics.subscribe("t", Arc::new(Silent)).is_some(), "the sink is handed back");
        assert_eq!((topics.len(), topics.take_unsettled().len()), (0, 0));
    }

    struct Silent;

    impl Sink for Silent {
        fn deliver(&self, _: BrokerEvent) {}
    }

    #[derive(Default)]
    struct Table {
        topics: Topics,
        /// Every sink that was used; the first one is number 1.
        sinks: Vec<Arc<dyn Sink>>,
    }

    impl Table {
        /// Does what `step` says, and says what was seen in the same words.
        fn step(&mut self, step: &str) -> String {
            let (word, number) = step.split_once(':').unwrap_or((step, ""));
            match word {
                "want" => {
                    self.sinks.push(Arc::new(Silent));
                    assert_eq!(self.sinks.len().to_string(), number);
                    self.topics.subscribe("t", Arc::clone(&self.sinks[self.sinks.len() - 1]));
                }
                "leave" => drop(self.topics.unsubscribe("t")),
                "lost" => self.topics.disconnected(),
                "SUBSCRIBE" | "UNSUBSCRIBE" | "quiet" => return self.asked(),
                "subscribed" | "gap" => return self.confirmed(),
                "unsubscribed" => self.topics.unsubscribed("t"),
                "message" => return format!("message:{}", self.number(self.topics.sink("t"))),
                "refused" => {
                    let sink = self.topics.refused("t");
                    return format!("refused:{}", self.number(sink));
                }
                "empty" => assert_eq!((self.topics.by_name.len(), self.topics.unsettled.len()), (0, 0)),
                _ => panic!("no such step: {step}"),
            }
            step.into()
        }

        fn asked(&mut self) -> String {
            let names = self.topics.take_unsettled();
            let commands = self.topics.commands(&names);
            match (&*commands.subscribe, &*commands.unsubscribe) {
                ([], []) => "quiet".into(),
                ([_], []) => "SUBSCRIBE".into(),
                ([], [_]) => "UNSUBSCRIBE".into(),
                _ => format!("{commands:?}"),
            }
        }

        fn confirmed(&mut self) -> String {
            match self.topics.subscribed("t") {
                None => "subscribed".into(),
                Some((sink, BrokerEvent::Subscribed)) => format!("subscribed:{}", self.number(Some(sink))),
                Some((sink, BrokerEvent::Gap { dropped: None, .. })) => {
                    format!("gap:{}", self.number(Some(sink)))
                }
                Some((_, event)) => format!("{event:?}"),
            }
        }

        fn number(&self, sink: Option<Arc<dyn Sink>>) -> usize {
            let position = sink.map(|sink| self.sinks.iter().position(|known| Arc::ptr_eq(known, &sink)));
            position.map_or(0, |position| position.expect("only known sinks are used") + 1)
        }
    }
}
