//! From text to [`Template`], with every mistake at its place.

use std::ops::Range;

use super::{Part, Reference, Root, Template, is_glob};
use crate::{
    diagnostic::{Mistake, suggestion},
    schema::{Scope, Segment, Strictness},
};

/// What a template is for: it decides what the template may be made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TemplateKind {
    /// `@subscribe(hash)`.
    HashKey,
    /// `@delivery(key)`.
    Key,
    /// `@hasScope(resource)`.
    Resource,
    /// `@subscribe(topic)`.
    Topic,
}

impl Template {
    /// Parses `text` and checks every name in it; ranges of mistakes are within `text`.
    pub(crate) fn parse(text: &str, kind: TemplateKind, scope: &Scope<'_>) -> Result<Self, Vec<Mistake>> {
        let (pieces, mut mistakes) = split(text);
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            match parse_piece(text, piece, kind, scope) {
                Ok(part) => parts.push(part),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes.extend(check_whole(text, kind, &pieces));
        if mistakes.is_empty() { Ok(Self { parts }) } else { Err(mistakes) }
    }

    /// The template that reads the event's `key`.
    pub(crate) fn event_key(key: &str) -> Self {
        let path = vec![key.to_owned()];
        Self { parts: vec![Part::Value(Reference { root: Root::Event, path })] }
    }
}

impl TemplateKind {
    /// Whether the text says where to listen.
    fn is_address(self) -> bool {
        matches!(self, Self::HashKey | Self::Topic)
    }

    /// What takes `a` before it.
    fn noun(self) -> &'static str {
        match self {
            Self::HashKey => "hash key",
            Self::Key => "key",
            Self::Resource => "resource",
            Self::Topic => "topic",
        }
    }
}

/// A run of the text: literal, or what is between `{{` and `}}`.
struct Piece {
    literal: bool,
    range: Range<usize>,
}

fn split(text: &str) -> (Vec<Piece>, Vec<Mistake>) {
    let (mut pieces, mut mistakes) = (Vec::new(), Vec::new());
    let mut position = 0;
    while let Some(found) = text[position..].find("{{") {
        let open = position + found;
        push_literal(&mut pieces, position..open);
        let inside = open + 2;
        let end = text[inside..].find("}}").map(|length| inside + length);
        let next = text[inside..].find("{{").map(|length| inside + length);
        match (end, next) {
            (Some(end), next) if next.is_none_or(|next| end < next) => {
                pieces.push(Piece { literal: false, range: inside..end });
                position = end + 2;
            }
            _ => {
                mistakes.push(Mistake::new(open..inside, "`{{` is never closed").help("close it with `}}`"));
                position = next.unwrap_or(text.len());
            }
        }
    }
    push_literal(&mut pieces, position..text.len());
    (pieces, mistakes)
}

fn push_literal(pieces: &mut Vec<Piece>, range: Range<usize>) {
    if !range.is_empty() {
        pieces.push(Piece { literal: true, range });
    }
}

fn parse_piece(text: &str, piece: &Piece, kind: TemplateKind, scope: &Scope<'_>) -> Result<Part, Mistake> {
    let content = &text[piece.range.clone()];
    if piece.literal {
        check_literal(content, piece.range.start, kind)?;
        return Ok(Part::Literal(content.to_owned()));
    }
    let start = piece.range.start + (content.len() - content.trim_start().len());
    let content = content.trim();
    if content.is_empty() {
        let whole = piece.range.start - 2..piece.range.end + 2;
        return Err(Mistake::new(whole, "an empty template").help("name a value, `{{ args.id }}` say"));
    }
    let segments = segments(content, start)?;
    reference(&segments, start..start + content.len(), kind, scope).map(Part::Value)
}

fn check_literal(literal: &str, start: usize, kind: TemplateKind) -> Result<(), Mistake> {
    if let Some(at) = literal.find("}}") {
        return Err(Mistake::new(start + at..start + at + 2, "`}}` without a `{{` before it")
            .help("a value stands in double braces: `{{ args.id }}`"));
    }
    for root in ["{args.", "{claims.", "{event.", "{parent."] {
        if let Some(at) = literal.find(root) {
            let end = literal[at..].find('}').map_or(at + root.len(), |length| at + length + 1);
            return Err(Mistake::new(start + at..start + end, "a value needs double braces")
                .help(format!("write `{{{{ {} }}}}`", literal[at + 1..end].trim_end_matches('}'))));
        }
    }
    if !kind.is_address() {
        return Ok(());
    }
    match literal.char_indices().find(|(_, character)| forbidden_in_address(*character)) {
        None => Ok(()),
        Some((at, character)) => Err(Mistake::new(
            start + at..start + at + character.len_utf8(),
            format!("a {} must not contain {}", kind.noun(), name_of(character)),
        )
        .help(format!("a {} is one address: letters, digits and `:` between its parts", kind.noun()))),
    }
}

fn segments(content: &str, start: usize) -> Result<Vec<Segment>, Mistake> {
    let mut position = start;
    let mut segments = Vec::new();
    for name in content.split('.') {
        let range = position..position + name.len();
        position = range.end + 1;
        if !is_name(name) {
            let message = format!("`{content}` is not a path");
            return Err(Mistake::new(start..start + content.len(), message)
                .help("write names with dots between them, `{{ args.id }}` say"));
        }
        segments.push(Segment { name: name.to_owned(), range });
    }
    Ok(segments)
}

fn reference(
    segments: &[Segment],
    range: Range<usize>,
    kind: TemplateKind,
    scope: &Scope<'_>,
) -> Result<Reference, Mistake> {
    let Some((first, rest)) = segments.split_first() else {
        return Err(Mistake::new(range, "an empty template"));
    };
    let root = match first.name.as_str() {
        "args" => Root::Args,
        "claims" => Root::Claims,
        "event" => Root::Event,
        "parent" => Root::Parent,
        _ => return Err(unknown_root(first, scope)),
    };
    match root {
        Root::Args => scope.check_argument(rest, Strictness::Text)?,
        Root::Claims => scope.check_claims(range.clone())?,
        Root::Parent => scope.check_parent(rest, range.clone())?,
        Root::Event if scope.event => {}
        Root::Event => {
            return Err(Mistake::new(
                range,
                format!("a {} cannot read the event: there is none yet", kind.noun()),
            )
            .help(format!("read an argument{}", if scope.authentication { " or a claim" } else { "" })));
        }
    }
    if rest.is_empty() && root != Root::Event {
        let message = format!("`{}` is all of them, not one value", first.name);
        return Err(Mistake::new(range, message).help(format!("name one: `{}.id` say", first.name)));
    }
    Ok(Reference { root, path: rest.iter().map(|segment| segment.name.clone()).collect() })
}

fn unknown_root(first: &Segment, scope: &Scope<'_>) -> Mistake {
    let name = &first.name;
    let mistake = Mistake::new(first.range.clone(), format!("unknown name `{name}`"));
    if scope.arguments.iter().any(|argument| argument.name == name.as_str()) {
        return mistake.help(format!("arguments are below `args`: `args.{name}`"));
    }
    match suggestion(name, scope.roots()) {
        Some(help) => mistake.help(help),
        None => mistake,
    }
}

fn check_whole(text: &str, kind: TemplateKind, pieces: &[Piece]) -> Vec<Mistake> {
    if text.is_empty() {
        let message = format!("a {} must not be empty", kind.noun());
        return vec![Mistake::new(0..0, message).help("name what it stands for, `bot:{{ args.id }}` say")];
    }
    if !kind.is_address() {
        return Vec::new();
    }
    let adjacent = pieces.windows(2).find(|pair| !pair[0].literal && !pair[1].literal);
    match adjacent {
        None => Vec::new(),
        Some(pair) => {
            let range = pair[1].range.start - 2..pair[1].range.end + 2;
            vec![
                Mistake::new(
                    range,
                    format!(
                        "two values without anything between them: different values give one {}",
                        kind.noun()
                    ),
                )
                .help("put a `:` between them"),
            ]
        }
    }
}

fn forbidden_in_address(character: char) -> bool {
    character.is_whitespace() || character.is_control() || is_glob(character)
}

fn name_of(character: char) -> String {
    match character {
        ' ' => "white space".to_owned(),
        _ if character.is_whitespace() || character.is_control() => {
            "white space or control characters".to_owned()
        }
        _ => format!("`{character}`, which is part of a glob"),
    }
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first && characters.all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}
