//! Which root fields lead to which types: [`Reach`].

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::{
    Name, Schema as ApolloSchema,
    ast::{FieldDefinition, OperationType},
    schema::ExtendedType,
};

use super::check::{OPERATIONS, is_root, root_type};
use crate::diagnostic::Mistake;

/// By object type: every root field by which a value of it may come.
#[derive(Debug)]
pub(super) struct Reach<'a>(HashMap<&'a str, Vec<RootRef<'a>>>);

/// A root field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootRef<'a> {
    operation: OperationType,
    pub(crate) definition: &'a FieldDefinition,
}

impl<'a> Reach<'a> {
    pub(super) fn of(schema: &'a ApolloSchema) -> Self {
        let mut roots: HashMap<_, Vec<_>> = HashMap::new();
        for operation in OPERATIONS {
            let Some(root) = root_type(schema, operation) else { continue };
            for definition in root.fields.values() {
                for object in reachable(schema, definition.ty.inner_named_type()) {
                    roots.entry(object).or_default().push(RootRef { operation, definition });
                }
            }
        }
        Self(roots)
    }

    /// The root fields that lead to `object`.
    pub(super) fn roots(&self, object: &str) -> &[RootRef<'a>] {
        self.0.get(object).map(Vec::as_slice).unwrap_or_default()
    }

    /// Root fields below the root would be asked for without their guards.
    pub(super) fn check(&self, schema: &ApolloSchema, mistakes: &mut Vec<Mistake>) {
        for (object, roots) in &self.0 {
            if !schema.types.contains_key(*object) || !is_root(schema, &Name::new_unchecked(object)) {
                continue;
            }
            mistakes.extend(roots.iter().map(|root| {
                let name = &root.definition.name;
                let range = name.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default();
                Mistake::new(range, format!("`{}` leads back to `{object}`", root.coordinate())).help(format!(
                    "the guards of root fields are asked at the root only: take away what leads to `{object}`"
                ))
            }));
        }
    }
}

impl RootRef<'_> {
    /// `Query.bots`, say.
    pub(crate) fn coordinate(&self) -> String {
        format!("{}.{}", self.operation.default_type_name(), self.definition.name)
    }
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
