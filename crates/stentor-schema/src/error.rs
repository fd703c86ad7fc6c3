//! Errors that a client sees: [`GraphQLError`].

use serde::{Serialize, ser::SerializeMap};

use crate::JsonObject;

/// One error of a GraphQL response, as <https://spec.graphql.org/October2021/#sec-Errors> describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphQLError {
    /// What went wrong, for the developer of the client; never an internal.
    pub message: String,
    /// Line and column in the client's document, from 1.
    pub locations: Vec<(u32, u32)>,
    /// Where in the result, for an error of a field.
    pub path: Vec<PathSegment>,
    /// The machine's word for it, under `extensions.code`.
    pub code: ErrorCode,
    /// The extensions of an error that another GraphQL API made; a `code` among them is told instead of [`code`](Self::code).
    pub extensions: Option<Box<JsonObject>>,
}

/// A step of [`GraphQLError::path`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// A response key.
    Field(String),
    /// A place in a list, from 0.
    Index(usize),
}

/// The value of `extensions.code`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A variable, argument or rendered template is not acceptable.
    BadUserInput,
    /// The principal may not do this.
    Forbidden,
    /// A field's value has the wrong type, or its resolver failed.
    FieldError,
    /// The document is not syntactically correct.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// Something failed that the client cannot mend.
    InternalServerError,
    /// A named limit of the server was reached.
    LimitExceeded,
    /// A principal is needed, and there is none.
    Unauthenticated,
    /// The broker or a source cannot be used now; trying later may help.
    Unavailable,
}

impl ErrorCode {
    /// The text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Forbidden => "FORBIDDEN",
            Self::FieldError => "FIELD_ERROR",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::InternalServerError => "INTERNAL_SERVER_ERROR",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl GraphQLError {
    /// An error without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), locations: Vec::new(), path: Vec::new(), code, extensions: None }
    }
}

impl Serialize for GraphQLError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Location {
            line: u32,
            column: u32,
        }
        #[derive(Serialize)]
        struct Extensions<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'static str>,
            #[serde(flatten)]
            others: Option<&'a JsonObject>,
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", &self.message)?;
        if !self.locations.is_empty() {
            let locations: Vec<_> =
                self.locations.iter().map(|&(line, column)| Location { line, column }).collect();
            map.serialize_entry("locations", &locations)?;
        }
        if !self.path.is_empty() {
            map.serialize_entry("path", &self.path)?;
        }
        let others = self.extensions.as_deref();
        let coded = others.is_some_and(|others| others.contains_key("code"));
        let code = (!coded).then(|| self.code.as_str());
        map.serialize_entry("extensions", &Extensions { code, others })?;
        map.end()
    }
}
