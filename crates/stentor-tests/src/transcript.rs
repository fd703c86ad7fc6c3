//! What was said on one connection: [`Transcript`].

use std::{collections::VecDeque, fmt};

/// The last messages of a connection, for the text of a panic.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    lines: VecDeque<String>,
    before: usize,
}

impl Transcript {
    pub(crate) fn sent(&mut self, text: &str) {
        self.note("sent", text);
    }

    pub(crate) fn received(&mut self, text: &str) {
        self.note("received", text);
    }

    fn note(&mut self, direction: &str, text: &str) {
        if self.lines.len() == SHOWN {
            self.lines.pop_front();
            self.before += 1;
        }
        self.lines.push_back(format!("{direction:>8}  {text:.200}"));
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "after {} earlier messages:", self.before)?;
        self.lines.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

const SHOWN: usize = 20;
