//! Input coercion: variables, and the arguments of fields.
//!
//! One coercion by type serves both. A literal is first turned into JSON with the variables in their places, so that
//! defaults, lists and input objects follow the same rules wherever they come from. Of two inputs that mean the same,
//! `42` and `"42"` for an `ID` say, the coerced values are the same: audiences compare them.

use std::cell::Cell;

use apollo_compiler::{
    Node, Schema,
    ast::{self, FieldDefinition, InputValueDefinition, Type},
    executable::{Field, Operation},
    parser::SourceMap,
    schema::{ExtendedType, InputObjectType},
};
use serde_json::{Number, Value};

use super::document::{MAX_ERRORS, locations};
use crate::{ErrorCode, GraphQLError, JsonObject};

/// Coerced variables, and whether anyone has read one.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    values: &'a JsonObject,
    read: Cell<bool>,
}

impl<'a> Variables<'a> {
    pub(super) const fn new(values: &'a JsonObject) -> Self {
        Self { values, read: Cell::new(false) }
    }

    /// Whether the outcome of what was done with these variables may depend on them.
    pub(super) const fn were_read(&self) -> bool {
        self.read.get()
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.read.set(true);
        self.values.get(name)
    }
}

/// The values of an operation's variables: <https://spec.graphql.org/October2021/#CoerceVariableValues()>.
///
/// # Errors
///
/// One for each variable that is missing or does not fit its type.
pub(super) fn coerce_variables(
    schema: &Schema,
    operation: &Operation,
    given: &JsonObject,
    sources: &SourceMap,
) -> Result<JsonObject, Vec<GraphQLError>> {
    let mut coerced = JsonObject::new();
    let mut errors = Vec::new();
    for definition in &operation.variables {
        let name = definition.name.as_str();
        match coerce_variable(schema, definition, given.get(name)) {
            Ok(Some(value)) => {
                coerced.insert(name.to_owned(), value);
            }
            Ok(None) => {}
            Err(message) if errors.len() < MAX_ERRORS => {
                let mut error = GraphQLError::new(ErrorCode::BadUserInput, message);
                error.locations = locations(definition.location(), sources);
                errors.push(error);
            }
            Err(_) => {}
        }
    }
    if errors.is_empty() { Ok(coerced) } else { Err(errors) }
}

/// The values of a field's arguments: <https://spec.graphql.org/October2021/#CoerceArgumentValues()>.
///
/// An argument that is absent and has no default is absent from the values; one that is null is null there.
///
/// # Errors
///
/// A variable that is missing or null where a value is needed.
pub(super) fn coerce_arguments(
    schema: &Schema,
    definition: &FieldDefinition,
    field: &Field,
    variables: &Variables<'_>,
    sources: &SourceMap,
) -> Result<JsonObject, GraphQLError> {
    let mut coerced = JsonObject::new();
    for argument in &definition.arguments {
        let given = field.specified_argument_by_name(&argument.name);
        match coerce_argument(schema, argument, given, variables) {
            Ok(Some(value)) => {
                coerced.insert(argument.name.to_string(), value);
            }
            Ok(None) => {}
            Err(message) => {
                let mut error = GraphQLError::new(ErrorCode::BadUserInput, message);
                let span = given.map_or_else(|| field.name.location(), Node::location);
                error.locations = locations(span, sources);
                return Err(error);
            }
        }
    }
    Ok(coerced)
}

/// The value of a directive's boolean argument `if`.
///
/// # Errors
///
/// A variable that is null: its type allows that if it has a default.
pub(super) fn coerce_if(value: &Node<ast::Value>, variables: &Variables<'_>) -> Result<bool, GraphQLError> {
    match literal(value, variables) {
        Some(Value::Bool(condition)) => Ok(condition),
        _ => Err(GraphQLError::new(
            ErrorCode::BadUserInput,
            "The argument \"if\" of @skip and @include must be true or false.",
        )),
    }
}

fn coerce_variable(
    schema: &Schema,
    definition: &ast::VariableDefinition,
    given: Option<&Value>,
) -> Result<Option<Value>, String> {
    let (name, ty) = (&definition.name, &definition.ty);
    let coercion = Coercion { schema };
    let value = match (given, &definition.default_value) {
        (Some(value), _) => value.clone(),
        (None, Some(default)) => match constant(default) {
            Some(value) => value,
            None => return Ok(None),
        },
        (None, None) if ty.is_non_null() => {
            return Err(format!("Variable \"${name}\" of required type \"{ty}\" was not provided."));
        }
        (None, None) => return Ok(None),
    };
    coercion.value(ty, value, 0).map(Some).map_err(|misfit| misfit.describe(&format!("Variable \"${name}\"")))
}

fn coerce_argument(
    schema: &Schema,
    definition: &InputValueDefinition,
    given: Option<&Node<ast::Value>>,
    variables: &Variables<'_>,
) -> Result<Option<Value>, String> {
    let value = given.and_then(|given| literal(given, variables));
    let value = value.or_else(|| definition.default_value.as_ref().and_then(constant));
    let (name, ty) = (&definition.name, &definition.ty);
    let Some(value) = value else {
        if ty.is_non_null() {
            return Err(format!("Argument \"{name}\" of required type \"{ty}\" was not provided."));
        }
        return Ok(None);
    };
    Coercion { schema }
        .value(ty, value, 0)
        .map(Some)
        .map_err(|misfit| misfit.describe(&format!("Argument \"{name}\"")))
}

/// A literal as JSON; `None` if it is a variable that has no value.
fn literal(value: &Node<ast::Value>, variables: &Variables<'_>) -> Option<Value> {
    let number = |text: &str| text.parse::<Number>().map_or(Value::Null, Value::Number);
    Some(match value.as_ref() {
        ast::Value::Null => Value::Null,
        ast::Value::Variable(name) => return variables.get(name).cloned(),
        ast::Value::Enum(name) => Value::String(name.to_string()),
        ast::Value::String(text) => Value::String(text.clone()),
        ast::Value::Boolean(value) => Value::Bool(*value),
        ast::Value::Int(int) => number(int.as_str()),
        ast::Value::Float(float) => number(float.as_str()),
        // A variable without a value is null in a list, and absent from an object:
        // https://spec.graphql.org/October2021/#sec-List.Input-Coercion, #sec-Input-Objects.Input-Coercion
        ast::Value::List(items) => {
            items.iter().map(|item| literal(item, variables).unwrap_or(Value::Null)).collect()
        }
        ast::Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, field)| Some((name.to_string(), literal(field, variables)?)))
            .collect(),
    })
}

/// A literal without variables, as defaults are.
fn constant(value: &Node<ast::Value>) -> Option<Value> {
    literal(value, &Variables::new(&JsonObject::new()))
}

/// Coercion by type.
struct Coercion<'a> {
    schema: &'a Schema,
}

/// Where in a value something does not fit, and why.
struct Misfit {
    /// `.tags[1]`, say, written from the inside out.
    place: String,
    reason: String,
}

impl Misfit {
    fn new(reason: impl Into<String>) -> Self {
        Self { place: String::new(), reason: reason.into() }
    }

    fn inside(mut self, place: &str) -> Self {
        self.place.insert_str(0, place);
        self
    }

    fn describe(&self, what: &str) -> String {
        let Self { place, reason } = self;
        match place.is_empty() {
            true => format!("{what} got an invalid value: {reason}."),
            false => {
                format!("{what} got an invalid value at \"{}\": {reason}.", place.trim_start_matches('.'))
            }
        }
    }
}

impl Coercion<'_> {
    fn value(&self, ty: &Type, value: Value, nesting: usize) -> Result<Value, Misfit> {
        if nesting > MAX_NESTING {
            return Err(Misfit::new("it is nested too deeply"));
        }
        if value.is_null() {
            return match ty.is_non_null() {
                true => Err(Misfit::new(format!("{ty} must not be null"))),
                false => Ok(Value::Null),
            };
        }
        match ty {
            Type::List(item) | Type::NonNullList(item) => self.list(item, value, nesting),
            Type::Named(name) | Type::NonNullNamed(name) => match self.schema.types.get(name) {
                Some(ExtendedType::Enum(ty)) => match value.as_str() {
                    Some(text) if ty.values.contains_key(text) => Ok(value),
                    Some(_) => Err(Misfit::new(format!("{name} has no such value"))),
                    None => Err(misfit(name, &value)),
                },
                Some(ExtendedType::InputObject(ty)) => self.object(ty, value, nesting),
                _ => scalar(name, value),
            },
        }
    }

    /// A single value stands for a list of one: <https://spec.graphql.org/October2021/#sec-List.Input-Coercion>.
    fn list(&self, item: &Type, value: Value, nesting: usize) -> Result<Value, Misfit> {
        let Value::Array(items) = value else {
            return Ok(Value::Array(vec![self.value(item, value, nesting + 1)?]));
        };
        let coerce = |(index, value)| {
            self.value(item, value, nesting + 1).map_err(|misfit| misfit.inside(&format!("[{index}]")))
        };
        items.into_iter().enumerate().map(coerce).collect()
    }

    fn object(&self, ty: &InputObjectType, value: Value, nesting: usize) -> Result<Value, Misfit> {
        let Value::Object(mut given) = value else { return Err(misfit(&ty.name, &value)) };
        let mut coerced = JsonObject::new();
        for (name, field) in &ty.fields {
            let (value, levels) = match given.shift_remove(name.as_str()) {
                Some(value) => (Some(value), 1),
                None => (field.default_value.as_ref().and_then(constant), DEFAULT_LEVELS),
            };
            match value {
                Some(value) => {
                    let value = self
                        .value(&field.ty, value, nesting + levels)
                        .map_err(|misfit| misfit.inside(&format!(".{name}")))?;
                    coerced.insert(name.to_string(), value);
                }
                None if field.ty.is_non_null() => {
                    return Err(Misfit::new(format!("{}.{name} is required", ty.name)));
                }
                None => {}
            }
        }
        match given.is_empty() {
            true => Ok(Value::Object(coerced)),
            false => Err(Misfit::new(format!("{} has no field for one of its keys", ty.name))),
        }
    }
}

/// <https://spec.graphql.org/October2021/#sec-Scalars>; a custom scalar takes any value as it is.
fn scalar(name: &str, value: Value) -> Result<Value, Misfit> {
    let coerced = match (name, &value) {
        ("Int", Value::Number(number)) => int(number).map(Value::from),
        ("Float", Value::Number(number)) => number.as_f64().and_then(Number::from_f64).map(Value::Number),
        ("ID", Value::Number(number)) if !number.is_f64() => Some(Value::String(number.to_string())),
        ("Boolean", Value::Bool(_)) | ("ID" | "String", Value::String(_)) => return Ok(value),
        ("Boolean" | "Float" | "ID" | "Int" | "String", _) => None,
        _ => return Ok(value),
    };
    coerced.ok_or_else(|| misfit(name, &value))
}

/// A number as an `Int`: 32 bits; a fraction of zero is none.
pub(super) fn int(number: &Number) -> Option<i32> {
    if let Some(int) = number.as_i64() {
        return i32::try_from(int).ok();
    }
    let float = number.as_f64()?;
    let fits = float.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&float);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within 32 bits")]
    fits.then_some(float as i32)
}

/// What a JSON value is, for a message that must not quote it.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "this number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn misfit(ty: &str, value: &Value) -> Misfit {
    Misfit::new(format!("{ty} cannot represent {}", kind(value)))
}

/// Nesting of input values at most.
const MAX_NESTING: usize = 128;

/// How many levels of nesting a default counts for: two fields whose defaults contain their own type double at each.
const DEFAULT_LEVELS: usize = 16;
