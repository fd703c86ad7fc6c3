//! `@hasScope` below the root: [`Guard`].

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;

use super::{
    leaf,
    selection::{Field, Guard, Kind, ParentField, Selection, Source},
};
use crate::{ErrorCode, Grants, GraphQLError, JsonObject, RenderError, ScopeGuard, TemplateScope};

/// What guards below the root decide by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    /// Arguments of the root field.
    pub(super) arguments: &'a JsonObject,
    /// Who asks; `None` for an anonymous client.
    pub(super) grants: Option<&'a dyn Grants>,
}

impl Guard {
    /// Whether the field may be seen; `parent` has the value of a field of the object around it.
    ///
    /// # Errors
    ///
    /// What the client is told. It names the scope and not the resource: the id may be hidden itself, or not be asked for.
    pub(super) fn check<'v>(
        &self,
        asking: Asking<'v>,
        parent: &dyn Fn(&ParentField) -> Option<&'v Value>,
    ) -> Result<(), GraphQLError> {
        let Some(grants) = asking.grants else {
            return Err(GraphQLError::new(ErrorCode::Unauthenticated, "this needs a signed-in user"));
        };
        // What cannot be rendered names no resource, and nobody holds anything on that.
        let allowed = match self.resource(asking.arguments, grants, parent) {
            Ok(resource) => grants.allow(&self.rule.scope, resource.as_deref()),
            Err(_) => false,
        };
        if allowed {
            return Ok(());
        }
        let message = format!("the scope \"{}\" is missing", self.rule.scope);
        Err(GraphQLError::new(ErrorCode::Forbidden, message))
    }

    fn resource<'v>(
        &self,
        arguments: &'v JsonObject,
        grants: &'v dyn Grants,
        parent: &dyn Fn(&ParentField) -> Option<&'v Value>,
    ) -> Result<Option<String>, RenderError> {
        let Some(template) = &self.rule.resource else { return Ok(None) };
        let read = |name: &str| {
            let field = self.parent.iter().find(|field| *field.name == *name)?;
            parent(field).filter(|value| fits(&field.kind, value))
        };
        let scope = TemplateScope { args: arguments, claims: grants.claims(), event: None };
        template.render_below(&scope, &read).map(Some)
    }

    /// Whether the parent's value has a say.
    pub(super) fn reads_parent(&self) -> bool {
        !self.parent.is_empty()
    }
}

/// The different guards of everything below a field, in the order of first use.
pub(super) fn guards_below(field: &Field) -> Box<[Guard]> {
    let mut collector = Collector::default();
    collector.below(field);
    collector.guards.into()
}

/// A value that is no value of its field's type is not shown, and names nothing either.
fn fits(kind: &Kind, value: &Value) -> bool {
    leaf::write(&mut Vec::new(), kind, value).is_ok()
}

#[derive(Default)]
struct Collector {
    guards: Vec<Guard>,
    /// By address: rules belong to the schema, selections may be shared.
    rules: HashSet<*const ScopeGuard>,
    selections: HashSet<*const Selection>,
}

impl Collector {
    fn below(&mut self, field: &Field) {
        for selection in field.shape.kind.selections() {
            if !self.selections.insert(Arc::as_ptr(selection)) {
                continue;
            }
            for field in &selection.fields {
                for guard in &field.guards {
                    if self.rules.insert(Arc::as_ptr(&guard.rule)) {
                        self.guards.push(guard.clone());
                    }
                }
                self.below(field);
            }
        }
    }
}

/// The value of a field of `object`, as a payload has it.
pub(super) fn payload_value<'v>(
    source: &Source,
    object: &'v JsonObject,
    arguments: &'v JsonObject,
) -> Option<&'v Value> {
    match source {
        Source::Keys(keys) => keys.iter().find_map(|key| find(object, key)),
        Source::Argument(name) => arguments.get(&**name),
        Source::Typename => None,
    }
}

/// The value of a key. In a small object, comparing is faster than hashing: most names differ in length already.
pub(super) fn find<'v>(object: &'v JsonObject, key: &str) -> Option<&'v Value> {
    if object.len() > SMALL_OBJECT {
        return object.get(key);
    }
    object.iter().find_map(|(name, value)| (name == key).then_some(value))
}

/// Keys of an object that is searched without hashing.
const SMALL_OBJECT: usize = 16;
