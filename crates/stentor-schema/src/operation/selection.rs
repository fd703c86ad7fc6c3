//! What a client selected, compiled: [`Root`], [`Selection`].
//!
//! Fragments, type conditions, `@skip` and `@include` are gone, fields of one response key are merged, and every field
//! knows where its value comes from and which type it has. The projector walks this once per event.

use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use apollo_compiler::{Node, ast::FieldDefinition, executable};

use crate::{JsonObject, RootField, ScopeGuard};

/// A root field of an operation.
#[derive(Debug)]
pub(super) enum Root {
    /// `__schema` or `__type`, under this response key.
    Introspection(String),
    /// A field that something must feed.
    Fed(Arc<RootSelection>),
    /// `__typename`: the JSON key, and the name.
    Typename(JsonKey, Box<str>),
}

/// A root field that something must feed, with all below it.
#[derive(Debug)]
pub(super) struct RootSelection {
    /// The name of the root operation type.
    pub(super) parent: Box<str>,
    pub(super) field: Field,
    pub(super) root: Arc<RootField>,
    /// The first of the merged fields: validation has made sure that all have the same arguments.
    pub(super) node: Node<executable::Field>,
    /// Every `@hasScope` on what is selected, each once.
    pub(super) guards: Box<[Guard]>,
    /// All of the selection that the bytes of a result depend on, and nothing else.
    pub(super) canonical: String,
    /// What keys begin with that are not the client's, once a document was forwarded.
    pub(super) private: OnceLock<Box<str>>,
    /// How long the last result was, so that the next one is written without growing.
    pub(super) length: AtomicUsize,
}

/// The merged fields of one object type, in the order of the response.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) type_name: Box<str>,
    pub(super) fields: Box<[Field]>,
}

/// One field of a response.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: JsonKey,
    pub(super) name: Box<str>,
    pub(super) definition: Node<FieldDefinition>,
    pub(super) source: Source,
    pub(super) shape: Shape,
    /// Coerced arguments of a field below the root.
    pub(super) arguments: JsonObject,
    /// Who may see the value of a field below the root; all must agree.
    pub(super) guards: Box<[Guard]>,
}

/// A `@hasScope` on a field below the root.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) rule: Arc<ScopeGuard>,
    /// The fields of the object around it that the resource reads.
    pub(super) parent: Arc<[ParentField]>,
}

/// A field that a guard reads, whether it is selected or not.
#[derive(Debug)]
pub(super) struct ParentField {
    pub(super) name: Box<str>,
    pub(super) source: Source,
    pub(super) kind: Kind,
}

/// A response key, ready to be written: `"status":`.
#[derive(Debug)]
pub(super) struct JsonKey(Box<str>);

/// Where a field takes its value from.
#[derive(Debug)]
pub(super) enum Source {
    /// The root field's argument of this name.
    Argument(Box<str>),
    /// The first of these keys that the object has.
    Keys(Box<[Box<str>]>),
    /// The name of the object type.
    Typename,
}

/// The type of a field.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) nullable: bool,
    pub(super) kind: Kind,
}

/// The type of a field, null aside.
#[derive(Debug)]
pub(super) enum Kind {
    /// An interface or union.
    Abstract(Abstract),
    Boolean,
    /// A custom scalar: any JSON.
    Custom,
    Enum(Enum),
    Float,
    Id,
    Int,
    List(Box<Shape>),
    Object(Arc<Selection>),
    String,
}

/// An interface or union: what is selected on each of its object types.
#[derive(Debug)]
pub(super) struct Abstract {
    pub(super) name: Box<str>,
    pub(super) types: Box<[Arc<Selection>]>,
    /// Whether something is selected on more than one of them.
    pub(super) several: bool,
}

/// An enum and the names of its values.
#[derive(Debug)]
pub(super) struct Enum {
    pub(super) name: Box<str>,
    pub(super) values: Box<[Box<str>]>,
}

impl JsonKey {
    /// The key of a GraphQL name, which has nothing in it to escape.
    pub(super) fn new(name: &str) -> Self {
        Self(format!("\"{name}\":").into())
    }

    /// The name with quotes and colon.
    pub(super) const fn json(&self) -> &str {
        &self.0
    }

    /// The bare name.
    pub(super) fn name(&self) -> &str {
        &self.0[1..self.0.len() - 2]
    }
}

impl Kind {
    /// The selections below a field of this type.
    pub(super) fn selections(&self) -> &[Arc<Selection>] {
        match self {
            Self::Abstract(ty) => &ty.types,
            Self::Object(selection) => std::slice::from_ref(selection),
            Self::List(item) => item.kind.selections(),
            _ => &[],
        }
    }
}

/// The snake_case form of a field's name: `botId` is `bot_id`, `URLName` is `url_name`, `p95Latency` is `p95_latency`.
///
/// A word begins at a capital after a small letter or digit, and at the last capital of several before a small letter.
pub(crate) fn snake_case(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &byte) in bytes.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| bytes[before]);
        let ends_word = before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit());
        let starts_word = before.is_some_and(|before| before.is_ascii_uppercase())
            && bytes.get(index + 1).is_some_and(u8::is_ascii_lowercase);
        if byte.is_ascii_uppercase() && (ends_word || starts_word) {
            snake.push('_');
        }
        snake.push(char::from(byte.to_ascii_lowercase()));
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn snake_case_splits_words_and_keeps_acronyms_whole() {
        let table = [
            ("botId", "bot_id"),
            ("profitPct", "profit_pct"),
            ("URLName", "url_name"),
            ("botID", "bot_id"),
            ("p95Latency", "p95_latency"),
            ("status", "status"),
            ("already_snake", "already_snake"),
            ("Mixed_Case", "mixed_case"),
            ("_private", "_private"),
            ("A", "a"),
            ("HTTPServer2Go", "http_server2_go"),
        ];
        for (name, expected) in table {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }
}
