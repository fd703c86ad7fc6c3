use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{Bindings, Event, Feed, JsonObject, Load, OnMissing, Overflow, TemplateScope};

const EVERYTHING: &str = include_str!("../../tests/data/valid/everything.graphql");

fn with_authentication() -> SchemaOptions {
    SchemaOptions { authentication: true, tenant_claim: Some("tenant_id".to_owned()) }
}

fn parse(sdl: &str) -> Schema {
    Schema::parse(sdl, "test.graphql", &with_authentication()).unwrap_or_else(|told| panic!("{told}"))
}

fn subscription<'a>(schema: &'a Schema, name: &str) -> &'a RootField {
    schema.field(OperationType::Subscription, name).unwrap()
}

fn names<'a>(set: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    set.into_iter().map(String::as_str).collect()
}

#[test]
fn directives_become_root_fields() {
    let schema = parse(EVERYTHING);
    let bot = subscription(&schema, "bot");
    let Feed::Topic(feed) = &bot.feed else { panic!("{:?}", bot.feed) };
    assert!(feed.filter.is_some() && feed.until.is_some());
    assert_eq!(feed.idle_timeout, Some(Duration::from_secs(600)));
    assert_eq!((bot.delivery.buffer, bot.delivery.overflow), (Some(1000), Overflow::Latest));
    assert!(!bot.public);

    let latest = subscription(&schema, "latest");
    let event = Event::from_json(json!({"bot_id": "b7"}));
    let empty = JsonObject::new();
    let scope = TemplateScope { args: &empty, claims: &empty, event: Some(&event) };
    assert_eq!(latest.delivery.key.as_ref().unwrap().render(&scope).as_deref(), Ok("b7"));

    let bare = subscription(&schema, "bare");
    assert!(bare.public);
    assert_eq!((bare.delivery.buffer, bare.delivery.overflow), (None, Overflow::DropOldest));

    let rename = schema.field(OperationType::Mutation, "rename").unwrap();
    assert!(matches!(rename.feed, Feed::Resolver));
    let guards: Vec<_> =
        rename.guards.iter().map(|guard| (guard.scope.as_str(), guard.resource.is_some())).collect();
    assert_eq!(guards, [("edit", true), ("admin", false)]);
    assert!(schema.field(OperationType::Query, "rename").is_none());
}

#[test]
fn a_resolver_beside_a_topic_is_a_load() {
    let schema = parse(EVERYTHING);
    let load = |name| subscription(&schema, name).load;
    assert_eq!(load("document"), Some(Load { on_missing: OnMissing::Skip }));
    assert_eq!(load("owned"), Some(Load { on_missing: OnMissing::Complete }));
    assert_eq!((load("made"), load("bare")), (None, None));
}

#[test]
fn of_a_hash_the_latest_value_waits_unless_the_file_says_otherwise() {
    let schema = parse(EVERYTHING);
    let progress = subscription(&schema, "progress");
    assert!(matches!(&progress.feed, Feed::Hash(feed, _) if feed.until.is_some() && feed.filter.is_some()));
    assert_eq!(progress.delivery.overflow, Overflow::Latest);
    let schema = parse(
        r#"type Subscription {
            a: A @subscribe(hash: "a") @delivery(buffer: 2)
            b: A @subscribe(hash: "b") @delivery(overflow: DROP_OLDEST)
            c: A @subscribe(topic: "c") @delivery(buffer: 2)
        }
        type A { a: Int }"#,
    );
    let overflow = |name| subscription(&schema, name).delivery.overflow;
    assert_eq!(
        [overflow("a"), overflow("b"), overflow("c")],
        [Overflow::Latest, Overflow::DropOldest, Overflow::DropOldest]
    );
}

#[test]
fn fields_come_in_the_order_of_the_file() {
    let schema = parse(EVERYTHING);
    let order: Vec<_> = schema.fields().map(|field| field.name.as_str()).collect();
    assert_eq!(
        order,
        [
            "bots", "version", "rename", "bare", "bot", "things", "latest", "made", "progress", "document",
            "owned"
        ]
    );
}

#[test]
fn a_field_knows_the_claims_that_decide_what_its_members_receive() {
    let schema = parse(EVERYTHING);
    assert_eq!(names(&subscription(&schema, "bot").claims), ["realm", "tenant_id"]);
    assert_eq!(names(&subscription(&schema, "things").claims), ["https://example.com/level", "tenant_id"]);
    assert!(subscription(&schema, "latest").claims.is_empty());
    assert_eq!(names(schema.claims()), ["https://example.com/level", "realm", "sub", "tenant_id"]);
}

#[test]
fn claims_of_guards_are_kept_but_decide_no_audience() {
    let schema = parse(
        r#"type Subscription {
            a(t: ID!): String @subscribe(topic: "a") @hasScope(scope: "view", resource: "org:{{ claims.org }}") @tenant(argument: "t")
            b: String @subscribe(topic: "b") @delivery(overflow: LATEST, key: "{{ claims.k }}:{{ event.id }}")
            c: String @subscribe(topic: "c", until: "event == claims.last")
        }"#,
    );
    assert!(subscription(&schema, "a").claims.is_empty());
    assert_eq!(names(&subscription(&schema, "b").claims), ["k"]);
    assert_eq!(names(&subscription(&schema, "c").claims), ["last"]);
    assert_eq!(names(schema.claims()), ["k", "last", "org", "tenant_id"]);
}

#[test]
fn values_come_from_where_the_file_says() {
    let schema = parse(EVERYTHING);
    assert_eq!(schema.source("Bot", "id"), Some(&ValueSource::Keys(vec!["bot_id".to_owned()])));
    assert_eq!(schema.source("Bot", "kind"), Some(&ValueSource::Argument("kind".to_owned())));
    assert_eq!(schema.source("Bot", "name"), None);
    assert_eq!(schema.source("Nothing", "id"), None);
}

#[test]
fn clients_see_none_of_our_directives() {
    for sdl in [EVERYTHING, include_str!("../../tests/data/valid/trading.graphql")] {
        let schema = parse(sdl);
        let public = schema.public().to_string();
        for name in
            directives::NAMES.iter().map(|name| format!("@{name}")).chain(["StentorOverflow".to_owned()])
        {
            assert!(!public.contains(&name), "{name} in {public}");
        }
        assert!(apollo_compiler::Schema::parse_and_validate(public, "public").is_ok());
    }
    let public = parse(EVERYTHING).public().to_string();
    assert!(public.contains("@deprecated(reason: \"use name\")"), "{public}");
}

#[test]
fn types_that_only_our_directives_used_are_not_left_over() {
    let schema = parse("type Query { a: Int @resolver }");
    assert!(!schema.public().types.contains_key("ID"));
    assert!(!schema.public().types.contains_key("Float"));
}

#[test]
fn a_schema_without_query_answers_its_version() {
    let schema = parse("type Subscription { a: Int @subscribe(topic: \"a\") }");
    let version = schema.field(OperationType::Query, "stentor").unwrap();
    assert!(matches!(version.feed, Feed::Version) && version.public);
    assert_eq!(schema.public().type_field("Query", "stentor").unwrap().ty.to_string(), "String!");
    assert!(parse(EVERYTHING).field(OperationType::Query, "stentor").is_none());
}

#[test]
fn an_author_may_have_a_field_named_stentor() {
    let schema = parse("type Query { stentor: Int @resolver }");
    assert!(matches!(schema.field(OperationType::Query, "stentor").unwrap().feed, Feed::Resolver));
}

#[test]
fn resolvers_that_nobody_provides_are_told_at_their_fields() {
    let schema = parse(EVERYTHING);
    assert!(schema.require_handlers(&|_, _| true).is_ok());
    let told = schema.require_handlers(&|_, name| name == "Query.bots").unwrap_err();
    let messages: Vec<_> =
        told.0.iter().map(|diagnostic| (diagnostic.message.as_str(), diagnostic.line)).collect();
    assert_eq!(
        messages,
        [
            ("nothing resolves `Query.version`", 9),
            ("nothing resolves `Mutation.rename`", 13),
            ("nothing streams `Subscription.made`", 37),
            ("nothing loads a value for `Subscription.document`", 41),
            ("nothing loads a value for `Subscription.owned`", 42),
        ]
    );
}

#[test]
fn conditions_of_a_block_string_are_compiled() {
    let schema = parse(EVERYTHING);
    let Feed::Topic(feed) = &subscription(&schema, "bot").feed else { panic!() };
    let args = json!({"filter": {"owner": {"id": "o"}}, "kind": "SPOT"});
    let bindings = Bindings::new(args.as_object().unwrap(), &JsonObject::new());
    let rows = [
        (json!({"status": "up", "tags": []}), true, false),
        (json!({"status": "gone", "tags": ["last"]}), false, true),
        (json!({"status": "up", "stage": "completed", "tags": []}), true, true),
    ];
    for (event, sent, last) in rows {
        let event = Event::from_json(event);
        assert_eq!(feed.filter.as_ref().unwrap().holds(&event, &bindings), Ok(sent), "{event:?}");
        assert_eq!(feed.until.as_ref().unwrap().holds(&event, &bindings), Ok(last), "{event:?}");
    }
}

#[test]
fn what_editors_add_is_not_a_mistake() {
    let sdl = "\u{feff}type Query {\r\n\ta: Int @resolver\r\n}\r\n";
    assert!(parse(sdl).field(OperationType::Query, "a").is_some());
    let told =
        Schema::parse("\u{feff}type Query {\r\n\ta: Int\r\n}", "s", &with_authentication()).unwrap_err();
    assert_eq!((told.0[0].line, told.0[0].column), (2, 2));
    assert!(!told.to_string().contains('\r'));
}

#[test]
fn hostile_files_are_refused_and_never_crash() {
    let deep_type = format!("type Query {{ a: {}Int{} }}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_value =
        format!("type Query {{ a(b: Int = {}1{}): Int }}", "[".repeat(50_000), "]".repeat(50_000));
    let files = [
        "",
        " ",
        "\u{feff}",
        "}",
        "type",
        "\"",
        "\"\"\"",
        "{",
        "query { a }",
        "\0",
        "🤖",
        &deep_type,
        &deep_value,
    ];
    for sdl in files {
        let told = Schema::parse(sdl, "test.graphql", &with_authentication()).unwrap_err();
        assert!(!told.to_string().is_empty() && !told.0.is_empty(), "{}", &sdl[..sdl.len().min(40)]);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_damage_to_a_file_is_a_crash(from in 0..EVERYTHING.len(), to in 0..EVERYTHING.len(), with in ".{0,3}") {
        let boundary = |at: usize| (0..=at).rev().find(|at| EVERYTHING.is_char_boundary(*at)).unwrap();
        let (from, to) = (boundary(from.min(to)), boundary(from.max(to)));
        let damaged = format!("{}{with}{}", &EVERYTHING[..from], &EVERYTHING[to..]);
        if let Err(told) = Schema::parse(&damaged, "test.graphql", &with_authentication()) {
            let told = told.to_string();
            proptest::prop_assert!(told.contains("error: ") && told.contains("^"), "{told}");
        }
    }
}
