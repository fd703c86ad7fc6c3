//! The program itself, as a process: [`Process`].

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::Served;

/// `stentor serve` in a process of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct Process {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Process {
    /// Starts the program with this schema, and this configuration without `listen` and `schema`.
    ///
    /// # Panics
    ///
    /// When it cannot be built, or does not say where it listens.
    pub fn start(schema: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write(folder.path(), "schema.graphql", schema);
        write(folder.path(), "stentor.toml", &format!("listen = \"127.0.0.1:0\"\n{config}"));
        let log = File::create(folder.path().join(LOG)).expect("a temporary folder can be written to");
        let mut process = Command::new(program())
            .args(["serve", "--config", "stentor.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program that was just built can be started");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the program speaks UTF-8");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
        let address = address.unwrap_or_else(|| panic!("stentor serve says no address: {line:?}"));
        Self { process, address, folder }
    }

    /// What it has logged so far.
    ///
    /// # Panics
    ///
    /// When that is not UTF-8.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).expect("the log is text")
    }

    /// Bytes of memory that it has in use at this moment.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        1_024 * kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("the system knows its memory")
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("one's own process takes signals");
    }

    /// Waits for its end, off the runtime's threads; whether it ended with success.
    ///
    /// # Panics
    ///
    /// When the system does not allow it.
    pub async fn wait(mut self) -> bool {
        let waiting =
            tokio::task::spawn_blocking(move || self.process.wait().is_ok_and(|status| status.success()));
        waiting.await.expect("waiting does not panic")
    }
}

impl Served for Process {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const LOG: &str = "log";

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a temporary folder can be written to");
}

/// The program, built once as the tests are.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build)
}

fn build() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--package", "stentor-cli", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output();
    let output = output.expect("cargo runs, since it started this test");
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.expect("cargo builds the program")
}
