//! The values of a hash are text: [`HashTypes`] says what each is meant to be.

use std::collections::HashMap;

use apollo_compiler::{
    Schema as ApolloSchema,
    ast::FieldDefinition,
    schema::{ExtendedType, ObjectType},
};
use serde_json::{Number, Value};

use crate::{Event, JsonObject, json::Plain, operation::snake_case};

/// By key: the type of the fields that read it. A key that no field reads, or only as text, is not among them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HashTypes(HashMap<String, HashType>);

/// What the text under a key is turned into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HashType {
    Boolean,
    Float,
    Int,
    /// Lists, objects and custom scalars.
    Json,
    Text,
}

impl HashTypes {
    /// The types of all keys that a value of the type `name` is read from.
    ///
    /// # Errors
    ///
    /// Two fields take one text for different things.
    pub(crate) fn of(schema: &ApolloSchema, name: &str) -> Result<Self, String> {
        let mut known: HashMap<String, (HashType, String)> = HashMap::new();
        for object in objects(schema, name) {
            for field in object.fields.values() {
                let (ty, reader) = (HashType::of(schema, field), format!("{}.{}", object.name, field.name));
                for key in keys(field) {
                    match known.get(&key) {
                        Some((other, before)) if *other != ty => {
                            return Err(format!(
                                "`{before}` takes the key `{key}` for {}, and `{reader}` for {}",
                                other.name(),
                                ty.name()
                            ));
                        }
                        Some(_) => {}
                        None => _ = known.insert(key, (ty, reader.clone())),
                    }
                }
            }
        }
        let types = known.into_iter().map(|(key, (ty, _))| (key, ty));
        Ok(Self(types.filter(|(_, ty)| *ty != HashType::Text).collect()))
    }

    /// A hash as an event. Text that is not what it is meant to be stays text: a field error where it is selected.
    pub fn event<'a>(&self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Event {
        let convert = |(key, text): (&str, &str)| {
            let value = self.0.get(key).and_then(|ty| ty.convert(text));
            (key.to_owned(), value.unwrap_or_else(|| Value::from(text)))
        };
        Event::from_json(Value::Object(fields.into_iter().map(convert).collect::<JsonObject>()))
    }
}

impl HashType {
    fn of(schema: &ApolloSchema, field: &FieldDefinition) -> Self {
        let name = field.ty.inner_named_type();
        match (name.as_str(), schema.types.get(name)) {
            _ if field.ty.is_list() => Self::Json,
            ("Boolean", _) => Self::Boolean,
            ("Float", _) => Self::Float,
            ("Int", _) => Self::Int,
            ("ID" | "String", _) | (_, Some(ExtendedType::Enum(_))) => Self::Text,
            _ => Self::Json,
        }
    }

    fn convert(self, text: &str) -> Option<Value> {
        match self {
            Self::Boolean => boolean(text).map(Value::Bool),
            Self::Float => float(text),
            Self::Int => text.parse::<i64>().map(Value::from).ok().or_else(|| float(text)),
            Self::Json => serde_json::from_str(text).ok().map(|Plain(value)| value),
            Self::Text => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "a Boolean",
            Self::Float => "a Float",
            Self::Int => "an Int",
            Self::Json => "JSON",
            Self::Text => "text",
        }
    }
}

/// As programs write it: `true`, Python's `True`, and 1.
fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (is(["true", "1"]), is(["false", "0"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Any finite number; JSON has no others.
fn float(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

/// The object types that a value of the type may be.
fn objects<'a>(schema: &'a ApolloSchema, name: &str) -> Vec<&'a ObjectType> {
    match schema.types.get(name) {
        Some(ExtendedType::Object(object)) => vec![object],
        Some(ExtendedType::Union(union)) => union
            .members
            .iter()
            .filter_map(|member| schema.get_object(member))
            .map(|object| &**object)
            .collect(),
        Some(ExtendedType::Interface(interface)) => {
            let objects = schema.types.values().filter_map(ExtendedType::as_object);
            objects.filter(|object| object.implements_interfaces.contains(&interface.name)).collect()
        }
        _ => Vec::new(),
    }
}

/// The keys that the field may take its value from.
fn keys(field: &FieldDefinition) -> Vec<String> {
    let Some(from) = field.directives.get("from") else {
        let (exact, snake) = (field.name.to_string(), snake_case(&field.name));
        return if exact == snake { vec![exact] } else { vec![exact, snake] };
    };
    let Some(keys) = from.specified_argument_by_name("keys") else { return Vec::new() };
    // A single value stands for a list of one.
    let items = keys.as_list().unwrap_or_else(|| std::slice::from_ref(keys));
    items.iter().filter_map(|item| item.as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"
        directive @from(keys: [String!], argument: String) on FIELD_DEFINITION
        type Query { job: Job }
        type Job {
            count: Int  share: Float!  isDone: Boolean  name: String  id: ID @from(keys: ["job_id"])  kind: Kind
            tags: [String!]  owner: Owner  extra: Any  ratio: Float @from(keys: "r")  queryId: ID @from(argument: "id")
        }
        type Owner { name: String }
        enum Kind { A B }
        scalar Any
    "#;

    fn convert(key: &str, text: &str) -> Value {
        let schema = ApolloSchema::parse_and_validate(SCHEMA, "schema.graphql").unwrap();
        let event = HashTypes::of(&schema, "Job").unwrap().event([(key, text)]);
        event.json().unwrap()[key].clone()
    }

    #[test]
    fn text_becomes_what_the_field_that_reads_it_is() {
        let rows = [
            ("count", "42", json!(42)),
            ("count", "-1", json!(-1)),
            ("count", "1.0", json!(1.0)),
            ("count", "many", json!("many")),
            ("count", "", json!("")),
            ("share", "0.25", json!(0.25)),
            ("share", "1", json!(1.0)),
            ("share", "1e-05", json!(1e-5)),
            ("share", "nan", json!("nan")),
            ("share", "inf", json!("inf")),
            ("is_done", "True", json!(true)),
            ("isDone", "false", json!(false)),
            ("isDone", "1", json!(true)),
            ("isDone", "0", json!(false)),
            ("isDone", "yes", json!("yes")),
            ("name", "42", json!("42")),
            ("job_id", "42", json!("42")),
            ("kind", "A", json!("A")),
            ("tags", r#"["a"]"#, json!(["a"])),
            ("tags", "a,b", json!("a,b")),
            ("owner", r#"{"name": "x"}"#, json!({ "name": "x" })),
            ("extra", "1", json!(1)),
            ("extra", "one", json!("one")),
            ("r", "2", json!(2.0)),
            ("ratio", "2", json!("2")),
            ("unread", "2", json!("2")),
        ];
        for (key, text, expected) in rows {
            assert_eq!(convert(key, text), expected, "{key} {text}");
        }
    }
}
