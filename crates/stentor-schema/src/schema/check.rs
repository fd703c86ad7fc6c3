//! Everything that is checked when a schema file is read, in its order.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use apollo_compiler::{
    Name, Node, Schema as ApolloSchema,
    ast::{Directive, FieldDefinition, OperationType},
    name,
    parser::Parser,
    schema::{Component, ExtendedType, ObjectType},
    ty,
    validation::Valid,
};

use super::{
    SchemaOptions, apollo, directives,
    literal::range_of,
    reach::Reach,
    root::{self, CheckedField},
    scope_guard::{self, FieldGuards},
    value_source,
};
use crate::{
    Delivery, Feed, Overflow, RootField, ValueSource,
    diagnostic::{Mistake, SourceFile},
};

/// What a schema file says, once it holds no mistake.
pub(super) struct Checked {
    pub(super) fields: Vec<CheckedField>,
    pub(super) claims: BTreeSet<String>,
    pub(super) sources: HashMap<String, HashMap<String, ValueSource>>,
    pub(super) guards: FieldGuards,
    pub(super) public: Valid<ApolloSchema>,
}

/// Checks the file in three steps; a step's mistakes are all told, but they keep the next from being taken.
pub(super) fn check(file: &SourceFile, options: &SchemaOptions) -> Result<Checked, Vec<Mistake>> {
    let mut schema = build(file)?;
    let without_query = schema.schema_definition.query.is_none();
    add_query(&mut schema)?;
    let (schema, mut mistakes) = match schema.validate() {
        Ok(schema) => (schema.into_inner(), Vec::new()),
        Err(invalid) => {
            let mistakes = apollo::mistakes(&invalid.errors, Some(&invalid.partial), file);
            (invalid.partial, mistakes)
        }
    };
    let mut fields = check_roots(&schema, file, options, &mut mistakes);
    let reach = Reach::of(&schema);
    reach.check(&schema, &mut mistakes);
    let sources = value_source::check(&schema, file, &reach, &mut mistakes);
    let guards = scope_guard::check(&schema, file, options, &reach, &mut mistakes);
    check_abstract_types(&schema, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    if without_query {
        fields.push(version_field());
    }
    let mut claims = root::claims(fields.iter().map(|checked| &checked.field), options);
    claims.extend(scope_guard::claims(&guards));
    Ok(Checked { fields, claims, sources, guards, public: public(schema, file)? })
}

fn build(file: &SourceFile) -> Result<ApolloSchema, Vec<Mistake>> {
    let document = Parser::new()
        .parse_ast(&file.text, &file.name)
        .map_err(|invalid| apollo::mistakes(&invalid.errors, None, file))?;
    let collisions = directives::collisions(&document);
    if !collisions.is_empty() {
        return Err(collisions);
    }
    ApolloSchema::builder()
        .parse(directives::DIRECTIVES, "stentor")
        .add_ast(&document)
        .build()
        .map_err(|invalid| apollo::mistakes(&invalid.errors, Some(&invalid.partial), file))
}

/// Every schema must have a query type, and one that only sends events has none of its own.
fn add_query(schema: &mut ApolloSchema) -> Result<(), Vec<Mistake>> {
    let definition = &schema.schema_definition;
    if definition.query.is_some() {
        return Ok(());
    }
    if definition.mutation.is_none() && definition.subscription.is_none() {
        return Err(vec![apollo::no_root_type()]);
    }
    if let Some(query) = schema.types.get("Query") {
        let range = query.name().location().map(|span| span.offset()..span.end_offset()).unwrap_or_default();
        return Err(vec![
            Mistake::new(range, "`Query` is not the schema's query type")
                .help("name it in the schema definition: `schema { query: Query … }`"),
        ]);
    }
    let field = FieldDefinition {
        description: Some(Node::new_str("The version of the server.")),
        name: VERSION_FIELD,
        arguments: Vec::new(),
        ty: ty!(String!),
        directives: Default::default(),
    };
    let query = ObjectType {
        description: None,
        name: name!("Query"),
        implements_interfaces: Default::default(),
        directives: Default::default(),
        fields: [(VERSION_FIELD, Component::new(field))].into_iter().collect(),
    };
    schema.types.insert(name!("Query"), ExtendedType::Object(Node::new(query)));
    schema.schema_definition.make_mut().query = Some(name!("Query").into());
    Ok(())
}

fn check_roots(
    schema: &ApolloSchema,
    file: &SourceFile,
    options: &SchemaOptions,
    mistakes: &mut Vec<Mistake>,
) -> Vec<CheckedField> {
    let refused: Vec<Range<usize>> = mistakes.iter().map(|mistake| mistake.range.clone()).collect();
    let mut fields = Vec::new();
    for operation in OPERATIONS {
        let Some(object) = root_type(schema, operation) else { continue };
        for definition in object.fields.values() {
            let range = range_of(definition);
            // The version field is nowhere in the file; one that is refused already would be refused for its echoes.
            let told = refused.iter().any(|place| range.contains(&place.start));
            if definition.location().is_none() || told {
                continue;
            }
            match root::check(schema, file, options, operation, definition) {
                Ok(field) => fields.push(field),
                Err(more) => mistakes.extend(more),
            }
        }
    }
    fields.sort_by_key(|field| field.range.start);
    fields
}

/// The object type of an operation, if the schema has one.
pub(super) fn root_type(schema: &ApolloSchema, operation: OperationType) -> Option<&Node<ObjectType>> {
    schema.get_object(schema.root_operation(operation)?)
}

/// Whether the type is the root of an operation.
pub(super) fn is_root(schema: &ApolloSchema, name: &Name) -> bool {
    OPERATIONS.iter().any(|operation| schema.root_operation(*operation) == Some(name))
}

/// The mistake of a directive that stands where it means nothing.
pub(super) fn misplaced(directive: &Node<Directive>, where_to: &str) -> Mistake {
    Mistake::new(name_range(directive), format!("`@{}` stands only on {where_to}", directive.name))
}

/// A directive's `@name`, without its arguments.
pub(super) fn name_range(directive: &Node<Directive>) -> Range<usize> {
    let range = range_of(directive);
    range.start..range.start + 1 + directive.name.len()
}

/// An interface that no type implements has no value at all.
fn check_abstract_types(schema: &ApolloSchema, mistakes: &mut Vec<Mistake>) {
    let implementers = schema.implementers_map();
    for definition in schema.types.values() {
        let ExtendedType::Interface(interface) = definition else { continue };
        if implementers.get(&interface.name).is_some_and(|types| !types.objects.is_empty()) {
            continue;
        }
        let range =
            interface.name.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default();
        mistakes.push(
            Mistake::new(range, format!("no type implements the interface `{}`", interface.name))
                .help(format!("write `type … implements {}`", interface.name)),
        );
    }
}

/// The schema without our directives, valid for what is left.
fn public(mut schema: ApolloSchema, file: &SourceFile) -> Result<Valid<ApolloSchema>, Vec<Mistake>> {
    directives::hide(&mut schema);
    schema.validate().map_err(|invalid| apollo::mistakes(&invalid.errors, Some(&invalid.partial), file))
}

fn version_field() -> CheckedField {
    let field = RootField {
        operation: OperationType::Query,
        name: VERSION_FIELD.to_string(),
        feed: Feed::Version,
        load: None,
        guards: Vec::new(),
        tenant: None,
        public: true,
        delivery: Delivery { buffer: None, overflow: Overflow::default(), key: None },
        claims: BTreeSet::new(),
    };
    CheckedField { field, range: 0..0 }
}

pub(super) const OPERATIONS: [OperationType; 3] =
    [OperationType::Query, OperationType::Mutation, OperationType::Subscription];

const VERSION_FIELD: Name = name!("stentor");
