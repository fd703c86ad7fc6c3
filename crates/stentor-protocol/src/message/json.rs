//! JSON inside messages: [`RawObject`], [`SubscribePayload`], and [`Strict`] reading.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

/// A GraphQL request as `subscribe` carries it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribePayload {
    /// The document; empty when the client sends only a persisted query's hash.
    pub query: String,
    /// The operation to run, for documents with several.
    pub operation_name: Option<String>,
    /// The values of the operation's variables.
    pub variables: Option<Map<String, Value>>,
    /// Whatever client and server agreed on.
    pub extensions: Option<Map<String, Value>>,
}

impl SubscribePayload {
    /// The request as JSON text.
    pub(super) fn to_text(&self) -> String {
        let mut object = Map::new();
        object.insert("query".to_owned(), Value::from(self.query.as_str()));
        if let Some(name) = &self.operation_name {
            object.insert("operationName".to_owned(), Value::from(name.as_str()));
        }
        if let Some(variables) = &self.variables {
            object.insert("variables".to_owned(), Value::from(variables.clone()));
        }
        if let Some(extensions) = &self.extensions {
            object.insert("extensions".to_owned(), Value::from(extensions.clone()));
        }
        Value::from(object).to_string()
    }
}

/// The text of a JSON object, kept as it came.
///
/// A `pong` must return the payload of its `ping`; as text it returns with every digit of its numbers.
#[derive(Clone)]
pub struct RawObject(Box<RawValue>);

impl RawObject {
    /// The text, from `{` to `}`; none if the value is no object.
    pub(super) fn new(raw: &RawValue) -> Option<Self> {
        is_object(raw).then(|| Self(raw.to_owned()))
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads the object as a type of the caller's.
    ///
    /// # Errors
    /// If the object does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.get())
    }
}

/// Says only how long the text is: it may hold a token or a user's data.
impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawObject({} bytes)", self.get().len())
    }
}

impl PartialEq for RawObject {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

/// Whether the text of a value is that of an object.
///
/// Asked before a struct is read, because serde reads structs from arrays too.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// The text of an object.
pub(super) fn text_of(object: &Map<String, Value>) -> String {
    Value::from(object.clone()).to_string()
}

/// A string's contents as they stand between the quotes of JSON text.
pub(crate) fn escape(text: &str) -> String {
    let mut quoted = Value::from(text).to_string();
    quoted.pop();
    quoted.remove(0);
    quoted
}

/// An object from a client: every value in it nests less than 128 levels deep, and no object has a member twice.
///
/// `Map` reads itself more leniently: the last of two members wins, and an object whose first member is
/// `$serde_json::private::RawValue` is replaced by what that member's text contains, nested as deeply as it likes. Here
/// such names are refused: a value that holds one would be replaced wherever it is read once more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StrictObject(pub Map<String, Value>);

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)? {
            Strict(Value::Object(object)) => Ok(Self(object)),
            Strict(_) => Err(D::Error::custom("an object was expected")),
        }
    }
}

/// A value of which the same holds as of [`StrictObject`].
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

/// How the names begin by which the JSON reader tells itself something.
const PRIVATE: &str = "$serde_json::private::";

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::from(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.starts_with(PRIVATE) {
                return Err(A::Error::custom(format_args!("the member name {name:?} is reserved")));
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate member {name:?}")));
            }
            let Strict(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::from(object))
    }
}
