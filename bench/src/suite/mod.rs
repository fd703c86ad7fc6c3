//! The whole comparison: every scenario, every contender, in turns.

mod contender;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Args;
use tempfile::TempDir;

use crate::error::{self, Error};
use crate::load::{self, Sample};
use crate::process::Process;
use crate::report::{Machine, Report, ScenarioReport};
use crate::scenario::{Regime, Scenario, Shape};
use contender::{Contender, Redis};

/// What the comparison takes.
#[derive(Debug, Args)]
pub(crate) struct SuiteOptions {
    /// A `stentor` program to measure instead of the one that is built from this source.
    #[arg(long, value_name = "PATH")]
    stentor: Option<PathBuf>,
    /// Writes all figures to a file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Two short rounds and few idle connections: to try the program, not to quote.
    #[arg(long)]
    quick: bool,
    /// Events in flight at saturation for one topic; the more, the more messages can leave together.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=90))]
    window: u64,
    /// Leaves Stentor out and measures the floors alone.
    #[arg(long, conflicts_with = "stentor")]
    floors_only: bool,
}

/// Measures, prints the table, and says by the exit code whether every run was valid.
///
/// # Errors
///
/// When the machine is not fit, or a program cannot be built or started.
pub(crate) fn run(options: &SuiteOptions) -> Result<ExitCode, Error> {
    let suite = Suite::prepare(options)?;
    let mut report = Report { machine: Machine::read(), versions: suite.versions()?, scenarios: Vec::new() };
    for scenario in scenarios(options) {
        report.scenarios.push(suite.measure(scenario)?);
    }
    write!(std::io::stdout(), "{}", report.table()).map_err(Error::io("print the table"))?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Error::Setup(error.to_string()))?;
        std::fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    Ok(if report.is_valid() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scenarios(options: &SuiteOptions) -> Vec<Scenario> {
    let (idle, shorter) = if options.quick { (1_000, 0.2) } else { (10_000, 1.0) };
    let scenario = |shape, regime, connections, seconds: f64| Scenario {
        shape,
        regime,
        // A thousand topics with many events each in flight would measure the buffers of Redis.
        window: if shape == Shape::OneTopic { options.window } else { options.window.min(4) },
        connections,
        seconds: seconds * shorter,
    };
    // Long enough for some three seconds of CPU time, which is counted in hundredths.
    vec![
        scenario(Shape::OneTopic, Regime::Saturating, 1_000, 6.0),
        scenario(Shape::OneTopic, Regime::Paced, 1_000, 10.0),
        scenario(Shape::ManyTopics, Regime::Saturating, 1_000, 6.0),
        scenario(Shape::ManyTopics, Regime::Paced, 1_000, 16.0),
        scenario(Shape::OneTopic, Regime::Idle, idle, 0.0),
        scenario(Shape::ManyTopics, Regime::Idle, idle, 0.0),
    ]
}

struct Suite {
    // Dropped in this order: Redis ends before its folder goes.
    redis: Redis,
    folder: TempDir,
    contenders: Vec<Contender>,
    rounds: usize,
}

impl Suite {
    fn prepare(options: &SuiteOptions) -> Result<Self, Error> {
        let most = scenarios(options).iter().map(|scenario| scenario.connections).max();
        load::require_open_files(most.unwrap_or_default())?;
        let folder = tempfile::tempdir().map_err(Error::io("make a folder"))?;
        let mut contenders = Vec::new();
        if !options.floors_only {
            contenders.push(Contender::stentor(options.stentor.as_deref())?);
        }
        contenders.extend([Contender::FloorEach, Contender::FloorJoin]);
        let redis = Redis::start(folder.path())?;
        let rounds = if options.quick { 2 } else { 5 };
        Ok(Self { redis, folder, contenders, rounds })
    }

    fn versions(&self) -> Result<Vec<String>, Error> {
        let mut versions = vec![Redis::version()?];
        versions.extend(self.contenders.iter().filter_map(Contender::version));
        Ok(versions)
    }

    /// Takes turns (A B C A B C …), so that a drift of the machine meets every contender.
    fn measure(&self, scenario: Scenario) -> Result<ScenarioReport, Error> {
        let mut report = ScenarioReport::new(scenario, self.contenders.iter().map(Contender::name));
        for round in 1..=self.rounds {
            for (contender, figures) in self.contenders.iter().zip(&mut report.contenders) {
                eprintln!("{}: {}, round {round} of {}", scenario.title(), contender.name(), self.rounds);
                match self.measure_once(contender, &scenario) {
                    Ok(sample) => figures.samples.push(Some(sample)),
                    Err(Error::Invalid(reason)) => {
                        eprintln!("  {reason}");
                        figures.samples.push(None);
                        figures.invalid.push(reason);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(report)
    }

    fn measure_once(&self, contender: &Contender, scenario: &Scenario) -> Result<Sample, Error> {
        let address = crate::process::free_address()?;
        let mut command = contender.command(self.folder.path(), address, self.redis.address)?;
        let server = Process::start(contender.name(), &mut command, self.folder.path(), address)?;
        self.load(scenario, address, server.pid())
    }

    /// A process of its own, so that a server's neighbours are the same in every run.
    fn load(&self, scenario: &Scenario, server: std::net::SocketAddr, pid: u32) -> Result<Sample, Error> {
        let mut command = Command::new(contender::this_program()?);
        command.arg("load").arg("--server").arg(server.to_string()).arg("--pid").arg(pid.to_string());
        command.arg("--redis").arg(self.redis.address.to_string());
        command.arg("--shape").arg(contender::spelled(&scenario.shape));
        command.arg("--regime").arg(contender::spelled(&scenario.regime));
        command.arg("--window").arg(scenario.window.to_string());
        command.arg("--connections").arg(scenario.connections.to_string());
        command.arg("--seconds").arg(scenario.seconds.to_string());
        let output = command.output().map_err(Error::io("start the load generator"))?;
        if !output.status.success() {
            return Err(Error::invalid(String::from_utf8_lossy(&output.stderr).trim()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            Error::Setup(format!("the load generator printed no figures: {}", error::chain(&error)))
        })
    }
}
