//! Strict access to the members of a message, shared by both directions.

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    error::ParseError,
    json::{RawObject, Strict, StrictObject, SubscribePayload, is_object},
};

/// The members of a message of which only `type` has been read.
///
/// `null` and an absent member are one and the same here; PROTOCOL allows either wherever it allows one.
pub(super) struct Members<'a> {
    kind: String,
    id: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, ParseError> {
        if !text.trim_start_matches(JSON_SPACE).starts_with('{') {
            return Err(ParseError::NotAnObject);
        }
        let Message { kind, id, payload } =
            serde_json::from_str(text).map_err(|error| ParseError::Json { reason: error.to_string() })?;
        let kind = kind.and_then(string).ok_or(ParseError::Type)?;
        Ok(Self { kind, id, payload })
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn into_kind(self) -> String {
        self.kind
    }

    pub(super) fn id(&self) -> Result<String, ParseError> {
        self.id
            .and_then(string)
            .filter(|id| !id.is_empty())
            .ok_or_else(|| self.member("id", "a non-empty string"))
    }

    /// The payload of `connection_init`, `connection_ack` and `pong`.
    pub(super) fn payload_object(&self) -> Result<Option<Map<String, Value>>, ParseError> {
        self.optional_object("payload", self.payload)
    }

    /// The payload of `ping`: checked like any other, then kept as text.
    pub(super) fn payload_echo(&self) -> Result<Option<RawObject>, ParseError> {
        self.payload_object()?;
        Ok(self.payload.and_then(RawObject::new))
    }

    /// The payload of `subscribe`.
    pub(super) fn payload_request(&self) -> Result<SubscribePayload, ParseError> {
        let raw = self.payload.filter(|raw| is_object(raw));
        let raw = raw.ok_or_else(|| self.member("payload", "an object"))?;
        let request: Request<'a> =
            serde_json::from_str(raw.get()).map_err(|error| self.contents("payload", &error))?;
        Ok(SubscribePayload {
            query: request.query.and_then(string).ok_or_else(|| self.member("payload.query", "a string"))?,
            operation_name: self.optional_string("payload.operationName", request.operation_name)?,
            variables: self.optional_object("payload.variables", request.variables)?,
            extensions: self.optional_object("payload.extensions", request.extensions)?,
        })
    }

    /// The payload of `next`.
    pub(super) fn payload_result(&self) -> Result<RawObject, ParseError> {
        self.payload.and_then(RawObject::new).ok_or_else(|| self.member("payload", "an object"))
    }

    /// The payload of `error`.
    pub(super) fn payload_errors(&self) -> Result<Vec<Value>, ParseError> {
        let raw = self.payload.map_or("null", RawValue::get);
        let value = serde_json::from_str(raw).map_err(|error| self.contents("payload", &error))?;
        match value {
            Strict(Value::Array(errors)) if !errors.is_empty() && errors.iter().all(is_graphql_error) => {
                Ok(errors)
            }
            Strict(_) => Err(self.member("payload", "a non-empty array of GraphQL errors")),
        }
    }

    fn optional_string(
        &self,
        member: &'static str,
        raw: Option<&RawValue>,
    ) -> Result<Option<String>, ParseError> {
        let Some(raw) = raw else { return Ok(None) };
        string(raw).map(Some).ok_or_else(|| self.member(member, "a string, null or absent"))
    }

    fn optional_object(
        &self,
        member: &'static str,
        raw: Option<&RawValue>,
    ) -> Result<Option<Map<String, Value>>, ParseError> {
        let Some(raw) = raw else { return Ok(None) };
        if !is_object(raw) {
            return Err(self.member(member, "an object, null or absent"));
        }
        let object = serde_json::from_str(raw.get());
        object.map(|StrictObject(object)| Some(object)).map_err(|error| self.contents(member, &error))
    }

    fn member(&self, member: &'static str, expected: &'static str) -> ParseError {
        ParseError::Member { kind: self.kind.clone(), member, expected }
    }

    fn contents(&self, member: &'static str, error: &serde_json::Error) -> ParseError {
        ParseError::Contents { kind: self.kind.clone(), member, reason: error.to_string() }
    }
}

/// The string that the text stands for; none if it is no string, or one that holds a lone surrogate.
fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

fn is_graphql_error(value: &Value) -> bool {
    value.get("message").is_some_and(Value::is_string)
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    query: Option<&'a RawValue>,
    #[serde(borrow, rename = "operationName")]
    operation_name: Option<&'a RawValue>,
    #[serde(borrow)]
    variables: Option<&'a RawValue>,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

/// White space as JSON knows it (RFC 8259, section 2); `char::is_whitespace` knows more.
const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
