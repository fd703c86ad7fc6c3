//! `@from`: where a field of an object takes its value from.

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::{
    Node, Schema as ApolloSchema,
    ast::{Directive, FieldDefinition, InputValueDefinition, OperationType, Type, Value},
    schema::{ExtendedType, ObjectType},
};

use super::{
    check::{is_root, misplaced, name_range, root_type},
    directives,
    literal::{Literal, range_of},
};
use crate::{
    ValueSource,
    diagnostic::{Mistake, SourceFile, suggestion},
};

/// Every `@from` by object type and field; directives that must not stand below the root are mistakes.
pub(super) fn check(
    schema: &ApolloSchema,
    file: &SourceFile,
    mistakes: &mut Vec<Mistake>,
) -> HashMap<String, HashMap<String, ValueSource>> {
    let checker = Checker { file, arguments: reachable_arguments(schema) };
    let mut sources: HashMap<String, HashMap<String, ValueSource>> = HashMap::new();
    for definition in schema.types.values() {
        match definition {
            ExtendedType::Object(object) if !is_root(schema, &object.name) => {
                let found = checker.object(object, mistakes);
                if !found.is_empty() {
                    sources.insert(object.name.to_string(), found);
                }
            }
            ExtendedType::Interface(interface) => {
                let applied = interface.fields.values().flat_map(|field| field.directives.iter());
                let ours = applied.filter(|directive| directives::NAMES.contains(&directive.name.as_str()));
                mistakes.extend(ours.map(|directive| {
                    misplaced(directive, "fields of object types")
                        .help("put it on the fields of the types that implement the interface")
                }));
            }
            _ => {}
        }
    }
    sources
}

struct Checker<'a> {
    file: &'a SourceFile,
    /// By object type: the arguments of every root field that leads to it.
    arguments: HashMap<&'a str, Vec<&'a InputValueDefinition>>,
}

impl Checker<'_> {
    fn object(&self, object: &ObjectType, mistakes: &mut Vec<Mistake>) -> HashMap<String, ValueSource> {
        let mut sources = HashMap::new();
        for field in object.fields.values() {
            for directive in field.directives.iter() {
                match directive.name.as_str() {
                    "from" => match self.source(&object.name, field, directive) {
                        Ok(source) => _ = sources.insert(field.name.to_string(), source),
                        Err(mistake) => mistakes.push(mistake),
                    },
                    name if directives::NAMES.contains(&name) => mistakes.push(
                        misplaced(directive, "fields of Query, Mutation and Subscription")
                            .help(below_the_root_help(name)),
                    ),
                    _ => {}
                }
            }
        }
        sources
    }

    fn source(
        &self,
        object: &str,
        field: &FieldDefinition,
        directive: &Node<Directive>,
    ) -> Result<ValueSource, Mistake> {
        let given = |name: &str| directive.specified_argument_by_name(name).filter(|value| !value.is_null());
        match (given("keys"), given("argument")) {
            (Some(keys), None) => self.keys(keys),
            (None, Some(argument)) => self.argument(object, field, argument),
            (Some(_), Some(argument)) => {
                Err(Mistake::new(range_of(argument), "`@from` takes either `keys` or `argument`, not both")
                    .help("leave one of them out"))
            }
            (None, None) => Err(Mistake::new(name_range(directive), "`@from` does not say from where")
                .help("write `@from(keys: [\"…\"])` or `@from(argument: \"…\")`")),
        }
    }

    fn keys(&self, value: &Node<Value>) -> Result<ValueSource, Mistake> {
        // https://spec.graphql.org/October2021/#sec-List.Input-Coercion: a single value stands for a list of one.
        let items = value.as_list().unwrap_or_else(|| std::slice::from_ref(value));
        if items.is_empty() {
            return Err(Mistake::new(range_of(value), "`keys` names no key")
                .help("name at least one key of the payload"));
        }
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let Some(literal) = Literal::of(item, self.file) else { continue };
            if literal.text.is_empty() {
                return Err(
                    Mistake::new(literal.range, "a key must not be empty").help("name a key of the payload")
                );
            }
            if keys.iter().any(|key| key == literal.text) {
                return Err(Mistake::new(
                    literal.range,
                    format!("the key `{}` is named twice", literal.text),
                )
                .help("leave one of them out"));
            }
            keys.push(literal.text.to_owned());
        }
        Ok(ValueSource::Keys(keys))
    }

    fn argument(
        &self,
        object: &str,
        field: &FieldDefinition,
        value: &Node<Value>,
    ) -> Result<ValueSource, Mistake> {
        let name = value.as_str().unwrap_or_default();
        let known = self.arguments.get(object).map(Vec::as_slice).unwrap_or_default();
        let candidates: Vec<_> = known.iter().filter(|argument| argument.name == name).collect();
        if candidates.is_empty() {
            let message = format!("no root field that leads to `{object}` has an argument `{name}`");
            let names: BTreeSet<&str> = known.iter().map(|argument| argument.name.as_str()).collect();
            let help = suggestion(name, names).unwrap_or_else(|| {
                "declare it on the root field, or take the value from the payload by `keys`".into()
            });
            return Err(Mistake::new(range_of(value), message).help(help));
        }
        match candidates.iter().find(|argument| !fits(&argument.ty, &field.ty)) {
            None => Ok(ValueSource::Argument(name.to_owned())),
            Some(argument) => {
                let message = format!(
                    "the argument `{name}` is of type `{}`, the field `{}` of type `{}`",
                    argument.ty, field.name, field.ty
                );
                Err(Mistake::new(range_of(value), message).help("give both the same type"))
            }
        }
    }
}

/// The arguments that a value of each object type may have come by.
///
/// One root field that has the argument is enough: a type may be fed by several, and a nullable field is then null.
fn reachable_arguments(schema: &ApolloSchema) -> HashMap<&str, Vec<&InputValueDefinition>> {
    let mut arguments: HashMap<&str, Vec<&InputValueDefinition>> = HashMap::new();
    for operation in [OperationType::Query, OperationType::Mutation, OperationType::Subscription] {
        let Some(root) = root_type(schema, operation) else { continue };
        for field in root.fields.values() {
            for object in reachable(schema, field.ty.inner_named_type()) {
                arguments
                    .entry(object)
                    .or_default()
                    .extend(field.arguments.iter().map(|argument| &**argument));
            }
        }
    }
    arguments
}

/// The object types that a value of type `from` may hold at any depth.
fn reachable<'a>(schema: &'a ApolloSchema, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(name) = waiting.pop() {
        if !seen.insert(name) {
            continue;
        }
        match schema.types.get(name) {
            Some(ExtendedType::Object(object)) => {
                waiting.extend(object.fields.values().map(|field| field.ty.inner_named_type().as_str()));
            }
            Some(ExtendedType::Union(union)) => {
                waiting.extend(union.members.iter().map(|member| member.name.as_str()));
            }
            Some(ExtendedType::Interface(interface)) => {
                let objects = schema.types.values().filter_map(ExtendedType::as_object);
                let implementers =
                    objects.filter(|object| object.implements_interfaces.contains(&interface.name));
                waiting.extend(implementers.map(|object| object.name.as_str()));
            }
            _ => {}
        }
    }
    seen
}

/// Whether an argument's value can be a field's: the same names, and what the specification coerces.
fn fits(argument: &Type, field: &Type) -> bool {
    let (from, to) = (argument.inner_named_type().as_str(), field.inner_named_type().as_str());
    let text = |name: &str| matches!(name, "ID" | "String");
    let built_in = |name: &str| matches!(name, "Boolean" | "Float" | "ID" | "Int" | "String");
    let shape = argument.is_list() == field.is_list();
    let names = from == to
        || (text(from) && text(to))
        || matches!((from, to), ("Int", "Float" | "ID"))
        || !built_in(from)
        || !built_in(to);
    shape && names
}

fn below_the_root_help(directive: &str) -> &'static str {
    match directive {
        "hasScope" => "guard the root fields that lead to this type instead",
        _ => "below the root, fields take their values from the root field's",
    }
}
