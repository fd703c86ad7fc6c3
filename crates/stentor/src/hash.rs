//! Values of the embedding program as the texts of a hash: [`texts`].

use serde::Serialize;
use serde_json::Value;
use stentor_broker::HashError;

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
