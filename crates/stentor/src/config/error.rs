//! Mistakes in a configuration, told to its author: [`ConfigError`].

use std::{fmt, ops::Range};

use thiserror::Error;

/// Every mistake that was found; its `Display` is what the operator reads.
///
/// No value of a secret is in it, nor a line of the file that may hold one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
pub struct ConfigError(pub(super) Vec<Problem>);

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) place: Place,
}

/// Where something was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Place {
    /// Nowhere: it is missing.
    #[default]
    Nowhere,
    /// In the file.
    File(FilePlace),
    /// In the variable of this name.
    Variable(String),
}

/// A place in the file, counted from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FilePlace {
    file: String,
    line: usize,
    column: usize,
    /// The line up to the end of the place, and how many characters of it to point at; `None` where it could show a secret.
    shown: Option<(String, usize)>,
}

impl Problem {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place }
    }

    pub(super) fn with_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

impl Place {
    /// The place alone, without what was written there.
    pub(super) fn without_text(mut self) -> Self {
        if let Self::File(place) = &mut self {
            place.shown = None;
        }
        self
    }

    /// The place of these bytes in a file's text.
    pub(super) fn in_file(file: &str, text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        let line = text[line_start..end].trim_end_matches('\r');
        let width = text[start..end].trim_end_matches('\r').chars().count().max(1);
        Self::File(FilePlace {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            shown: (!may_hold_secret(line)).then(|| (line.replace('\t', " "), width)),
        })
    }
}

/// Nothing after the place is shown, so only what stands before it on its line can give a secret away.
fn may_hold_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["secret", "password", "token", "://"].iter().any(|sign| lower.contains(sign))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.place {
            Place::Nowhere => {}
            Place::Variable(name) => write!(f, "\n --> {name} in the environment")?,
            Place::File(place) => place.fmt(f)?,
        }
        if let Some(help) = &self.help {
            write!(f, "\n{}= help: {help}", self.place.margin())?;
        }
        Ok(())
    }
}

impl Place {
    /// What stands before the lines below the place.
    fn margin(&self) -> String {
        match self {
            Self::File(place) => " ".repeat(place.digits() + 1),
            Self::Nowhere | Self::Variable(_) => "  ".to_owned(),
        }
    }
}

impl FilePlace {
    fn digits(&self) -> usize {
        self.line.to_string().len()
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, shown } = self;
        let margin = " ".repeat(self.digits());
        write!(f, "\n{margin}--> {file}:{line}:{column}")?;
        let Some((text, width)) = shown else {
            return Ok(());
        };
        let indent = " ".repeat(column - 1);
        write!(f, "\n{margin} |\n{line} | {text}\n{margin} | {indent}{}", "^".repeat(*width))
    }
}
