//! Processes that the comparison starts, and what the kernel says about them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A running child; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, whose output goes to a file in `folder`, and waits until it accepts on `address`.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or does not accept in time; its last words are in the error.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self, Error> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).map_err(Error::io("create a log file"))?;
        let copy = file.try_clone().map_err(Error::io("share a log file"))?;
        let spawned = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn();
        let child = spawned.map_err(Error::io(format!("start {name}")))?;
        let mut process = Self { name: name.to_owned(), child, log };
        process.wait_until_it_accepts(address)?;
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_accepts(&mut self, address: SocketAddr) -> Result<(), Error> {
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().map_err(Error::io("watch a process"))?;
            if let Some(status) = ended {
                return Err(Error::Setup(format!(
                    "{} ended with {status}: {}",
                    self.name,
                    self.last_words()
                )));
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::Setup(format!(
                    "{} does not accept on {address}: {}",
                    self.name,
                    self.last_words()
                )));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(2_000)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when the process has ended by itself, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time, memory and threads of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all its threads since its start.
    pub(crate) cpu: Duration,
    /// Resident bytes.
    pub(crate) rss: u64,
    /// Resident bytes, shared pages divided among their users.
    pub(crate) pss: u64,
    pub(crate) threads: u64,
}

impl Usage {
    /// Reads `/proc`; for a process of the same user.
    pub(crate) fn of(pid: u32) -> Result<Self, Error> {
        let read = |file: &str| {
            let mut text = String::new();
            File::open(format!("/proc/{pid}/{file}"))
                .and_then(|mut open| open.read_to_string(&mut text))
                .map_err(Error::io(format!("read /proc/{pid}/{file}")))?;
            Ok::<_, Error>(text)
        };
        Self::parse(&read("stat")?, &read("smaps_rollup")?)
            .ok_or_else(|| Error::Setup(format!("/proc/{pid} is not written as expected")))
    }

    fn parse(stat: &str, smaps_rollup: &str) -> Option<Self> {
        // The program's name may hold spaces and parentheses; fields are counted from the last one, field 2.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let kibibytes = |key: &str| {
            let line = smaps_rollup.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
        };
        Some(Self {
            cpu: Duration::from_millis((field(14)? + field(15)?) * 1_000 / TICKS_PER_SECOND),
            rss: kibibytes("Rss:")?,
            pss: kibibytes("Pss:")?,
            threads: field(20)?,
        })
    }
}

/// A free port of 127.0.0.1 below the range from which clients' ports are taken.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    let start = FIRST_PORT + (std::process::id() % PORTS) as u16;
    let ports = (start..FIRST_PORT + PORTS as u16).chain(FIRST_PORT..start);
    let free = ports
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok());
    free.ok_or_else(|| Error::io("find a free port")(io::ErrorKind::AddrInUse.into()))
}

/// How long a server may take to accept.
const PATIENCE: Duration = Duration::from_secs(15);
/// `USER_HZ`, in which `/proc/PID/stat` counts; 100 on every architecture that Rust's Linux targets know.
const TICKS_PER_SECOND: u64 = 100;
const FIRST_PORT: u16 = 20_000;
const PORTS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_the_numbered_fields_whatever_the_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 3 17 18";
        let rollup =
            "55d0-7ffe ---p 0 00:00 0 [rollup]\nRss:    1704 kB\nPss:     377 kB\nPss_Dirty: 112 kB\n";
        let usage = Usage { cpu: Duration::from_secs(2), rss: 1_704 * 1_024, pss: 377 * 1_024, threads: 3 };
        assert_eq!(Usage::parse(stat, rollup), Some(usage));
        assert_eq!(Usage::parse(stat, "Rss: 1 kB"), None);
        assert_eq!(Usage::parse("7 (cut", rollup), None);
    }

    #[test]
    fn usage_of_this_process_is_plausible() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss >= usage.pss && usage.pss > 0 && usage.threads > 0, "{usage:?}");
    }

    #[test]
    fn a_command_that_ends_at_once_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such config >&2; exit 3"]);
        let address = free_address().unwrap();
        let error = Process::start("shell", &mut command, folder.path(), address).unwrap_err().to_string();
        assert!(error.contains("no such config") && error.contains('3'), "{error}");
    }
}
