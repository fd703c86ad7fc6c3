//! The figures, as a table for people and as JSON for programs.

use std::fs;
use std::iter;

use serde::Serialize;

use crate::load::Sample;
use crate::scenario::{Regime, Scenario};
use crate::statistics::Spread;

/// Everything that one comparison found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: Vec<String>,
    pub(crate) scenarios: Vec<ScenarioReport>,
}

impl Report {
    /// Whether every run delivered every event once.
    pub(crate) fn is_valid(&self) -> bool {
        self.scenarios.iter().flat_map(|report| &report.contenders).all(|figures| figures.invalid.is_empty())
    }

    /// The table that is printed.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let machine = &self.machine;
        line(
            &mut out,
            &format!("machine   {} cores, {}, {}", machine.cores, machine.processor, machine.kernel),
        );
        let (load, huge) = (&machine.load_average, &machine.huge_pages);
        line(
            &mut out,
            &format!("          load average {load} at the start, transparent huge pages: {huge}"),
        );
        line(&mut out, &format!("programs  {}", self.versions.join(", ")));
        line(
            &mut out,
            "method    median (min-max) of the runs; contenders take turns, each run a fresh process;",
        );
        line(&mut out, "          ratios are taken within a round, then their median");
        for scenario in &self.scenarios {
            out.push('\n');
            scenario.write(&mut out);
        }
        out
    }
}

/// Facts that the figures depend on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    load_average: String,
    /// Where an allocator gets them, memory is resident in steps of 2 MiB.
    huge_pages: String,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor.map_or("unknown processor", |(_, name)| name).to_owned(),
            kernel: format!("Linux {}", text("/proc/sys/kernel/osrelease").trim()),
            huge_pages: chosen(&text("/sys/kernel/mm/transparent_hugepage/enabled")),
            load_average: text("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// One scenario's figures.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    scenario: Scenario,
    pub(crate) contenders: Vec<ContenderFigures>,
}

/// One contender's samples in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct ContenderFigures {
    name: &'static str,
    /// One per round; none where the run was invalid.
    pub(crate) samples: Vec<Option<Sample>>,
    /// Why runs were invalid.
    pub(crate) invalid: Vec<String>,
}

impl ScenarioReport {
    pub(crate) fn new(scenario: Scenario, names: impl Iterator<Item = &'static str>) -> Self {
        let contenders =
            names.map(|name| ContenderFigures { name, samples: Vec::new(), invalid: Vec::new() });
        Self { scenario, contenders: contenders.collect() }
    }

    fn write(&self, out: &mut String) {
        line(out, &self.scenario.title());
        let columns: &[Column] = if self.scenario.regime == Regime::Idle { &MEMORY } else { &DELIVERY };
        let titles = columns.iter().map(|column| column.title.to_owned());
        let mut rows: Vec<Vec<String>> = vec![iter::once(String::new()).chain(titles).collect()];
        for figures in &self.contenders {
            let cells = columns.iter().map(|column| column.cell(figures));
            rows.push(iter::once(figures.name.to_owned()).chain(cells).collect());
        }
        if let Some(column) = columns.first() {
            rows.extend(self.ratios(column));
        }
        write_aligned(out, &rows);
        for figures in &self.contenders {
            for reason in &figures.invalid {
                line(out, &format!("  {}: {reason}", figures.name));
            }
        }
    }

    /// The first contender's figure divided by each other's.
    fn ratios(&self, column: &Column) -> Vec<Vec<String>> {
        let Some((first, others)) = self.contenders.split_first() else { return Vec::new() };
        let row = |other: &ContenderFigures| {
            let rounds = first.samples.iter().zip(&other.samples);
            let ratios = rounds.filter_map(|(one, other)| {
                let (one, other) = ((column.figure)(one.as_ref()?), (column.figure)(other.as_ref()?));
                (other > 0.0).then(|| one / other)
            });
            vec![format!("{} / {}", first.name, other.name), spread(Spread::of(ratios), 2)]
        };
        others.iter().map(row).collect()
    }
}

/// One figure of a sample.
struct Column {
    title: &'static str,
    decimals: usize,
    figure: fn(&Sample) -> f64,
}

impl Column {
    fn cell(&self, figures: &ContenderFigures) -> String {
        spread(Spread::of(figures.samples.iter().flatten().map(self.figure)), self.decimals)
    }
}

const DELIVERY: [Column; 6] = [
    Column {
        title: "CPU µs per delivery",
        decimals: 2,
        figure: |sample| sample.cpu_seconds * 1e6 / sample.deliveries as f64,
    },
    Column { title: "deliveries/s", decimals: 0, figure: |sample| sample.deliveries as f64 / sample.seconds },
    Column { title: "CPU s per run", decimals: 2, figure: |sample| sample.cpu_seconds },
    Column { title: "messages per read", decimals: 1, figure: |sample| sample.messages_per_read },
    Column { title: "frame bytes", decimals: 0, figure: |sample| sample.frame_bytes as f64 },
    Column { title: "threads", decimals: 0, figure: |sample| sample.threads as f64 },
];

const MEMORY: [Column; 3] = [
    Column { title: "RSS KiB/connection", decimals: 2, figure: |sample| sample.rss_per_connection / 1024.0 },
    Column { title: "PSS KiB/connection", decimals: 2, figure: |sample| sample.pss_per_connection / 1024.0 },
    Column { title: "threads", decimals: 0, figure: |sample| sample.threads as f64 },
];

/// The value in brackets of a kernel setting that lists all values.
fn chosen(setting: &str) -> String {
    let chosen = setting.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or("unknown", |(value, _)| value).to_owned()
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn spread(spread: Option<Spread>, decimals: usize) -> String {
    let number = |value: f64| {
        if decimals == 0 { grouped(value.round() as u64) } else { format!("{value:.decimals$}") }
    };
    match spread {
        None => "-".to_owned(),
        Some(Spread { median, min, max }) => {
            let (median, min, max) = (number(median), number(min), number(max));
            if min == max { median } else { format!("{median} ({min}-{max})") }
        }
    }
}

fn write_aligned(out: &mut String, rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    for row in rows {
        let cells =
            row.iter().enumerate().map(|(column, cell)| format!("  {cell:<width$}", width = width(column)));
        line(out, cells.collect::<String>().trim_end());
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Shape;

    fn sample(cpu_seconds: f64) -> Option<Sample> {
        let (rss_per_connection, pss_per_connection) = (2_048.0, 1_024.0);
        Some(Sample {
            threads: 3,
            deliveries: 1_000_000,
            seconds: 5.0,
            cpu_seconds,
            messages_per_read: 1.5,
            frame_bytes: 250,
            rss_per_connection,
            pss_per_connection,
        })
    }

    fn report(regime: Regime) -> ScenarioReport {
        let scenario =
            Scenario { shape: Shape::OneTopic, regime, window: 32, connections: 1_000, seconds: 5.0 };
        let mut report = ScenarioReport::new(scenario, ["stentor", "floor each"].into_iter());
        report.contenders[0].samples = vec![sample(4.0), sample(6.0), None];
        report.contenders[0].invalid = vec!["invalid run: a reason".to_owned()];
        report.contenders[1].samples = vec![sample(8.0), sample(8.0), sample(8.0)];
        report
    }

    fn table(regime: Regime) -> String {
        let mut out = String::new();
        report(regime).write(&mut out);
        out
    }

    #[test]
    fn ratios_pair_the_valid_runs_of_one_round() {
        let table = table(Regime::Saturating);
        assert!(table.contains("stentor / floor each  0.62 (0.50-0.75)"), "{table}");
        assert!(table.contains("stentor               5.00 (4.00-6.00)"), "{table}");
        assert!(table.contains("200,000"), "{table}");
        assert!(table.contains("  stentor: invalid run: a reason"), "{table}");
    }

    #[test]
    fn idle_scenarios_tell_memory_and_no_cpu() {
        let table = table(Regime::Idle);
        assert!(table.contains("2.00") && table.contains("1.00") && !table.contains("CPU"), "{table}");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
