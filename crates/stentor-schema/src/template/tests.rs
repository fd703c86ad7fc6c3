use apollo_compiler::Schema as ApolloSchema;
use serde_json::json;

use super::*;
use crate::{diagnostic::Mistake, schema::Scope};

const SCHEMA: &str = "
    type Query { field(id: ID!, count: Int!, ratio: Float!, on: Boolean!, kind: Kind!, maybe: ID, list: [ID!]!, filter: Filter!, json: Json!): String }
    input Filter { owner: Owner!, label: String }
    input Owner { id: ID! }
    enum Kind { SPOT FUTURE }
    scalar Json
";

fn parse(text: &str, kind: TemplateKind) -> Result<Template, Vec<Mistake>> {
    let schema = ApolloSchema::parse(SCHEMA, "test").unwrap();
    let field = &schema.get_object("Query").unwrap().fields["field"];
    let event = kind == TemplateKind::Key;
    let scope = Scope {
        schema: &schema,
        arguments: &field.arguments,
        authentication: true,
        event,
        parent: None,
        root: None,
    };
    Template::parse(text, kind, &scope)
}

fn render(text: &str, args: &Value, event: Option<&Event>) -> Result<String, String> {
    let template = parse(text, TemplateKind::Key).unwrap();
    let claims = json!({"realm": {"id": "r1"}, "sub": "u"});
    let scope = TemplateScope { args: args.as_object().unwrap(), claims: claims.as_object().unwrap(), event };
    template.render(&scope).map_err(|error| error.0)
}

fn render_topic(text: &str, args: &Value) -> Result<String, String> {
    let template = parse(text, TemplateKind::Topic).unwrap();
    let claims = JsonObject::new();
    let scope = TemplateScope { args: args.as_object().unwrap(), claims: &claims, event: None };
    template.render_topic(&scope).map_err(|error| error.0)
}

#[test]
fn scalars_have_one_text_each() {
    let args = json!({
        "id": "b1", "count": -7, "ratio": 1.5, "on": true, "kind": "SPOT",
        "filter": {"owner": {"id": "o1"}}, "json": {"k": 18446744073709551615_u64},
    });
    let rows = [
        ("bot:{{ args.id }}", "bot:b1"),
        ("{{args.id}}:{{  args.count  }}!", "b1:-7!"),
        ("{{ args.ratio }} {{ args.on }} {{ args.kind }}", "1.5 true SPOT"),
        ("{{ args.filter.owner.id }}", "o1"),
        ("{{ args.json.k }}", "18446744073709551615"),
        ("{{ claims.realm.id }}/{{ claims.sub }}", "r1/u"),
        ("no value { at all }", "no value { at all }"),
    ];
    for (text, expected) in rows {
        assert_eq!(render(text, &args, None).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_float_without_fraction_has_the_text_of_the_integer() {
    for (ratio, expected) in [("1.0", "1"), ("1", "1"), ("-0.5", "-0.5"), ("1e3", "1000")] {
        let args: Value = serde_json::from_str(&format!("{{\"ratio\": {ratio}}}")).unwrap();
        assert_eq!(render("{{ args.ratio }}", &args, None).as_deref(), Ok(expected), "{ratio}");
    }
}

#[test]
fn events_are_read_as_json_or_as_text() {
    let json = Event::from_json(json!({"bot_id": 7, "nested": {"x-y": "z"}}));
    let text = Event::from_text("d-1");
    let args = json!({});
    assert_eq!(render("{{ event.bot_id }}", &args, Some(&json)).as_deref(), Ok("7"));
    assert_eq!(render("{{ event.nested.x-y }}", &args, Some(&json)).as_deref(), Ok("z"));
    assert_eq!(render("{{ event }}", &args, Some(&text)).as_deref(), Ok("d-1"));
    let rows = [
        ("{{ event }}", Some(&json), "event must be a string, a number or a boolean"),
        ("{{ event.bot_id }}", Some(&text), "event key \"bot_id\" is missing"),
        ("{{ event.other }}", Some(&json), "event key \"other\" is missing"),
        ("{{ event }}", None, "event is missing"),
    ];
    for (template, event, expected) in rows {
        assert_eq!(render(template, &args, event), Err(expected.to_owned()), "{template}");
    }
}

#[test]
fn values_that_must_not_be_rendered_are_named() {
    let long = "x".repeat(257);
    let rows = [
        (json!({}), "argument \"id\" is missing"),
        (json!({"id": null}), "argument \"id\" is missing"),
        (json!({"id": ""}), "argument \"id\" must not be empty"),
        (json!({"id": long}), "argument \"id\" must not be longer than 256 bytes"),
        (json!({"id": "é".repeat(129)}), "argument \"id\" must not be longer than 256 bytes"),
        (json!({"id": ["x"]}), "argument \"id\" must be a string, a number or a boolean"),
        (json!({"id": {"x": 1}}), "argument \"id\" must be a string, a number or a boolean"),
    ];
    for (args, expected) in rows {
        assert_eq!(render("{{ args.id }}", &args, None), Err(expected.to_owned()), "{args}");
    }
    assert_eq!(render("{{ claims.nope }}", &json!({}), None), Err("claim \"nope\" is missing".to_owned()));
    assert!(render("{{ args.id }}", &json!({"id": "x".repeat(256)}), None).is_ok());
}

#[test]
fn a_topic_takes_no_value_that_could_name_another() {
    for (value, shown) in [
        ("a:b", "\":\""),
        ("*", "\"*\""),
        ("a?", "\"?\""),
        ("[a", "\"[\""),
        ("a]", "\"]\""),
        ("a\\b", "\"\\\\\""),
        ("a\nb", "control characters"),
        ("a\0", "control characters"),
        ("a\u{85}", "control characters"),
    ] {
        let told = render_topic("bot:{{ args.id }}", &json!({"id": value}));
        assert_eq!(told, Err(format!("argument \"id\" must not contain {shown}")), "{value:?}");
        assert!(render("{{ args.id }}", &json!({"id": value}), None).is_ok(), "{value:?}");
    }
    assert_eq!(
        render_topic("bot:{{ args.id }}", &json!({"id": "ü-1.x/y z"})).as_deref(),
        Ok("bot:ü-1.x/y z")
    );
}

#[test]
fn wrong_templates_are_refused_at_their_place() {
    use TemplateKind::{HashKey, Key, Resource, Topic};
    let rows = [
        ("bot:{{ args.idd }}", Topic, "idd", "unknown argument `idd`"),
        ("bot:{{ arg.id }}", Topic, "arg", "unknown name `arg`"),
        ("bot:{{ id }}", Topic, "id", "unknown name `id`"),
        ("bot:{{ parent.id }}", Resource, "parent.id", "a root field has no parent"),
        ("bot:{{ args.id", Topic, "{{", "`{{` is never closed"),
        ("bot:{{ args.id {{ args.id }}", Topic, "{{", "`{{` is never closed"),
        ("bot:{{ }}", Topic, "{{ }}", "an empty template"),
        ("bot:{{}}", Topic, "{{}}", "an empty template"),
        ("bot:}}", Topic, "}}", "`}}` without a `{{` before it"),
        ("bot:{args.id}", Topic, "{args.id}", "a value needs double braces"),
        ("bot:{{ args }}", Topic, "args", "`args` is all of them, not one value"),
        ("bot:{{ claims }}", Topic, "claims", "`claims` is all of them, not one value"),
        ("bot:{{ args.id + 1 }}", Topic, "args.id + 1", "`args.id + 1` is not a path"),
        ("bot:{{ args..id }}", Topic, "args..id", "`args..id` is not a path"),
        ("bot:{{ args.maybe }}", Topic, "maybe", "`maybe` may be null: a null has no text"),
        ("bot:{{ args.list }}", Topic, "list", "`list` is a list: it has no text of its own"),
        ("bot:{{ args.filter }}", Topic, "filter", "`filter` is an input object: it has no text of its own"),
        ("bot:{{ args.filter.label }}", Topic, "label", "`label` may be null: a null has no text"),
        ("bot:{{ args.filter.nope }}", Topic, "nope", "the input type `Filter` has no field `nope`"),
        ("bot:{{ args.id.x }}", Topic, "x", "`id` is of type `ID`, it has no fields"),
        ("bot:{{ event.id }}", Topic, "event.id", "a topic cannot read the event: there is none yet"),
        ("bot:{{ event.id }}", Resource, "event.id", "a resource cannot read the event: there is none yet"),
        ("bot *", Topic, " ", "a topic must not contain white space"),
        ("bot:*", Topic, "*", "a topic must not contain `*`, which is part of a glob"),
        ("bot\t", Topic, "\t", "a topic must not contain white space or control characters"),
        (
            "{{ args.id }}{{ args.kind }}",
            Topic,
            "{{ args.kind }}",
            "two values without anything between them",
        ),
        (
            "progress:{{ event.id }}",
            HashKey,
            "event.id",
            "a hash key cannot read the event: there is none yet",
        ),
        ("progress *", HashKey, " ", "a hash key must not contain white space"),
        ("progress:*", HashKey, "*", "a hash key must not contain `*`, which is part of a glob"),
        (
            "{{ args.id }}{{ args.kind }}",
            HashKey,
            "{{ args.kind }}",
            "two values without anything between them: different values give one hash key",
        ),
        ("", HashKey, "", "a hash key must not be empty"),
        ("", Topic, "", "a topic must not be empty"),
        ("", Key, "", "a key must not be empty"),
    ];
    for (text, kind, place, expected) in rows {
        let mistakes = parse(text, kind).expect_err(text);
        assert!(mistakes[0].message.starts_with(expected), "{text}: {}", mistakes[0].message);
        assert_eq!(&text[mistakes[0].range.clone()], place, "{text}");
    }
}

#[test]
fn every_mistake_of_a_template_is_told() {
    let mistakes = parse("{{ args.a }}:{{ args.b }} {{", TemplateKind::Topic).unwrap_err();
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
}

#[test]
fn claims_are_collected() {
    let template =
        parse("{{ claims.realm.id }}:{{ args.id }}:{{ claims.sub }}", TemplateKind::Topic).unwrap();
    assert_eq!(template.claims().collect::<Vec<_>>(), ["realm", "sub"]);
}

proptest::proptest! {
    #[test]
    fn every_mistake_is_inside_its_text(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..10),
    ) {
        let text = words.concat();
        for kind in [TemplateKind::HashKey, TemplateKind::Key, TemplateKind::Resource, TemplateKind::Topic] {
            for mistake in parse(&text, kind).err().unwrap_or_default() {
                proptest::prop_assert!(text.get(mistake.range.clone()).is_some(), "{text}: {mistake:?}");
                proptest::prop_assert!(mistake.help.is_some(), "{text}: {mistake:?}");
            }
        }
    }
}

const WORDS: [&str; 18] = [
    "{{",
    "}}",
    "{",
    "}",
    " ",
    "é",
    "args",
    "args.id",
    ".",
    "args.filter.owner.id",
    "event",
    "event.x",
    "claims.a-b",
    ":",
    "*",
    "bot",
    "{args.id}",
    "\u{2003}",
];
