//! What the program can be asked to do: [`Command`].

mod check;
mod completions;
mod init;
mod publish;
mod serve;
mod subscribe;
mod token;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use stentor::{Config, config::environment};

use crate::failure::Failure;

/// One command and its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the configuration and the schema, and say every mistake in them
    #[command(after_help = "Example:\n  stentor check --config stentor.toml")]
    Check(check::Check),
    /// Print a script that lets a shell complete commands and options
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Completions),
    /// Write a schema, a configuration and publishers to begin with
    #[command(after_help = init::EXAMPLES)]
    Init(init::Init),
    /// Publish events through the configured broker, or write a hash
    #[command(override_usage = publish::USAGE, after_help = publish::EXAMPLES)]
    Publish(publish::Publish),
    /// Serve GraphQL over HTTP and WebSocket until told to stop
    #[command(
        after_help = "Example:\n  stentor serve --config stentor.toml\n  STENTOR_LISTEN=0.0.0.0:4000 stentor serve"
    )]
    Serve(serve::Serve),
    /// Subscribe to a server and show every result as it arrives
    #[command(after_help = subscribe::EXAMPLES)]
    Subscribe(subscribe::Subscribe),
    /// Print a token that the configured server accepts, for development
    #[command(after_help = token::EXAMPLES)]
    Token(token::Token),
}

/// Where the configuration is.
#[derive(Args, Debug)]
pub(crate) struct ConfigFile {
    /// The configuration; without it stentor.toml is read if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Completions(completions) => completions.run(),
            Self::Init(init) => init.run(),
            Self::Publish(publish) => publish.run(),
            Self::Serve(serve) => serve.run(),
            Self::Subscribe(subscribe) => subscribe.run(),
            Self::Token(token) => token.run(),
        }
    }
}

impl ConfigFile {
    /// The configuration, with the environment over it.
    fn load(&self) -> Result<Config, Failure> {
        let usual = Path::new(USUAL_CONFIG);
        let path = self.config.as_deref().or_else(|| usual.exists().then_some(usual));
        Ok(Config::load(path, environment())?)
    }
}

/// Runs a command's work. The worker keeps connections alive while the work itself waits for a terminal or a pipe.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(work)
}

/// What the configuration is called where nothing else is said.
const USUAL_CONFIG: &str = "stentor.toml";
