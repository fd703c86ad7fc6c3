//! How a command fails: [`Failure`].

use std::{error::Error, process::ExitCode};

use crate::terminal::plain;

/// Why a command was not done, in words that say what to do; exit code 1.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// Tells it on standard error; the process's exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("{}", plain(&self.0));
        ExitCode::FAILURE
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
