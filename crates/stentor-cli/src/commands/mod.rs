//! What the program can be asked to do: [`Command`].

mod check;
mod serve;

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use stentor::{Config, config::environment};

/// One command and its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the configuration and the schema, and say every mistake in them
    #[command(after_help = "Example:\n  stentor check --config stentor.toml")]
    Check(check::Check),
    /// Serve GraphQL over HTTP and WebSocket until told to stop
    #[command(
        after_help = "Example:\n  stentor serve --config stentor.toml\n  STENTOR_LISTEN=0.0.0.0:4000 stentor serve"
    )]
    Serve(serve::Serve),
}

/// Where the configuration is.
#[derive(Args, Debug)]
pub(crate) struct ConfigFile {
    /// The configuration; without it stentor.toml is read if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Check(check) => check.run(),
            Self::Serve(serve) => serve.run(),
        }
    }
}

impl ConfigFile {
    /// The configuration, with the environment over it.
    fn load(&self) -> Result<Config, Box<dyn Error>> {
        let usual = Path::new(USUAL_CONFIG);
        let path = self.config.as_deref().or_else(|| usual.exists().then_some(usual));
        Ok(Config::load(path, environment())?)
    }
}

/// What the configuration is called where nothing else is said.
const USUAL_CONFIG: &str = "stentor.toml";
