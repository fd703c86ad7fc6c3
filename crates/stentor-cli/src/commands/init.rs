//! `stentor init`.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::{failure::Failure, terminal::print};

pub(super) const EXAMPLES: &str = "\
Examples:
  stentor init
  stentor init demo

It writes schema.graphql, stentor.toml, watch.graphql, README.md, and publishers for a shell, Python, Node.js and Go. No
file that is there already is touched without --force: with one of them in the way nothing is written at all.";

/// Writes what a first subscription needs.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The folder; it is made if there is none
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Print {"folder", "files"} instead of what to do next
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if !self.force {
            self.check_way()?;
        }
        for file in FILES {
            self.write(file)?;
        }
        let folder = self.folder.display();
        if self.json {
            let files: Vec<&str> = FILES.iter().map(|file| file.path).collect();
            return print(&json!({ "folder": folder.to_string(), "files": files }).to_string());
        }
        let files: String = FILES.iter().map(|file| format!("  {:24}{}\n", file.path, file.is)).collect();
        let enter = if self.folder == Path::new(".") { String::new() } else { format!("  cd {folder}\n") };
        print(&format!("wrote into {folder}:\n{files}\nnext, with a Redis on this machine:\n{enter}{NEXT}"))
    }

    /// Refuses before anything is written, and tells every file that is in the way.
    fn check_way(&self) -> Result<(), Failure> {
        let there = FILES.iter().map(|file| self.folder.join(file.path));
        let there: Vec<_> = there.filter(|path| path.symlink_metadata().is_ok()).collect();
        if there.is_empty() {
            return Ok(());
        }
        let list: String = there.iter().map(|path| format!("\n  {}", path.display())).collect();
        Err(Failure::failed(format!(
            "nothing was written, because of what is there already:{list}\nname another folder, or pass --force to write over it"
        )))
    }

    fn write(&self, file: &File) -> Result<(), Failure> {
        let path = self.folder.join(file.path);
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::failed(format!("{} came into the way", path.display())),
            _ => Failure::failed(format!("{} cannot be written: {error}", path.display())),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        // A file that somebody has made meanwhile is not touched either.
        let options = options.write(true).create_new(!self.force).create(true).truncate(true).mode(file.mode);
        options.open(&path).and_then(|mut opened| opened.write_all(file.text.as_bytes())).map_err(failed)
    }
}

/// A file to write.
struct File {
    path: &'static str,
    text: &'static str,
    /// What it is, for the list.
    is: &'static str,
    /// Who may do what with it.
    mode: u32,
}

macro_rules! file {
    ($path:literal, $is:literal, $mode:literal) => {
        File { path: $path, text: include_str!(concat!("../../template/", $path)), is: $is, mode: $mode }
    };
}

const FILES: &[File] = &[
    file!("README.md", "what to do next", 0o644),
    file!("schema.graphql", "which event feeds which field", 0o644),
    file!("stentor.toml", "where to listen, and where Redis is", 0o644),
    file!("watch.graphql", "a subscription", 0o644),
    file!("publishers/publish.sh", "an event from a shell,", 0o755),
    file!("publishers/publish.py", "from Python,", 0o644),
    file!("publishers/publish.mjs", "from Node.js,", 0o644),
    file!("publishers/publish.go", "and from Go", 0o644),
];

const NEXT: &str = "  stentor serve                      and in other terminals
  stentor subscribe @watch.graphql
  publishers/publish.sh";
