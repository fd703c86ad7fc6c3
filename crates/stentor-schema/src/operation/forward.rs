//! A root field as a document of its own, for another GraphQL API to answer: [`Forwarded`].

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::Arc,
};

use apollo_compiler::ast::FieldDefinition;

use super::{
    RootCall,
    selection::{Abstract, Field, Kind, RootSelection, Selection},
};
use crate::JsonObject;

/// What a client selected of one root field, as a request to another GraphQL API that knows the same types.
///
/// Fragments are merged, `@skip` and `@include` are decided, and arguments are variables. The keys of the answer are the
/// client's own, but for those that interfaces, unions and guards need. [`Projected`](crate::Projected) takes
/// the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarded {
    /// The document, with one operation.
    pub query: String,
    /// The values of its variables.
    pub variables: JsonObject,
}

impl RootCall {
    /// This root field as a document of its own.
    pub fn forward(&self) -> Forwarded {
        let root = &self.selection;
        let mut printer = Printer::new(root);
        printer.count(&root.field.shape.kind);
        let mut field = String::new();
        printer.field(&mut field, &root.field, Keys::OWN, &self.arguments);
        let Printer { variables, declarations, fragments, .. } = printer;
        let operation = self.field.operation;
        let declared = if declarations.is_empty() { String::new() } else { format!("({declarations})") };
        let mut query = format!("{operation}{declared} {{ {field} }}");
        for fragment in fragments.into_iter().flatten() {
            query.push(' ');
            query.push_str(&fragment);
        }
        Forwarded { query, variables }
    }
}

impl RootSelection {
    /// What the keys begin with that a client did not ask for: no response key of its own does.
    pub(super) fn private_prefix(&self) -> &str {
        self.private.get_or_init(|| {
            let mut keys = BTreeSet::new();
            let (mut seen, mut waiting) = (BTreeSet::new(), vec![&self.field]);
            while let Some(field) = waiting.pop() {
                keys.insert(field.key.name());
                for selection in field.shape.kind.selections() {
                    if seen.insert(Arc::as_ptr(selection).addr()) {
                        waiting.extend(&selection.fields);
                    }
                }
            }
            let mut prefix = PRIVATE.to_owned();
            while keys.iter().any(|key| key.starts_with(&prefix)) {
                prefix.push('_');
            }
            prefix.into()
        })
    }
}

impl Abstract {
    /// The keys of the type at this place among those that are possible.
    ///
    /// Fields of one key may be nullable on one type and not on another, which cannot be asked for under that key at once.
    pub(super) fn keys(&self, place: usize) -> Keys {
        Keys(self.several.then_some(place))
    }
}

/// Under which keys the fields of an object are asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Keys(Option<usize>);

impl Keys {
    /// The client's own.
    pub(super) const OWN: Self = Self(None);

    /// The key of a selected field.
    pub(super) fn selected<'k>(self, private: &str, key: &'k str) -> Cow<'k, str> {
        self.0.map_or(Cow::Borrowed(key), |place| format!("{private}k{place}_{key}").into())
    }

    /// The key of a field that a guard reads.
    pub(super) fn parent(self, private: &str, name: &str) -> String {
        match self.0 {
            Some(place) => format!("{private}g{place}_{name}"),
            None => format!("{private}g_{name}"),
        }
    }
}

/// The key of an object's type.
pub(super) fn typename_key(private: &str) -> String {
    format!("{private}t")
}

/// What a key of an answer stands for: the client's own key, or `None` for what it did not ask for.
pub(super) fn client_key<'k>(private: &str, key: &'k str) -> Option<&'k str> {
    match key.strip_prefix(private) {
        None => Some(key),
        Some(rest) => rest.strip_prefix('k')?.split_once('_').map(|(_, key)| key),
    }
}

/// How keys begin that a client did not ask for, if none of its own does.
const PRIVATE: &str = "stentor_";

struct Printer<'a> {
    private: &'a str,
    variables: JsonObject,
    declarations: String,
    /// How often each selection is used, by its address and keys: what is shared is printed once, as a fragment.
    uses: HashMap<(usize, Keys), usize>,
    /// The fragments, and which of them each shared selection is. One is `None` while it is printed.
    fragments: Vec<Option<String>>,
    names: HashMap<(usize, Keys), usize>,
}

impl<'a> Printer<'a> {
    fn new(root: &'a RootSelection) -> Self {
        Self {
            private: root.private_prefix(),
            variables: JsonObject::new(),
            declarations: String::new(),
            uses: HashMap::new(),
            fragments: Vec::new(),
            names: HashMap::new(),
        }
    }

    fn count(&mut self, kind: &Kind) {
        match kind {
            Kind::List(item) => self.count(&item.kind),
            Kind::Object(selection) => self.count_use(selection, Keys::OWN),
            Kind::Abstract(ty) => {
                for (place, selection) in ty.types.iter().enumerate() {
                    self.count_use(selection, ty.keys(place));
                }
            }
            _ => {}
        }
    }

    fn count_use(&mut self, selection: &Arc<Selection>, keys: Keys) {
        let uses = self.uses.entry((address(selection), keys)).or_default();
        *uses += 1;
        if *uses == 1 {
            selection.fields.iter().for_each(|field| self.count(&field.shape.kind));
        }
    }

    fn field(&mut self, out: &mut String, field: &Field, keys: Keys, arguments: &JsonObject) {
        let key = keys.selected(self.private, field.key.name());
        if key != *field.name {
            out.push_str(&key);
            out.push_str(": ");
        }
        out.push_str(&field.name);
        self.arguments(out, &field.definition, arguments);
        self.below(out, &field.shape.kind);
    }

    /// Each argument as a variable of the type that the schema declares for it.
    fn arguments(&mut self, out: &mut String, definition: &FieldDefinition, arguments: &JsonObject) {
        let mut open = '(';
        for (name, value) in arguments {
            let Some(argument) = definition.argument_by_name(name) else { continue };
            let variable = format!("v{}", self.variables.len());
            let separator = if self.declarations.is_empty() { "" } else { ", " };
            // Writing into a string does not fail.
            let _ = write!(self.declarations, "{separator}${variable}: {}", argument.ty);
            let _ = write!(out, "{open}{name}: ${variable}");
            self.variables.insert(variable, value.clone());
            open = ' ';
        }
        if open == ' ' {
            out.push(')');
        }
    }

    fn below(&mut self, out: &mut String, kind: &Kind) {
        match kind {
            Kind::List(item) => self.below(out, &item.kind),
            Kind::Object(selection) => {
                out.push_str(" { ");
                self.selection(out, selection, Keys::OWN, false);
                out.push_str(" }");
            }
            Kind::Abstract(ty) => self.each_type(out, ty),
            _ => {}
        }
    }

    fn each_type(&mut self, out: &mut String, ty: &Abstract) {
        let _ = write!(out, " {{ {}: __typename", typename_key(self.private));
        for (place, selection) in ty.types.iter().enumerate() {
            if !selection.fields.is_empty() {
                out.push(' ');
                self.selection(out, selection, ty.keys(place), true);
            }
        }
        out.push_str(" }");
    }

    /// What stands between the braces for one object type; `conditional` where it may be another.
    fn selection(&mut self, out: &mut String, selection: &Arc<Selection>, keys: Keys, conditional: bool) {
        let shared = (address(selection), keys);
        if self.uses.get(&shared).is_none_or(|uses| *uses < 2) {
            if conditional {
                let _ = write!(out, "... on {} {{ ", selection.type_name);
            }
            self.fields(out, selection, keys);
            if conditional {
                out.push_str(" }");
            }
            return;
        }
        let number = match self.names.get(&shared) {
            Some(number) => *number,
            None => self.fragment(selection, keys),
        };
        let _ = write!(out, "...F{number}");
    }

    fn fragment(&mut self, selection: &Arc<Selection>, keys: Keys) -> usize {
        let number = self.fragments.len();
        self.fragments.push(None);
        self.names.insert((address(selection), keys), number);
        let mut text = format!("fragment F{number} on {} {{ ", selection.type_name);
        self.fields(&mut text, selection, keys);
        text.push_str(" }");
        self.fragments[number] = Some(text);
        number
    }

    fn fields(&mut self, out: &mut String, selection: &Selection, keys: Keys) {
        let mut parents = BTreeSet::new();
        for (index, field) in selection.fields.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            self.field(out, field, keys, &field.arguments);
            let guards = field.guards.iter().flat_map(|guard| guard.parent.iter());
            parents.extend(guards.map(|field| &*field.name));
        }
        for name in parents {
            let _ = write!(out, " {}: {name}", keys.parent(self.private, name));
        }
        if selection.fields.is_empty() {
            let _ = write!(out, "{}: __typename", typename_key(self.private));
        }
    }
}

fn address(selection: &Arc<Selection>) -> usize {
    Arc::as_ptr(selection).addr()
}
