//! Scalars and enums, coerced as results and written as JSON.

use serde::Serialize;
use serde_json::Value;

use super::{
    coerce::{int, kind as describe},
    selection::{Enum, Kind},
};

/// Writes a value that is not null, as strictly as <https://spec.graphql.org/October2021/#sec-Scalars> allows: nothing
/// is parsed or rounded to make it fit, and an enum's value must be one of its own.
///
/// # Errors
///
/// Why it does not fit, for the client; nothing was written then.
pub(super) fn write(out: &mut Vec<u8>, kind: &Kind, value: &Value) -> Result<(), String> {
    match (kind, value) {
        (Kind::Boolean, Value::Bool(_))
        | (Kind::Custom, _)
        | (Kind::Float, Value::Number(_))
        | (Kind::Id | Kind::String, Value::String(_)) => write_json(out, value),
        (Kind::Int, Value::Number(number)) => match int(number) {
            Some(int) => write_json(out, &int),
            None => {
                return Err("Int cannot represent a number that is not whole or not within 32 bits.".into());
            }
        },
        (Kind::Id, Value::Number(number)) if !number.is_f64() => write_json(out, &number.to_string()),
        (Kind::Enum(ty), Value::String(name)) => return write_enum(out, ty, name),
        (kind, value) => return Err(misfit(type_name(kind), value)),
    }
    Ok(())
}

/// Writes a payload that is text.
///
/// # Errors
///
/// As [`write`]: text is a string, an id, the name of an enum's value or a custom scalar, and nothing else.
pub(super) fn write_text(out: &mut Vec<u8>, kind: &Kind, text: &str) -> Result<(), String> {
    match kind {
        Kind::Custom | Kind::Id | Kind::String => {
            write_json(out, text);
            Ok(())
        }
        Kind::Enum(ty) => write_enum(out, ty, text),
        kind => Err(format!("{} cannot represent text.", type_name(kind))),
    }
}

/// Why `value` is no value of the type, without quoting it.
pub(super) fn misfit(type_name: &str, value: &Value) -> String {
    format!("{type_name} cannot represent {}.", describe(value))
}

/// Appends JSON.
pub(super) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("memory does not fail, and every map here has text for keys");
}

fn write_enum(out: &mut Vec<u8>, ty: &Enum, name: &str) -> Result<(), String> {
    if !ty.values.iter().any(|value| **value == *name) {
        return Err(format!("{} has no such value.", ty.name));
    }
    write_json(out, name);
    Ok(())
}

fn type_name(kind: &Kind) -> &str {
    match kind {
        Kind::Abstract(ty) => &ty.name,
        Kind::Boolean => "Boolean",
        Kind::Custom => "The scalar",
        Kind::Enum(ty) => &ty.name,
        Kind::Float => "Float",
        Kind::Id => "ID",
        Kind::Int => "Int",
        Kind::List(_) => "A list",
        Kind::Object(selection) => &selection.type_name,
        Kind::String => "String",
    }
}
