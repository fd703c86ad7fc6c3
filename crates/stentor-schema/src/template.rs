//! Text with `{{ args.x }}` in it: [`Template`].

use crate::{Event, JsonObject};

/// A parsed and checked template.
#[derive(Clone, Debug)]
pub struct Template {}

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

/// A value that a template must not be rendered with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

impl Template {
    /// The text with every value in its place; values of 1 to 256 bytes.
    ///
    /// # Errors
    ///
    /// A value is missing, null, not a scalar, empty or too long.
    pub fn render(&self, _scope: &TemplateScope<'_>) -> Result<String, RenderError> {
        todo!()
    }

    /// As [`render`](Self::render), for a topic: values must not contain `:`, glob characters or control characters.
    ///
    /// # Errors
    ///
    /// As `render`, and a value that could name another topic than the one meant.
    pub fn render_topic(&self, _scope: &TemplateScope<'_>) -> Result<String, RenderError> {
        todo!()
    }
}
