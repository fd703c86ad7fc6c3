//! The author's schema file, by what it says of each type: [`Author`].

use std::collections::HashMap;

use apollo_compiler::{
    Name, Node,
    ast::{Definition, Document, FieldDefinition, OperationType},
};

/// The author's schema file.
#[derive(Debug)]
pub(super) struct Author<'a> {
    text: &'a str,
    document: &'a Document,
}

impl<'a> Author<'a> {
    pub(super) fn new(text: &'a str, document: &'a Document) -> Self {
        Self { text, document }
    }

    /// Line and column of a node, from 1.
    pub(super) fn place<T: ?Sized>(&self, node: &Node<T>) -> Option<(usize, usize)> {
        self.line_and_column(node.location()?.offset())
    }

    /// Line and column of a name, from 1.
    pub(super) fn place_of_name(&self, name: &Name) -> Option<(usize, usize)> {
        self.line_and_column(name.location()?.offset())
    }

    /// Where a type or directive of that name is defined or extended first.
    pub(super) fn place_of(&self, name: &Name) -> Option<(usize, usize)> {
        let mut names = self.document.definitions.iter().filter_map(Definition::name);
        let own = names.find(|own| *own == name)?;
        self.line_and_column(own.location()?.offset())
    }

    /// Where something of that name is defined or extended that is no object type.
    pub(super) fn place_of_another_kind(&self, name: &Name) -> Option<(usize, usize)> {
        let other = self.document.definitions.iter().find(|definition| {
            let object = matches!(
                definition,
                Definition::ObjectTypeDefinition(_) | Definition::ObjectTypeExtension(_)
            );
            let directive = matches!(definition, Definition::DirectiveDefinition(_));
            !object && !directive && definition.name() == Some(name)
        })?;
        self.line_and_column(other.name()?.location()?.offset())
    }

    /// Whether there is an object type of that name, not only an extension of one.
    pub(super) fn defines(&self, name: &Name) -> bool {
        self.document.definitions.iter().any(
            |definition| matches!(definition, Definition::ObjectTypeDefinition(object) if object.name == *name),
        )
    }

    /// Whether an object type of that name is defined or extended.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.objects().any(|object| object.name.as_str() == name)
    }

    pub(super) fn defines_schema(&self) -> bool {
        self.document
            .definitions
            .iter()
            .any(|definition| matches!(definition, Definition::SchemaDefinition(_)))
    }

    /// What the author wrote of one field of an object type.
    pub(super) fn field(&self, object: &Name, field: &Name) -> Option<&'a Node<FieldDefinition>> {
        self.fields(object).find(|own| own.name == *field)
    }

    /// What the author wrote of the fields of an object type.
    pub(super) fn fields(&self, object: &Name) -> impl Iterator<Item = &'a Node<FieldDefinition>> {
        self.objects().filter(move |own| own.name == object).flat_map(|own| own.fields)
    }

    /// The interfaces that the author lets an object type implement.
    pub(super) fn interfaces(&self, object: &Name) -> Vec<&'a Name> {
        self.objects().filter(|own| own.name == object).flat_map(|own| own.interfaces).collect()
    }

    /// Every object type with every interface that the author lets it implement.
    pub(super) fn implementations(&self) -> Vec<(&'a Name, &'a Name)> {
        self.objects()
            .flat_map(|own| own.interfaces.iter().map(move |interface| (own.name, interface)))
            .collect()
    }

    /// The root types that the author names.
    pub(super) fn roots(&self) -> HashMap<OperationType, &'a Name> {
        let definitions = self.document.definitions.iter().filter_map(|definition| match definition {
            Definition::SchemaDefinition(schema) => Some(&schema.root_operations),
            Definition::SchemaExtension(schema) => Some(&schema.root_operations),
            _ => None,
        });
        definitions.flatten().map(|root| (root.0, &root.1)).collect()
    }

    fn objects(&self) -> impl Iterator<Item = Own<'a>> {
        self.document.definitions.iter().filter_map(|definition| match definition {
            Definition::ObjectTypeDefinition(object) => Some(Own {
                name: &object.name,
                interfaces: &object.implements_interfaces,
                fields: &object.fields,
            }),
            Definition::ObjectTypeExtension(object) => Some(Own {
                name: &object.name,
                interfaces: &object.implements_interfaces,
                fields: &object.fields,
            }),
            _ => None,
        })
    }

    pub(super) fn line_and_column(&self, offset: usize) -> Option<(usize, usize)> {
        let before = self.text.get(..offset)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }
}

/// An object type, or an extension of one.
struct Own<'a> {
    name: &'a Name,
    interfaces: &'a [Name],
    fields: &'a [Node<FieldDefinition>],
}
