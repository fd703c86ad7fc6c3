//! apollo-compiler's diagnostics in our words and shape.

use apollo_compiler::{
    Schema as ApolloSchema,
    diagnostic::{Color, ToCliReport},
    validation::DiagnosticList,
};

use super::directives;
use crate::diagnostic::{Mistake, SourceFile, nearest, suggestion};

/// The mistakes that `list` tells of; of syntax errors only the first, since the others are its echoes.
pub(super) fn mistakes(
    list: &DiagnosticList,
    schema: Option<&ApolloSchema>,
    file: &SourceFile,
) -> Vec<Mistake> {
    let mut told = Vec::new();
    for diagnostic in list.iter() {
        let message = diagnostic.error.to_string();
        let span = diagnostic.error.location();
        let range = span.map(|span| span.offset()..span.end_offset()).unwrap_or_default();
        if let Some(reason) = message.strip_prefix("syntax error: ") {
            return vec![syntax_mistake(Mistake::new(range, reason))];
        }
        let mut mistake = translate(Mistake::new(range, message), schema);
        if mistake.help.is_none() {
            let report = diagnostic.to_report(Color::Never).into_string();
            mistake.help = Some(apollo_help(&report).unwrap_or_else(|| SPECIFICATION.to_owned()));
        }
        narrow(&mut mistake, file);
        told.push(mistake);
    }
    told
}

/// What a file without any root type should begin with.
pub(super) fn no_root_type() -> Mistake {
    Mistake::new(0..1, "the schema has no root type")
        .help("begin with `type Subscription { … }`, and feed its fields by `@subscribe`")
}

fn syntax_mistake(mut mistake: Mistake) -> Mistake {
    if mistake.message == "Unexpected <EOF>." {
        return no_root_type();
    }
    let help = SYNTAX_HELP.iter().find(|(part, _)| mistake.message.contains(part));
    mistake.help = Some(help.map_or(FIELD_SYNTAX, |(_, help)| help).to_owned());
    for (token, character) in TOKENS {
        mistake.message = mistake.message.replace(token, character);
    }
    mistake.message = format!("syntax error: {}", mistake.message);
    mistake
}

/// Our words for what authors get wrong most, with names that are near; anything else keeps apollo-compiler's.
fn translate(mistake: Mistake, schema: Option<&ApolloSchema>) -> Mistake {
    let message = mistake.message.as_str();
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (told, help) = match names.as_slice() {
        [name] if message.starts_with("cannot find directive") => unknown_directive(name),
        [name] if message.starts_with("cannot find type") => unknown_type(name, schema),
        [name, directive] if message.contains("is not supported by `@") => {
            unknown_argument(name, directive, schema)
        }
        [coordinate] if message.starts_with("the required argument `@") => missing_argument(coordinate),
        [value, definition] if message.starts_with("value `") => unknown_value(value, definition, schema),
        _ => by_phrase(message),
    };
    Mistake { range: mistake.range, message: told, help }
}

fn unknown_directive(name: &str) -> (String, Option<String>) {
    let ours: Vec<String> = directives::NAMES.iter().map(|ours| format!("@{ours}")).collect();
    (format!("unknown directive `{name}`"), suggestion(name, ours.iter().map(String::as_str)))
}

fn unknown_type(name: &str, schema: Option<&ApolloSchema>) -> (String, Option<String>) {
    let types = schema.map(|schema| &schema.types).into_iter().flatten();
    let known = types.map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("__"));
    let help = nearest(name, known).map_or_else(
        || format!("define it: `type {name} {{ … }}`, or `scalar {name}` for any JSON"),
        |near| format!("did you mean `{near}`?"),
    );
    (format!("unknown type `{name}`"), Some(help))
}

fn unknown_argument(name: &str, directive: &str, schema: Option<&ApolloSchema>) -> (String, Option<String>) {
    let directive = directive.split('(').next().unwrap_or(directive);
    let definition =
        schema.and_then(|schema| schema.directive_definitions.get(directive.trim_start_matches('@')));
    let known = definition.into_iter().flat_map(|definition| &definition.arguments);
    let help = suggestion(name, known.map(|argument| argument.name.as_str()));
    let help = help.unwrap_or_else(|| format!("`{directive}` takes no arguments: remove it"));
    (format!("`{directive}` has no argument `{name}`"), Some(help))
}

fn missing_argument(coordinate: &str) -> (String, Option<String>) {
    let (directive, argument) = coordinate.split_once('(').unwrap_or((coordinate, ""));
    let argument = argument.trim_end_matches([')', ':']);
    (
        format!("`{directive}` needs its argument `{argument}`"),
        Some(format!("write `{directive}({argument}: \"…\")`")),
    )
}

fn unknown_value(value: &str, definition: &str, schema: Option<&ApolloSchema>) -> (String, Option<String>) {
    let definition = schema.and_then(|schema| schema.get_enum(definition));
    let known = definition.into_iter().flat_map(|definition| definition.values.keys());
    (format!("unknown value `{value}`"), suggestion(value, known.map(|name| name.as_str())))
}

fn by_phrase(message: &str) -> (String, Option<String>) {
    if let Some((directive, _)) = message.split_once(" directive is not supported for ") {
        let known = directives::NAMES.contains(&directive);
        let help = known.then(|| "it stands only on fields, after their types".to_owned());
        return (format!("`@{directive}` cannot stand here"), help);
    }
    if let Some(rest) = message.strip_prefix("non-repeatable directive ") {
        let directive = rest.split(' ').next().unwrap_or(rest);
        return (format!("`@{directive}` stands here twice"), Some("keep one of them".to_owned()));
    }
    let help =
        PHRASES.iter().find(|(phrase, _)| message.contains(phrase)).map(|(_, help)| (*help).to_owned());
    (message.to_owned(), help)
}

/// The help of an apollo-compiler report, which only its drawn form gives out.
fn apollo_help(report: &str) -> Option<String> {
    let help = report.lines().find_map(|line| line.split_once("Help: "))?.1;
    Some(help.trim().to_owned())
}

/// Cuts a caret under a whole definition, argument or directive down to its name.
fn narrow(mistake: &mut Mistake, file: &SourceFile) {
    let Some(text) = file.text.get(mistake.range.clone()) else { return };
    if text.starts_with(['"', '[', '{']) {
        return;
    }
    let end = text.char_indices().skip(1).find(|(_, character)| "({:@\n".contains(*character));
    if let Some((end, _)) = end {
        mistake.range.end = mistake.range.start + text[..end].trim_end().len();
    }
}

/// What to do about messages that keep their words.
const PHRASES: [(&str, &str); 10] = [
    ("expected value of type String", "put it in quotes"),
    ("expected value of type Int", "write a whole number"),
    ("expected value of type", "write a value of that type"),
    ("is defined multiple times in the schema", "keep one, or write the other as `extend type`"),
    ("duplicate definitions for", "remove or rename one of them"),
    ("more than once", "remove one of them"),
    ("a schema document must not contain", "remove it: clients send operations, a schema defines types"),
    ("type extension for undefined type", "write `type` instead of `extend type`"),
    ("names starting with two underscores are reserved", "choose another name"),
    ("built-in scalar definitions must be omitted", "remove this definition"),
];

/// What to do about syntax errors whose message contains a part.
const SYNTAX_HELP: [(&str, &str); 6] = [
    ("unterminated string", "close the string with `\"`"),
    ("unexpected line terminator", "close the string with `\"`, or write it between `\"\"\"`"),
    ("escaped character", "write `\\\\` for a backslash"),
    ("EOF", "something is not closed: look for a missing `}` or `)`"),
    ("Unexpected character", "remove it"),
    (
        "efinition",
        "a definition begins with `type`, `input`, `enum`, `interface`, `union`, `scalar`, `schema` or `extend`",
    ),
];

const FIELD_SYNTAX: &str = "a field reads `name(argument: Type!): Type! @directive`";

const SPECIFICATION: &str = "the rules are at https://spec.graphql.org/October2021/#sec-Type-System";

/// The parser's names of characters.
const TOKENS: [(&str, &str); 8] = [
    ("L_BRACK", "`[`"),
    ("L_CURLY", "`{`"),
    ("L_PAREN", "`(`"),
    ("R_BRACK", "`]`"),
    ("R_CURLY", "`}`"),
    ("R_PAREN", "`)`"),
    ("COLON", "`:`"),
    ("EOF", "the end of the file"),
];
