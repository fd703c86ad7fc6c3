//! Runs the program: [`Folder`] for where, [`Ran`] for what came of it.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of the test's own, in which the program is run.
pub(crate) struct Folder(TempDir);

/// What the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// One with this configuration.
    pub(crate) fn configured(toml: &str) -> Self {
        let folder = Self::new();
        std::fs::write(folder.path().join("stentor.toml"), toml)
            .expect("a temporary folder can be written to");
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `stentor` with these arguments, and nothing of Stentor's in the environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STENTOR_") {
                command.env_remove(name);
            }
        }
        Ran::of(command)
    }
}

impl Ran {
    /// Runs `command` to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } =
            command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).expect("the program speaks UTF-8");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// What it printed, when it ended with success and complained of nothing.
    pub(crate) fn printed(&self) -> &str {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:?}");
        &self.stdout
    }

    /// As [`printed`](Self::printed), read as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.printed()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What it said on standard error, when it ended with this exit code and printed nothing.
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert!(self.code == Some(code) && self.stdout.is_empty(), "{self:?}");
        &self.stderr
    }
}

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_stentor");
