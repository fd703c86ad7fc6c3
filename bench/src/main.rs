//! CPU per delivery and memory per idle connection of Stentor, beside a server that does nothing but write.

mod error;
mod floor;
mod load;
mod process;
mod report;
mod resp;
mod scenario;
mod statistics;
mod suite;
mod websocket;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The `stentor` program uses the same allocator, so memory figures compare servers and not allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        None => suite::run(&arguments.suite),
        Some(Command::Floor(options)) => floor::run(options).map(|()| ExitCode::SUCCESS),
        Some(Command::Load(options)) => load::run(options).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{}", error::report(&error));
        ExitCode::FAILURE
    })
}

/// Measures Stentor against two floor servers and prints a table.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example: cargo run --release -p stentor-bench -- --quick --json figures.json"
)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    suite: suite::SuiteOptions,
}

/// The processes that the comparison starts; they can be started by hand, too.
#[derive(Debug, Subcommand)]
enum Command {
    /// A server without GraphQL that writes a pre-encoded frame to each subscribed socket.
    Floor(floor::FloorOptions),
    /// Connects subscribers, publishes events, checks every delivery, prints one line of JSON.
    Load(load::LoadOptions),
}
