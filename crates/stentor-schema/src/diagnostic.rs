//! Mistakes in a schema file, told to its author.

use std::fmt;

/// One mistake: where, what, and how to mend it.
#[derive(Clone, Debug)]
pub struct Diagnostic {}

/// Every mistake found in one schema file; its `Display` is what the operator reads.
#[derive(Clone, Debug)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Diagnostics {}
