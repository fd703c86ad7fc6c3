//! CEL conditions over `event`, `args` and `claims`: [`Condition`].

mod check;
mod compile;
mod functions;
mod path;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, IdedExpr,
    common::{
        traits::Indexer,
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use serde_json::Value;

use crate::{Event, JsonObject};

/// A compiled and checked condition.
#[derive(Debug)]
pub struct Condition {
    /// Boxed, since a field without a condition should not have room for one.
    expression: Box<IdedExpr>,
    /// The top-level claims that it reads.
    claims: BTreeSet<String>,
}

/// Arguments and claims of one audience, converted for CEL once.
#[derive(Debug)]
pub struct Bindings {
    args: CelMap<'static>,
    claims: CelMap<'static>,
}

/// Why a condition could not be decided; it counts as false.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ConditionError(pub String);

impl Bindings {
    /// Converts arguments and claims.
    pub fn new(args: &JsonObject, claims: &JsonObject) -> Self {
        Self { args: cel_map(args), claims: cel_map(claims) }
    }
}

impl Condition {
    /// The top-level claims that it reads.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(String::as_str)
    }

    /// Whether it holds for `event`.
    ///
    /// # Errors
    ///
    /// A missing key, values that cannot be compared, a result that is not a boolean.
    pub fn holds(&self, event: &Event, bindings: &Bindings) -> Result<bool, ConditionError> {
        let variables = Variables { event, bindings };
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(&variables);
        let value = cel::Value::resolve_val(&self.expression, &context)
            .map_err(|error| ConditionError(error.to_string()))?;
        match value.downcast_ref::<CelBool>() {
            Some(holds) => Ok(*holds.inner()),
            None => Err(ConditionError(format!("the result is {}, not bool", value.get_type().name()))),
        }
    }
}

/// Lends a condition its variables without copying them.
struct Variables<'a> {
    event: &'a Event,
    bindings: &'a Bindings,
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "args" => Some(CowVal::Borrowed(&self.bindings.args)),
            "claims" => Some(CowVal::Borrowed(&self.bindings.claims)),
            "event" => Some(CowVal::Borrowed(self.event.cel())),
            // cel asks for the longest name first. An argument that was not given is null: `args.x == null` then
            // decides, where a missing key would fail the whole condition.
            _ => argument(&self.bindings.args, variable.strip_prefix("args.")?),
        }
    }
}

/// The value at a path below `args`; null where a key is missing, `None` where the path leaves the objects.
fn argument<'b>(args: &'b CelMap<'static>, path: &str) -> Option<CowVal<'b, 'b>> {
    let mut object = args;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let Ok(CowVal::Borrowed(value)) = Indexer::get(object, &CelString::from(key)) else {
            return Some(CowVal::Borrowed(&CelNull));
        };
        if keys.peek().is_none() {
            return Some(CowVal::Borrowed(value));
        }
        object = value.downcast_ref::<CelMap<'static>>()?;
    }
    None
}

/// JSON as CEL sees it: whole numbers are `int`, or `uint` above `i64::MAX`, all others `double`.
pub(crate) fn cel_value(json: &Value) -> Box<dyn Val> {
    match json {
        Value::Array(items) => Box::new(CelList::from(items.iter().map(cel_value).collect::<Vec<_>>())),
        Value::Bool(bool) => Box::new(CelBool::from(*bool)),
        Value::Null => Box::new(CelNull),
        Value::Number(number) => cel_number(number),
        Value::Object(object) => Box::new(cel_map(object)),
        Value::String(text) => cel_text(text),
    }
}

/// Text as CEL sees it.
pub(crate) fn cel_text(text: &str) -> Box<dyn Val> {
    Box::new(CelString::from(text.to_owned()))
}

fn cel_number(number: &serde_json::Number) -> Box<dyn Val> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Box::new(CelInt::from(int)),
        (None, Some(uint)) => Box::new(CelUInt::from(uint)),
        (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
    }
}

fn cel_map(object: &JsonObject) -> CelMap<'static> {
    let entries: HashMap<_, _> =
        object.iter().map(|(key, value)| (CelMapKey::from(key.clone()), cel_value(value))).collect();
    CelMap::from(entries)
}

/// The standard library, built once: building it costs far more than evaluating a condition.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What is wrong with the pattern of a `matches`, in the words of the library that will run it.
fn pattern_error(pattern: &str) -> Option<String> {
    let quoted = serde_json::to_string(pattern).ok()?;
    let program = ENVIRONMENT.compile(&format!("''.matches({quoted})")).ok()?;
    let error = program.execute(&Context::with_env(Arc::clone(&ENVIRONMENT))).err()?.to_string();
    error.lines().last().map(|line| line.trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests;
