//! What feeds a root field, and what is loaded after its events.

use std::time::Duration;

use apollo_compiler::{
    Node,
    ast::{Directive, OperationType},
    schema::ExtendedType,
};

use super::{
    check::{misplaced, name_range},
    literal::range_of,
    root::{Checker, given},
};
use crate::{EventFeed, Feed, HashTypes, Load, OnMissing, template::TemplateKind};

impl<'a> Checker<'a> {
    pub(super) fn feed(&mut self) -> Option<Feed> {
        match (self.directive("subscribe"), self.directive("resolver")) {
            (Some(subscribe), _) if self.operation != OperationType::Subscription => {
                let mistake = misplaced(subscribe, "fields of Subscription")
                    .help("this field is answered once: feed it by `@resolver`");
                self.mistakes.push(mistake);
                None
            }
            (Some(subscribe), _) => self.event_feed(subscribe),
            (None, Some(_)) => Some(Feed::Resolver),
            (None, None) => {
                let help = match self.operation {
                    OperationType::Subscription => {
                        "add `@subscribe(topic: \"…\")`, or `@resolver` if the embedding program feeds it"
                    }
                    _ => "add `@resolver`: the embedding program answers it",
                };
                self.refuse(self.field_range(), format!("nothing feeds `{}`", self.definition.name), help)
            }
        }
    }

    /// What `@resolver` beside `@subscribe` loads.
    pub(super) fn load(&mut self) -> Option<Load> {
        let resolver = self.directive("resolver")?;
        let on_missing = given(resolver, "onMissing");
        let Some(subscribe) = self.directive("subscribe") else {
            let range = range_of(on_missing?);
            let message = "`onMissing` is about events, and this field has none";
            return self.refuse(
                range,
                message,
                "leave it out: a resolver returns null where there is no value",
            );
        };
        if given(subscribe, "hash").is_some() {
            let message = "nothing is loaded after the values of a hash";
            let help = "keep `@resolver` alone, or subscribe to a topic";
            return self.refuse(name_range(resolver), message, help);
        }
        let complete = on_missing.and_then(|value| value.as_enum()).is_some_and(|name| name == "COMPLETE");
        Some(Load { on_missing: if complete { OnMissing::Complete } else { OnMissing::Skip } })
    }

    fn event_feed(&mut self, subscribe: &'a Node<Directive>) -> Option<Feed> {
        let (argument, kind) = match (given(subscribe, "topic"), given(subscribe, "hash")) {
            (Some(_), None) => ("topic", TemplateKind::Topic),
            (None, Some(_)) => ("hash", TemplateKind::HashKey),
            (Some(_), Some(hash)) => {
                let message = "`@subscribe` takes either `topic` or `hash`, not both";
                return self.refuse(range_of(hash), message, "leave one of them out");
            }
            (None, None) => {
                let help =
                    "write `topic: \"…\"` for events, or `hash: \"…\"` for the latest value of a Redis hash";
                let message = "`@subscribe` does not say to what";
                return self.refuse(name_range(subscribe), message, help);
            }
        };
        let address = self.template(subscribe, argument, kind);
        let filter = self.condition(subscribe, "where");
        let until = self.condition(subscribe, "until");
        let idle_timeout = self.idle_timeout(subscribe);
        if argument == "topic" {
            return Some(Feed::Topic(EventFeed { address: address?, filter, until, idle_timeout }));
        }
        let types = self.hash_types(subscribe)?;
        Some(Feed::Hash(EventFeed { address: address?, filter, until, idle_timeout }, types))
    }

    fn hash_types(&mut self, subscribe: &'a Node<Directive>) -> Option<HashTypes> {
        let range = given(subscribe, "hash").map(range_of).unwrap_or_default();
        let (ty, schema) = (&self.definition.ty, self.schema);
        let definition = schema.types.get(ty.inner_named_type());
        let object = matches!(
            definition,
            Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
        );
        let custom = definition.is_some_and(|ty| ty.is_scalar() && !ty.is_built_in());
        if ty.is_list() || !(object || custom) {
            let message = format!("a hash has fields, and `{ty}` has none");
            return self.refuse(range, message, "give the field an object type");
        }
        match HashTypes::of(schema, ty.inner_named_type()) {
            Ok(types) => Some(types),
            Err(conflict) => {
                let help = "give both fields one type, or let one of them read another key by `@from(keys)`";
                self.refuse(range, conflict, help)
            }
        }
    }

    fn idle_timeout(&mut self, subscribe: &'a Node<Directive>) -> Option<Duration> {
        let literal = self.literal(subscribe, "idleTimeout")?;
        let Some(duration) = parse_duration(literal.text) else {
            let message = format!("`{}` is not a duration", literal.text);
            return self.refuse(
                literal.range,
                message,
                "write a whole number and its unit: `500ms`, `30s`, `10m`, `1h`, `7d`",
            );
        };
        if duration < SHORTEST_IDLE_TIMEOUT || duration > LONGEST_IDLE_TIMEOUT {
            let message = format!("an idle timeout of `{}` is out of range", literal.text);
            return self.refuse(literal.range, message, "choose one from `1s` to `7d`");
        }
        Some(duration)
    }
}

/// `500ms`, `30s`, `10m`, `1h`, `7d`.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_start = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_start);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(count.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

const SHORTEST_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_IDLE_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
