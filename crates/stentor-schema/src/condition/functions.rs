//! The functions that a condition may call.

/// One function: how many arguments it takes as `f(x)` and as `x.f()`.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) global: Option<usize>,
    pub(super) member: Option<usize>,
}

/// CEL's standard library as it is built in, apart from operators and macros.
pub(super) const FUNCTIONS: [Function; 17] = [
    global("bool", 1),
    global("bytes", 1),
    member("contains", 1),
    global("double", 1),
    global("dyn", 1),
    member("endsWith", 1),
    member("hasValue", 0),
    global("int", 1),
    both("matches", 2, 1),
    member("or", 1),
    member("orValue", 1),
    both("size", 1, 0),
    member("startsWith", 1),
    global("string", 1),
    global("type", 1),
    global("uint", 1),
    member("value", 0),
];

/// Macros, which are gone when a condition is checked; one with wrong arguments is left as a call.
pub(super) const MACROS: [&str; 9] =
    ["all", "exists", "exists_one", "existsOne", "filter", "has", "map", "optFlatMap", "optMap"];

/// Functions of the `optional` name space.
pub(super) const OPTIONAL: [&str; 3] = ["none", "of", "ofNonZeroValue"];

/// Names of types, which are values: `type(event) == string`.
pub(super) const TYPES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Names that a misspelt function may have meant.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain(MACROS)
}

const fn global(name: &'static str, arguments: usize) -> Function {
    Function { name, global: Some(arguments), member: None }
}

const fn member(name: &'static str, arguments: usize) -> Function {
    Function { name, global: None, member: Some(arguments) }
}

const fn both(name: &'static str, global: usize, member: usize) -> Function {
    Function { name, global: Some(global), member: Some(member) }
}
