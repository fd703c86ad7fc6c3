//! A root field as a document of its own, for another GraphQL API to answer: [`Forwarded`].

use std::{
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
/// client's own; beside them are some that guards and the types of interfaces need. [`Projected`](crate::Projected) takes
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
        printer.count(&root.field);
        let mut field = String::new();
        printer.field(&mut field, &root.field, &self.arguments);
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

/// How keys begin that a client did not ask for, if none of its own does.
const PRIVATE: &str = "stentor_";

/// The private key of an object's type, without the prefix.
pub(super) const TYPENAME: &str = "typename";

struct Printer<'a> {
    private: &'a str,
    variables: JsonObject,
    declarations: String,
    /// How often each selection is used, by its address: what is shared is printed once, as a fragment.
    uses: HashMap<usize, usize>,
    /// The fragments, and which of them each shared selection is. One is `None` while it is printed.
    fragments: Vec<Option<String>>,
    names: HashMap<usize, usize>,
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

    fn count(&mut self, field: &Field) {
        for selection in field.shape.kind.selections() {
            let uses = self.uses.entry(address(selection)).or_default();
            *uses += 1;
            if *uses == 1 {
                selection.fields.iter().for_each(|field| self.count(field));
            }
        }
    }

    fn field(&mut self, out: &mut String, field: &Field, arguments: &JsonObject) {
        if field.key.name() != &*field.name {
            out.push_str(field.key.name());
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
                self.selection(out, selection, false);
                out.push_str(" }");
            }
            Kind::Abstract(ty) => self.each_type(out, ty),
            _ => {}
        }
    }

    fn each_type(&mut self, out: &mut String, ty: &Abstract) {
        let _ = write!(out, " {{ {}{TYPENAME}: __typename", self.private);
        for selection in ty.types.iter().filter(|selection| !selection.fields.is_empty()) {
            out.push(' ');
            self.selection(out, selection, true);
        }
        out.push_str(" }");
    }

    /// What stands between the braces for one object type; `conditional` where it may be another.
    fn selection(&mut self, out: &mut String, selection: &Arc<Selection>, conditional: bool) {
        let address = address(selection);
        if self.uses.get(&address).is_none_or(|uses| *uses < 2) {
            if conditional {
                let _ = write!(out, "... on {} {{ ", selection.type_name);
            }
            self.fields(out, selection);
            if conditional {
                out.push_str(" }");
            }
            return;
        }
        let number = match self.names.get(&address) {
            Some(number) => *number,
            None => self.fragment(selection),
        };
        let _ = write!(out, "...F{number}");
    }

    fn fragment(&mut self, selection: &Arc<Selection>) -> usize {
        let number = self.fragments.len();
        self.fragments.push(None);
        self.names.insert(address(selection), number);
        let mut text = format!("fragment F{number} on {} {{ ", selection.type_name);
        self.fields(&mut text, selection);
        text.push_str(" }");
        self.fragments[number] = Some(text);
        number
    }

    fn fields(&mut self, out: &mut String, selection: &Selection) {
        let mut parents = BTreeSet::new();
        for (index, field) in selection.fields.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            self.field(out, field, &field.arguments);
            parents
                .extend(field.guards.iter().flat_map(|guard| guard.parent.iter()).map(|field| &*field.name));
        }
        for name in parents {
            let _ = write!(out, " {}{name}: {name}", self.private);
        }
        if selection.fields.is_empty() {
            let _ = write!(out, "{}{TYPENAME}: __typename", self.private);
        }
    }
}

fn address(selection: &Arc<Selection>) -> usize {
    Arc::as_ptr(selection).addr()
}
