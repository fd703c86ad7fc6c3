//! A checked schema: [`Schema`].

use std::{collections::BTreeSet, sync::Arc};

use apollo_compiler::{ast::OperationType, validation::Valid};

use crate::{Diagnostics, RootField, ValueSource};

/// A schema file that passed every check.
#[derive(Debug)]
pub struct Schema {}

/// What the rest of the configuration means for the checks.
#[derive(Clone, Debug, Default)]
pub struct SchemaOptions {
    /// Whether `[auth]` is configured. Without it `@hasScope`, `@tenant` and claims are errors.
    pub authentication: bool,
    /// The claim that `@tenant` compares with.
    pub tenant_claim: Option<String>,
}

impl Schema {
    /// Parses and checks `sdl`; `file` is how diagnostics name it.
    ///
    /// # Errors
    ///
    /// Every mistake found, each with its place and how to mend it.
    pub fn parse(_sdl: &str, _file: &str, _options: &SchemaOptions) -> Result<Self, Diagnostics> {
        todo!()
    }

    /// The root field of that name.
    pub fn field(&self, _operation: OperationType, _name: &str) -> Option<&Arc<RootField>> {
        todo!()
    }

    /// Every root field, in the order of the file.
    pub fn fields(&self) -> impl Iterator<Item = &Arc<RootField>> {
        std::iter::empty()
    }

    /// The claims that templates, conditions and guards read anywhere; a principal need keep no others.
    pub fn claims(&self) -> &BTreeSet<String> {
        todo!()
    }

    /// The mistake of a `@resolver` field that no program feeds: one diagnostic for each name that `provided` denies.
    ///
    /// `provided` is asked for `Query.bots`, say.
    ///
    /// # Errors
    ///
    /// The fields that lack a resolver.
    pub fn require_resolvers(&self, _provided: &dyn Fn(&str) -> bool) -> Result<(), Diagnostics> {
        todo!()
    }

    /// Where the field of an object takes its value from, if `@from` says so.
    pub(crate) fn source(&self, _object: &str, _field: &str) -> Option<&ValueSource> {
        todo!()
    }

    /// The schema that clients see: without our directives.
    pub(crate) fn public(&self) -> &Valid<apollo_compiler::Schema> {
        todo!()
    }
}
