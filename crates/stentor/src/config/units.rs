//! Numbers with a unit, as people write them: [`Period`] and [`ByteSize`].

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A length of time: `3s`, `500ms`, `10m`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Period(Duration);

impl Period {
    /// That many milliseconds.
    pub const fn millis(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// That many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// That many minutes.
    pub const fn minutes(count: u64) -> Self {
        Self::seconds(count * 60)
    }

    /// That many hours.
    pub const fn hours(count: u64) -> Self {
        Self::minutes(count * 60)
    }

    /// The time itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &PERIOD_UNITS, "a length of time such as \"30s\" or \"500ms\"").map(Self::millis)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_unit(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &PERIOD_UNITS, "s")
    }
}

/// A number of bytes: `256KiB`, `1MiB`, `100B`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many times 1,024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// That many times 1,024 KiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// That many times 1,024 MiB.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The number of bytes; where addresses are too short for it, the largest number that they can hold.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &SIZE_UNITS, "a number of bytes such as \"256KiB\" or \"1MiB\"").map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_unit(f, self.0, &SIZE_UNITS, "B")
    }
}

/// Text that is no number with a unit.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UnitError {
    /// It does not begin with a whole number.
    #[error("\"{text}\" is not {expected}")]
    NoNumber {
        /// What was written.
        text: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// The unit is missing or not known.
    #[error("\"{text}\" needs one of the units {units}")]
    Unit {
        /// What was written.
        text: String,
        /// The units there are.
        units: String,
    },
    /// No computer counts that far.
    #[error("\"{0}\" is too large")]
    TooLarge(String),
}

type Units = [(&'static str, u64)];

fn parse(text: &str, units: &Units, expected: &'static str) -> Result<u64, UnitError> {
    let text = text.trim();
    let number_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    if number.is_empty() || unit.starts_with('.') {
        return Err(UnitError::NoNumber { text: text.to_owned(), expected });
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit.trim_start()) else {
        let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
        return Err(UnitError::Unit { text: text.to_owned(), units: names.join(", ") });
    };
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    value.ok_or_else(|| UnitError::TooLarge(text.to_owned()))
}

/// In the largest unit that leaves a whole number.
fn write_with_unit(f: &mut fmt::Formatter<'_>, value: u64, units: &Units, zero: &str) -> fmt::Result {
    match units.iter().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor)) {
        Some((name, factor)) => write!(f, "{}{name}", value / factor),
        None => write!(f, "0{zero}"),
    }
}

/// Largest first, in milliseconds.
const PERIOD_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
