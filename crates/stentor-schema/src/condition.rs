//! CEL conditions over `event`, `args` and `claims`: [`Condition`].

use crate::{Event, JsonObject};

/// A compiled and checked condition.
#[derive(Debug)]
pub struct Condition {}

/// Arguments and claims of one audience, converted for CEL once.
#[derive(Debug)]
pub struct Bindings {}

/// Why a condition could not be decided; it counts as false.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ConditionError(pub String);

impl Bindings {
    /// Converts arguments and claims.
    pub fn new(_args: &JsonObject, _claims: &JsonObject) -> Self {
        todo!()
    }
}

impl Condition {
    /// Whether it holds for `event`.
    ///
    /// # Errors
    ///
    /// A missing key, values that cannot be compared, a result that is not a boolean.
    pub fn holds(&self, _event: &Event, _bindings: &Bindings) -> Result<bool, ConditionError> {
        todo!()
    }
}
