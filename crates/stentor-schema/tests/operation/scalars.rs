//! Result coercion of scalars and enums: <https://spec.graphql.org/October2021/#sec-Scalars>.

use serde_json::json;

use crate::support::{event, field_error, schema, subscription};

const SCHEMA: &str = r#"
    type Subscription { values: Values @subscribe(topic: "a") }
    type Values { int: Int  float: Float  string: String  boolean: Boolean  id: ID  enum: Color  any: Any }
    enum Color { RED GREEN }
    scalar Any
"#;

#[test]
fn values_are_coerced_strictly() {
    let wrong = |ty: &str, kind: &str| Err(format!("{ty} cannot represent {kind}."));
    let not_int = || Err("Int cannot represent a number that is not whole or not within 32 bits.".to_owned());
    let no_such = || Err("Color has no such value.".to_owned());
    let rows: [(&str, &str, Result<&str, String>); 47] = [
        ("int", "0", Ok("0")),
        ("int", "-2147483648", Ok("-2147483648")),
        ("int", "2147483647", Ok("2147483647")),
        ("int", "2147483648", not_int()),
        ("int", "-2147483649", not_int()),
        ("int", "18446744073709551615", not_int()),
        ("int", "1.0", Ok("1")),
        ("int", "-0.0", Ok("0")),
        ("int", "1e3", Ok("1000")),
        ("int", "1.5", not_int()),
        ("int", "1e300", not_int()),
        ("int", "\"1\"", wrong("Int", "a string")),
        ("int", "true", wrong("Int", "a boolean")),
        ("int", "[1]", wrong("Int", "a list")),
        ("float", "1", Ok("1")),
        ("float", "1.5", Ok("1.5")),
        ("float", "-1e-7", Ok("-1e-7")),
        ("float", "18446744073709551615", Ok("18446744073709551615")),
        ("float", "\"1.5\"", wrong("Float", "a string")),
        ("float", "false", wrong("Float", "a boolean")),
        ("string", "\"\"", Ok("\"\"")),
        ("string", "\"x\"", Ok("\"x\"")),
        ("string", "1", wrong("String", "this number")),
        ("string", "true", wrong("String", "a boolean")),
        ("string", "{}", wrong("String", "an object")),
        ("boolean", "true", Ok("true")),
        ("boolean", "false", Ok("false")),
        ("boolean", "0", wrong("Boolean", "this number")),
        ("boolean", "\"true\"", wrong("Boolean", "a string")),
        ("id", "\"a\"", Ok("\"a\"")),
        ("id", "7", Ok("\"7\"")),
        ("id", "-7", Ok("\"-7\"")),
        ("id", "18446744073709551615", Ok("\"18446744073709551615\"")),
        ("id", "7.0", wrong("ID", "this number")),
        ("id", "true", wrong("ID", "a boolean")),
        ("enum", "\"RED\"", Ok("\"RED\"")),
        ("enum", "\"red\"", no_such()),
        ("enum", "\"BLUE\"", no_such()),
        ("enum", "0", wrong("Color", "this number")),
        ("any", "1.50", Ok("1.5")),
        ("any", "\"x\"", Ok("\"x\"")),
        ("any", "true", Ok("true")),
        ("any", "[]", Ok("[]")),
        ("any", "{\"a\":[1,null,{\"b\":1.5}]}", Ok("{\"a\":[1,null,{\"b\":1.5}]}")),
        ("any", "null", Ok("null")),
        ("int", "null", Ok("null")),
        ("enum", "null", Ok("null")),
    ];
    let schema = schema(SCHEMA);
    for (field, value, expected) in rows {
        let plan = subscription(&schema, &format!("subscription {{ values {{ {field} }} }}"), json!({}));
        let result = plan.project(&event(&format!("{{\"{field}\":{value}}}")), None).unwrap();
        let expected = match expected {
            Ok(json) => format!(r#"{{"data":{{"values":{{"{field}":{json}}}}}}}"#),
            Err(message) => {
                let error = field_error(&message, &format!(r#"["values","{field}"]"#));
                format!(r#"{{"data":{{"values":{{"{field}":null}}}},"errors":[{error}]}}"#)
            }
        };
        assert_eq!(std::str::from_utf8(result.bytes()).unwrap(), expected, "{field} {value}");
    }
}
