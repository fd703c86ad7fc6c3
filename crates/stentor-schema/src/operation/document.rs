//! A client's document, valid for the schema: [`Document`].

use std::sync::{Arc, OnceLock};

use apollo_compiler::{
    ExecutableDocument, Node, Schema,
    collections::HashSet,
    diagnostic::{Diagnostic, ToCliReport},
    executable::{self, Selection, SelectionSet},
    parser::{Parser, SourceMap, SourceSpan},
    validation::{DiagnosticData, DiagnosticList, Valid, WithErrors},
};

use super::{
    OperationLimits,
    limits::{self, Cost},
    selection::Root,
};
use crate::{ErrorCode, GraphQLError};

/// A parsed and validated document, and what of its operations does not depend on variables.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) executable: Valid<ExecutableDocument>,
    cost: Cost,
    tokens: usize,
    operations: Vec<DocumentOperation>,
}

/// An operation of a document.
#[derive(Debug)]
pub(super) struct DocumentOperation {
    pub(super) definition: Node<executable::Operation>,
    /// Its root fields, compiled when first asked for; never set if a variable changes them.
    pub(super) roots: OnceLock<Arc<[Root]>>,
}

impl Document {
    /// Parses `text`, measures it and validates it, in that order: what is too large is never validated.
    ///
    /// # Errors
    ///
    /// Syntax, limits, or what does not fit the schema; at most [`MAX_ERRORS`].
    pub(super) fn parse(
        text: &str,
        schema: &Valid<Schema>,
        limits: &OperationLimits,
    ) -> Result<Self, Vec<GraphQLError>> {
        let mut parser = Parser::new().token_limit(limits.tokens).recursion_limit(PARSER_RECURSION);
        let parsed = parser.parse_ast(text, "");
        let tokens = parser.tokens_reached();
        limits::check_tokens(tokens, limits).map_err(|error| vec![error])?;
        let ast = parsed.map_err(|error| convert(&error.errors, ErrorCode::GraphqlParseFailed))?;
        let built = ast.to_executable(schema).map_err(|error| invalid(&error))?;
        let cost = limits::measure(&built);
        cost.check(limits, &built.sources).map_err(|error| vec![error])?;
        let executable = validate(built, schema)?;
        let operations = executable.operations.iter().map(DocumentOperation::new).collect();
        Ok(Self { executable, cost, tokens, operations })
    }

    /// Whether the document, validated under other limits perhaps, is within these.
    pub(super) fn check(&self, limits: &OperationLimits) -> Result<(), GraphQLError> {
        limits::check_tokens(self.tokens, limits)?;
        self.cost.check(limits, &self.executable.sources)
    }

    /// The operation that a request means, as <https://spec.graphql.org/October2021/#GetOperation()> has it.
    ///
    /// An empty `name` is none: it cannot name an operation, and there are clients that always send one.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<&DocumentOperation, GraphQLError> {
        let name = name.filter(|name| !name.is_empty());
        let mut named = self.operations.iter().filter(|operation| match name {
            Some(name) => operation.definition.name.as_deref() == Some(name),
            None => true,
        });
        match (named.next(), named.next(), name) {
            (Some(operation), None, _) => Ok(operation),
            (None, _, Some(name)) => Err(refused(format!("The document has no operation named \"{name}\"."))),
            (None, _, None) => Err(refused("The document has no operation.")),
            (Some(_), Some(_), _) => {
                Err(refused("The document has several operations: say which one in operationName."))
            }
        }
    }
}

impl DocumentOperation {
    fn new(definition: &Node<executable::Operation>) -> Self {
        Self { definition: definition.clone(), roots: OnceLock::new() }
    }
}

/// Line and column of a span in the document, as [`GraphQLError::locations`] holds them.
pub(super) fn locations(span: Option<SourceSpan>, sources: &SourceMap) -> Vec<(u32, u32)> {
    let place = span.and_then(|span| span.line_column(sources));
    place
        .into_iter()
        .filter_map(|place| Some((u32::try_from(place.line).ok()?, u32::try_from(place.column).ok()?)))
        .collect()
}

fn refused(message: impl Into<String>) -> GraphQLError {
    GraphQLError::new(ErrorCode::GraphqlValidationFailed, message)
}

fn validate(
    document: ExecutableDocument,
    schema: &Valid<Schema>,
) -> Result<Valid<ExecutableDocument>, Vec<GraphQLError>> {
    match document.validate(schema) {
        Ok(valid) => Ok(valid),
        Err(WithErrors { partial, errors }) if repeats_one_root_field(&partial, &errors) => {
            Ok(Valid::assume_valid(partial))
        }
        Err(errors) => Err(invalid(&errors)),
    }
}

/// Whether the only complaint is that a subscription names its one root field more than once.
///
/// The validator counts selections; the specification counts response keys after merging
/// (<https://spec.graphql.org/October2021/#sec-Single-root-field>). It has checked that fields of one key can merge.
fn repeats_one_root_field(document: &ExecutableDocument, errors: &DiagnosticList) -> bool {
    let only_counts = errors.iter().all(|error| error.error.to_string().ends_with(SEVERAL_ROOT_FIELDS));
    only_counts
        && document.operations.iter().filter(|operation| operation.is_subscription()).all(|operation| {
            let mut keys = HashSet::default();
            root_keys(&operation.selection_set, document, &mut HashSet::default(), &mut keys);
            keys.len() == 1
        })
}

fn root_keys<'d>(
    set: &'d SelectionSet,
    document: &'d ExecutableDocument,
    seen: &mut HashSet<&'d str>,
    keys: &mut HashSet<&'d str>,
) {
    for selection in &set.selections {
        match selection {
            Selection::Field(field) => {
                keys.insert(field.response_key());
            }
            Selection::FragmentSpread(spread) if seen.insert(&spread.fragment_name) => {
                if let Some(fragment) = document.fragments.get(&spread.fragment_name) {
                    root_keys(&fragment.selection_set, document, seen, keys);
                }
            }
            Selection::FragmentSpread(_) => {}
            Selection::InlineFragment(inline) => root_keys(&inline.selection_set, document, seen, keys),
        }
    }
}

fn invalid(invalid: &WithErrors<ExecutableDocument>) -> Vec<GraphQLError> {
    convert(&invalid.errors, ErrorCode::GraphqlValidationFailed)
}

fn convert(errors: &DiagnosticList, code: ErrorCode) -> Vec<GraphQLError> {
    let convert = |error: Diagnostic<'_, DiagnosticData>| {
        let mut converted = GraphQLError::new(code, shorten(error.error.to_string()));
        converted.locations = locations(error.error.location(), error.sources);
        converted
    };
    errors.iter().take(MAX_ERRORS).map(convert).collect()
}

/// A message that quotes the document must not quote all of it.
fn shorten(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARACTERS) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Errors that one refusal holds at most.
pub(super) const MAX_ERRORS: usize = 20;

/// Characters of an error's message at most.
const MESSAGE_CHARACTERS: usize = 500;

/// Nesting of a document's syntax at most; far more than any depth limit, and safe on a small stack.
const PARSER_RECURSION: usize = 200;

/// How the validator's complaint about root fields of a subscription ends.
const SEVERAL_ROOT_FIELDS: &str = "can only have one root field";
