//! What a principal may do: [`Grants`].

use serde_json::{Map, Value};

use crate::RoleScopes;

/// The scopes of one token, reduced to what [`Grants::allow`] needs.
///
/// Three places are read: the `scope` claim ([RFC 8693, 4.2](https://www.rfc-editor.org/rfc/rfc8693#section-4.2)), the
/// permissions that Keycloak puts under `authorization.permissions`, and the roles that the configuration maps to scopes.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// The words of the `scope` claim and those that roles bring, with one space between them: one allocation, however
    /// many they are.
    scope: Box<str>,
    permissions: Box<[Permission]>,
}

/// One entry of Keycloak's `authorization.permissions`.
#[derive(Debug)]
struct Permission {
    rsname: Option<Box<str>>,
    rsid: Option<Box<str>>,
    scopes: Box<[Box<str>]>,
}

/// A resource as `@hasScope` names it, `bot:42`.
///
/// Exactly one colon, with text on both sides. More than one could be read in two ways: with the resource `bot:a:view`
/// the word `bot:a:view` would be a grant for all of `a` as well as for one `bot`.
#[derive(Clone, Copy)]
struct Resource<'a> {
    full: &'a str,
    kind: &'a str,
    id: &'a str,
}

impl Grants {
    pub(crate) fn from_claims(claims: &Map<String, Value>, roles: &RoleScopes) -> Self {
        let permissions = claims.get("authorization").and_then(|a| a.get("permissions"));
        let words: Vec<&str> = scope_words(claims.get("scope")).chain(roles.scopes(claims)).collect();
        Self { scope: words.join(" ").into_boxed_str(), permissions: permission_list(permissions) }
    }

    /// Whether `scope` is held, on `resource` if there is one.
    pub(crate) fn allow(&self, scope: &str, resource: Option<&str>) -> bool {
        if scope.is_empty() {
            return false;
        }
        let Some(resource) = resource else {
            return self.words().any(|word| word == scope);
        };
        let Some(resource) = Resource::parse(resource) else {
            return false;
        };
        self.permissions.iter().any(|permission| permission.allows(scope, resource))
            || self.words().any(|word| word_allows(word, scope, resource))
    }

    /// A digest of everything here that can decide `scope` on any resource, and without one.
    ///
    /// The order in the token, repetitions, and grants of other scopes do not show in it.
    pub(crate) fn digest(&self, scope: &str) -> [u8; 32] {
        let mut deciding: Vec<(Form, &str)> = self.words().filter_map(|word| deciding(word, scope)).collect();
        for permission in self.permissions.iter().filter(|permission| permission.holds(scope)) {
            deciding.extend(permission.rsname.as_deref().map(|name| (Form::Name, name)));
            deciding.extend(permission.rsid.as_deref().map(|id| (Form::Id, id)));
        }
        deciding.sort_unstable();
        deciding.dedup();
        let mut hasher = blake3::Hasher::new();
        for (form, text) in deciding {
            // The length keeps a text from running into its neighbour.
            hasher.update(&[form as u8]).update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
        hasher.finalize().into()
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|word| !word.is_empty())
    }
}

impl Permission {
    /// `None` for an entry that grants nothing, which is then not kept.
    fn parse(entry: &Value) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(Box::from);
        let scopes: Box<[Box<str>]> =
            entry.get("scopes")?.as_array()?.iter().filter_map(Value::as_str).map(Box::from).collect();
        let (rsname, rsid) = (text("rsname"), text("rsid"));
        let useful = !scopes.is_empty() && (rsname.is_some() || rsid.is_some());
        useful.then_some(Self { rsname, rsid, scopes })
    }

    fn allows(&self, scope: &str, resource: Resource<'_>) -> bool {
        let named = self.rsname.as_deref().is_some_and(|name| name == resource.full || name == resource.id);
        let identified = self.rsid.as_deref() == Some(resource.id);
        (named || identified) && self.holds(scope)
    }

    fn holds(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| **held == *scope)
    }
}

impl<'a> Resource<'a> {
    fn parse(full: &'a str) -> Option<Self> {
        let (kind, id) = full.split_once(':')?;
        let clear = !kind.is_empty() && !id.is_empty() && !id.contains(':');
        clear.then_some(Self { full, kind, id })
    }
}

/// What a grant says, apart from the scope.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Form {
    Id,
    Name,
    Word,
}

/// The word, if [`word_allows`] could say yes to it on some resource, or it is the scope itself.
fn deciding<'a>(word: &'a str, scope: &str) -> Option<(Form, &'a str)> {
    let before = word.strip_suffix(scope)?;
    let decides = before.is_empty() || (before.ends_with(':') && !scope.contains(':'));
    decides.then_some((Form::Word, word))
}

/// Whether a word of the `scope` claim is `kind:id:scope` or `kind:scope`.
fn word_allows(word: &str, scope: &str, resource: Resource<'_>) -> bool {
    // `bot:view:x` would be both the scope `view:x` on every bot and the scope `x` on the bot `view`.
    if scope.contains(':') {
        return false;
    }
    let Some(rest) = word.strip_prefix(resource.kind).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    rest == scope
        || rest
            .strip_prefix(resource.id)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|last| last == scope)
}

/// Text is split at spaces. In a list an element with a space in it is no scope, and grants nothing.
fn scope_words(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let text = claim.and_then(Value::as_str).unwrap_or_default();
    let list = claim.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let listed = list.iter().filter_map(Value::as_str).filter(|word| !word.contains(' '));
    text.split(' ').chain(listed).filter(|word| !word.is_empty())
}

fn permission_list(claim: Option<&Value>) -> Box<[Permission]> {
    let entries = claim.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(Permission::parse).collect()
}
