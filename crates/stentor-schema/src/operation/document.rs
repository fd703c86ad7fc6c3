//! A client's document, valid for the schema.

/// A parsed and validated document.
#[derive(Debug)]
pub(super) struct Document {}
