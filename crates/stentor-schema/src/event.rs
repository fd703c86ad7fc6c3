//! A decoded payload: [`Event`].

use std::sync::OnceLock;

use bytes::Bytes;
use cel::common::value::Val;
use serde_json::Value;

use crate::{condition, json::Plain};

/// One event's payload, decoded once per node and shared by every audience of its topic.
#[derive(Debug)]
pub struct Event {
    payload: Payload,
    /// What conditions read. Made by the first of them, since most topics have none.
    cel: OnceLock<Box<dyn Val>>,
}

#[derive(Debug)]
enum Payload {
    Json(Value),
    Text(String),
}

/// A payload that its topic's fields cannot use; text for the operator's log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Event {
    /// Decodes a payload: one that begins with `{` or `[` is JSON, anything else is text and never parsed.
    ///
    /// # Errors
    ///
    /// JSON that does not parse or nests deeper than 127 levels, text that is not UTF-8.
    pub fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        if matches!(payload.first(), Some(b'{' | b'[')) {
            return match serde_json::from_slice(payload) {
                Ok(Plain(json)) => Ok(Self::from_json(json)),
                Err(error) => Err(Malformed(format!("payload is not JSON: {error}"))),
            };
        }
        match std::str::from_utf8(payload) {
            Ok(text) => Ok(Self::from_text(text)),
            Err(error) => Err(Malformed(format!("payload is not UTF-8: {error}"))),
        }
    }

    /// An event that is JSON already.
    pub fn from_json(json: Value) -> Self {
        Self { payload: Payload::Json(json), cel: OnceLock::new() }
    }

    /// An event that is text, whatever it begins with.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { payload: Payload::Text(text.into()), cel: OnceLock::new() }
    }

    /// The event with a value over it that was loaded after it: of two objects the members of both, those of `loaded` first;
    /// otherwise `loaded` alone.
    #[must_use]
    pub fn under(&self, loaded: &Value) -> Self {
        let (Some(Value::Object(event)), Value::Object(loaded)) = (self.json(), loaded) else {
            return Self::from_json(loaded.clone());
        };
        let mut merged = event.clone();
        merged.extend(loaded.iter().map(|(key, value)| (key.clone(), value.clone())));
        Self::from_json(Value::Object(merged))
    }

    /// The payload as one JSON value: text is a string.
    pub fn into_json(self) -> Value {
        match self.payload {
            Payload::Json(json) => json,
            Payload::Text(text) => Value::String(text),
        }
    }

    /// The payload, if it is JSON.
    pub fn json(&self) -> Option<&Value> {
        match &self.payload {
            Payload::Json(json) => Some(json),
            Payload::Text(_) => None,
        }
    }

    /// The payload, if it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.payload {
            Payload::Json(_) => None,
            Payload::Text(text) => Some(text),
        }
    }

    /// The payload as conditions see it, converted at most once however many audiences ask.
    pub(crate) fn cel(&self) -> &dyn Val {
        self.cel
            .get_or_init(|| match &self.payload {
                Payload::Json(json) => condition::cel_value(json),
                Payload::Text(text) => condition::cel_text(text),
            })
            .as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(payload: &'static [u8]) -> Result<Event, Malformed> {
        Event::decode(&Bytes::from_static(payload))
    }

    #[test]
    fn only_the_first_byte_makes_a_payload_json() {
        let rows: [(&'static [u8], Option<Value>); 8] = [
            (br#"{"a": 1}"#, Some(json!({"a": 1}))),
            (b"[1, 2]", Some(json!([1, 2]))),
            (b" {}", None),
            (b"42", None),
            (b"\"quoted\"", None),
            (b"true", None),
            (b"null", None),
            (b"", None),
        ];
        for (payload, expected) in rows {
            let event = decode(payload).unwrap();
            assert_eq!(event.json(), expected.as_ref(), "{payload:?}");
            assert_eq!(event.text().is_some(), expected.is_none(), "{payload:?}");
        }
    }

    #[test]
    fn text_is_kept_as_it_came() {
        assert_eq!(decode(" d-1\n".as_bytes()).unwrap().text(), Some(" d-1\n"));
    }

    #[test]
    fn broken_json_and_broken_text_are_malformed() {
        let rows: [&'static [u8]; 5] = [b"{", b"{\"a\": 1} x", b"[1,]", b"\xff\xfe", b"{\"a\": \"\xff\"}"];
        for payload in rows {
            assert!(decode(payload).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn deep_json_is_malformed_and_not_a_crash() {
        let deep = "[".repeat(100_000);
        assert!(Event::decode(&Bytes::from(deep)).is_err());
    }

    #[test]
    fn text_within_json_is_never_read_as_json() {
        let mut payload = "1".to_owned();
        while payload.len() < 200_000 {
            let text = Value::from(payload).to_string();
            let (open, close) = ("[".repeat(100), "]".repeat(100));
            payload = format!(r#"{open}{{"$serde_json::private::RawValue":{text}}}{close}"#);
        }
        let event = Event::decode(&Bytes::from(payload)).unwrap();
        let mut levels = 0;
        let mut value = event.json();
        while let Some(within) = value.and_then(|value| value.get(0)) {
            levels += 1;
            value = Some(within);
        }
        assert_eq!(levels, 100);
        assert!(value.is_some_and(|value| value["$serde_json::private::RawValue"].is_string()));
    }

    #[test]
    fn the_cel_value_is_made_once() {
        let event = Event::from_json(json!({"a": 1}));
        assert!(std::ptr::eq(event.cel(), event.cel()));
    }
}
