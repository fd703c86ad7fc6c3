//! What the tables are read by.

use bytes::Bytes;
use serde_json::{Value, json};
use stentor_schema::{
    Event, GraphQLError, JsonObject, Operation, OperationLimits, Request, Schema, SchemaOptions,
    SubscriptionPlan,
};

pub(crate) fn schema(sdl: &str) -> Schema {
    let options = SchemaOptions { authentication: true, tenant_claim: None };
    Schema::parse(sdl, "test.graphql", &options).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

pub(crate) fn request(query: &str, variables: Value) -> Request {
    let Value::Object(variables) = variables else { panic!("variables are an object") };
    Request { query: query.to_owned(), operation_name: None, variables }
}

pub(crate) fn plan(schema: &Schema, query: &str, variables: Value) -> Result<Operation, Vec<GraphQLError>> {
    schema.plan(&request(query, variables), &OperationLimits::default())
}

pub(crate) fn subscription(schema: &Schema, query: &str, variables: Value) -> SubscriptionPlan {
    match plan(schema, query, variables) {
        Ok(Operation::Subscription(plan)) => plan,
        other => panic!("{query}: {other:?}"),
    }
}

pub(crate) fn event(payload: &str) -> Event {
    Event::decode(&Bytes::copy_from_slice(payload.as_bytes())).unwrap()
}

/// Every row: what it shows, a subscription, a payload, and the exact bytes of the result.
pub(crate) fn check_results(sdl: &str, rows: &[(&str, &str, &str, &str)]) {
    let schema = schema(sdl);
    for (name, query, payload, expected) in rows {
        let result = subscription(&schema, query, json!({})).project(&event(payload), None).expect(name);
        assert_eq!(std::str::from_utf8(result.bytes()).unwrap(), *expected, "{name}");
    }
}

/// The errors of a request as JSON.
pub(crate) fn refusal(schema: &Schema, query: &str, variables: Value) -> Value {
    match plan(schema, query, variables) {
        Ok(operation) => panic!("{query} is not refused: {operation:?}"),
        Err(errors) => serde_json::to_value(errors).unwrap(),
    }
}

pub(crate) fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// An error of a field as it stands in a result.
pub(crate) fn field_error(message: &str, path: &str) -> String {
    let message = Value::from(message);
    format!(r#"{{"message":{message},"path":{path},"extensions":{{"code":"FIELD_ERROR"}}}}"#)
}
