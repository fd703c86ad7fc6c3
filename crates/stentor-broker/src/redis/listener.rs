//! From the socket's reader straight to the sinks: [`hear`].

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};

use super::{Shared, Speaker};
use crate::BrokerEvent;

/// Takes what the server said unasked to the connection `speaker`, and tells the topic's sink.
///
/// Runs inside the connection's own task, in the order of the socket, so a topic's confirmation, its gap and its
/// messages reach the sink in the order in which the server sent them.
pub(super) fn hear(shared: &Shared, speaker: Speaker, info: PushInfo) {
    shared.speak(speaker, || match info.kind {
        PushKind::Message => message(shared, info.data),
        PushKind::Subscribe => subscribed(shared, &info.data),
        PushKind::Unsubscribe => unsubscribed(shared, &info.data),
        // Patterns and shards are never asked for, and the end of a connection is seen elsewhere.
        _ => {}
    });
}

fn message(shared: &Shared, data: Vec<Value>) {
    let mut data = data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next())
    else {
        return;
    };
    let Ok(channel) = std::str::from_utf8(&channel) else { return };
    // The lock is released before the sink is told, so that a sink may subscribe and unsubscribe.
    let sink = shared.topics.lock().sink(channel);
    if let Some(sink) = sink {
        sink.deliver(BrokerEvent::Message(Bytes::from(payload)));
    }
}

fn subscribed(shared: &Shared, data: &[Value]) {
    let Some(channel) = channel(data) else { return };
    let told = shared.topics.lock().subscribed(channel);
    if let Some((sink, event)) = told {
        sink.deliver(event);
    }
}

fn unsubscribed(shared: &Shared, data: &[Value]) {
    if let Some(channel) = channel(data) {
        shared.topics.lock().unsubscribed(channel);
    }
}

fn channel(data: &[Value]) -> Option<&str> {
    match data.first() {
        Some(Value::BulkString(channel)) => std::str::from_utf8(channel).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::{RedisConfig, Sink, redis::supervisor::disconnect};

    #[derive(Default)]
    struct Heard(Mutex<Vec<BrokerEvent>>);

    impl Sink for Heard {
        fn deliver(&self, event: BrokerEvent) {
            self.0.lock().push(event);
        }
    }

    /// The topic `a` is asked for on connection 0.
    fn asked() -> (Shared, Arc<Heard>) {
        let shared = Shared::new(&RedisConfig::new("redis://localhost")).unwrap();
        let heard = Arc::new(Heard::default());
        shared.topics.lock().subscribe("a", Arc::clone(&heard) as Arc<dyn Sink>);
        ask(&shared);
        (shared, heard)
    }

    fn ask(shared: &Shared) {
        let mut topics = shared.topics.lock();
        let names = topics.take_unsettled();
        topics.commands(&names);
    }

    fn push(kind: PushKind, words: &[&[u8]]) -> PushInfo {
        PushInfo { kind, data: words.iter().map(|word| Value::BulkString(word.to_vec())).collect() }
    }

    fn message() -> PushInfo {
        push(PushKind::Message, &[b"a", b"x"])
    }

    const OLD: Speaker = Speaker::Generation(0);
    const NEW: Speaker = Speaker::Generation(1);

    #[test]
    fn a_connection_that_was_given_up_is_heard_no_more() {
        let (shared, heard) = asked();
        hear(&shared, OLD, push(PushKind::Subscribe, &[b"a"]));
        hear(&shared, OLD, message());
        disconnect(&shared, 1);
        ask(&shared);
        hear(&shared, OLD, push(PushKind::Subscribe, &[b"a"]));
        hear(&shared, NEW, push(PushKind::Subscribe, &[b"a"]));
        hear(&shared, OLD, message());
        hear(&shared, OLD, push(PushKind::Unsubscribe, &[b"a"]));
        hear(&shared, NEW, message());
        let gap = BrokerEvent::Gap { dropped: None, reason: crate::GapReason::BrokerReconnect };
        let x = || BrokerEvent::Message("x".into());
        assert_eq!(*heard.0.lock(), [BrokerEvent::Subscribed, x(), gap, x()]);
    }

    #[test]
    fn a_closed_broker_hears_nothing() {
        let (shared, heard) = asked();
        *shared.speaker.lock() = Speaker::Nobody;
        disconnect(&shared, 1);
        hear(&shared, OLD, push(PushKind::Subscribe, &[b"a"]));
        hear(&shared, NEW, push(PushKind::Subscribe, &[b"a"]));
        assert_eq!(*heard.0.lock(), []);
    }

    #[test]
    fn what_has_not_the_form_of_a_push_is_ignored() {
        let (shared, heard) = asked();
        hear(&shared, OLD, push(PushKind::Subscribe, &[b"a"]));
        for kind in [PushKind::Message, PushKind::Subscribe, PushKind::Unsubscribe] {
            hear(&shared, OLD, push(kind.clone(), &[]));
            hear(&shared, OLD, PushInfo { kind: kind.clone(), data: vec![Value::Nil, Value::Int(1)] });
            hear(&shared, OLD, push(kind, &[b"\xff", b"x"]));
        }
        hear(&shared, OLD, push(PushKind::Message, &[b"a"]));
        hear(&shared, OLD, push(PushKind::PMessage, &[b"a", b"x"]));
        hear(&shared, OLD, push(PushKind::Other("news".into()), &[b"a", b"x"]));
        assert_eq!(*heard.0.lock(), [BrokerEvent::Subscribed]);
    }
}
