//! What a document costs, and how much it may: [`measure`], [`Cost::check`].

use apollo_compiler::{
    ExecutableDocument, Name,
    collections::HashMap,
    executable::{Field, Selection, SelectionSet},
    parser::{SourceMap, SourceSpan},
};

use super::{OperationLimits, document::locations};
use crate::{ErrorCode, GraphQLError};

/// What the costliest operation of a document asks for, fragments counted where they are spread.
///
/// Every number saturates: nested fragments can ask for more than fits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    aliases: usize,
    depth: usize,
    fields: usize,
    /// Nesting of the lists by which introspection leads back to types.
    introspection_lists: usize,
    /// The first `__schema` or `__type`, and how many there are.
    introspection: Option<Introspection>,
    introspections: usize,
    root_fields: usize,
}

#[derive(Clone, Copy, Debug)]
struct Introspection(Option<SourceSpan>);

/// Measures a document that was not validated yet: fragments may be missing or spread themselves.
///
/// Each fragment is measured once, however often it is spread, so the time is linear in the document.
pub(super) fn measure(document: &ExecutableDocument) -> Cost {
    let mut measure = Measure { document, fragments: HashMap::default() };
    let costs =
        document.operations.iter().map(|operation| measure.selection_set(&operation.selection_set, 0));
    costs.fold(Cost::default(), |all, cost| Cost {
        aliases: all.aliases.max(cost.aliases),
        depth: all.depth.max(cost.depth),
        fields: all.fields.max(cost.fields),
        introspection_lists: all.introspection_lists.max(cost.introspection_lists),
        introspection: all.introspection.or(cost.introspection),
        introspections: all.introspections.max(cost.introspections),
        root_fields: all.root_fields.max(cost.root_fields),
    })
}

/// Whether a document of so many tokens may be parsed.
pub(super) fn check_tokens(tokens: usize, limits: &OperationLimits) -> Result<(), GraphQLError> {
    if tokens <= limits.tokens {
        return Ok(());
    }
    Err(exceeded(format!("The document has more than {} tokens.", limits.tokens)))
}

impl Cost {
    /// Whether a document of this cost may run.
    pub(super) fn check(&self, limits: &OperationLimits, sources: &SourceMap) -> Result<(), GraphQLError> {
        if let (Some(Introspection(span)), false) = (self.introspection, limits.introspection) {
            let mut error =
                GraphQLError::new(ErrorCode::GraphqlValidationFailed, "Introspection is turned off.");
            error.locations = locations(span, sources);
            return Err(error);
        }
        let all = [
            (self.depth, limits.depth, "nests fields deeper than", "levels"),
            (self.aliases, limits.aliases, "has more than", "aliases"),
            (self.root_fields, limits.root_fields, "has more than", "root fields"),
            (self.fields, MAX_FIELDS, "has more than", "fields"),
            (self.introspection_lists, MAX_INTROSPECTION_LISTS, "nests introspection deeper than", "lists"),
            (self.introspections, MAX_INTROSPECTIONS, "has more than", "fields of introspection"),
        ];
        match all.into_iter().find(|(cost, limit, ..)| cost > limit) {
            Some((_, limit, verb, unit)) => Err(exceeded(format!("The document {verb} {limit} {unit}."))),
            None => Ok(()),
        }
    }

    /// The cost of what stands beside each other in one selection set.
    fn add(&mut self, other: &Self) {
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.depth = self.depth.max(other.depth);
        self.fields = self.fields.saturating_add(other.fields);
        self.introspection_lists = self.introspection_lists.max(other.introspection_lists);
        self.introspection = self.introspection.or(other.introspection);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
    }

    const fn too_deep() -> Self {
        Self {
            aliases: 0,
            depth: usize::MAX,
            fields: 0,
            introspection_lists: 0,
            introspection: None,
            introspections: 0,
            root_fields: 0,
        }
    }
}

/// The error of a limit that was reached.
pub(super) fn exceeded(message: String) -> GraphQLError {
    GraphQLError::new(ErrorCode::LimitExceeded, message)
}

struct Measure<'d> {
    document: &'d ExecutableDocument,
    /// `None` while a fragment is being measured: a fragment that spreads itself ends there, and validation refuses it.
    fragments: HashMap<&'d Name, Option<Cost>>,
}

impl<'d> Measure<'d> {
    fn selection_set(&mut self, set: &'d SelectionSet, nesting: usize) -> Cost {
        if nesting > MAX_NESTING {
            return Cost::too_deep();
        }
        let mut sum = Cost::default();
        for selection in &set.selections {
            let cost = match selection {
                Selection::Field(field) => self.field(field, nesting),
                Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name, nesting),
                Selection::InlineFragment(inline) => self.selection_set(&inline.selection_set, nesting + 1),
            };
            sum.add(&cost);
        }
        sum
    }

    fn field(&mut self, field: &'d Field, nesting: usize) -> Cost {
        let mut cost = self.selection_set(&field.selection_set, nesting + 1);
        let aliased = field.alias.as_ref().is_some_and(|alias| *alias != field.name);
        let introspection = matches!(field.name.as_str(), "__schema" | "__type");
        let leads_back = field.selection_set.ty.starts_with("__") && LISTS.contains(&field.name.as_str());
        cost.aliases = cost.aliases.saturating_add(usize::from(aliased));
        cost.fields = cost.fields.saturating_add(1);
        cost.root_fields = 1;
        cost.introspection_lists = cost.introspection_lists.saturating_add(usize::from(leads_back));
        if introspection {
            // Introspection has a bound of its own; the standard query is deeper than a subscription should be.
            cost.depth = 0;
            cost.introspections = 1;
            cost.introspection = cost.introspection.or_else(|| Some(Introspection(field.name.location())));
        }
        cost.depth = cost.depth.saturating_add(1);
        cost
    }

    fn fragment(&mut self, name: &'d Name, nesting: usize) -> Cost {
        if let Some(known) = self.fragments.get(name) {
            return known.unwrap_or_default();
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Cost::default() };
        self.fragments.insert(name, None);
        let cost = self.selection_set(&fragment.selection_set, nesting + 1);
        self.fragments.insert(name, Some(cost));
        cost
    }
}

/// Fields of one operation at most, fragments counted where they are spread.
const MAX_FIELDS: usize = 10_000;

/// Nesting of lists in introspection at most. Each multiplies the result by the size of the schema; the standard query
/// nests one. The validating library has such a check, but it forgets a fragment's depth when it is spread again.
const MAX_INTROSPECTION_LISTS: usize = 2;

/// `__schema` and `__type` of one operation at most: each may answer with a good part of the schema.
const MAX_INTROSPECTIONS: usize = 4;

/// Nesting of fields and fragments at most, before anything is counted: what keeps the walk off the end of the stack.
const MAX_NESTING: usize = 250;

/// The list fields of introspection that lead back to types.
const LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];
