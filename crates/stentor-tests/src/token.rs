//! Who a test pretends to be: [`token`].

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stentor::config::{AuthConfig, AuthJwtConfig};

/// What every test signs its tokens with.
pub const SECRET: &str = "what-every-test-signs-its-tokens-with";

/// An `[auth]` that accepts [`token`]s, with `tenant_id` as its tenant claim.
pub fn auth() -> AuthConfig {
    AuthConfig {
        tenant_claim: Some("tenant_id".into()),
        anonymous: false,
        jwt: AuthJwtConfig { secret: SECRET.to_owned().into(), ..AuthJwtConfig::default() },
        ..AuthConfig::default()
    }
}

/// A signed token with these claims; it lasts an hour unless they have an `exp`.
///
/// # Panics
///
/// When `claims` is not an object.
pub fn token(claims: Value) -> String {
    let Value::Object(mut claims) = claims else { panic!("claims are an object, not {claims}") };
    claims.entry("exp").or_insert_with(|| json!(seconds_since_epoch() + 3_600));
    stentor::sign_hs256(SECRET, &claims)
}

/// The time, as claims have it.
///
/// # Panics
///
/// When the machine's clock stands before 1970.
pub fn seconds_since_epoch() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970");
    i64::try_from(now.as_secs()).expect("the clock stands before the end of time")
}
