use super::*;

const UPSTREAM: &str = r#"
"A bot."
type Bot implements Node {
	id: ID!
	name(size: Int! = 3): String @deprecated(reason: "old")
}
interface Node {
	id: ID!
}
type QueryRoot {
	"One bot."
	bot(id: ID!): Bot
	bots: [Bot!]!
}
type Mutation {
	rename(id: ID!): Bot
}
type Ticks {
	ticks: Int!
}
enum Kind { SPOT }
directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @deprecated(reason: String = "No longer supported") on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @hasScope(scope: String!) on FIELD_DEFINITION
directive @oneOf on INPUT_OBJECT
schema {
	query: QueryRoot
	mutation: Mutation
	subscription: Ticks
}
"#;

/// What is written behind the author's text, without line breaks.
fn added(sdl: &str) -> String {
    let merged = merge(sdl, UPSTREAM).unwrap_or_else(|wrong| panic!("{wrong}"));
    let behind = merged.sdl.strip_prefix(sdl).expect("the author's text comes first");
    behind.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_author_lacks_is_added() {
    let expected = "\"\"\"A bot.\"\"\" type Bot implements Node { id: ID! name(size: Int! = 3): String @deprecated(reason: \"old\") } \
                    interface Node { id: ID! } \
                    type QueryRoot { \"\"\"One bot.\"\"\" bot(id: ID!): Bot @resolver bots: [Bot!]! @resolver } \
                    type Mutation { rename(id: ID!): Bot @resolver } \
                    enum Kind { SPOT } \
                    directive @oneOf on INPUT_OBJECT \
                    schema { query: QueryRoot mutation: Mutation subscription: Subscription }";
    assert_eq!(added("type Subscription { bot: Bot @subscribe(topic: \"bot\") }"), expected);
    let expected = expected.replace("subscription: Subscription ", "");
    assert_eq!(added("type Other { id: ID! }"), expected);
}

#[test]
fn fields_of_queries_and_mutations_are_answered_whatever_their_types_are_called() {
    let merged = merge("scalar Time", UPSTREAM).unwrap();
    assert_eq!(merged.coordinates, ["Query.bot", "Query.bots", "Mutation.rename"]);
}

#[test]
fn a_field_that_stands_in_both_is_the_authors_and_is_answered_too() {
    let sdl = "extend type QueryRoot {\n  bot(id: ID!): Bot @hasScope(scope: \"view\")\n  own: Int @resolver\n}\ntype Bot { id: ID! @from(keys: \"bot_id\") }";
    let merged = merge(sdl, UPSTREAM).unwrap();
    let written = sdl.replace("@hasScope(scope: \"view\")", "@hasScope(scope: \"view\") @resolver");
    assert!(merged.sdl.starts_with(&written), "{}", merged.sdl);
    let behind = merged.sdl[written.len()..].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(behind.contains("extend type Bot implements Node { name(size: Int! = 3): String"), "{behind}");
    assert!(behind.contains("type QueryRoot { bots: [Bot!]! @resolver }"), "{behind}");
}

#[test]
fn a_schema_definition_of_the_authors_is_completed() {
    let sdl = "schema { subscription: Listening } type Listening { bot: Bot @subscribe(topic: \"a\") }";
    assert!(added(sdl).ends_with("extend schema { query: QueryRoot mutation: Mutation }"));
    let sdl =
        "schema { query: QueryRoot mutation: Mutation subscription: Listening } type Listening { a: Int }";
    assert!(!added(sdl).contains("schema"));
}

#[test]
fn what_is_defined_in_two_ways_is_told_with_place_and_fix() {
    let rows = [
        (
            "enum Kind { A }",
            "error: `Kind` is defined by the async-graphql schema too\n --> schema:1:6\n  = help: take it away here: it is added",
        ),
        (
            "\n  scalar Bot",
            "error: `Bot` is an object type of the async-graphql schema\n --> schema:2:10\n  = help: choose another name for this one",
        ),
        (
            "type Bot { id: String! }",
            "error: `Bot.id` is another field in the async-graphql schema\n --> schema:1:12\n  = help: write it as it is there: `id: ID!`",
        ),
        (
            "type Bot { name: String }",
            "error: `Bot.name` is another field in the async-graphql schema\n --> schema:1:12\n  = help: write it as it is there: `name(size: Int! = 3): String`",
        ),
        (
            "type Bot { more: Int }",
            "error: `Bot` of the async-graphql schema has no field `more`\n --> schema:1:12\n  = help: add it there, or give the subscription a type of its own",
        ),
        (
            "type Own implements Node { id: ID! }",
            "error: `Own` is no `Node` of the async-graphql schema\n --> schema:1:6\n  = help: let it implement an interface of your own instead of `Node`",
        ),
        (
            "schema { query: Query } type Query { a: Int }",
            "error: the async-graphql schema has `QueryRoot` for query, not `Query`\n --> schema:1:17\n  = help: leave `query` out of the schema definition: it is added",
        ),
    ];
    for (sdl, expected) in rows {
        assert_eq!(merge(sdl, UPSTREAM).map(|merged| merged.sdl).unwrap_err().to_string(), expected);
    }
    let both = merge("enum Kind { A }\ninterface Node { id: ID! }", UPSTREAM).unwrap_err();
    assert_eq!(both.0.iter().map(|mistake| mistake.place).collect::<Vec<_>>(), [Some((1, 6)), Some((2, 11))]);
}

#[test]
fn a_file_that_cannot_be_read_is_left_to_the_server() {
    let merged = merge("type Subscription {", UPSTREAM).unwrap();
    assert_eq!(merged.sdl, "type Subscription {");
}
