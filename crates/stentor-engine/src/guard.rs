//! Who may run a root field, and see what is below it: [`authorize`], [`Holder`].

use serde_json::Value;
use stentor_auth::Principal;
use stentor_schema::{ErrorCode, Grants, GraphQLError, JsonObject, RootField, ScopeGuard, TemplateScope};

/// Decides every guard on a root field that reads only arguments and claims.
///
/// # Errors
///
/// The first guard that says no, as an error for the client.
pub(crate) fn authorize(
    field: &RootField,
    arguments: &JsonObject,
    principal: Option<&Principal>,
) -> Result<(), GraphQLError> {
    if field.public {
        return Ok(());
    }
    let Some(principal) = principal else {
        let message = format!("\"{}\" needs a signed-in user", field.name);
        return Err(GraphQLError::new(ErrorCode::Unauthenticated, message));
    };
    if let Some(argument) = field.tenant.as_ref().and_then(|guard| guard.argument.as_ref()) {
        check_tenant(argument, arguments, principal)?;
    }
    field.guards.iter().try_for_each(|guard| check_scope(guard, arguments, principal))
}

/// A principal, as the guards below the root ask it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a>(pub(crate) &'a Principal);

impl Holder<'_> {
    pub(crate) fn grants(&self) -> &dyn Grants {
        self
    }
}

impl Grants for Holder<'_> {
    fn claims(&self) -> &JsonObject {
        self.0.claims()
    }

    fn allow(&self, scope: &str, resource: Option<&str>) -> bool {
        self.0.grants(scope, resource)
    }

    fn digest(&self, scope: &str) -> [u8; 32] {
        self.0.grants_digest(scope)
    }
}

fn check_tenant(argument: &str, arguments: &JsonObject, principal: &Principal) -> Result<(), GraphQLError> {
    match arguments.get(argument) {
        Some(Value::String(tenant)) if principal.in_tenant(tenant) => Ok(()),
        _ => Err(GraphQLError::new(ErrorCode::Forbidden, format!("\"{argument}\" is not a tenant of yours"))),
    }
}

fn check_scope(
    guard: &ScopeGuard,
    arguments: &JsonObject,
    principal: &Principal,
) -> Result<(), GraphQLError> {
    let scope = TemplateScope { args: arguments, claims: principal.claims(), event: None };
    let resource = guard
        .resource
        .as_ref()
        .map(|resource| resource.render(&scope))
        .transpose()
        .map_err(|error| GraphQLError::new(ErrorCode::BadUserInput, error.0))?;
    if principal.grants(&guard.scope, resource.as_deref()) {
        return Ok(());
    }
    let message = match resource {
        Some(resource) => format!("the scope \"{}\" on \"{resource}\" is missing", guard.scope),
        None => format!("the scope \"{}\" is missing", guard.scope),
    };
    Err(GraphQLError::new(ErrorCode::Forbidden, message))
}
