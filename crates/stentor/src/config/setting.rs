//! From what was written to the type of a field: [`Setting`].

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use stentor_auth::{Algorithm, UnknownAlgorithm};
use toml::de::DeValue;

use super::{BrokerUrl, ByteSize, LogFormat, LogLevel, Period, Secret};

/// What was written for a key.
#[derive(Clone, Copy)]
pub(super) enum Written<'a> {
    /// In the environment, where there is only text.
    Variable(&'a str),
    /// In the file.
    Toml(&'a DeValue<'a>),
    /// In the file, one entry of a map.
    Entry(&'a str, &'a DeValue<'a>),
}

/// A type that a field of the configuration can have.
pub(super) trait Setting: Sized {
    /// What is expected, for people.
    const KIND: &'static str;

    /// From a text, in the file or the environment.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From a value of the file. Only what TOML has a type of its own for is taken from another type than text.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| wrong_type(value, Self::KIND))?;
        Self::from_text(text)
    }

    /// With one entry more, for a map.
    fn with_entry(&self, _name: &str, value: &DeValue<'_>) -> Result<Self, String> {
        Self::from_toml(value)
    }

    /// As one would write it; empty for nothing.
    fn show(&self) -> String;
}

/// Sets a field, once `check` has nothing to say against the value.
pub(super) fn assign<T: Setting>(
    field: &mut T,
    written: Written<'_>,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<(), String> {
    let value = match written {
        Written::Variable(text) => T::from_text(text),
        Written::Toml(value) => T::from_toml(value),
        Written::Entry(name, value) => field.with_entry(name, value),
    }?;
    check(&value)?;
    *field = value;
    Ok(())
}

/// Refuses a value outside the range.
pub(super) fn within<T: PartialOrd + Display>(value: &T, range: &RangeInclusive<T>) -> Result<(), String> {
    if range.contains(value) {
        return Ok(());
    }
    Err(format!("{value} is out of range: {} to {}", range.start(), range.end()))
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("\"{text}\" is neither true nor false"))
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong_type(value, Self::KIND))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for usize {
    const KIND: &'static str = "whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().replace('_', "").parse().map_err(|_| format!("\"{text}\" is not a whole number"))
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let number = value.as_integer().ok_or_else(|| wrong_type(value, Self::KIND))?;
        Self::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| format!("{number} is not a whole number from 0"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the path is empty".to_owned());
        }
        Ok(Path::new(text).to_owned())
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// A list, or a single text; in the environment with commas between.
impl Setting for Vec<String> {
    const KIND: &'static str = "list of texts";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        if let Some(single) = value.as_str() {
            return Ok(vec![single.to_owned()]);
        }
        let items = value.as_array().ok_or_else(|| wrong_type(value, Self::KIND))?;
        items
            .iter()
            .map(|item| String::from_toml(item.get_ref()).map_err(|_| wrong_type(item.get_ref(), "text")))
            .collect()
    }

    fn show(&self) -> String {
        self.join(", ")
    }
}

impl Setting for Vec<Algorithm> {
    const KIND: &'static str = <Vec<String> as Setting>::KIND;

    fn from_text(text: &str) -> Result<Self, String> {
        Vec::<String>::from_text(text).and_then(|names| named_algorithms(&names))
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Vec::<String>::from_toml(value).and_then(|names| named_algorithms(&names))
    }

    fn show(&self) -> String {
        self.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn named_algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    let parse = |name: &String| match name.as_str() {
        "HS256" | "HS384" | "HS512" => Err(format!(
            "\"{name}\" needs a shared secret, and these are for public keys; for HS256 set `auth.jwt.secret`"
        )),
        name => name.parse().map_err(|error: UnknownAlgorithm| error.to_string()),
    };
    names.iter().map(parse).collect()
}

/// A table of lists; in the environment `name=item item; name=item`.
impl Setting for BTreeMap<String, Vec<String>> {
    const KIND: &'static str = "table of lists";

    fn from_text(text: &str) -> Result<Self, String> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        let mut map = Self::new();
        for entry in entries {
            let (name, items) = entry
                .split_once('=')
                .ok_or_else(|| format!("\"{entry}\" is not name=item item; entries are divided by ;"))?;
            let items = items.split([' ', ',']).filter(|item| !item.is_empty()).map(str::to_owned).collect();
            if map.insert(name.trim().to_owned(), items).is_some() {
                return Err(format!("\"{}\" is there twice", name.trim()));
            }
        }
        Ok(map)
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Err(wrong_type(value, Self::KIND))
    }

    fn with_entry(&self, name: &str, value: &DeValue<'_>) -> Result<Self, String> {
        let items = Vec::<String>::from_toml(value)?;
        let mut map = self.clone();
        map.insert(name.to_owned(), items);
        Ok(map)
    }

    fn show(&self) -> String {
        self.iter().map(|(name, items)| format!("{name}={}", items.join(" "))).collect::<Vec<_>>().join("; ")
    }
}

/// The empty text is nothing, so that a variable can take back what the file says.
impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        if value.as_str() == Some("") { Ok(None) } else { T::from_toml(value).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(Setting::show).unwrap_or_default()
    }
}

impl Setting for Period {
    const KIND: &'static str = "length of time";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: super::UnitError| error.to_string())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for ByteSize {
    const KIND: &'static str = "size";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: super::UnitError| error.to_string())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Secret {
    const KIND: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text.to_owned()))
    }

    fn show(&self) -> String {
        String::new()
    }
}

impl Setting for BrokerUrl {
    const KIND: &'static str = "address";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for LogFormat {
    const KIND: &'static str = "text or json";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(text, &[Self::Text, Self::Json], Self::as_str)
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Setting for LogLevel {
    const KIND: &'static str = "error, warn, info, debug or trace";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(text, &[Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace], Self::as_str)
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

fn one_of<T: Copy + Setting>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().find(|value| name(**value) == text);
    found.copied().ok_or_else(|| format!("\"{text}\" is not known: {}", T::KIND))
}

fn wrong_type(value: &DeValue<'_>, expected: &str) -> String {
    let found = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("{found} stands where {} is expected", with_article(expected))
}

fn with_article(kind: &str) -> String {
    match kind {
        "address" => format!("an {kind}"),
        "length of time" => format!("a {kind} such as \"30s\""),
        "list of texts" | "path" | "table of lists" | "text" | "whole number" => {
            format!("a {kind}")
        }
        "size" => format!("a {kind} such as \"256KiB\""),
        other => other.to_owned(),
    }
}
