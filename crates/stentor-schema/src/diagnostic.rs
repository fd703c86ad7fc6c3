//! Mistakes in a schema file, told to its author: [`Diagnostics`].

use std::{fmt, ops::Range};

/// One mistake: where, what, and how to mend it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The schema file, as its author names it.
    pub file: String,
    /// The line of the caret, from 1.
    pub line: usize,
    /// The character of the caret in its line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The fix, where one can be told.
    pub help: Option<String>,
    source_line: String,
    /// How many characters the caret underlines, at least 1.
    width: usize,
}

/// Every mistake found in one schema file, in its order; its `Display` is what the operator reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// A mistake before its place has a line: a range of bytes, of the file or of a text inside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mistake {
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// A schema file: what turns ranges of bytes into lines.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Mistake {
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl SourceFile {
    /// The diagnostics of `mistakes`, in the order of the file and each once.
    pub(crate) fn diagnostics(&self, mut mistakes: Vec<Mistake>) -> Diagnostics {
        mistakes.sort_by_key(|mistake| (mistake.range.start, mistake.range.end));
        mistakes.dedup();
        Diagnostics(mistakes.into_iter().map(|mistake| self.diagnostic(mistake)).collect())
    }

    fn diagnostic(&self, mistake: Mistake) -> Diagnostic {
        let start = floor_boundary(&self.text, mistake.range.start);
        let end = floor_boundary(&self.text, mistake.range.end).max(start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[line_start..];
        let source_line = rest[..rest.find('\n').unwrap_or(rest.len())].trim_end();
        let on_this_line = end.min(line_start + source_line.len()).max(start);
        Diagnostic {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            message: mistake.message,
            help: mistake.help,
            source_line: source_line.to_owned(),
            width: self.text[start..on_this_line].chars().count().max(1),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostic {
    /// The shape that compilers taught everyone to read: message, place, line, caret, help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, help, source_line, width } = self;
        let margin = " ".repeat(line.to_string().len());
        // A tab is as wide as the terminal likes; one space keeps the caret under its character.
        let source_line = source_line.replace('\t', " ");
        writeln!(f, "error: {message}")?;
        writeln!(f, "{margin}--> {file}:{line}:{column}")?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {source_line}")?;
        write!(f, "{margin} | {}{}", " ".repeat(column - 1), "^".repeat(*width))?;
        match help {
            Some(help) => write!(f, "\n{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// The name that the author most likely meant, if one is near enough to say so.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.replace('_', "").to_lowercase();
    let tolerance = (wanted.chars().count() / 3).max(1);
    names
        .into_iter()
        .map(|name| {
            let plain = name.replace('_', "").to_lowercase();
            (strsim::damerau_levenshtein(&wanted, &plain), name)
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean …`, or else what there is to choose from.
pub fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if let Some(name) = nearest(wanted, names.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    match names.as_slice() {
        [] => None,
        names => Some(format!("known here: {}", list(names))),
    }
}

/// `` `a`, `b`, `c` ``, cut where it stops being useful.
fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED_NAMES).map(|name| format!("`{name}`")).collect();
    let rest = if names.len() > LISTED_NAMES { ", …" } else { "" };
    shown.join(", ") + rest
}

fn floor_boundary(text: &str, mut index: usize) -> usize {
    index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

const LISTED_NAMES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, mistakes: Vec<Mistake>) -> String {
        SourceFile { name: "s.graphql".into(), text: text.into() }.diagnostics(mistakes).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_range() {
        let text = "type Query {\n\tø: Foo\n}\n";
        let start = text.find("Foo").unwrap();
        let rendered = render(text, vec![Mistake::new(start..start + 3, "no `Foo`").help("define it")]);
        assert_eq!(
            rendered,
            "error: no `Foo`\n --> s.graphql:2:5\n  |\n2 |  ø: Foo\n  |     ^^^\n  = help: define it"
        );
    }

    #[test]
    fn a_range_over_lines_is_underlined_on_its_first() {
        let rendered = render("{\n  abc\n}\n", vec![Mistake::new(4..9, "long")]);
        assert!(rendered.ends_with("2 |   abc\n  |   ^^^"), "{rendered}");
    }

    #[test]
    fn no_range_is_out_of_the_file() {
        for range in [0..0, 0..99, 99..100, 1..2] {
            assert!(render("é", vec![Mistake::new(range, "x")]).contains('^'));
        }
        assert!(render("", vec![Mistake::new(0..1, "x")]).contains(":1:1"));
    }

    #[test]
    fn mistakes_come_in_the_order_of_the_file_and_once() {
        let rendered = render(
            "ab",
            vec![Mistake::new(1..2, "second"), Mistake::new(0..1, "first"), Mistake::new(1..2, "second")],
        );
        let messages: Vec<&str> = rendered.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(messages, ["error: first", "error: second"]);
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["botId", "ownerId", "limit"];
        let rows = [
            ("botid", Some("botId")),
            ("bot_id", Some("botId")),
            ("ownrId", Some("ownerId")),
            ("tenant", None),
        ];
        for (wanted, expected) in rows {
            assert_eq!(nearest(wanted, names), expected, "{wanted}");
        }
    }
}
