//! Queries and mutations.

use serde_json::{Value, json};
use stentor_schema::{ErrorCode, GraphQLError, Operation, OperationLimits, RootPlan};

use crate::support::{plan, request, schema};

const SCHEMA: &str = r#"
    type Query {
      bot(id: ID!): Bot @resolver
      must: Bot! @resolver
      bots: [Bot!] @resolver
      count: Int @resolver
    }
    type Mutation { start(id: ID!): Bot @resolver  stop: Boolean! @resolver }
    type Subscription {
      bot(id: ID!): Bot @subscribe(topic: "bot:{{ args.id }}") @hasScope(scope: "view", resource: "bot:{{ args.id }}")
        @delivery(buffer: 5, overflow: DROP_NEWEST)
    }
    type Bot { id: ID @from(keys: ["id", "bot_id"])  profitPct: Float  asked: ID @from(argument: "id")  name: String! }
"#;

fn root_plan(query: &str) -> RootPlan {
    match plan(&schema(SCHEMA), query, json!({})) {
        Ok(Operation::Query(plan) | Operation::Mutation(plan)) => plan,
        other => panic!("{query}: {other:?}"),
    }
}

fn respond(query: &str, values: Vec<Result<Value, GraphQLError>>) -> String {
    let values = values.into_iter().map(|value| value.map(Into::into)).collect();
    String::from_utf8(root_plan(query).respond(values, None).bytes().to_vec()).unwrap()
}

#[test]
fn values_are_projected_by_the_rules_of_events() {
    let rows = [
        ("{ count }", vec![json!(3)], r#"{"data":{"count":3}}"#),
        ("{ b: count a: count }", vec![json!(1), json!(2)], r#"{"data":{"b":1,"a":2}}"#),
        (
            "{ count __typename t: __typename }",
            vec![json!(1)],
            r#"{"data":{"count":1,"__typename":"Query","t":"Query"}}"#,
        ),
        ("{ __typename }", vec![], r#"{"data":{"__typename":"Query"}}"#),
        (
            "{ bot(id: 7) { id profitPct asked } }",
            vec![json!({"bot_id": 1, "profit_pct": 2.5})],
            r#"{"data":{"bot":{"id":"1","profitPct":2.5,"asked":"7"}}}"#,
        ),
        (
            "{ a: bot(id: 1) { asked } b: bot(id: 2) { asked } }",
            vec![json!({}), json!({})],
            r#"{"data":{"a":{"asked":"1"},"b":{"asked":"2"}}}"#,
        ),
        ("{ bot(id: 7) { id } }", vec![Value::Null], r#"{"data":{"bot":null}}"#),
        ("{ bots { name } }", vec![json!([{"name": "x"}])], r#"{"data":{"bots":[{"name":"x"}]}}"#),
        ("{ count @skip(if: true) }", vec![], r#"{"data":{}}"#),
        ("{ count @skip(if: true) a: count }", vec![json!(1)], r#"{"data":{"a":1}}"#),
        (
            "mutation { stop start(id: 1) { asked } }",
            vec![json!(true), json!({})],
            r#"{"data":{"stop":true,"start":{"asked":"1"}}}"#,
        ),
        (
            "mutation { __typename stop }",
            vec![json!(false)],
            r#"{"data":{"__typename":"Mutation","stop":false}}"#,
        ),
    ];
    for (query, values, expected) in rows {
        assert_eq!(respond(query, values.into_iter().map(Ok).collect()), expected, "{query}");
    }
}

#[test]
fn calls_hold_field_arguments_and_response_key() {
    let plan = root_plan("{ x: bot(id: 7) { id } __typename count }");
    let calls: Vec<_> = plan
        .calls
        .iter()
        .map(|call| {
            (call.field.name.as_str(), Value::Object((*call.arguments).clone()), call.response_key.as_str())
        })
        .collect();
    assert_eq!(calls, [("bot", json!({"id": "7"}), "x"), ("count", json!({}), "count")]);
}

#[test]
fn an_error_takes_the_place_of_its_value() {
    let forbidden = || Err(GraphQLError::new(ErrorCode::Forbidden, "No."));
    let error =
        |path: &str| format!(r#"{{"message":"No.","path":["{path}"],"extensions":{{"code":"FORBIDDEN"}}}}"#);
    let null = r#"{"message":"Cannot return null for non-nullable field Bot.name.","path":["bots",0,"name"],"extensions":{"code":"FIELD_ERROR"}}"#;
    let rows = [
        ("{ x: count }", vec![forbidden()], format!(r#"{{"data":{{"x":null}},"errors":[{}]}}"#, error("x"))),
        ("{ must { id } }", vec![forbidden()], format!(r#"{{"data":null,"errors":[{}]}}"#, error("must"))),
        (
            "{ count must { id } bots { name } }",
            vec![Ok(json!(1)), forbidden(), Ok(json!([{}]))],
            format!(r#"{{"data":null,"errors":[{},{null}]}}"#, error("must")),
        ),
        (
            "{ bots { name } count }",
            vec![Ok(json!([{}])), Ok(json!(1))],
            format!(r#"{{"data":{{"bots":null,"count":1}},"errors":[{null}]}}"#),
        ),
        (
            "{ count }",
            vec![],
            r#"{"data":{"count":null},"errors":[{"message":"The field was not resolved.","path":["count"],"extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#.to_owned(),
        ),
    ];
    for (query, values, expected) in rows {
        assert_eq!(respond(query, values), expected, "{query}");
    }
}

#[test]
fn introspection_answers_in_its_place_and_knows_none_of_our_directives() {
    let response = respond(STANDARD_INTROSPECTION, vec![Ok(json!(1))]);
    let json: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(json["data"]["before"], "Query");
    assert_eq!(json["data"]["count"], 1);
    let schema = &json["data"]["__schema"];
    assert_eq!(schema["subscriptionType"]["name"], "Subscription");
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let directives = names(&schema["directives"]);
    assert!(directives.contains(&"skip".to_owned()), "{directives:?}");
    let types = names(&schema["types"]);
    assert!(types.contains(&"Bot".to_owned()), "{types:?}");
    let ours = ["subscribe", "hasScope", "tenant", "public", "delivery", "from", "resolver", "DROP_OLDEST"];
    for name in ours {
        assert!(!response.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(!types.iter().any(|name| name.contains("Overflow") || name.contains("Delivery")), "{types:?}");
}

#[test]
fn introspection_of_one_type_and_of_none() {
    let query = "{ a: __type(name: \"Bot\") { name fields { name } } b: __type(name: \"Nope\") { name } }";
    let expected = r#"{"data":{"a":{"name":"Bot","fields":[{"name":"id"},{"name":"profitPct"},{"name":"asked"},{"name":"name"}]},"b":null}}"#;
    assert_eq!(respond(query, vec![]), expected);
}

#[test]
fn introspection_can_be_turned_off_and_typename_stays() {
    let limits = OperationLimits { introspection: false, ..OperationLimits::default() };
    let schema = schema(SCHEMA);
    for query in [
        "{ __schema { types { name } } }",
        "{ ...F } fragment F on Query { x: __type(name: \"Bot\") { name } }",
    ] {
        let errors = schema.plan(&request(query, json!({})), &limits).unwrap_err();
        assert_eq!(errors[0].message, "Introspection is turned off.");
        assert_eq!(errors[0].code, ErrorCode::GraphqlValidationFailed);
        assert_eq!(errors[0].locations.len(), 1);
    }
    assert!(schema.plan(&request("{ __typename count }", json!({})), &limits).is_ok());
}

#[test]
fn introspection_that_multiplies_is_refused_however_it_is_cut_into_fragments() {
    let schema = schema(SCHEMA);
    let rows = [
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
        "{ __schema { types { ...A ...B } } }
         fragment A on __Type { fields { name } }
         fragment B on __Type { fields { type { ...A ...C } } }
         fragment C on __Type { fields { type { ...A } } }",
        "{ __schema { types { ...A ...C } } }
         fragment A on __Type { fields { name } }
         fragment C on __Type { fields { type { ...B } } }
         fragment B on __Type { fields { type { ...A } } }",
    ];
    for query in rows {
        let errors = schema.plan(&request(query, json!({})), &OperationLimits::default()).unwrap_err();
        assert_eq!(errors[0].code, ErrorCode::LimitExceeded, "{query}");
    }
}

const STANDARD_INTROSPECTION: &str = "
    query IntrospectionQuery {
      before: __typename
      __schema {
        description
        queryType { name } mutationType { name } subscriptionType { name }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
      }
      count
    }
    fragment FullType on __Type {
      kind name description specifiedByURL
      fields(includeDeprecated: true) {
        name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef }
        isDeprecated deprecationReason
      }
      inputFields(includeDeprecated: true) { ...InputValue }
      interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef }
    }
    fragment InputValue on __InputValue {
      name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
    }
    fragment TypeRef on __Type {
      kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
      ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
    }";
