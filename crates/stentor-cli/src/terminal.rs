//! What may be written to a terminal, and how: [`plain`], [`print()`], [`note`].

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, ErrorKind, Write as _},
};

use crate::failure::Failure;

/// The text with every control character but the line's end and the tab spelled out: what a server or a publisher says must
/// not move the cursor, nor anything else that a terminal does when it is told to.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) {
            _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether whoever reads standard output still does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reader {
    /// It has left, as `head` does when it has seen enough.
    Left,
    /// It does.
    Reads,
}

/// Writes one line, or several, to standard output at once, for a command that writes nothing more.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(text).map(|_reader| ())
}

/// As [`print()`], for a command that writes more.
pub(crate) fn write(text: &str) -> Result<Reader, Failure> {
    let mut output = io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Left),
        Err(error) => Err(Failure::failed(format!("standard output cannot be written to: {error}"))),
    }
}

/// Tells what happens on standard error, beside the results.
pub(crate) fn note(text: &str) {
    // Nobody can be told that nobody can be told.
    _ = writeln!(io::stderr(), "{}", plain(text));
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn control_characters_are_spelled_out_and_lines_stay() {
        assert_eq!(plain("a\n\tä"), "a\n\tä");
        assert_eq!(plain("\u{1b}[2Jx\u{9b}y\u{7f}\r"), "\\u001b[2Jx\\u009by\\u007f\\u000d");
    }
}
