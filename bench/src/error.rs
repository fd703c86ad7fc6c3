//! What can go wrong, grouped by what the reader of the message should do about it.

use std::io;

/// A failed measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call to the system failed.
    #[error("cannot {doing}")]
    Io {
        /// What was attempted, as a verb phrase.
        doing: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The measurement ran but a delivery was lost, repeated, late or wrong, so its figures mean nothing.
    #[error("{0}")]
    Invalid(String),
    /// The machine or a program on it is not fit for the measurement.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// For `map_err`: says what was attempted when the system refused.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    /// An [`Error::Invalid`].
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}

/// What `main` says about an error.
pub(crate) fn report(error: &Error) -> String {
    let prefix = if matches!(error, Error::Invalid(_)) { "invalid run: " } else { "" };
    format!("{prefix}{}", chain(error))
}

/// The message of an error and of everything that caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
