//! `@hasScope`, on root fields and below them.

use std::{collections::HashMap, sync::Arc};

use apollo_compiler::{
    Node, Schema as ApolloSchema,
    ast::{Directive, FieldDefinition},
    schema::{ExtendedType, ObjectType},
};

use super::{
    SchemaOptions, Scope,
    check::{is_root, name_range},
    literal::Literal,
    reach::{Reach, RootRef},
};
use crate::{
    ScopeGuard, Template,
    diagnostic::{Mistake, SourceFile},
    template::TemplateKind,
};

/// The guards on fields below the root, by object type and field.
pub(crate) type FieldGuards = HashMap<String, HashMap<String, Arc<[Arc<ScopeGuard>]>>>;

/// Checks every `@hasScope` below the root.
pub(super) fn check(
    schema: &ApolloSchema,
    file: &SourceFile,
    options: &SchemaOptions,
    reach: &Reach<'_>,
    mistakes: &mut Vec<Mistake>,
) -> FieldGuards {
    let mut guards = FieldGuards::new();
    for definition in schema.types.values() {
        let ExtendedType::Object(object) = definition else { continue };
        if is_root(schema, &object.name) {
            continue;
        }
        for field in object.fields.values().filter(|field| field.directives.has(NAME)) {
            let scopes = scopes(schema, options, object, reach.roots(&object.name));
            match on_field(field, file, &scopes) {
                Ok(found) => {
                    let of_type = guards.entry(object.name.to_string()).or_default();
                    of_type.insert(field.name.to_string(), found);
                }
                Err(more) => mistakes.extend(more),
            }
        }
    }
    guards
}

/// The claims that guards below the root read.
pub(super) fn claims(guards: &FieldGuards) -> impl Iterator<Item = String> {
    let guards = guards.values().flat_map(HashMap::values).flat_map(|guards| guards.iter());
    guards.filter_map(|guard| guard.resource.as_ref()).flat_map(Template::claims).map(str::to_owned)
}

/// One `@hasScope`; its resource must be readable in each of `scopes`.
pub(super) fn read(
    directive: &Node<Directive>,
    file: &SourceFile,
    scopes: &[Scope<'_>],
) -> Result<ScopeGuard, Vec<Mistake>> {
    if scopes.iter().any(|scope| !scope.authentication) {
        return Err(vec![without_authentication(directive)]);
    }
    let literal = |name: &str| Literal::of(directive.specified_argument_by_name(name)?, file);
    // Without a scope apollo-compiler has refused the directive.
    let Some(scope) = literal("scope") else { return Err(Vec::new()) };
    if scope.text.is_empty() || scope.text.contains(char::is_whitespace) {
        return Err(vec![
            Mistake::new(scope.range, "a scope is one word")
                .help("for several scopes write `@hasScope` several times"),
        ]);
    }
    let resource = literal("resource").map(|literal| resource(&literal, scopes)).transpose()?;
    Ok(ScopeGuard { scope: scope.text.to_owned(), resource })
}

/// The mistake of a directive that asks who somebody is where nobody is known.
pub(super) fn without_authentication(directive: &Node<Directive>) -> Mistake {
    Mistake::new(name_range(directive), format!("`@{}` needs authentication", directive.name))
        .help("configure `[auth]`: without it everyone is anonymous")
}

fn on_field(
    field: &FieldDefinition,
    file: &SourceFile,
    scopes: &[Scope<'_>],
) -> Result<Arc<[Arc<ScopeGuard>]>, Vec<Mistake>> {
    let mut guards = Vec::new();
    let mut mistakes = Vec::new();
    for directive in field.directives.get_all(NAME) {
        match read(directive, file, scopes) {
            Ok(guard) => guards.push(Arc::new(guard)),
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(guards.into()) } else { Err(mistakes) }
}

/// What a guard on a field of `object` may read: the parent, and the arguments of each root field that leads to it.
///
/// All of them must have what it reads: where one has not, nobody could ever be let in.
fn scopes<'a>(
    schema: &'a ApolloSchema,
    options: &SchemaOptions,
    object: &'a ObjectType,
    roots: &'a [RootRef<'a>],
) -> Vec<Scope<'a>> {
    let scope = |arguments, root| Scope {
        schema,
        arguments,
        authentication: options.authentication,
        event: false,
        parent: Some(object),
        root,
    };
    if roots.is_empty() {
        return vec![scope(&[], None)];
    }
    roots.iter().map(|root| scope(&root.definition.arguments, Some(root))).collect()
}

fn resource(literal: &Literal<'_>, scopes: &[Scope<'_>]) -> Result<Template, Vec<Mistake>> {
    let mut template = Err(Vec::new());
    for scope in scopes {
        template = Template::parse(literal.text, TemplateKind::Resource, scope);
        if template.is_err() {
            break;
        }
    }
    template.map_err(|mistakes| mistakes.into_iter().map(|mistake| literal.locate(mistake)).collect())
}

const NAME: &str = "hasScope";
