//! From a valid document to what the projector walks: [`Compiler`].

use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use apollo_compiler::{
    Name, Node,
    ast::{self, FieldDefinition, Type},
    collections::{HashMap, HashSet, IndexMap},
    executable::{self, DirectiveList, ExecutableDocument, Operation, SelectionSet},
    schema::ExtendedType,
};

use super::{
    coerce::{Variables, coerce_arguments, coerce_if},
    guard, key,
    limits::exceeded,
    selection::{
        Abstract, Enum, Field, Guard, JsonKey, Kind, ParentField, Root, RootSelection, Selection, Shape,
        Source, snake_case,
    },
};
use crate::{ErrorCode, GraphQLError, JsonObject, Schema, ScopeGuard, Template, ValueSource};

/// Compiles the selections of one operation.
pub(super) struct Compiler<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    variables: &'a Variables<'a>,
    /// Selections by the fields they come from and their type. Interfaces within interfaces share what is below them;
    /// without that, each level would multiply the work by the number of object types.
    known: HashMap<(Vec<usize>, Name), Arc<Selection>>,
    fields: usize,
}

/// The fields of a selection set, by response key.
type Collected<'a> = IndexMap<&'a Name, Vec<&'a Node<executable::Field>>>;

impl<'a> Compiler<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        document: &'a ExecutableDocument,
        variables: &'a Variables<'a>,
    ) -> Self {
        Self { schema, document, variables, known: HashMap::default(), fields: 0 }
    }

    /// The root fields of an operation, in the order of the response.
    pub(super) fn roots(&mut self, operation: &'a Operation) -> Result<Arc<[Root]>, GraphQLError> {
        let parent = operation.object_type();
        let collected = self.collect(parent, std::iter::once(&operation.selection_set))?;
        let root = |(key, nodes): (&Name, Vec<_>)| self.root(operation.operation_type, parent, key, &nodes);
        collected.into_iter().map(root).collect()
    }

    fn root(
        &mut self,
        operation: ast::OperationType,
        parent: &Name,
        key: &Name,
        nodes: &[&'a Node<executable::Field>],
    ) -> Result<Root, GraphQLError> {
        let node = nodes[0];
        match node.name.as_str() {
            "__typename" => return Ok(Root::Typename(JsonKey::new(key), parent.as_str().into())),
            "__schema" | "__type" => return Ok(Root::Introspection(key.to_string())),
            _ => {}
        }
        let root = self.schema.field(operation, &node.name).ok_or_else(unknown)?;
        let definition = self.schema.public().type_field(parent, &node.name).map_err(|_| unknown())?;
        let field = Field {
            key: JsonKey::new(key),
            name: node.name.as_str().into(),
            definition: definition.node.clone(),
            source: Source::Keys(Box::default()),
            shape: self.shape(&definition.ty, nodes)?,
            arguments: JsonObject::new(),
            guards: Box::default(),
        };
        Ok(Root::Fed(Arc::new(RootSelection {
            parent: parent.as_str().into(),
            root: Arc::clone(root),
            node: node.clone(),
            guards: guard::guards_below(&field),
            canonical: key::canonical_selection(&field),
            field,
            private: OnceLock::new(),
            length: AtomicUsize::new(0),
        })))
    }

    /// What the merged fields select on an object type.
    fn selection(
        &mut self,
        type_name: &Name,
        nodes: &[&'a Node<executable::Field>],
    ) -> Result<Arc<Selection>, GraphQLError> {
        let addresses = nodes.iter().map(|node| std::ptr::from_ref::<executable::Field>(node).addr());
        let known = (addresses.collect(), type_name.clone());
        if let Some(selection) = self.known.get(&known) {
            return Ok(Arc::clone(selection));
        }
        let collected = self.collect(type_name, nodes.iter().map(|node| &node.selection_set))?;
        let fields = collected.into_iter().map(|(key, nodes)| self.field(type_name, key, &nodes));
        let fields = fields.collect::<Result<_, _>>()?;
        let selection = Arc::new(Selection { type_name: type_name.as_str().into(), fields });
        self.known.insert(known, Arc::clone(&selection));
        Ok(selection)
    }

    fn field(
        &mut self,
        type_name: &Name,
        key: &Name,
        nodes: &[&'a Node<executable::Field>],
    ) -> Result<Field, GraphQLError> {
        self.fields += 1;
        if self.fields > MAX_COMPILED_FIELDS {
            return Err(exceeded(format!(
                "The document has more than {MAX_COMPILED_FIELDS} fields, counted for each object type."
            )));
        }
        let node = nodes[0];
        let schema = self.schema.public();
        let definition = schema.type_field(type_name, &node.name).map_err(|_| unknown())?;
        Ok(Field {
            key: JsonKey::new(key),
            name: node.name.as_str().into(),
            definition: definition.node.clone(),
            source: self.source(type_name, &node.name),
            shape: self.shape(&definition.ty, nodes)?,
            arguments: self.arguments(definition, node)?,
            guards: self.guards(type_name, &node.name)?,
        })
    }

    fn guards(&mut self, type_name: &Name, field: &Name) -> Result<Box<[Guard]>, GraphQLError> {
        let schema = self.schema;
        schema.guards(type_name, field).iter().map(|rule| self.guard(type_name, rule)).collect()
    }

    fn guard(&mut self, type_name: &Name, rule: &Arc<ScopeGuard>) -> Result<Guard, GraphQLError> {
        let names = rule.resource.iter().flat_map(Template::parents);
        let parent = names.map(|name| self.parent_field(type_name, name)).collect::<Result<_, _>>()?;
        Ok(Guard { rule: Arc::clone(rule), parent })
    }

    fn parent_field(&mut self, type_name: &Name, name: &str) -> Result<ParentField, GraphQLError> {
        let schema = self.schema.public();
        let definition = schema.type_field(type_name, name).map_err(|_| unknown())?;
        let kind = self.kind(definition.ty.inner_named_type(), &[])?;
        Ok(ParentField { name: name.into(), source: self.source(type_name, &definition.name), kind })
    }

    fn arguments(
        &self,
        definition: &FieldDefinition,
        node: &executable::Field,
    ) -> Result<JsonObject, GraphQLError> {
        if definition.arguments.is_empty() {
            return Ok(JsonObject::new());
        }
        coerce_arguments(self.schema.public(), definition, node, self.variables, &self.document.sources)
    }

    /// `@from`, or the exact name and then its snake_case form.
    fn source(&self, type_name: &Name, field: &Name) -> Source {
        if field == "__typename" {
            return Source::Typename;
        }
        match self.schema.source(type_name, field) {
            Some(ValueSource::Argument(name)) => Source::Argument(name.as_str().into()),
            Some(ValueSource::Keys(keys)) => {
                Source::Keys(keys.iter().map(|key| key.as_str().into()).collect())
            }
            None => {
                let exact = field.as_str();
                let snake = snake_case(exact);
                let keys = [Some(exact.into()), (snake != exact).then(|| snake.into())];
                Source::Keys(keys.into_iter().flatten().collect())
            }
        }
    }

    fn shape(&mut self, ty: &Type, nodes: &[&'a Node<executable::Field>]) -> Result<Shape, GraphQLError> {
        let kind = match ty {
            Type::List(item) | Type::NonNullList(item) => Kind::List(Box::new(self.shape(item, nodes)?)),
            Type::Named(name) | Type::NonNullNamed(name) => self.kind(name, nodes)?,
        };
        Ok(Shape { nullable: !ty.is_non_null(), kind })
    }

    fn kind(&mut self, name: &Name, nodes: &[&'a Node<executable::Field>]) -> Result<Kind, GraphQLError> {
        let schema = self.schema.public();
        let types: Vec<Name> = match schema.types.get(name) {
            Some(ExtendedType::Object(_)) => return Ok(Kind::Object(self.selection(name, nodes)?)),
            Some(ExtendedType::Interface(_)) => {
                let implementers = self.schema.documents.implementers(schema).get(name);
                implementers.into_iter().flat_map(|all| all.objects.iter().cloned()).collect()
            }
            Some(ExtendedType::Union(ty)) => ty.members.iter().map(|member| member.name.clone()).collect(),
            Some(ExtendedType::Enum(ty)) => {
                let values = ty.values.keys().map(|value| value.as_str().into()).collect();
                return Ok(Kind::Enum(Enum { name: name.as_str().into(), values }));
            }
            _ => return Ok(scalar(name)),
        };
        let types: Box<[_]> = types.iter().map(|ty| self.selection(ty, nodes)).collect::<Result<_, _>>()?;
        let several = types.iter().filter(|selection| !selection.fields.is_empty()).count() > 1;
        Ok(Kind::Abstract(Abstract { name: name.as_str().into(), types, several }))
    }

    /// <https://spec.graphql.org/October2021/#CollectFields()>
    fn collect(
        &self,
        type_name: &Name,
        sets: impl Iterator<Item = &'a SelectionSet>,
    ) -> Result<Collected<'a>, GraphQLError> {
        let mut fields = Collected::default();
        let mut seen = HashSet::default();
        for set in sets {
            self.collect_set(type_name, set, &mut seen, &mut fields)?;
        }
        Ok(fields)
    }

    fn collect_set(
        &self,
        type_name: &Name,
        set: &'a SelectionSet,
        seen: &mut HashSet<&'a Name>,
        fields: &mut Collected<'a>,
    ) -> Result<(), GraphQLError> {
        for selection in &set.selections {
            if !self.included(selection.directives())? {
                continue;
            }
            let inner = match selection {
                executable::Selection::Field(field) => {
                    fields.entry(field.response_key()).or_default().push(field);
                    continue;
                }
                executable::Selection::InlineFragment(inline) => &inline.selection_set,
                executable::Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    match fragment {
                        Some(fragment) if seen.insert(&spread.fragment_name) => &fragment.selection_set,
                        _ => continue,
                    }
                }
            };
            // A selection set without a type condition bears the type around it, which the object satisfies too.
            if *type_name == inner.ty || self.schema.public().is_subtype(&inner.ty, type_name) {
                self.collect_set(type_name, inner, seen, fields)?;
            }
        }
        Ok(())
    }

    /// <https://spec.graphql.org/October2021/#sec--skip>, <https://spec.graphql.org/October2021/#sec--include>
    fn included(&self, directives: &DirectiveList) -> Result<bool, GraphQLError> {
        for (name, included) in [("skip", false), ("include", true)] {
            let condition = directives.get(name).and_then(|it| it.specified_argument_by_name("if"));
            if let Some(condition) = condition
                && coerce_if(condition, self.variables)? != included
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn scalar(name: &str) -> Kind {
    match name {
        "Boolean" => Kind::Boolean,
        "Float" => Kind::Float,
        "ID" => Kind::Id,
        "Int" => Kind::Int,
        "String" => Kind::String,
        _ => Kind::Custom,
    }
}

/// What validation rules out; said without a panic if it should fail to.
fn unknown() -> GraphQLError {
    GraphQLError::new(
        ErrorCode::InternalServerError,
        "The document names a field that the server does not know.",
    )
}

/// Fields of one operation after merging at most, counted for each object type they may be asked of.
const MAX_COMPILED_FIELDS: usize = 50_000;
