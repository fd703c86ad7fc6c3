//! A checked schema: [`Schema`].

mod apollo;
mod check;
mod directives;
mod feed;
mod literal;
mod reach;
mod root;
mod scope;
mod scope_guard;
mod value_source;

pub(crate) use self::scope::{Scope, Segment, Strictness};

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use apollo_compiler::{ast::OperationType, validation::Valid};

use crate::{
    Diagnostics, HandlerKind, RootField, ScopeGuard, ValueSource,
    diagnostic::{Mistake, SourceFile},
    operation::DocumentCache,
};

/// A schema file that passed every check.
#[derive(Debug)]
pub struct Schema {
    /// In the order of the file.
    fields: Vec<Arc<RootField>>,
    by_name: HashMap<OperationType, HashMap<String, Arc<RootField>>>,
    claims: BTreeSet<String>,
    /// By object type, then by field.
    sources: HashMap<String, HashMap<String, ValueSource>>,
    guards: scope_guard::FieldGuards,
    public: Valid<apollo_compiler::Schema>,
    file: SourceFile,
    /// Where each `@resolver` field stands in the file, for [`Schema::require_handlers`].
    handlers: Vec<HandledField>,
    /// Documents that were valid for this schema.
    pub(crate) documents: DocumentCache,
}

/// What the rest of the configuration means for the checks.
#[derive(Clone, Debug, Default)]
pub struct SchemaOptions {
    /// Whether `[auth]` is configured. Without it `@hasScope`, `@tenant` and claims are errors.
    pub authentication: bool,
    /// The claim that `@tenant` compares with.
    pub tenant_claim: Option<String>,
}

/// A field that needs something of the embedding program.
#[derive(Debug)]
struct HandledField {
    kind: HandlerKind,
    /// `Query.bots`, say.
    coordinate: String,
    range: std::ops::Range<usize>,
}

impl Schema {
    /// The names of the directives that are supplied to every schema file.
    pub const DIRECTIVES: &[&str] = &directives::NAMES;

    /// Parses and checks `sdl`; `file` is how diagnostics name it.
    ///
    /// # Errors
    ///
    /// Every mistake found, each with its place and how to mend it.
    pub fn parse(sdl: &str, file: &str, options: &SchemaOptions) -> Result<Self, Diagnostics> {
        // https://spec.graphql.org/October2021/#sec-Unicode: a byte order mark is ignored.
        let sdl = sdl.trim_start_matches('\u{feff}');
        let file = SourceFile { name: file.to_owned(), text: sdl.to_owned() };
        match check::check(&file, options) {
            Ok(checked) => Ok(Self::from_checked(checked, file)),
            Err(mistakes) => Err(file.diagnostics(mistakes)),
        }
    }

    /// The root field of that name.
    pub fn field(&self, operation: OperationType, name: &str) -> Option<&Arc<RootField>> {
        self.by_name.get(&operation)?.get(name)
    }

    /// Every root field, in the order of the file.
    pub fn fields(&self) -> impl Iterator<Item = &Arc<RootField>> {
        self.fields.iter()
    }

    /// The claims that templates, conditions and guards read anywhere; a principal need keep no others.
    pub fn claims(&self) -> &BTreeSet<String> {
        &self.claims
    }

    /// The mistake of a `@resolver` field that no program feeds: one diagnostic for each name that `provided` denies.
    ///
    /// `provided` is asked for `Query.bots`, say, as [`RootField::coordinate`] names it.
    ///
    /// # Errors
    ///
    /// The fields that lack what the program must give.
    pub fn require_handlers(&self, provided: &dyn Fn(HandlerKind, &str) -> bool) -> Result<(), Diagnostics> {
        let missing = self.handlers.iter().filter(|field| !provided(field.kind, &field.coordinate));
        let mistakes: Vec<Mistake> = missing.map(HandledField::missing).collect();
        if mistakes.is_empty() { Ok(()) } else { Err(self.file.diagnostics(mistakes)) }
    }

    /// Where the field of an object takes its value from, if `@from` says so.
    pub(crate) fn source(&self, object: &str, field: &str) -> Option<&ValueSource> {
        self.sources.get(object)?.get(field)
    }

    /// Every `@hasScope` on the field of an object below the root.
    pub(crate) fn guards(&self, object: &str, field: &str) -> &[Arc<ScopeGuard>] {
        self.guards.get(object).and_then(|fields| fields.get(field)).map(AsRef::as_ref).unwrap_or_default()
    }

    /// The schema that clients see: without our directives.
    pub(crate) fn public(&self) -> &Valid<apollo_compiler::Schema> {
        &self.public
    }

    fn from_checked(checked: check::Checked, file: SourceFile) -> Self {
        let handlers = checked.fields.iter().filter_map(HandledField::of).collect();
        let fields: Vec<_> = checked.fields.into_iter().map(|root| Arc::new(root.field)).collect();
        let mut by_name: HashMap<_, HashMap<_, _>> = HashMap::new();
        for field in &fields {
            by_name.entry(field.operation).or_default().insert(field.name.clone(), Arc::clone(field));
        }
        Self {
            fields,
            by_name,
            claims: checked.claims,
            sources: checked.sources,
            guards: checked.guards,
            public: checked.public,
            file,
            handlers,
            documents: DocumentCache::default(),
        }
    }
}

impl HandledField {
    fn of(root: &root::CheckedField) -> Option<Self> {
        let (field, range) = (&root.field, root.range.clone());
        Some(Self { kind: field.handler()?, coordinate: field.coordinate(), range })
    }

    fn missing(&self) -> Mistake {
        let verb = match self.kind {
            HandlerKind::Load => "loads a value for",
            HandlerKind::Resolver => "resolves",
            HandlerKind::Stream => "streams",
        };
        Mistake::new(self.range.clone(), format!("nothing {verb} `{}`", self.coordinate)).help(format!(
            "give the program that embeds Stentor {} of the name `{}`, or feed the field by a directive",
            self.kind.noun(),
            self.coordinate
        ))
    }
}

#[cfg(test)]
mod tests;
