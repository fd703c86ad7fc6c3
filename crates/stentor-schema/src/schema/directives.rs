//! The directives that a schema file may use, and how clients never see them.

use apollo_compiler::{
    Name, Schema as ApolloSchema,
    ast::{Definition, Document, FieldDefinition},
    schema::{Component, ExtendedType},
};

use crate::diagnostic::Mistake;

/// What is supplied to every schema file. Arguments that are not built yet are not here: they are refused as unknown.
pub(super) const DIRECTIVES: &str = r#"
directive @delivery(buffer: Int, overflow: StentorOverflow, key: String) on FIELD_DEFINITION
directive @from(keys: [String!], argument: String) on FIELD_DEFINITION
directive @hasScope(scope: String!, resource: String) repeatable on FIELD_DEFINITION
directive @public on FIELD_DEFINITION
directive @resolver(onMissing: StentorOnMissing) on FIELD_DEFINITION
directive @subscribe(topic: String, hash: String, where: String, until: String, idleTimeout: String) on FIELD_DEFINITION
directive @tenant(argument: String, field: String) on FIELD_DEFINITION
enum StentorOnMissing { SKIP COMPLETE }
enum StentorOverflow { DROP_OLDEST DROP_NEWEST LATEST CLOSE }
"#;

/// Their names.
pub(super) const NAMES: [&str; 7] =
    ["delivery", "from", "hasScope", "public", "resolver", "subscribe", "tenant"];

/// The types that they need.
const TYPES: [&str; 2] = ["StentorOnMissing", "StentorOverflow"];

/// Definitions in the author's file that are supplied already.
pub(super) fn collisions(document: &Document) -> Vec<Mistake> {
    document.definitions.iter().filter_map(collision).collect()
}

fn collision(definition: &Definition) -> Option<Mistake> {
    let name = definition.name()?;
    let directive = matches!(definition, Definition::DirectiveDefinition(_));
    let range = name.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default();
    if directive && NAMES.contains(&name.as_str()) {
        let message = format!("the directive `@{name}` is Stentor's own");
        return Some(Mistake::new(range, message).help("remove this definition: it is supplied"));
    }
    if !directive && TYPES.contains(&name.as_str()) {
        let message = format!("the type name `{name}` is Stentor's own");
        return Some(Mistake::new(range, message).help("choose another name"));
    }
    None
}

/// Takes away everything of [`DIRECTIVES`], definitions and applications.
pub(super) fn hide(schema: &mut ApolloSchema) {
    schema.directive_definitions.retain(|name, _| !is_ours(name));
    schema.types.retain(|name, _| !TYPES.contains(&name.as_str()));
    for definition in schema.types.values_mut() {
        match definition {
            ExtendedType::Object(object) if uses_ours(object.fields.values()) => {
                object.make_mut().fields.values_mut().for_each(hide_on_field);
            }
            ExtendedType::Interface(interface) if uses_ours(interface.fields.values()) => {
                interface.make_mut().fields.values_mut().for_each(hide_on_field);
            }
            _ => {}
        }
    }
}

fn uses_ours<'a>(fields: impl IntoIterator<Item = &'a Component<FieldDefinition>>) -> bool {
    fields.into_iter().any(|field| field.directives.iter().any(|directive| is_ours(&directive.name)))
}

fn hide_on_field(field: &mut Component<FieldDefinition>) {
    field.make_mut().directives.0.retain(|directive| !is_ours(&directive.name));
}

fn is_ours(name: &Name) -> bool {
    NAMES.contains(&name.as_str())
}
