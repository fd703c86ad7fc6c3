//! Who is behind a connection: [`Principal`].

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::{Map, Value};

use crate::{RoleScopes, grants::Grants};

/// What becomes of a token's claims.
#[derive(Clone, Debug, Default)]
pub struct PrincipalConfig {
    /// The claims that [`Principal::claims`] keeps.
    pub keep: BTreeSet<String>,
    /// The claim that names the tenant, or the tenants.
    pub tenant_claim: Option<String>,
    /// The scopes that roles bring.
    pub roles: RoleScopes,
}

/// The verified claims behind a connection, reduced to what the server reads.
///
/// Made once per connection and held as long as it lasts: share it in an `Arc`.
#[derive(Debug)]
pub struct Principal {
    subject: Option<Box<str>>,
    claims: Map<String, Value>,
    expires_at: SystemTime,
    tenants: Box<[Box<str>]>,
    grants: Grants,
}

impl Principal {
    /// The principal of verified claims.
    ///
    /// The tenant claim holds text, a whole number (then its digits are the tenant), or a list of these; anything else, and
    /// the empty text, is no tenant.
    pub fn from_claims(
        claims: &Map<String, Value>,
        expires_at: SystemTime,
        config: &PrincipalConfig,
    ) -> Self {
        let tenant_claim = config.tenant_claim.as_deref();
        let kept = config.keep.iter().filter_map(|name| Some((name.clone(), claims.get(name)?.clone())));
        Self {
            subject: claims.get("sub").and_then(text_or_integer),
            claims: kept.collect(),
            expires_at,
            tenants: tenants(tenant_claim.and_then(|name| claims.get(name))),
            grants: Grants::from_claims(claims, &config.roles),
        }
    }

    /// The `sub` claim, text or a whole number; `None` when there is none.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The claims that schema and configuration read, and no others.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The moment in `exp`, without leeway.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The tenants it belongs to, as the token lists them.
    pub fn tenants(&self) -> &[Box<str>] {
        &self.tenants
    }

    /// Whether it belongs to this tenant, letter for letter.
    pub fn in_tenant(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|held| **held == *tenant)
    }

    /// Whether it holds `scope`, on `resource` if there is one.
    ///
    /// A resource is `kind:id` with exactly one colon; any other is held by nobody. For the scope `view` on `bot:42` one
    /// of these must be in the token, letter for letter:
    ///
    /// - in `authorization.permissions` an entry whose `scopes` contain `view` and whose `rsname` is `bot:42` or `42`, or
    ///   whose `rsid` is `42`; an entry without `scopes` grants nothing,
    /// - in `scope`, space-separated or a list, `bot:42:view` or `bot:view`; not if the scope asked for has a colon,
    /// - a role that [`RoleScopes`] maps to one of these words.
    ///
    /// Without a resource `scope`, or what the roles add to it, must contain the very word.
    pub fn grants(&self, scope: &str, resource: Option<&str>) -> bool {
        self.grants.allow(scope, resource)
    }

    /// A digest of everything that [`grants`](Self::grants) reads to decide `scope`, whatever the resource.
    ///
    /// Principals with the same digest are told the same about that scope, always.
    pub fn grants_digest(&self, scope: &str) -> [u8; 32] {
        self.grants.digest(scope)
    }
}

fn tenants(claim: Option<&Value>) -> Box<[Box<str>]> {
    let values = match claim {
        None => return Box::default(),
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    values.iter().filter_map(text_or_integer).filter(|tenant| !tenant.is_empty()).collect()
}

/// Only whole numbers have one spelling: 1.0 and 1e0 could be meant to be `1`, or not.
fn text_or_integer(value: &Value) -> Option<Box<str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string().into()),
        _ => None,
    }
}
