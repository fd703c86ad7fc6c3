//! `@from`: where a field of an object takes its value from.

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::{
    Node, Schema as ApolloSchema,
    ast::{Directive, FieldDefinition, InputValueDefinition, Type, Value},
    schema::{ExtendedType, ObjectType},
};

use super::{
    check::{is_root, misplaced, name_range},
    directives,
    literal::{Literal, range_of},
    reach::Reach,
};
use crate::{
    ValueSource,
    diagnostic::{Mistake, SourceFile, suggestion},
};

/// Every `@from` by object type and field; directives that must not stand below the root are mistakes.
pub(super) fn check(
    schema: &ApolloSchema,
    file: &SourceFile,
    reach: &Reach<'_>,
    mistakes: &mut Vec<Mistake>,
) -> HashMap<String, HashMap<String, ValueSource>> {
    let checker = Checker { file, reach };
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
    reach: &'a Reach<'a>,
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
                    "hasScope" => {}
                    name if directives::NAMES.contains(&name) => mistakes.push(
                        misplaced(directive, "fields of Query, Mutation and Subscription")
                            .help("below the root, fields take their values from the root field's"),
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
        // One root field that has the argument is enough: a type may be fed by several, and a nullable field is then null.
        let roots = self.reach.roots(object).iter();
        let known: Vec<&InputValueDefinition> =
            roots.flat_map(|root| root.definition.arguments.iter().map(|argument| &**argument)).collect();
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
