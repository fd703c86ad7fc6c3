//! Values of the embedding program as brokers carry them: [`payload`] of an event, [`texts`] of a hash.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use stentor_broker::{HashError, PublishError};

/// An event's payload, as [`Stentor::publish`](crate::Stentor::publish) describes it.
pub(crate) fn payload<T: Serialize + ?Sized>(event: &T) -> Result<Bytes, PublishError> {
    let refused = |error: serde_json::Error| PublishError::NotSent(error.to_string());
    let json = serde_json::to_vec(event).map_err(refused)?;
    if !json.starts_with(b"\"") {
        return Ok(json.into());
    }
    let text: String = serde_json::from_slice(&json).map_err(refused)?;
    if text.starts_with(['{', '[']) {
        return Err(PublishError::NotSent("text that begins like JSON would be read as JSON".to_owned()));
    }
    Ok(text.into())
}

/// Every field with its text, as [`Stentor::set_hash`](crate::Stentor::set_hash) describes it.
pub(crate) fn texts<T: Serialize + ?Sized>(fields: &T) -> Result<Vec<(String, String)>, HashError> {
    let fields = serde_json::to_value(fields).map_err(|error| HashError::Refused(error.to_string()))?;
    let Value::Object(fields) = fields else {
        return Err(HashError::Refused("the fields of a hash are a struct or a map".to_owned()));
    };
    let text = |(name, value): (String, Value)| match value {
        Value::Null => Err(HashError::Refused(format!(
            "field \"{name}\" is null, which no text says: leave it out to keep what is there, or write an empty text"
        ))),
        Value::String(text) => Ok((name, text)),
        value => Ok((name, value.to_string())),
    };
    fields.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_goes_out_as_it_is_and_everything_else_as_json() {
        for (event, expected) in [
            (json!({ "id": "42" }), r#"{"id":"42"}"#),
            (json!([1, 2]), "[1,2]"),
            (json!("d-1"), "d-1"),
            (json!("say \"hello\"\n"), "say \"hello\"\n"),
            (json!(""), ""),
            (json!(42), "42"),
            (json!(true), "true"),
        ] {
            assert_eq!(payload(&event).unwrap(), expected, "{event}");
        }
        for text in ["{}", "[1", "{ not JSON"] {
            assert!(matches!(payload(text), Err(PublishError::NotSent(_))), "{text}");
        }
    }

    #[test]
    fn scalars_are_written_as_text_and_everything_else_as_json() {
        #[derive(Serialize)]
        struct Progress {
            stage: &'static str,
            progress: f64,
            count: u8,
            done: bool,
            tags: [&'static str; 2],
        }
        let fields = Progress { stage: "received", progress: 0.25, count: 3, done: false, tags: ["a", "b"] };
        let expected = [
            ("stage", "received"),
            ("progress", "0.25"),
            ("count", "3"),
            ("done", "false"),
            ("tags", r#"["a","b"]"#),
        ];
        assert_eq!(texts(&fields).unwrap(), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn what_has_no_text_is_refused() {
        for fields in [json!({ "a": null }), json!([1]), json!("text"), json!({ "a": f64::NAN })] {
            assert!(matches!(texts(&fields), Err(HashError::Refused(_))), "{fields}");
        }
    }
}
