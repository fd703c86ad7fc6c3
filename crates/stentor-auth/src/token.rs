//! Where clients put their token: [`token_from_init`], [`token_from_header`].

use serde_json::Value;

/// The token in the payload of a `connection_init`, if there is one.
///
/// The keys are `Authorization`, `authorization`, `authToken`, `token`, then `headers.Authorization` and
/// `headers.authorization`; the first that holds a token counts. The scheme `Bearer ` before it may be left out. Null, the
/// empty text and a bare `Bearer` are no token. A value that is not text is a wrong token, not a missing one: it is
/// returned as the empty text, which no verifier accepts.
pub fn token_from_init(payload: Option<&Value>) -> Option<&str> {
    let payload = payload?;
    let headers = payload.get("headers").map(|headers| (headers, HEADER_KEYS));
    let places = [(payload, INIT_KEYS)].into_iter().chain(headers);
    let mut values = places.flat_map(|(object, keys)| keys.iter().filter_map(|key| object.get(key)));
    values.find_map(|value| match value {
        Value::Null => None,
        Value::String(text) => token_from_header(text),
        _ => Some(""),
    })
}

/// The token in the value of an `Authorization` header, if there is one.
///
/// The scheme `Bearer` may be written in any case or left out ([RFC 9110, 11.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.1)).
/// Of another scheme the whole value is returned: a wrong token, not a missing one.
pub fn token_from_header(value: &str) -> Option<&str> {
    let value = value.trim();
    let token = match value.split_at_checked(SCHEME.len()) {
        Some((scheme, "")) if scheme.eq_ignore_ascii_case(SCHEME) => "",
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) && rest.starts_with(' ') => {
            rest.trim_start()
        }
        _ => value,
    };
    (!token.is_empty()).then_some(token)
}

const SCHEME: &str = "Bearer";
const INIT_KEYS: &[&str] = &["Authorization", "authorization", "authToken", "token"];
const HEADER_KEYS: &[&str] = &["Authorization", "authorization"];
