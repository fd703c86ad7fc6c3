//! From a role that the identity provider knows to scopes: [`RoleScopes`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Which scopes a role brings, as the configuration says.
///
/// A name without a slash is a realm role, in the token under `realm_access.roles`. `CLIENT/ROLE`, divided at the last
/// slash, is a client role, under `resource_access.CLIENT.roles`. Both are the places in which Keycloak puts them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleScopes(BTreeMap<String, Vec<String>>);

impl RoleScopes {
    /// The scopes of each role. A scope that is empty or has white space in it is held by nobody, and dropped.
    pub fn new(scopes: BTreeMap<String, Vec<String>>) -> Self {
        let word = |scope: &String| !scope.is_empty() && !scope.contains(char::is_whitespace);
        let scopes =
            scopes.into_iter().map(|(role, scopes)| (role, scopes.into_iter().filter(word).collect()));
        Self(scopes.collect())
    }

    /// The scopes of all roles that are in these claims.
    pub(crate) fn scopes<'a>(&'a self, claims: &'a Map<String, Value>) -> impl Iterator<Item = &'a str> {
        let held = self.0.iter().filter(|(role, _)| has_role(claims, role));
        held.flat_map(|(_, scopes)| scopes).map(String::as_str)
    }
}

fn has_role(claims: &Map<String, Value>, role: &str) -> bool {
    let (access, role) = match role.rsplit_once('/') {
        Some((client, role)) => (claims.get("resource_access").and_then(|all| all.get(client)), role),
        None => (claims.get("realm_access"), role),
    };
    let roles = access.and_then(|access| access.get("roles")).and_then(Value::as_array);
    roles.is_some_and(|roles| roles.iter().any(|held| held.as_str() == Some(role)))
}
