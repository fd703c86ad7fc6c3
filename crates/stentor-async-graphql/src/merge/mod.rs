//! One schema file out of two: [`merge`].
//!
//! The author's text stays where it is, so that diagnostics point into it; what it lacks is written behind it.

mod author;

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::{
    Name, Node,
    ast::{self, Definition, Document, FieldDefinition, ObjectTypeDefinition, OperationType},
    parser::Parser,
};

use self::author::Author;
use crate::{MergeError, Mistake};

/// A whole schema, and which of its root fields async-graphql answers.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) sdl: String,
    /// `Query.bots`, say.
    pub(crate) coordinates: Vec<String>,
}

/// Puts `upstream`, the types of an async-graphql schema, behind `sdl`, the author's schema file.
///
/// # Errors
///
/// What both define in two ways.
pub(crate) fn merge(sdl: &str, upstream: &str) -> Result<Merged, MergeError> {
    let Ok(upstream) = Parser::new().parse_ast(upstream, "async-graphql") else {
        return Err(MergeError(vec![unreadable()]));
    };
    let Ok(document) = Parser::new().parse_ast(sdl, "schema") else {
        // Stentor tells what is wrong with it, and where.
        return Ok(Merged { sdl: sdl.to_owned(), coordinates: Vec::new() });
    };
    let mut merger = Merger::new(Author::new(sdl, &document), &upstream);
    merger.types();
    merger.roots();
    merger.finish(sdl)
}

struct Merger<'a> {
    author: Author<'a>,
    upstream: &'a Document,
    /// The upstream's root types.
    roots: HashMap<OperationType, Name>,
    /// What is written behind the author's text.
    added: String,
    coordinates: Vec<String>,
    /// Where `@resolver` is written into the author's text.
    resolvers: BTreeSet<usize>,
    mistakes: Vec<Mistake>,
}

impl<'a> Merger<'a> {
    fn new(author: Author<'a>, upstream: &'a Document) -> Self {
        Self {
            author,
            upstream,
            roots: roots(upstream),
            added: String::new(),
            coordinates: Vec::new(),
            resolvers: BTreeSet::new(),
            mistakes: Vec::new(),
        }
    }

    fn types(&mut self) {
        for definition in &self.upstream.definitions {
            match definition {
                Definition::SchemaDefinition(_) | Definition::SchemaExtension(_) => {}
                Definition::DirectiveDefinition(directive) if is_supplied(&directive.name) => {}
                Definition::ObjectTypeDefinition(object) if self.is_subscription(&object.name) => {}
                Definition::ObjectTypeDefinition(object) => self.object(object),
                other => self.other(other),
            }
        }
    }

    /// Whatever is no object type may stand in one of the two only.
    fn other(&mut self, definition: &Definition) {
        let taken = definition.name().and_then(|name| self.author.place_of(name));
        match (taken, definition.name()) {
            (Some(place), Some(name)) => self.mistakes.push(Mistake {
                place: Some(place),
                message: format!("`{name}` is defined by the async-graphql schema too"),
                help: "take it away here: it is added".to_owned(),
            }),
            _ => self.add(&definition.to_string()),
        }
    }

    fn object(&mut self, object: &Node<ObjectTypeDefinition>) {
        let operation = self.operation(&object.name);
        if let Some(place) = self.author.place_of_another_kind(&object.name) {
            self.mistakes.push(Mistake {
                place: Some(place),
                message: format!("`{}` is an object type of the async-graphql schema", object.name),
                help: "choose another name for this one".to_owned(),
            });
            return;
        }
        let mut added = ObjectTypeDefinition::clone(object);
        added.fields.clear();
        for field in &object.fields {
            if let Some(operation) = operation {
                self.coordinates.push(format!("{}.{}", operation.default_type_name(), field.name));
            }
            match self.author.field(&object.name, &field.name) {
                Some(own) => self.overlay(object, field, own, operation.is_some()),
                None if operation.is_some() => added.fields.push(resolved(field)),
                None => added.fields.push(field.clone()),
            }
        }
        if operation.is_none() {
            self.refuse_more_fields(object);
        }
        self.add_object(added);
    }

    /// A field that stands in both: the author's is kept, and must mean the same.
    fn overlay(
        &mut self,
        object: &ObjectTypeDefinition,
        field: &FieldDefinition,
        own: &Node<FieldDefinition>,
        is_root: bool,
    ) {
        if signature(field) != signature(own) {
            self.mistakes.push(Mistake {
                place: self.author.place(own),
                message: format!(
                    "`{}.{}` is another field in the async-graphql schema",
                    object.name, field.name
                ),
                help: format!("write it as it is there: `{}`", signature(field)),
            });
        }
        if is_root && !own.directives.has(RESOLVER) {
            self.resolvers.extend(own.location().map(|span| span.end_offset()));
        }
    }

    /// A field that async-graphql does not know cannot be asked of it, wherever a client selects it.
    fn refuse_more_fields(&mut self, object: &ObjectTypeDefinition) {
        let known = |name: &Name| object.fields.iter().any(|field| field.name == *name);
        for field in self.author.fields(&object.name).filter(|field| !known(&field.name)) {
            self.mistakes.push(Mistake {
                place: self.author.place(field),
                message: format!(
                    "`{}` of the async-graphql schema has no field `{}`",
                    object.name, field.name
                ),
                help: "add it there, or give the subscription a type of its own".to_owned(),
            });
        }
    }

    /// What is left of an object type, beside what the author wrote of it.
    fn add_object(&mut self, mut object: ObjectTypeDefinition) {
        let own = self.author.interfaces(&object.name);
        object.implements_interfaces.retain(|interface| !own.contains(&interface));
        if !self.author.defines(&object.name) {
            self.add(&Definition::ObjectTypeDefinition(object.into()).to_string());
            return;
        }
        let empty = object.fields.is_empty() && object.implements_interfaces.is_empty();
        if empty && object.directives.is_empty() {
            return;
        }
        let extension = ast::ObjectTypeExtension {
            name: object.name,
            implements_interfaces: object.implements_interfaces,
            directives: object.directives,
            fields: object.fields,
        };
        self.add(&Definition::ObjectTypeExtension(extension.into()).to_string());
    }

    /// The schema definition, as far as the author has not written it.
    fn roots(&mut self) {
        self.refuse_more_types();
        let named = self.author.roots();
        let mut lines = Vec::new();
        for (operation, name) in self.sorted_roots() {
            match named.get(&operation) {
                None => lines.push(format!("{operation}: {name}")),
                Some(own) if **own == name => {}
                Some(own) => self.mistakes.push(Mistake {
                    place: self.author.place_of_name(own),
                    message: format!("the async-graphql schema has `{name}` for {operation}, not `{own}`"),
                    help: format!("leave `{operation}` out of the schema definition: it is added"),
                }),
            }
        }
        if !self.author.defines_schema() {
            if self.author.mentions(SUBSCRIPTION) {
                lines.push(format!("subscription: {SUBSCRIPTION}"));
            }
            self.add(&format!("schema {{ {} }}", lines.join(" ")));
        } else if !lines.is_empty() {
            self.add(&format!("extend schema {{ {} }}", lines.join(" ")));
        }
    }

    /// An interface of async-graphql is answered with its own types only.
    fn refuse_more_types(&mut self) {
        let interfaces: BTreeSet<&Name> = self
            .upstream
            .definitions
            .iter()
            .filter_map(|definition| match definition {
                Definition::InterfaceTypeDefinition(interface) => Some(&interface.name),
                _ => None,
            })
            .collect();
        for (object, interface) in self.author.implementations() {
            let theirs = self.upstream.definitions.iter().any(|definition| match definition {
                Definition::ObjectTypeDefinition(known) => {
                    known.name == *object && known.implements_interfaces.contains(interface)
                }
                _ => false,
            });
            if interfaces.contains(interface) && !theirs {
                self.mistakes.push(Mistake {
                    place: self.author.place_of(object),
                    message: format!("`{object}` is no `{interface}` of the async-graphql schema"),
                    help: format!("let it implement an interface of your own instead of `{interface}`"),
                });
            }
        }
    }

    fn finish(mut self, sdl: &str) -> Result<Merged, MergeError> {
        if !self.mistakes.is_empty() {
            self.mistakes.sort_by_key(|mistake| mistake.place);
            return Err(MergeError(self.mistakes));
        }
        let mut whole = sdl.to_owned();
        for place in self.resolvers.iter().rev() {
            whole.insert_str(*place, " @resolver");
        }
        whole.push_str("\n\n");
        whole.push_str(&self.added);
        Ok(Merged { sdl: whole, coordinates: self.coordinates })
    }

    fn add(&mut self, text: &str) {
        self.added.push_str(text.trim_end());
        self.added.push_str("\n\n");
    }

    fn sorted_roots(&self) -> Vec<(OperationType, Name)> {
        let known = |operation| self.roots.get(&operation).map(|name| (operation, name.clone()));
        [OperationType::Query, OperationType::Mutation].into_iter().filter_map(known).collect()
    }

    fn operation(&self, object: &Name) -> Option<OperationType> {
        self.sorted_roots().into_iter().find_map(|(operation, name)| (name == *object).then_some(operation))
    }

    fn is_subscription(&self, object: &Name) -> bool {
        self.roots.get(&OperationType::Subscription) == Some(object)
    }
}

/// The root types that a schema definition names.
fn roots(document: &Document) -> HashMap<OperationType, Name> {
    let definitions = document.definitions.iter().filter_map(|definition| match definition {
        Definition::SchemaDefinition(schema) => Some(&schema.root_operations),
        Definition::SchemaExtension(schema) => Some(&schema.root_operations),
        _ => None,
    });
    definitions.flatten().map(|root| (root.0, root.1.clone())).collect()
}

fn resolved(field: &Node<FieldDefinition>) -> Node<FieldDefinition> {
    let mut field = FieldDefinition::clone(field);
    if !field.directives.has(RESOLVER) {
        let name = Name::new_static_unchecked(RESOLVER);
        field.directives.push(ast::Directive { name, arguments: Vec::new() });
    }
    field.into()
}

/// Name, arguments and type.
fn signature(field: &FieldDefinition) -> String {
    let arguments: Vec<_> = field
        .arguments
        .iter()
        .map(|argument| match &argument.default_value {
            Some(value) => format!("{}: {} = {value}", argument.name, argument.ty),
            None => format!("{}: {}", argument.name, argument.ty),
        })
        .collect();
    match arguments.as_slice() {
        [] => format!("{}: {}", field.name, field.ty),
        all => format!("{}({}): {}", field.name, all.join(", "), field.ty),
    }
}

/// Directives that every GraphQL schema has, and those of Stentor, which async-graphql may have been taught.
fn is_supplied(directive: &str) -> bool {
    ["deprecated", "include", "skip", "specifiedBy"].contains(&directive)
        || stentor::DIRECTIVES.contains(&directive)
}

fn unreadable() -> Mistake {
    Mistake {
        place: None,
        message: "the SDL of the async-graphql schema cannot be read".to_owned(),
        help: "look at what `schema.sdl()` prints".to_owned(),
    }
}

const RESOLVER: &str = "resolver";
const SUBSCRIPTION: &str = "Subscription";

#[cfg(test)]
mod tests;
