//! The servers that are compared, and Redis, which feeds them.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use crate::error::Error;
use crate::process::{Process, free_address};

/// A server under test.
#[derive(Debug)]
pub(crate) enum Contender {
    Stentor(PathBuf),
    FloorEach,
    FloorJoin,
}

impl Contender {
    /// The program at `path`, or the one that this workspace's source gives.
    pub(crate) fn stentor(path: Option<&Path>) -> Result<Self, Error> {
        path.map_or_else(build_stentor, |path| Ok(path.to_owned())).map(Self::Stentor)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Stentor(_) => "stentor",
            Self::FloorEach => "floor each",
            Self::FloorJoin => "floor join",
        }
    }

    /// The command that serves on `address` until it is killed.
    pub(crate) fn command(
        &self,
        folder: &Path,
        address: SocketAddr,
        redis: SocketAddr,
    ) -> Result<Command, Error> {
        match self {
            Self::Stentor(program) => stentor_command(program, folder, address, redis),
            Self::FloorEach => floor_command("each", address, redis),
            Self::FloorJoin => floor_command("join", address, redis),
        }
    }

    /// What the program says about itself; the floors are this program.
    pub(crate) fn version(&self) -> Option<String> {
        let Self::Stentor(program) = self else { return None };
        let said = Command::new(program).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        Some(format!("{version} ({})", program.display()))
    }
}

/// A Redis of our own, with its defaults but without persistence.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Redis {
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let address = free_address()?;
        let mut command = Command::new("redis-server");
        command.arg("--bind").arg(address.ip().to_string()).arg("--port").arg(address.port().to_string());
        command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(folder);
        let process = Process::start("redis-server", &mut command, folder, address)?;
        Ok(Self { address, _process: process })
    }

    pub(crate) fn version() -> Result<String, Error> {
        let said = Command::new("redis-server").arg("--version").output();
        let said = said.map_err(Error::io("run redis-server (is it installed?)"))?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
        Ok(format!("redis {}", version.unwrap_or("of unknown version")))
    }
}

/// The program that is running.
pub(crate) fn this_program() -> Result<PathBuf, Error> {
    env::current_exe().map_err(Error::io("find this program"))
}

/// A value as it is written on the command line.
pub(crate) fn spelled(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn floor_command(mode: &str, address: SocketAddr, redis: SocketAddr) -> Result<Command, Error> {
    let mut command = Command::new(this_program()?);
    command.args(["floor", "--mode", mode, "--listen"]).arg(address.to_string());
    command.arg("--redis").arg(redis.to_string());
    Ok(command)
}

/// Defaults throughout: only addresses and the schema are set.
fn stentor_command(
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    redis: SocketAddr,
) -> Result<Command, Error> {
    let config = folder.join("stentor.toml");
    let text = format!(
        "listen = \"{address}\"\nschema = \"schema.graphql\"\n\n[broker]\nurl = \"redis://{redis}\"\n"
    );
    fs::write(folder.join("schema.graphql"), SCHEMA).map_err(Error::io("write the schema"))?;
    fs::write(&config, text).map_err(Error::io("write the configuration"))?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config);
    // The environment outranks the file, and must not change what is measured.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("STENTOR_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn build_stentor() -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--release",
        "--package",
        "stentor-cli",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    let output = command.output().map_err(Error::io("run cargo"))?;
    if !output.status.success() {
        return Err(Error::Setup("stentor does not build: give a built one with --stentor PATH".into()));
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_program = message["target"]["name"] == "stentor";
        message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
    });
    executable.ok_or_else(|| Error::Setup("cargo did not say where the stentor program is".into()))
}

const SCHEMA: &str = include_str!("../../schema.graphql");
