//! Values of directive arguments with their places in the file: [`Literal`].

use std::ops::Range;

use apollo_compiler::{Node, ast::Value};

use crate::diagnostic::{Mistake, SourceFile};

/// A string literal: its text, and where the text's bytes stand in the file.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    pub(super) text: &'a str,
    /// The whole literal with its quotes.
    pub(super) range: Range<usize>,
    /// Where the text begins in the file, if it stands there letter for letter: without escapes, and in a block
    /// string without indentation that GraphQL takes away.
    verbatim: Option<usize>,
}

impl<'a> Literal<'a> {
    /// The string that `value` is; other values are apollo-compiler's to refuse.
    pub(super) fn of(value: &'a Node<Value>, file: &SourceFile) -> Option<Self> {
        let text = value.as_str()?;
        let range = range_of(value);
        let raw = file.text.get(range.clone()).unwrap_or_default();
        let inner = if raw.starts_with("\"\"\"") { 3 } else { 1 };
        let verbatim = raw.get(inner..).and_then(|rest| rest.find(text)).map(|at| range.start + inner + at);
        Some(Self { text, range, verbatim })
    }

    /// `mistake`, whose range is within the text, at its place in the file.
    pub(super) fn locate(&self, mut mistake: Mistake) -> Mistake {
        mistake.range = match self.verbatim {
            Some(start) => start + mistake.range.start..start + mistake.range.end,
            None => self.range.clone(),
        };
        mistake
    }
}

/// Where a node stands in the author's file; what is supplied stands at its start.
pub(super) fn range_of<T: ?Sized>(node: &Node<T>) -> Range<usize> {
    node.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default()
}
