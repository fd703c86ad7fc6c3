//! Text with `{{ args.x }}` in it: [`Template`].

mod parse;

use std::borrow::Cow;

use serde_json::{Number, Value};

pub(crate) use self::parse::TemplateKind;
use crate::{Event, JsonObject};

/// A parsed and checked template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

/// The values a template may read.
#[derive(Clone, Copy, Debug)]
pub struct TemplateScope<'a> {
    /// The field's coerced arguments.
    pub args: &'a JsonObject,
    /// The principal's claims.
    pub claims: &'a JsonObject,
    /// The event, where there is one.
    pub event: Option<&'a Event>,
}

/// A value that a template must not be rendered with; its text may be shown to a client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(String),
    Value(Reference),
}

/// A value that a template reads.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reference {
    root: Root,
    /// Keys below the root. Only `event` may stand without: then it is the whole text.
    path: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Root {
    Args,
    Claims,
    Event,
    /// The object whose field is guarded.
    Parent,
}

impl Template {
    /// The text with every value in its place; values of 1 to 256 bytes.
    ///
    /// # Errors
    ///
    /// A value is missing, null, not a scalar, empty or too long.
    pub fn render(&self, scope: &TemplateScope<'_>) -> Result<String, RenderError> {
        self.render_with(scope, None, |_| None)
    }

    /// As [`render`](Self::render), below the root: `parent` is asked for the fields of the object there.
    pub(crate) fn render_below<'a>(
        &self,
        scope: &TemplateScope<'a>,
        parent: Parent<'_, 'a>,
    ) -> Result<String, RenderError> {
        self.render_with(scope, Some(parent), |_| None)
    }

    /// As [`render`](Self::render), for a topic: values must not contain `:`, glob characters or control characters.
    ///
    /// # Errors
    ///
    /// As `render`, and a value that could name another topic than the one meant.
    pub fn render_topic(&self, scope: &TemplateScope<'_>) -> Result<String, RenderError> {
        self.render_with(scope, None, |text| text.chars().find(|character| ambiguous_in_topic(*character)))
    }

    /// The top-level claims that it reads.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(Reference { root: Root::Claims, path }) => path.first().map(String::as_str),
            _ => None,
        })
    }

    /// The fields of the parent that it reads.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(Reference { root: Root::Parent, path }) => path.first().map(String::as_str),
            _ => None,
        })
    }

    fn render_with<'a>(
        &self,
        scope: &TemplateScope<'a>,
        parent: Option<Parent<'_, 'a>>,
        forbidden: impl Fn(&str) -> Option<char>,
    ) -> Result<String, RenderError> {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => rendered.push_str(text),
                Part::Value(reference) => {
                    let text = reference.text(scope, parent)?;
                    if let Some(character) = forbidden(&text) {
                        return Err(reference.refused(&format!("must not contain {}", quoted(character))));
                    }
                    rendered.push_str(&text);
                }
            }
        }
        Ok(rendered)
    }
}

impl Reference {
    fn text<'a>(
        &self,
        scope: &TemplateScope<'a>,
        parent: Option<Parent<'_, 'a>>,
    ) -> Result<Cow<'a, str>, RenderError> {
        let text = self.scalar(self.value(scope, parent))?;
        match text.len() {
            0 => Err(self.refused("must not be empty")),
            1..=MAX_VALUE_BYTES => Ok(text),
            _ => Err(self.refused(&format!("must not be longer than {MAX_VALUE_BYTES} bytes"))),
        }
    }

    fn scalar<'a>(&self, found: Found<'a>) -> Result<Cow<'a, str>, RenderError> {
        match found {
            Found::Text(text) => Ok(Cow::Borrowed(text)),
            Found::Value(Value::String(text)) => Ok(Cow::Borrowed(text)),
            Found::Value(Value::Bool(bool)) => Ok(Cow::Borrowed(if *bool { "true" } else { "false" })),
            Found::Value(Value::Number(number)) => Ok(Cow::Owned(number_text(number))),
            Found::Value(Value::Null) | Found::Nothing => Err(self.refused("is missing")),
            Found::Value(Value::Array(_) | Value::Object(_)) => {
                Err(self.refused("must be a string, a number or a boolean"))
            }
        }
    }

    fn value<'a>(&self, scope: &TemplateScope<'a>, parent: Option<Parent<'_, 'a>>) -> Found<'a> {
        let Some((first, rest)) = self.path.split_first() else { return self.event_value(scope) };
        let value = match self.root {
            Root::Args => scope.args.get(first),
            Root::Claims => scope.claims.get(first),
            Root::Event => return self.event_value(scope),
            Root::Parent => parent.and_then(|parent| parent(first)),
        };
        value.and_then(|value| descend(value, rest)).map_or(Found::Nothing, Found::Value)
    }

    fn event_value<'a>(&self, scope: &TemplateScope<'a>) -> Found<'a> {
        let Some(event) = scope.event else { return Found::Nothing };
        match (event.json(), event.text()) {
            (Some(json), _) => descend(json, &self.path).map_or(Found::Nothing, Found::Value),
            (None, Some(text)) if self.path.is_empty() => Found::Text(text),
            (None, _) => Found::Nothing,
        }
    }

    fn refused(&self, reason: &str) -> RenderError {
        let path = self.path.join(".");
        let name = match self.root {
            Root::Args => format!("argument \"{path}\""),
            Root::Claims => format!("claim \"{path}\""),
            Root::Event if path.is_empty() => "event".to_owned(),
            Root::Parent => format!("parent field \"{path}\""),
            Root::Event => format!("event key \"{path}\""),
        };
        RenderError(format!("{name} {reason}"))
    }
}

/// Reads a field of the object whose field is guarded.
type Parent<'f, 'a> = &'f dyn Fn(&str) -> Option<&'a Value>;

/// What stands at a reference.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    Text(&'a str),
    Value(&'a Value),
}

fn descend<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

/// One text for each number, however it was written: `1` for 1 and 1.0, never an exponent.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

/// Characters that give a topic another meaning: its separator, a glob's, and what no log can show.
fn ambiguous_in_topic(character: char) -> bool {
    character == ':' || is_glob(character) || character.is_control()
}

fn is_glob(character: char) -> bool {
    matches!(character, '*' | '?' | '[' | ']' | '\\')
}

fn quoted(character: char) -> String {
    if character.is_control() {
        "control characters".to_owned()
    } else {
        format!("{:?}", character.to_string())
    }
}

/// The longest value that a template takes, in bytes.
const MAX_VALUE_BYTES: usize = 256;

#[cfg(test)]
mod tests;
