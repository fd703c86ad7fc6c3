//! The `stentor` program. One file for each command, under [`commands`].

mod commands;
mod failure;
mod log;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

/// Many small allocations on several threads: measured against the system's allocator in `bench/`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// GraphQL subscriptions from the events that your services publish to Redis.
///
/// A schema file says which event feeds which subscription field and who may hear it. Every standard GraphQL client can
/// then subscribe, over graphql-transport-ws.
#[derive(Debug, Parser)]
#[command(name = "stentor", version, arg_required_else_help = true, after_help = FIRST_STEPS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

const FIRST_STEPS: &str = "\
First steps, with a Redis on this machine:
  stentor init demo && cd demo       write a schema, a configuration and publishers
  stentor serve                      serve them; the next two in other terminals
  stentor subscribe @watch.graphql   show every result
  publishers/publish.sh              publish an event

Exit codes:
  0  done
  1  it failed; standard error says why and what to do
  2  the command line is wrong";

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
