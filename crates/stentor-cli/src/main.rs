//! The `stentor` program. One file for each command, under [`commands`].

mod commands;
mod log;

use std::process::ExitCode;

use clap::Parser;

/// Many small allocations on several threads: measured against the system's allocator in `bench/`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events in, authenticated GraphQL subscriptions out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
