//! Canonical text, by which audiences are told apart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::Value;

use super::{
    guard::Asking,
    selection::{Field, Guard, RootSelection, Selection},
};
use crate::{Grants, JsonObject, Template};

/// Everything of a compiled root field that the bytes of its results depend on.
///
/// Each selection is printed once and named by its place from then on, wherever it is used and however the document
/// arrived at it; the text stays in proportion to the document where printing the tree would not.
pub(super) fn canonical_selection(root: &Field) -> String {
    let mut printer = Printer::default();
    let root = printer.field(root);
    let mut all = vec![String::new(); printer.places.len()];
    for (text, place) in printer.places {
        all[place] = text;
    }
    all.push(root);
    format!("[{}]", all.join(","))
}

/// What the members of an audience have in common, apart from their topic, as a JSON array: nothing can run into its
/// neighbour. An absent claim is told from one that is null.
pub(super) fn audience(
    selection: &RootSelection,
    arguments: &JsonObject,
    read: &BTreeSet<String>,
    claims: &JsonObject,
    grants: Option<&dyn Grants>,
) -> String {
    let mut out = String::with_capacity(selection.canonical.len() + 128);
    out.push('[');
    write_text(&mut out, &selection.parent);
    out.push(',');
    out.push_str(&selection.canonical);
    out.push(',');
    write_object(&mut out, arguments);
    out.push(',');
    let present = read.iter().filter_map(|name| claims.get_key_value(name));
    write_object(&mut out, present);
    out.push(',');
    let asking = Asking { arguments, grants };
    let mut digests = HashMap::new();
    write_list(&mut out, '[', ']', &selection.guards, |out, guard| {
        write_guard(out, guard, asking, &mut digests);
    });
    out.push(']');
    out
}

/// What a guard may say to this member and not to another: its decision, or everything that it decides by.
///
/// `digests` are those of scopes that came before: a token may hold thousands of grants, and a client select all guards.
fn write_guard<'a>(
    out: &mut String,
    guard: &'a Guard,
    asking: Asking<'_>,
    digests: &mut HashMap<&'a str, [u8; 32]>,
) {
    let Some(grants) = asking.grants else { return out.push_str("null") };
    if !guard.reads_parent() {
        let allowed = guard.check(asking, &|_| None).is_ok();
        return out.push_str(if allowed { "true" } else { "false" });
    }
    out.push('[');
    let scope = guard.rule.scope.as_str();
    let digest = *digests.entry(scope).or_insert_with(|| grants.digest(scope));
    write_list(out, '[', ']', digest, |out, byte| out.push_str(&byte.to_string()));
    out.push(',');
    let read: BTreeSet<&str> = guard.rule.resource.iter().flat_map(Template::claims).collect();
    write_object(out, read.into_iter().filter_map(|name| grants.claims().get_key_value(name)));
    out.push(']');
}

fn write_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(object) => write_object(out, object),
        Value::Array(items) => write_list(out, '[', ']', items, write_canonical),
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Appends an object with its keys sorted: `preserve_order` keeps them as they came.
fn write_object<'a>(out: &mut String, entries: impl IntoIterator<Item = (&'a String, &'a Value)>) {
    let sorted: BTreeMap<_, _> = entries.into_iter().collect();
    write_list(out, '{', '}', sorted, |out, (key, value)| {
        write_text(out, key);
        out.push(':');
        write_canonical(out, value);
    });
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

fn write_list<T>(
    out: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(close);
}

#[derive(Default)]
struct Printer {
    /// The place of each selection's text, in the order of first use.
    places: HashMap<String, usize>,
    /// The place of each selection that was printed, by its address: a shared one is walked once.
    printed: HashMap<usize, usize>,
}

impl Printer {
    fn selection(&mut self, selection: &Arc<Selection>) -> usize {
        let address = Arc::as_ptr(selection).addr();
        if let Some(&place) = self.printed.get(&address) {
            return place;
        }
        let mut text = String::new();
        let fields: Vec<_> = selection.fields.iter().map(|field| self.field(field)).collect();
        write_text(&mut text, &selection.type_name);
        for field in fields {
            text.push(',');
            text.push_str(&field);
        }
        let text = format!("[{text}]");
        let next = self.places.len();
        let place = *self.places.entry(text).or_insert(next);
        self.printed.insert(address, place);
        place
    }

    /// Response key, name, arguments, and the places of what is selected below. The type and the source of the value
    /// follow from the name.
    fn field(&mut self, field: &Field) -> String {
        let below: Vec<_> =
            field.shape.kind.selections().iter().map(|selection| self.selection(selection)).collect();
        let mut text = String::from("[");
        write_text(&mut text, field.key.name());
        text.push(',');
        write_text(&mut text, &field.name);
        text.push(',');
        write_object(&mut text, &field.arguments);
        text.push(',');
        write_list(&mut text, '[', ']', below, |out, place| out.push_str(&place.to_string()));
        text.push(']');
        text
    }
}
