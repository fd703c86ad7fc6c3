//! Events of one fixed width, so that a message's sequence number is always at the same place.

use serde_json::{Map, Value};

/// The id of the bot that a topic is about.
pub(crate) fn bot(topic: u64) -> String {
    format!("{topic:05}")
}

/// The topic of a bot's events.
pub(crate) fn topic(bot: &str) -> String {
    format!("bot:{bot}")
}

/// An event as the trading example's bot monitor publishes it; its `error` carries the sequence number.
pub(crate) fn encode(sequence: u64, bot: &str) -> String {
    format!(
        r#"{{"type":"bot_status","id":"{bot}","bot_id":"{bot}","status":"running","healthy":true,"error":"{MARKER}{sequence:010}","timestamp":"2026-01-01T00:00:00Z"}}"#
    )
}

/// The operation that every subscriber runs.
pub(crate) const QUERY: &str = "subscription ($botId: ID!) { botStatusChanged(botId: $botId) \
     { type id botId status healthy error timestamp } }";

/// Where the sequence number is in messages of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of the whole message.
    pub(crate) length: usize,
    digits: usize,
}

impl Layout {
    /// The layout that `message` has, if it carries an event.
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        let marker = message.windows(MARKER.len()).position(|bytes| bytes == MARKER.as_bytes())?;
        Some(Self { length: message.len(), digits: marker + MARKER.len() })
    }

    /// The sequence number of a message with this layout.
    pub(crate) fn sequence(self, message: &[u8]) -> Option<u64> {
        if message.len() != self.length {
            return None;
        }
        message
            .get(self.digits..self.digits + DIGITS)?
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
    }
}

/// Whether `message` is the `next` of this event, whole and with nothing beside it.
///
/// The floor passes the event's own keys on, so `bot_id` may stand for `botId`.
pub(crate) fn is_next(message: &Value, sequence: u64, bot: &str) -> bool {
    let event: Value = serde_json::from_str(&encode(sequence, bot)).unwrap_or_default();
    let Some(expected) = event.as_object() else { return false };
    let result = &message["payload"]["data"]["botStatusChanged"];
    message["type"] == "next"
        && message["id"] == OPERATION
        && message["payload"].as_object().is_some_and(|payload| payload.len() == 1)
        && result.as_object().is_some_and(|result| same_fields(result, expected))
}

fn same_fields(result: &Map<String, Value>, expected: &Map<String, Value>) -> bool {
    let camel_case = |key: &str| if key == "bot_id" { "botId" } else { key }.to_owned();
    let found = |key: &String| result.get(key).or_else(|| result.get(&camel_case(key)));
    result.len() == expected.len() && expected.iter().all(|(key, value)| found(key) == Some(value))
}

/// The id of the one operation on each connection.
pub(crate) const OPERATION: &str = "1";

const MARKER: &str = "order refused, ";
const DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn next(event: &str) -> String {
        format!(r#"{{"id":"1","type":"next","payload":{{"data":{{"botStatusChanged":{event}}}}}}}"#)
    }

    #[test]
    fn sequence_is_read_from_any_message_of_the_same_layout() {
        let layout = Layout::of(next(&encode(0, "00000")).as_bytes()).unwrap();
        for sequence in [0, 9, 1_234_567_890] {
            let message = next(&encode(sequence, "00042"));
            assert_eq!(layout.sequence(message.as_bytes()), Some(sequence));
        }
    }

    #[test]
    fn a_longer_message_has_no_sequence() {
        let message = next(&encode(7, "00042"));
        let layout = Layout::of(message.as_bytes()).unwrap();
        assert_eq!(layout.sequence(format!("{message} ").as_bytes()), None);
        assert_eq!(Layout::of(br#"{"type":"ping"}"#), None);
    }

    #[test]
    fn only_the_whole_event_alone_is_accepted() {
        let event = encode(7, "00042");
        let with_gap = next(&event)
            .replace("}}}", r#"}},"extensions":{"stentor":{"gap":{"dropped":1,"reason":"SLOW_CONSUMER"}}}}"#);
        for (message, accepted) in [
            (next(&event), true),
            (next(&event.replace("bot_id", "botId")), true),
            (next(&event.replace("true", "null")), false),
            (next(&event.replace(r#""status":"running","#, "")), false),
            (next(&encode(8, "00042")), false),
            (next(&encode(7, "00043")), false),
            (next(&event).replace("next", "error"), false),
            (with_gap, false),
        ] {
            let value = serde_json::from_str(&message).unwrap();
            assert_eq!(is_next(&value, 7, "00042"), accepted, "{message}");
        }
    }
}
