//! How a command fails: [`Failure`].

use std::{error::Error, process::ExitCode};

use clap::{CommandFactory, error::ErrorKind};

use crate::{Arguments, terminal::plain};

/// Why a command was not done, in words that say what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried; exit code 1.
    Failed(String),
    /// What was asked for makes no sense; exit code 2, as for every other mistake in the command line.
    Usage {
        /// The command that was used wrongly.
        command: &'static str,
        /// The mistake.
        mistake: String,
    },
}

impl Failure {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }

    pub(crate) fn usage(command: &'static str, mistake: impl Into<String>) -> Self {
        Self::Usage { command, mistake: mistake.into() }
    }

    /// Tells it on standard error; the process's exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(reason) => {
                eprintln!("{}", plain(&reason));
                ExitCode::FAILURE
            }
            Self::Usage { command, mistake } => {
                let mut program = Arguments::command();
                program.build();
                let command = program.find_subcommand_mut(command).expect("a command names itself");
                command.error(ErrorKind::ValueValidation, plain(&mistake)).exit()
            }
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}
