//! One root field: what its directives say, checked.

use std::{collections::BTreeSet, ops::Range};

use apollo_compiler::{
    Node, Schema as ApolloSchema,
    ast::{Directive, FieldDefinition, OperationType, Value},
};

use super::{
    SchemaOptions, Scope,
    check::{misplaced, name_range},
    literal::{Literal, range_of},
    scope_guard::{self, without_authentication},
};
use crate::{
    Condition, Delivery, Feed, Overflow, RootField, ScopeGuard, Template, TenantGuard,
    diagnostic::{Mistake, SourceFile, suggestion},
    template::TemplateKind,
};

/// A root field without mistakes, and where its name stands.
pub(super) struct CheckedField {
    pub(super) field: RootField,
    pub(super) range: Range<usize>,
}

/// Checks the directives of one root field.
pub(super) fn check(
    schema: &ApolloSchema,
    file: &SourceFile,
    options: &SchemaOptions,
    operation: OperationType,
    definition: &FieldDefinition,
) -> Result<CheckedField, Vec<Mistake>> {
    let mut checker = Checker { schema, file, options, operation, definition, mistakes: Vec::new() };
    let feed = checker.feed();
    let load = checker.load();
    let guards = checker.guards();
    let tenant = checker.tenant();
    let public = checker.public();
    let delivery = checker.delivery(matches!(feed, Some(Feed::Hash(..))));
    checker.refuse_from();
    let range = checker.field_range();
    match feed {
        Some(feed) if checker.mistakes.is_empty() => {
            let claims = event_claims(&feed, &delivery, tenant.as_ref(), options);
            let name = definition.name.to_string();
            let field = RootField { operation, name, feed, load, guards, tenant, public, delivery, claims };
            Ok(CheckedField { field, range })
        }
        _ => Err(checker.mistakes),
    }
}

/// The claims that anything on these fields reads, guards included.
pub(super) fn claims<'a>(
    fields: impl Iterator<Item = &'a RootField>,
    options: &SchemaOptions,
) -> BTreeSet<String> {
    let mut claims = BTreeSet::new();
    for field in fields {
        claims.extend(field.claims.iter().cloned());
        let resources = field.guards.iter().filter_map(|guard| guard.resource.as_ref());
        claims.extend(resources.flat_map(Template::claims).map(str::to_owned));
        claims.extend(options.tenant_claim.clone().filter(|_| field.tenant.is_some()));
    }
    claims
}

/// The claims that decide what an event becomes for a member.
fn event_claims(
    feed: &Feed,
    delivery: &Delivery,
    tenant: Option<&TenantGuard>,
    options: &SchemaOptions,
) -> BTreeSet<String> {
    let mut claims = BTreeSet::new();
    if let Some(events) = feed.events() {
        claims.extend(events.address.claims().map(str::to_owned));
        let conditions = events.filter.iter().chain(&events.until);
        claims.extend(conditions.flat_map(Condition::claims).map(str::to_owned));
    }
    claims.extend(delivery.key.iter().flat_map(Template::claims).map(str::to_owned));
    let tells_tenants_apart = tenant.is_some_and(|tenant| tenant.field.is_some());
    claims.extend(options.tenant_claim.clone().filter(|_| tells_tenants_apart));
    claims
}

pub(super) struct Checker<'a> {
    pub(super) schema: &'a ApolloSchema,
    file: &'a SourceFile,
    options: &'a SchemaOptions,
    pub(super) operation: OperationType,
    pub(super) definition: &'a FieldDefinition,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Checker<'a> {
    fn guards(&mut self) -> Vec<ScopeGuard> {
        let definition = self.definition;
        definition.directives.get_all("hasScope").filter_map(|directive| self.guard(directive)).collect()
    }

    fn guard(&mut self, directive: &'a Node<Directive>) -> Option<ScopeGuard> {
        match scope_guard::read(directive, self.file, &[self.scope(false)]) {
            Ok(guard) => Some(guard),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                None
            }
        }
    }

    fn tenant(&mut self) -> Option<TenantGuard> {
        let directive = self.directive("tenant")?;
        self.require_authentication(directive)?;
        if self.options.tenant_claim.is_none() {
            let message = "`@tenant` does not know which claim names the tenant";
            return self.refuse(name_range(directive), message, "set `tenant_claim` in `[auth]`");
        }
        let argument = self.literal(directive, "argument");
        let field = self.literal(directive, "field");
        if argument.is_none() && field.is_none() {
            let message = "`@tenant` compares nothing with the tenant claim";
            return self.refuse(
                name_range(directive),
                message,
                "name an `argument`, or a `field` of the event",
            );
        }
        if let Some(argument) = &argument {
            self.check_tenant_argument(argument);
        }
        if let Some(field) = &field {
            self.check_tenant_field(field);
        }
        let text = |literal: Literal<'_>| literal.text.to_owned();
        Some(TenantGuard { argument: argument.map(text), field: field.map(text) })
    }

    fn check_tenant_argument(&mut self, literal: &Literal<'_>) -> Option<()> {
        let name = literal.text;
        let Some(argument) = self.definition.argument_by_name(name) else {
            let names = self.definition.arguments.iter().map(|argument| argument.name.as_str());
            let help = suggestion(name, names).unwrap_or_else(|| format!("declare it: `{name}: ID!`"));
            return self.refuse(literal.range.clone(), format!("unknown argument `{name}`"), help);
        };
        let text =
            matches!(argument.ty.inner_named_type().as_str(), "ID" | "String") && !argument.ty.is_list();
        if !text || !argument.ty.is_non_null() {
            let message =
                format!("`{name}` is of type `{}`, which a tenant cannot be compared with", argument.ty);
            return self.refuse(
                literal.range.clone(),
                message,
                format!("make it `{name}: String!` or `{name}: ID!`"),
            );
        }
        Some(())
    }

    fn check_tenant_field(&mut self, literal: &Literal<'_>) -> Option<()> {
        if self.directive("subscribe").is_none() {
            let message = "`field` is compared with events, and this field has none";
            return self.refuse(literal.range.clone(), message, "name an `argument` instead");
        }
        if literal.text.is_empty() {
            return self.refuse(literal.range.clone(), "a key must not be empty", "name a key of the event");
        }
        Some(())
    }

    fn public(&mut self) -> bool {
        let Some(public) = self.directive("public") else { return false };
        let guard = ["hasScope", "tenant"].into_iter().find(|name| self.definition.directives.has(name));
        if let Some(guard) = guard {
            let message = format!("`@public` and `@{guard}` contradict each other");
            self.refuse::<()>(
                name_range(public),
                message,
                "who needs no principal cannot be asked for one: keep one of them",
            );
        }
        true
    }

    /// Of a hash only the latest value counts, so that is what its mailboxes keep unless the author says otherwise.
    fn delivery(&mut self, hash: bool) -> Delivery {
        let default = if hash { Overflow::Latest } else { Overflow::default() };
        let mut delivery = Delivery { buffer: None, overflow: default, key: None };
        let Some(directive) = self.directive("delivery") else { return delivery };
        if self.operation != OperationType::Subscription {
            let mistake =
                misplaced(directive, "fields of Subscription").help("this field is answered once: remove it");
            self.mistakes.push(mistake);
            return delivery;
        }
        delivery.buffer = self.buffer(directive);
        delivery.overflow = overflow(directive).unwrap_or(default);
        delivery.key = self.delivery_key(directive, delivery.overflow);
        delivery
    }

    fn buffer(&mut self, directive: &'a Node<Directive>) -> Option<u32> {
        let value = given(directive, "buffer")?;
        match value.to_i32().and_then(|buffer| u32::try_from(buffer).ok()) {
            Some(buffer) if (1..=LARGEST_BUFFER).contains(&buffer) => Some(buffer),
            _ => self.refuse(
                range_of(value),
                "a buffer of that size cannot be kept",
                format!("choose from 1 to {LARGEST_BUFFER} events"),
            ),
        }
    }

    fn delivery_key(&mut self, directive: &'a Node<Directive>, overflow: Overflow) -> Option<Template> {
        let literal = self.literal(directive, "key")?;
        if overflow != Overflow::Latest {
            let message =
                "`key` says which events replace each other, and without `overflow: LATEST` none do";
            return self.refuse(literal.range, message, "add `overflow: LATEST`, or leave `key` out");
        }
        if !literal.text.contains("{{") && !literal.text.is_empty() {
            if literal.text.contains(|character: char| character.is_whitespace() || "{}".contains(character))
            {
                let message = format!("`{}` is not a key of an event", literal.text);
                return self.refuse(
                    literal.range,
                    message,
                    "write one name, or a template such as `{{ event.id }}`",
                );
            }
            return Some(Template::event_key(literal.text));
        }
        self.template(directive, "key", TemplateKind::Key)
    }

    fn refuse_from(&mut self) {
        if let Some(from) = self.directive("from") {
            let mistake = misplaced(from, "fields below the root")
                .help("a root field's value is the event, or what the resolver returns");
            self.mistakes.push(mistake);
        }
    }

    fn require_authentication(&mut self, directive: &Node<Directive>) -> Option<()> {
        if self.options.authentication {
            return Some(());
        }
        self.mistakes.push(without_authentication(directive));
        None
    }

    pub(super) fn template(
        &mut self,
        directive: &'a Node<Directive>,
        argument: &str,
        kind: TemplateKind,
    ) -> Option<Template> {
        let literal = self.literal(directive, argument)?;
        let parsed = Template::parse(literal.text, kind, &self.scope(kind == TemplateKind::Key));
        self.located(&literal, parsed)
    }

    pub(super) fn condition(&mut self, directive: &'a Node<Directive>, argument: &str) -> Option<Condition> {
        let literal = self.literal(directive, argument)?;
        let compiled = Condition::compile(literal.text, &self.scope(true));
        self.located(&literal, compiled)
    }

    fn located<T>(&mut self, literal: &Literal<'_>, result: Result<T, Vec<Mistake>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(mistakes) => {
                self.mistakes.extend(mistakes.into_iter().map(|mistake| literal.locate(mistake)));
                None
            }
        }
    }

    fn scope(&self, event: bool) -> Scope<'a> {
        Scope {
            schema: self.schema,
            arguments: &self.definition.arguments,
            authentication: self.options.authentication,
            event,
            parent: None,
            root: None,
        }
    }

    pub(super) fn directive(&self, name: &str) -> Option<&'a Node<Directive>> {
        self.definition.directives.get(name)
    }

    pub(super) fn literal(&self, directive: &'a Node<Directive>, argument: &str) -> Option<Literal<'a>> {
        Literal::of(given(directive, argument)?, self.file)
    }

    pub(super) fn refuse<T>(
        &mut self,
        range: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        self.mistakes.push(Mistake::new(range, message).help(help));
        None
    }

    pub(super) fn field_range(&self) -> Range<usize> {
        self.definition.name.location().map(|span| span.offset()..span.end_offset()).unwrap_or_default()
    }
}

/// An argument that is there and not null.
pub(super) fn given<'a>(directive: &'a Node<Directive>, argument: &str) -> Option<&'a Node<Value>> {
    directive.specified_argument_by_name(argument).filter(|value| !value.is_null())
}

fn overflow(directive: &Node<Directive>) -> Option<Overflow> {
    Some(match given(directive, "overflow")?.as_enum()?.as_str() {
        "CLOSE" => Overflow::Close,
        "DROP_NEWEST" => Overflow::DropNewest,
        "LATEST" => Overflow::Latest,
        _ => Overflow::DropOldest,
    })
}

const LARGEST_BUFFER: u32 = 100_000;
