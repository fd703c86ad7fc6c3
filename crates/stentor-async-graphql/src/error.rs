//! What does not go together: [`MergeError`].

use std::fmt;

/// Everything that the schema file and the async-graphql schema define in two ways; its `Display` is what the operator reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MergeError(pub Vec<Mistake>);

/// One thing that is defined in two ways.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Mistake {
    /// Line and column in the schema file, from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl fmt::Display for MergeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n\n")?;
            }
            mistake.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for MergeError {}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        if let Some((line, column)) = self.place {
            write!(formatter, "\n --> schema:{line}:{column}")?;
        }
        write!(formatter, "\n  = help: {}", self.help)
    }
}
