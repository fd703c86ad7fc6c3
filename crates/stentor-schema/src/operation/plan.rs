//! From a request to an [`Operation`].

use std::{collections::HashMap, sync::Arc};

use apollo_compiler::ast::OperationType;

use super::{
    Operation, OperationLimits, Request, RootCall, RootPlan, SubscriptionPlan,
    coerce::{Variables, coerce_arguments, coerce_variables},
    compile::Compiler,
    document::{Document, DocumentOperation},
    introspection,
    respond::Entry,
    selection::{Root, RootSelection},
};
use crate::{ErrorCode, GraphQLError, JsonObject, Schema};

impl Schema {
    /// Parses, validates and limits `request`, and coerces its variables.
    ///
    /// A valid document is kept, so that the next request with the same text skips all that does not depend on
    /// variables.
    ///
    /// # Errors
    ///
    /// What the client did wrong: at least one error, at most 20.
    pub fn plan(&self, request: &Request, limits: &OperationLimits) -> Result<Operation, Vec<GraphQLError>> {
        let document = self.document(&request.query, limits)?;
        let operation = document.operation(request.operation_name.as_deref()).map_err(one)?;
        let sources = &document.executable.sources;
        let values = coerce_variables(self.public(), &operation.definition, &request.variables, sources)?;
        Planner { schema: self, document: &document, operation, values: &values }.plan().map_err(one)
    }

    fn document(&self, text: &str, limits: &OperationLimits) -> Result<Arc<Document>, Vec<GraphQLError>> {
        if let Some(document) = self.documents.get(text) {
            document.check(limits).map_err(one)?;
            return Ok(document);
        }
        let document = Arc::new(Document::parse(text, self.public(), limits)?);
        self.documents.insert(text, &document);
        Ok(document)
    }
}

struct Planner<'a> {
    schema: &'a Schema,
    document: &'a Document,
    operation: &'a DocumentOperation,
    values: &'a JsonObject,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Operation, GraphQLError> {
        let roots = self.roots()?;
        match (self.operation.definition.operation_type, &*roots) {
            (OperationType::Subscription, [Root::Fed(selection)]) => {
                Ok(Operation::Subscription(SubscriptionPlan {
                    field: Arc::clone(&selection.root),
                    arguments: self.arguments(selection)?,
                    selection: Arc::clone(selection),
                }))
            }
            (OperationType::Subscription, _) => Err(GraphQLError::new(
                ErrorCode::GraphqlValidationFailed,
                "A subscription must select exactly one field.",
            )),
            (OperationType::Mutation, roots) => Ok(Operation::Mutation(self.root_plan(roots)?)),
            (OperationType::Query, roots) => Ok(Operation::Query(self.root_plan(roots)?)),
        }
    }

    /// The compiled root fields, shared with every plan of this document unless a variable changes them.
    fn roots(&self) -> Result<Arc<[Root]>, GraphQLError> {
        if let Some(roots) = self.operation.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let variables = Variables::new(self.values);
        let roots = Compiler::new(self.schema, &self.document.executable, &variables)
            .roots(&self.operation.definition)?;
        if variables.were_read() {
            return Ok(roots);
        }
        Ok(Arc::clone(self.operation.roots.get_or_init(|| roots)))
    }

    fn root_plan(&self, roots: &[Root]) -> Result<RootPlan, GraphQLError> {
        let mut plan = RootPlan { calls: Vec::new(), entries: Vec::with_capacity(roots.len()) };
        let mut introspected = None;
        for root in roots {
            let entry = match root {
                Root::Fed(selection) => {
                    plan.calls.push(RootCall {
                        field: Arc::clone(&selection.root),
                        arguments: self.arguments(selection)?,
                        response_key: selection.field.key.name().to_owned(),
                        selection: Arc::clone(selection),
                    });
                    Entry::Call
                }
                Root::Introspection(key) => {
                    let values = match &introspected {
                        Some(values) => values,
                        None => introspected.insert(self.introspect()?),
                    };
                    Entry::introspection(key, values.get(key).map(Vec::as_slice))
                }
                Root::Typename(key, name) => Entry::typename(key, name),
            };
            plan.entries.push(entry);
        }
        Ok(plan)
    }

    fn introspect(&self) -> Result<HashMap<String, Vec<u8>>, GraphQLError> {
        introspection::execute(self.schema, self.document, &self.operation.definition, self.values)
    }

    fn arguments(&self, selection: &RootSelection) -> Result<Arc<JsonObject>, GraphQLError> {
        let variables = Variables::new(self.values);
        let (schema, sources) = (self.schema.public(), &self.document.executable.sources);
        let (node, definition) = (&selection.node, &selection.node.definition);
        coerce_arguments(schema, definition, node, &variables, sources).map(Arc::new)
    }
}

fn one(error: GraphQLError) -> Vec<GraphQLError> {
    vec![error]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::SchemaOptions;

    fn schema() -> Schema {
        let sdl = r#"
            type Subscription { bot(id: ID): Bot @subscribe(topic: "bot") }
            type Bot { id: ID  name(size: Int): String }
        "#;
        Schema::parse(sdl, "schema.graphql", &SchemaOptions::default()).unwrap()
    }

    fn selection(schema: &Schema, query: &str, value: serde_json::Value) -> Arc<RootSelection> {
        let variables = JsonObject::from_iter([("v".to_owned(), value)]);
        let request = Request { query: query.to_owned(), operation_name: None, variables };
        match schema.plan(&request, &OperationLimits::default()) {
            Ok(Operation::Subscription(plan)) => plan.selection,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_selection_is_shared_unless_a_variable_changes_it() {
        let rows = [
            ("subscription($v: ID) { bot(id: $v) { id } }", json!("a"), json!("b"), true),
            ("subscription($v: Boolean!) { bot { id @skip(if: $v) } }", json!(true), json!(false), false),
            ("subscription($v: Int) { bot { name(size: $v) } }", json!(1), json!(2), false),
        ];
        let schema = schema();
        for (query, first, second, shared) in rows {
            let first = selection(&schema, query, first);
            let second = selection(&schema, query, second);
            assert_eq!(Arc::ptr_eq(&first, &second), shared, "{query}");
            assert_eq!(first.canonical == second.canonical, shared, "{query}");
        }
    }

    #[test]
    fn only_valid_documents_are_kept() {
        let schema = schema();
        let limits = OperationLimits { depth: 1, ..OperationLimits::default() };
        for query in ["{ nope }", "{", "subscription { bot { id } }"] {
            let request = Request { query: query.to_owned(), ..Request::default() };
            assert!(schema.plan(&request, &limits).is_err());
            assert!(schema.documents.get(query).is_none(), "{query}");
        }
    }
}
