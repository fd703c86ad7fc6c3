//! What a template or condition may read: [`Scope`].

use std::ops::Range;

use apollo_compiler::{
    Node, Schema as ApolloSchema,
    ast::{InputValueDefinition, Type},
    schema::{ExtendedType, ObjectType},
};

use super::reach::RootRef;
use crate::diagnostic::{Mistake, suggestion};

/// The names that one template or condition may read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) schema: &'a ApolloSchema,
    /// The field's arguments.
    pub(crate) arguments: &'a [Node<InputValueDefinition>],
    /// Whether there are claims at all: without authentication there are none.
    pub(crate) authentication: bool,
    /// Whether there is an event yet.
    pub(crate) event: bool,
    /// The type whose field a guard below the root stands on.
    pub(crate) parent: Option<&'a ObjectType>,
    /// The root field whose arguments they are, if it is not the field itself.
    pub(crate) root: Option<&'a RootRef<'a>>,
}

/// A name of a path such as `args.filter.owner`, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) range: Range<usize>,
}

/// How a value that is null, or not a scalar, is looked upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Strictness {
    /// In a condition every value has its use.
    Any,
    /// In a template only non-null scalars and enums have a text.
    Text,
}

impl Scope<'_> {
    /// Checks the path below `args`: every argument and input field exists, and can be read by that name.
    pub(crate) fn check_argument(&self, path: &[Segment], strictness: Strictness) -> Result<(), Mistake> {
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        let mut definition = self.argument(first)?;
        let mut at = first;
        for segment in rest {
            if strictness == Strictness::Text {
                self.require_non_null(definition, at)?;
            }
            match self.input_field(definition, at, segment)? {
                Some(field) => (definition, at) = (field, segment),
                None => return Ok(()),
            }
        }
        if strictness == Strictness::Text {
            self.require_non_null(definition, at)?;
            self.require_leaf(definition, path)?;
        }
        Ok(())
    }

    /// Checks the path below `parent`: one field of that type, which is never null and has a text.
    pub(crate) fn check_parent(&self, path: &[Segment], range: Range<usize>) -> Result<(), Mistake> {
        let Some(parent) = self.parent else {
            return Err(Mistake::new(range, "a root field has no parent").help("read an argument instead"));
        };
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        let (name, owner) = (&first.name, &parent.name);
        let refuse = |at: &Segment, message: String| Mistake::new(at.range.clone(), message);
        let Some(field) = parent.fields.get(name.as_str()) else {
            let names = parent.fields.keys().map(|name| name.as_str());
            let help = suggestion(name, names).unwrap_or_else(|| format!("declare it: `{name}: ID!`"));
            return Err(refuse(first, format!("`{owner}` has no field `{name}`")).help(help));
        };
        let required = field.arguments.iter().find(|argument| argument.is_required());
        if let Some(argument) = required {
            let message = format!("`{owner}.{name}` needs the argument `{}`", argument.name);
            return Err(refuse(first, message).help("read a field that needs no arguments"));
        }
        let type_name = field.ty.inner_named_type();
        let leaf =
            matches!(self.schema.types.get(type_name), Some(ExtendedType::Scalar(_) | ExtendedType::Enum(_)));
        if field.ty.is_list() || !leaf {
            let message = format!("`{owner}.{name}` is of type `{}`: it has no text of its own", field.ty);
            return Err(refuse(first, message).help("read a scalar or an enum, `parent.id` say"));
        }
        if let Some(second) = rest.first() {
            let message = format!("`{owner}.{name}` is of type `{type_name}`, it has no fields");
            return Err(refuse(second, message).help(format!("read `parent.{name}` itself")));
        }
        if !field.ty.is_non_null() {
            let message = format!("`{owner}.{name}` may be null: a null has no text");
            return Err(refuse(first, message).help(format!("make it non-null: `{name}: {}!`", field.ty)));
        }
        Ok(())
    }

    /// The mistake of reading claims where there are none.
    pub(crate) fn check_claims(&self, range: Range<usize>) -> Result<(), Mistake> {
        if self.authentication {
            return Ok(());
        }
        Err(Mistake::new(range, "there are no claims without authentication")
            .help("configure `[auth]`, or read an argument instead"))
    }

    /// The roots that can be read here.
    pub(crate) fn roots(&self) -> Vec<&'static str> {
        let mut roots = vec!["args"];
        if self.authentication {
            roots.push("claims");
        }
        if self.event {
            roots.push("event");
        }
        if self.parent.is_some() {
            roots.push("parent");
        }
        roots
    }

    fn argument(&self, segment: &Segment) -> Result<&InputValueDefinition, Mistake> {
        if let Some(found) = self.arguments.iter().find(|argument| argument.name == segment.name.as_str()) {
            return Ok(found);
        }
        let name = &segment.name;
        if let Some(root) = self.root {
            let coordinate = root.coordinate();
            let message = format!("`{coordinate}` leads here, and has no argument `{name}`");
            let help = format!("declare it on `{coordinate}` too, or read the parent: `parent.id` say");
            return Err(Mistake::new(segment.range.clone(), message).help(help));
        }
        let names = self.arguments.iter().map(|argument| argument.name.as_str());
        let help = suggestion(name, names)
            .unwrap_or_else(|| format!("the field has no arguments: declare one, `{name}: ID!` say"));
        Err(Mistake::new(segment.range.clone(), format!("unknown argument `{name}`")).help(help))
    }

    /// The field `segment` of the input object that `definition` is; `None` where the type says nothing about fields.
    fn input_field(
        &self,
        definition: &InputValueDefinition,
        at: &Segment,
        segment: &Segment,
    ) -> Result<Option<&InputValueDefinition>, Mistake> {
        let type_name = definition.ty.inner_named_type();
        if definition.ty.is_list() {
            let message = format!("`{}` is a list, it has no field `{}`", at.name, segment.name);
            return Err(Mistake::new(segment.range.clone(), message)
                .help("declare an argument of its own for that value"));
        }
        match self.schema.types.get(type_name) {
            Some(ExtendedType::InputObject(object)) => match object.fields.get(segment.name.as_str()) {
                Some(field) => Ok(Some(field)),
                None => {
                    let message = format!("the input type `{type_name}` has no field `{}`", segment.name);
                    let mut mistake = Mistake::new(segment.range.clone(), message);
                    mistake.help = suggestion(&segment.name, object.fields.keys().map(|name| name.as_str()));
                    Err(mistake)
                }
            },
            Some(ExtendedType::Scalar(scalar)) if !scalar.is_built_in() => Ok(None),
            _ => {
                let message = format!("`{}` is of type `{type_name}`, it has no fields", at.name);
                Err(Mistake::new(segment.range.clone(), message).help(format!("read `{}` itself", at.name)))
            }
        }
    }

    fn require_leaf(&self, definition: &InputValueDefinition, path: &[Segment]) -> Result<(), Mistake> {
        let Some(at) = path.last() else { return Ok(()) };
        let type_name = definition.ty.inner_named_type();
        if definition.ty.is_list() {
            return Err(Mistake::new(
                at.range.clone(),
                format!("`{}` is a list: it has no text of its own", at.name),
            )
            .help("only scalars and enums can stand in a template"));
        }
        match self.schema.types.get(type_name) {
            Some(ExtendedType::InputObject(object)) => {
                let first = object.fields.keys().next().map_or("field", |name| name.as_str());
                let message = format!("`{}` is an input object: it has no text of its own", at.name);
                let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
                let help = format!("name one of its fields, `args.{}.{first}` say", names.join("."));
                Err(Mistake::new(at.range.clone(), message).help(help))
            }
            _ => Ok(()),
        }
    }

    fn require_non_null(&self, definition: &InputValueDefinition, at: &Segment) -> Result<(), Mistake> {
        if definition.ty.is_non_null() {
            return Ok(());
        }
        let required: Type = (*definition.ty).clone().non_null();
        let place = self.root.map(|root| format!(" on `{}`", root.coordinate())).unwrap_or_default();
        let message = format!("`{}` may be null{place}: a null has no text", at.name);
        Err(Mistake::new(at.range.clone(), message)
            .help(format!("make it non-null{place}: `{}: {required}`", definition.name)))
    }
}
