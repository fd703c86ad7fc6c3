//! Which topics are wanted, and what the server knows of them: [`Topics`]. No I/O.

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

    /// One thing that happens to the topic `t`, or one thing that must be seen.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A new sink, with this number, wants the topic.
        Subscribe(usize),
        Unsubscribe,
        Disconnected,
        /// What is unsettled is turned into commands, which must be these for `t`.
        Asks(&'static [&'static str]),
        /// The server confirms, and this sink is told this.
        Subscribed(Option<(usize, Told)>),
        Unsubscribed,
        Refused(Option<usize>),
        /// A message arrives, and this sink hears it.
        Message(Option<usize>),
        /// So many topics are remembered.
        Len(usize),
    }

    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Told {
        Gap,
        Subscribed,
    }

    use Step::{Asks, Disconnected, Len, Message, Refused, Subscribe, Subscribed, Unsubscribe, Unsubscribed};

    const SUB: Step = Asks(&["SUBSCRIBE"]);
    const UNSUB: Step = Asks(&["UNSUBSCRIBE"]);
    const QUIET: Step = Asks(&[]);

    const fn tells(sink: usize, told: Told) -> Step {
        Subscribed(Some((sink, told)))
    }

    #[test]
    fn what_is_wanted_and_what_the_server_knows_come_to_agree() {
        use Told::{Gap, Subscribed as Yes};
        let rows: &[(&str, &[Step])] = &[
            (
                "a topic lives and ends",
                &[
                    Subscribe(1),
                    Message(None),
                    SUB,
                    Message(None),
                    tells(1, Yes),
                    Message(Some(1)),
                    QUIET,
                    Unsubscribe,
                    Message(None),
                    UNSUB,
                    Message(None),
                    Unsubscribed,
                    QUIET,
                    Len(0),
                ],
            ),
            ("unsubscribed before it was asked for", &[Subscribe(1), Unsubscribe, QUIET, Len(0)]),
            (
                "unsubscribed while asked for",
                &[
                    Subscribe(1),
                    SUB,
                    Unsubscribe,
                    QUIET,
                    Subscribed(None),
                    UNSUB,
                    Unsubscribed,
                    QUIET,
                    Len(0),
                ],
            ),
            (
                "unsubscribed and wanted again while asked for",
                &[
                    Subscribe(1),
                    SUB,
                    Unsubscribe,
                    Subscribe(2),
                    QUIET,
                    tells(2, Yes),
                    Message(Some(2)),
                    QUIET,
                ],
            ),
            (
                "wanted again before the end was asked for",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Unsubscribe,
                    Subscribe(2),
                    Message(None),
                    SUB,
                    tells(2, Yes),
                    Message(Some(2)),
                    QUIET,
                ],
            ),
            (
                "wanted again while the end is asked for",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Unsubscribe,
                    UNSUB,
                    Subscribe(2),
                    QUIET,
                    Message(None),
                    Unsubscribed,
                    SUB,
                    tells(2, Yes),
                    Message(Some(2)),
                    QUIET,
                ],
            ),
            (
                "wanted and ended again while the end is asked for",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Unsubscribe,
                    UNSUB,
                    Subscribe(2),
                    Unsubscribe,
                    QUIET,
                    Unsubscribed,
                    QUIET,
                    Len(0),
                ],
            ),
            ("replaced before the confirmation", &[Subscribe(1), SUB, Subscribe(2), tells(2, Yes), QUIET]),
            (
                "replaced after the confirmation",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Subscribe(2),
                    Message(None),
                    SUB,
                    tells(2, Yes),
                    Message(Some(2)),
                    QUIET,
                ],
            ),
            (
                "a lost connection is a gap",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Disconnected,
                    Message(None),
                    SUB,
                    Message(None),
                    tells(1, Gap),
                    Message(Some(1)),
                    QUIET,
                ],
            ),
            (
                "two losses in a row are one gap",
                &[
                    Subscribe(1),
                    SUB,
                    tells(1, Yes),
                    Disconnected,
                    SUB,
                    Disconnected,
                    SUB,
                    tells(1, Gap),
                    QUIET,
                ],
            ),
            (
                "a loss before the confirmation is no gap",
                &[Subscribe(1), SUB, Disconnected, SUB, tells(1, Yes), QUIET],
            ),
            (
                "a sink that came during the loss hears of no gap",
                &[Subscribe(1), SUB, tells(1, Yes), Disconnected, Subscribe(2), SUB, tells(2, Yes), QUIET],
            ),
            (
                "unsubscribed during the loss",
                &[Subscribe(1), SUB, tells(1, Yes), Disconnected, Unsubscribe, QUIET, Len(0)],
            ),
            (
                "lost while the end is asked for",
                &[Subscribe(1), SUB, tells(1, Yes), Unsubscribe, UNSUB, Disconnected, QUIET, Len(0)],
            ),
            ("refused", &[Subscribe(1), SUB, Refused(Some(1)), QUIET, Len(0), Message(None)]),
            ("refused after it was ended", &[Subscribe(1), SUB, Unsubscribe, Refused(None), QUIET, Len(0)]),
            (
                "refused, then wanted again",
                &[Subscribe(1), SUB, Refused(Some(1)), Subscribe(2), SUB, tells(2, Yes)],
            ),
            (
                "refused after a loss",
                &[Subscribe(1), SUB, tells(1, Yes), Disconnected, SUB, Refused(Some(1)), QUIET, Len(0)],
            ),
            ("confirmations of unknown topics are ignored", &[Subscribed(None), Unsubscribed, QUIET, Len(0)]),
        ];
        for (fact, steps) in rows {
            check(fact, steps);
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
        /// Every sink that was used, by its number.
        sinks: HashMap<usize, Arc<dyn Sink>>,
    }

    fn check(fact: &str, steps: &[Step]) {
        let mut table = Table::default();
        for (i, step) in steps.iter().enumerate() {
            table.step(*step, &format!("{fact}: step {i}, {step:?}"));
        }
    }

    impl Table {
        fn step(&mut self, step: Step, place: &str) {
            match step {
                Subscribe(number) => {
                    let sink: Arc<dyn Sink> = Arc::new(Silent);
                    self.sinks.insert(number, Arc::clone(&sink));
                    self.topics.subscribe("t", sink);
                }
                Unsubscribe => drop(self.topics.unsubscribe("t")),
                Disconnected => self.topics.disconnected(),
                Asks(expected) => assert_eq!(self.asks(), expected, "{place}"),
                Subscribed(expected) => {
                    let told =
                        self.topics.subscribed("t").map(|(sink, event)| (self.number(&sink), told(&event)));
                    assert_eq!(told, expected, "{place}");
                }
                Unsubscribed => self.topics.unsubscribed("t"),
                Refused(expected) => {
                    let sink = self.topics.refused("t");
                    assert_eq!(sink.map(|sink| self.number(&sink)), expected, "{place}");
                }
                Message(expected) => {
                    let sink = self.topics.sink("t");
                    assert_eq!(sink.map(|sink| self.number(&sink)), expected, "{place}");
                }
                Len(expected) => assert_eq!(self.topics.len(), expected, "{place}"),
            }
        }

        fn asks(&mut self) -> Vec<&'static str> {
            let names = self.topics.take_unsettled();
            let commands = self.topics.commands(&names);
            let subscribe = commands.subscribe.iter().map(|_| "SUBSCRIBE");
            subscribe.chain(commands.unsubscribe.iter().map(|_| "UNSUBSCRIBE")).collect()
        }

        fn number(&self, sink: &Arc<dyn Sink>) -> usize {
            let found = self.sinks.iter().find(|(_, known)| Arc::ptr_eq(known, sink));
            *found.expect("only known sinks are used").0
        }
    }

    fn told(event: &BrokerEvent) -> Told {
        match event {
            BrokerEvent::Gap { dropped: None, reason: GapReason::BrokerReconnect } => Told::Gap,
            BrokerEvent::Subscribed => Told::Subscribed,
            other => panic!("no sink is told {other:?} here"),
        }
    }
}
