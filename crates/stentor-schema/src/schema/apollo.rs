//! apollo-compiler's diagnostics in our words and shape.

use apollo_compiler::{
    Schema as ApolloSchema,
    diagnostic::{Color, ToCliReport},
    validation::DiagnosticList,
};

use crate::{
    diagnostic::{Mistake, SourceFile, suggestion},
    schema::directives,
};

/// The mistakes that `list` tells of.
pub(super) fn mistakes(
    list: &DiagnosticList,
    schema: Option<&ApolloSchema>,
    file: &SourceFile,
) -> Vec<Mistake> {
    list.iter()
        .map(|diagnostic| {
            let message = diagnostic.error.to_string();
            let range =
                diagnostic.error.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default();
            let mut mistake = Mistake::new(range, message);
            mistake.help = own_help(&mistake, schema)
                .or_else(|| apollo_help(&diagnostic.to_report(Color::Never).into_string()));
            narrow(&mut mistake, file);
            mistake
        })
        .collect()
}

/// The help of an apollo-compiler report, which only its drawn form gives out.
fn apollo_help(report: &str) -> Option<String> {
    let help = report.lines().find_map(|line| line.split_once("Help: "))?.1;
    Some(help.trim().to_owned())
}

/// Names that are near to the unknown one.
fn own_help(mistake: &Mistake, schema: Option<&ApolloSchema>) -> Option<String> {
    let message = mistake.message.as_str();
    if let Some(name) = quoted_after(message, "cannot find directive `@") {
        return suggestion(name, directives::NAMES);
    }
    if let Some(name) = quoted_after(message, "cannot find type `") {
        let names = schema?.types.keys().map(|name| name.as_str()).filter(|name| !name.starts_with("__"));
        return suggestion(name, names);
    }
    None
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

/// A caret under a whole definition says little: its first line up to the first bracket says as much.
fn narrow(mistake: &mut Mistake, file: &SourceFile) {
    let Some(text) = file.text.get(mistake.range.clone()) else { return };
    if let Some(end) = text.find(['(', '{', '\n']).filter(|end| *end > 0) {
        mistake.range.end = mistake.range.start + text[..end].trim_end().len();
    }
}
