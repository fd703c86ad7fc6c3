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
    let Some(topic) = shared.server.topic(&channel) else { return };
    // The lock is released before the sink is told, so that a sink may subscribe and unsubscribe.
    let sink = shared.topics.lock().sink(topic);
    if let Some(sink) = sink {
        sink.deliver(BrokerEvent::Message(Bytes::from(payload)));
    }
}

fn subscribed(shared: &Shared, data: &[Value]) {
    let Some(topic) = topic(shared, data) else { return };
    let told = shared.topics.lock().subscribed(topic);
    if let Some((sink, event)) = told {
        sink.deliver(event);
    }
}

fn unsubscribed(shared: &Shared, data: &[Value]) {
    if let Some(topic) = topic(shared, data) {
        shared.topics.lock().unsubscribed(topic);
    }
}

fn topic<'a>(shared: &Shared, data: &'a [Value]) -> Option<&'a str> {
    match data.first() {
        Some(Value::BulkString(channel)) => shared.server.topic(channel),
        _ => None,
    }
}
