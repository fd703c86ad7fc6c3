use apollo_compiler::Schema as ApolloSchema;
use serde_json::json;

use super::{check::MAX_DEPTH, *};
use crate::{diagnostic::Mistake, schema::Scope};

const SCHEMA: &str = "
    type Query { field(id: ID!, limit: Int, filter: Filter, json: Json): String }
    input Filter { owner: ID, tags: [String!] }
    scalar Json
";

fn compile(source: &str) -> Result<Condition, Vec<Mistake>> {
    let schema = ApolloSchema::parse(SCHEMA, "test").unwrap();
    let field = &schema.get_object("Query").unwrap().fields["field"];
    let scope = Scope {
        schema: &schema,
        arguments: &field.arguments,
        authentication: true,
        event: true,
        parent: None,
        root: None,
    };
    Condition::compile(source, &scope)
}

fn object(value: Value) -> JsonObject {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

fn holds(source: &str, event: &Event, args: Value, claims: Value) -> Result<bool, ConditionError> {
    let condition = compile(source).unwrap_or_else(|mistakes| panic!("{source}: {mistakes:?}"));
    condition.holds(event, &Bindings::new(&object(args), &object(claims)))
}

#[test]
fn conditions_read_events_arguments_and_claims() {
    let event = || {
        Event::from_json(json!({
            "status": "done", "session_id": "s1", "progress": 0.5, "count": 3, "huge": u64::MAX,
            "tags": ["a", "b"], "nested": {"deep": {"x": true}}, "nothing": null, "a.b": 1,
        }))
    };
    let args = json!({"id": "s1", "limit": 3, "filter": {"tags": ["a"]}, "json": {"k": 1}});
    let claims = json!({"tenant_id": "t1", "realm": {"id": "r"}, "https://x.y/z": 7});
    let rows = [
        ("event.session_id == args.id", true),
        ("event.status == 'done' && event.count > 2", true),
        ("event.status in ['done', 'failed']", true),
        ("event.count == 3.0 && event.progress < 1", true),
        ("event.count < 3.5 && 0 <= event.progress", true),
        ("event.count == 3u", true),
        ("event.huge > 1", true),
        ("event.huge == 18446744073709551615u", true),
        ("event.count == '3'", false),
        ("event.tags.exists(tag, tag == 'b')", true),
        ("event.tags.all(tag, tag == 'b')", false),
        ("event.tags.filter(tag, tag in args.filter.tags).size() == 1", true),
        ("size(event.tags) == 2 && event.tags[1] == 'b'", true),
        ("event.nested.deep.x", true),
        ("event['status'] == 'done' && event['a.b'] == 1", true),
        ("has(event.status) && !has(event.other)", true),
        ("event.?other.orValue('none') == 'none'", true),
        ("event.nothing == null", true),
        ("event.status.startsWith('d') && event.status.matches('^do.e$')", true),
        ("type(event.status) == string", true),
        ("claims.tenant_id == 't1' && claims.realm.id == 'r'", true),
        ("!has(claims.nope) && claims.?nope.orValue('none') == 'none'", true),
        ("claims['https://x.y/z'] == 7", true),
        ("args.json.k == 1 && args['id'] == 's1'", true),
        ("event.count == args.limit", true),
        ("true", true),
    ];
    for (source, expected) in rows {
        assert_eq!(holds(source, &event(), args.clone(), claims.clone()), Ok(expected), "{source}");
    }
}

#[test]
fn an_argument_that_was_not_given_is_null() {
    let event = Event::from_json(json!({"count": 1, "owner": "o"}));
    let rows = [
        ("args.limit == null", json!({"id": "x"}), true),
        ("args.limit == null", json!({"id": "x", "limit": null}), true),
        ("args.limit == null || event.count == args.limit", json!({"id": "x", "limit": 2}), false),
        ("has(args.limit)", json!({"id": "x"}), false),
        ("has(args.limit)", json!({"id": "x", "limit": null}), false),
        ("has(args.limit)", json!({"id": "x", "limit": 0}), true),
        (
            "!has(args.filter.owner) || event.owner == args.filter.owner",
            json!({"id": "x", "filter": {}}),
            true,
        ),
        ("args.filter.owner == event.owner", json!({"id": "x", "filter": {"owner": "o"}}), true),
    ];
    for (source, args, expected) in rows {
        assert_eq!(holds(source, &event, args.clone(), json!({})), Ok(expected), "{source} {args}");
    }
}

#[test]
fn what_cannot_be_decided_is_an_error() {
    let event = Event::from_json(json!({"text": "x", "list": [1]}));
    let rows = [
        "event.missing == 1",
        "event.text > 1",
        "event.text",
        "event.list[5] == 1",
        "claims.missing == 'x'",
        "event.missing || false",
        "int(event.text) == 1",
        "event.list[0] / 0 == 1",
    ];
    for source in rows {
        assert!(holds(source, &event, json!({"id": "x"}), json!({})).is_err(), "{source}");
    }
}

#[test]
fn a_text_event_is_a_string() {
    let event = Event::from_text("d-1");
    for (source, expected) in [("event == args.id", true), ("event.startsWith('e')", false)] {
        assert_eq!(holds(source, &event, json!({"id": "d-1"}), json!({})), Ok(expected), "{source}");
    }
    assert!(holds("event.status == 'x'", &event, json!({"id": "x"}), json!({})).is_err());
}

#[test]
fn wrong_conditions_are_refused_at_their_place() {
    let rows = [
        ("event.status = 'done'", "cannot be read"),
        ("event.status ==", "ends too early"),
        ("evnt.status == 'done'", "unknown name `evnt`"),
        ("é.x == 1", "cannot be read"),
        ("'é' == statu", "unknown name `statu`"),
        ("args.idd == 'x'", "unknown argument `idd`"),
        ("'é' == args.idd", "unknown argument `idd`"),
        ("has(args.idd)", "unknown argument `idd`"),
        ("args['idd'] == 'x'", "unknown argument `idd`"),
        ("args.?idd.orValue('') == 'x'", "unknown argument `idd`"),
        ("args.filter.ownr == 'x'", "no field `ownr`"),
        ("args.id.x == 'x'", "it has no fields"),
        ("event.tags.exists(t, args.idd == t)", "unknown argument `idd`"),
        ("event.tags.exists(t, tt == 'x')", "unknown name `tt`"),
        ("event.tags.exists(event, event == 'x')", "hides"),
        ("size(args) == 1", "`args` must be read by name"),
        ("claims[event.key] == 1", "`claims` must be read by name"),
        ("id == 'x'", "unknown name `id`"),
        ("lower(event.x) == 'x'", "unknown function `lower`"),
        ("event.x.endWith('x')", "unknown function `endWith`"),
        ("event.x.contains()", "not called like this"),
        ("contains(event.x, 'x')", "not called like this"),
        ("event.tags.exists(t)", "not called like this"),
        ("event.x.matches(args.id)", "must be written out"),
        ("event.x.matches('(')", "cannot be read"),
        ("optional.off(event.x) == 1", "unknown"),
        ("Foo{a: 1} == 1", "unknown type `Foo`"),
        ("'text'", "this one is a string"),
        ("event.x + 1", "this one is"),
        ("size(event.x)", "this one is a number"),
        ("timestamp(event.x) > 1", "unknown function `timestamp`"),
        ("", "must not be empty"),
        ("  ", "must not be empty"),
    ];
    for (source, expected) in rows {
        let mistakes = compile(source).expect_err(source);
        let message = &mistakes[0].message;
        assert!(message.contains(expected), "{source}: {message}");
        let range = mistakes[0].range.clone();
        assert!(source.get(range.clone()).is_some(), "{source}: {range:?}");
        if let Some(name) =
            expected.strip_prefix("unknown argument `").and_then(|rest| rest.strip_suffix('`'))
        {
            assert_eq!(&source[range], name, "{source}");
        }
    }
}

#[test]
fn depth_and_length_are_refused_and_never_crash() {
    let repeated = |open: &str, middle: &str, close: &str, count: usize| {
        open.repeat(count) + middle + &close.repeat(count)
    };
    let rows = [
        repeated("(", "true", ")", 200),
        repeated("[", "1", "]", 200),
        repeated("(", "", "", 4_000),
        "(".repeat(1_000_000),
        repeated("{1:", "1", "}", 200),
        repeated("size(", "event", ")", 200),
        repeated("true ? ", "true", " : false", 500),
        format!("event{}", ".a".repeat(2_000)),
        format!("event{} == 1", ".a".repeat(MAX_DEPTH)),
        format!("1{} == 1", "+1".repeat(MAX_DEPTH)),
        "event.all(x, ".repeat(30) + "true" + &")".repeat(30),
        format!("event{}", "[0]".repeat(1_000)),
        format!("1{} == 1", "+1".repeat(2_000)),
        "!".repeat(4_000) + "true",
        "-".repeat(4_000) + "1 == 1",
        format!("event.x == '{}'", "x".repeat(5_000)),
        format!("\"')\" == '{}'", "(".repeat(200)) + &"(".repeat(40),
    ];
    for source in rows {
        assert!(compile(&source).is_err(), "{}", &source[..40]);
    }
}

#[test]
fn what_the_caps_let_through_is_decided_on_a_small_stack() {
    let deepest = MAX_DEPTH - 2;
    let rows = [
        "(".repeat(32) + "true" + &")".repeat(32),
        format!("event{} == 1", ".a".repeat(deepest)),
        format!("event{} == 1", "[0]".repeat(deepest)),
        format!("1{} == 1", "+1".repeat(deepest)),
        format!("1{}", " == 1".repeat(deepest)),
        format!("true{}", " && true".repeat(255)),
        format!("{}true", "true ? false : ".repeat(deepest)),
        "size(".repeat(deepest) + "event" + &")".repeat(deepest) + " == 1",
        "event.all(x, ".repeat(5) + "true" + &")".repeat(5),
        "!".repeat(500) + "true",
        format!("'{}' != ''", "(".repeat(3_000)),
        format!("event in [{}]", vec!["1"; 1_000].join(",")),
    ];
    let event = Event::from_json(json!({"a": 1}));
    let bindings = Bindings::new(&JsonObject::new(), &JsonObject::new());
    let decide = || {
        for source in &rows {
            let condition = compile(source).unwrap_or_else(|mistakes| panic!("{source}: {mistakes:?}"));
            let _ = condition.holds(&event, &bindings);
        }
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(2 << 20).spawn_scoped(scope, decide).unwrap().join().unwrap();
    });
}

#[test]
fn every_function_of_the_list_exists() {
    let event = Event::from_json(json!({"x": "1"}));
    for function in functions::FUNCTIONS {
        let name = function.name;
        let arguments = |count: usize| vec!["event.x"; count].join(", ");
        let calls = [
            function.global.map(|count| format!("{name}({}) == null", arguments(count))),
            function.member.map(|count| format!("event.x.{name}({}) == null", arguments(count))),
        ];
        for call in calls.into_iter().flatten() {
            let program = ENVIRONMENT.compile(&call).unwrap();
            let condition =
                Condition { expression: Box::new(program.expression().clone()), claims: BTreeSet::new() };
            let result = condition.holds(&event, &Bindings::new(&JsonObject::new(), &JsonObject::new()));
            let message = result.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!message.contains("Undeclared"), "{call}: {message}");
        }
    }
}

#[test]
fn claims_are_collected() {
    let condition =
        compile("claims.realm.id == 'x' || claims['a b'] == 1 || has(claims.level) || claims.?z.hasValue()")
            .unwrap();
    assert_eq!(condition.claims().collect::<Vec<_>>(), ["a b", "level", "realm", "z"]);
}

#[test]
fn conditions_hold_on_many_threads_at_once() {
    let condition = compile("event.tags.exists(tag, tag == args.id) && event.n < 10").unwrap();
    let event = Event::from_json(json!({"tags": ["a", "b"], "n": 1}));
    let bindings = Bindings::new(&object(json!({"id": "b"})), &JsonObject::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| assert_eq!(condition.holds(&event, &bindings), Ok(true))));
        }
    });
}

proptest::proptest! {
    #[test]
    fn no_condition_panics_on_any_event(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 1..14),
        first in 0..EVENTS.len(),
    ) {
        let source = words.join(" ");
        match compile(&source) {
            Ok(condition) => {
                let event = Event::decode(&bytes::Bytes::from_static(EVENTS[first].as_bytes())).unwrap();
                let bindings = Bindings::new(&object(json!({"id": "x", "limit": -1})), &JsonObject::new());
                let _ = condition.holds(&event, &bindings);
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    proptest::prop_assert!(source.get(mistake.range.clone()).is_some(), "{source}: {mistake:?}");
                    proptest::prop_assert!(!mistake.message.contains("makes its compiler fail"), "{source}");
                }
            }
        }
    }
}

const WORDS: [&str; 52] = [
    "event",
    "event.n",
    "event.s",
    "event.l",
    "event.m",
    "event.z",
    "event.?z",
    "args.id",
    "args.limit",
    "claims.x",
    "true",
    "null",
    "1",
    "-1",
    "0",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615u",
    "1.5",
    "1e308",
    "'é'",
    "\"\\u00e9\"",
    "b'x'",
    "[1, 2]",
    "{'a': 1}",
    "{1: 2, 1: 3}",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "in",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    ".size()",
    ".contains('x')",
    ".exists(t, t == 1)",
    ".map(t, t + 1)",
    "int(",
    "string(",
    ".matches('[a')",
];

const EVENTS: [&str; 4] = [
    r#"{"n": -9223372036854775808, "s": "é", "l": [1, "a", null, {"x": []}], "m": {"a": 1}}"#,
    r#"{"n": 18446744073709551615, "s": "", "l": [], "m": {}}"#,
    r#"[1, 2]"#,
    "text",
];
