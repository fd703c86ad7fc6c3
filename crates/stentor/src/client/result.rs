//! What a server answers with: [`ExecutionResult`] and [`Gap`].

use std::fmt;

use serde::{Deserialize, de::DeserializeOwned};
use stentor_protocol::RawObject;

/// One execution result: `data`, `errors`, `extensions`.
#[derive(Clone, PartialEq)]
pub struct ExecutionResult(RawObject);

/// Events of the subscription that were lost on their way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Gap {
    /// How many, if the server knows.
    pub dropped: Option<u64>,
    /// Why, in the server's word: `SLOW_CONSUMER`, say.
    pub reason: String,
}

impl ExecutionResult {
    pub(super) fn new(text: RawObject) -> Self {
        Self(text)
    }

    /// The JSON text, exactly as it came.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it as a type of the caller's.
    ///
    /// # Errors
    ///
    /// It does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.0.read()
    }

    /// Events that were lost just before this result, if a Stentor server says so.
    pub fn gap(&self) -> Option<Gap> {
        // Most results have no extensions, and are not read for nothing.
        if !self.as_str().contains("\"gap\"") {
            return None;
        }
        self.read::<Envelope>().ok()?.extensions?.stentor?.gap
    }
}

/// Says only how long the text is: it may hold a user's data.
impl fmt::Debug for ExecutionResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecutionResult({} bytes)", self.as_str().len())
    }
}

#[derive(Deserialize)]
struct Envelope {
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    stentor: Option<Stentor>,
}

#[derive(Deserialize)]
struct Stentor {
    gap: Option<Gap>,
}
