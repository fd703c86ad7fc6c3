//! The checks of a token's registered claims, [RFC 7519, 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1).

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::{JwtConfig, TokenError, error::Quoted};

/// Checks `exp`, `nbf`, `aud` and `iss`, and returns the moment in `exp`.
///
/// `iat` is not checked: RFC 7519 gives it no power to refuse a token.
pub(crate) fn check(
    claims: &Map<String, Value>,
    config: &JwtConfig,
    now: SystemTime,
) -> Result<SystemTime, TokenError> {
    let expires_at = check_times(claims, config.leeway, now)?;
    check_audience(claims.get("aud"), &config.audience)?;
    if let Some(wanted) = &config.issuer {
        check_issuer(claims.get("iss"), wanted)?;
    }
    Ok(expires_at)
}

fn check_times(
    claims: &Map<String, Value>,
    leeway: Duration,
    now: SystemTime,
) -> Result<SystemTime, TokenError> {
    let exp = moment(claims, "exp")?.ok_or(TokenError::NoClaim("exp"))?;
    let nbf = moment(claims, "nbf")?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if now >= exp.saturating_add(leeway) {
        return Err(TokenError::Expired { ago: now.saturating_sub(exp) });
    }
    if let Some(nbf) = nbf.filter(|nbf| now.saturating_add(leeway) < *nbf) {
        return Err(TokenError::NotYetValid { wait: nbf.saturating_sub(now) });
    }
    Ok(SystemTime::UNIX_EPOCH + exp)
}

/// A `NumericDate`: seconds since 1970, perhaps with a fraction. Before 1970 counts as 1970.
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Duration>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let problem = |problem| TokenError::Claim { name, problem };
    let seconds = value.as_f64().ok_or_else(|| problem("is not a number"))?;
    if seconds > LAST_SECOND {
        return Err(problem("is after the year 9999; it counts seconds, not milliseconds"));
    }
    let moment = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| problem("is not a number"))?;
    Ok(Some(moment))
}

/// Without a configured audience every token's audience will do.
fn check_audience(claim: Option<&Value>, accepted: &[String]) -> Result<(), TokenError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let wanted = || Quoted::new(&accepted.join(", "));
    let named = match claim {
        None => return Err(TokenError::NoAudience { wanted: wanted() }),
        Some(claim) => texts(claim)
            .ok_or(TokenError::Claim { name: "aud", problem: "is neither a text nor a list of texts" })?,
    };
    if named.iter().any(|audience| accepted.iter().any(|accepted| accepted == audience)) {
        return Ok(());
    }
    match named.as_slice() {
        [] => Err(TokenError::NoAudience { wanted: wanted() }),
        _ => Err(TokenError::Audience { found: Quoted::new(&named.join(", ")), wanted: wanted() }),
    }
}

fn check_issuer(claim: Option<&Value>, wanted: &str) -> Result<(), TokenError> {
    let issuer = claim.ok_or(TokenError::NoClaim("iss"))?;
    let issuer = issuer.as_str().ok_or(TokenError::Claim { name: "iss", problem: "is not a text" })?;
    if issuer == wanted {
        return Ok(());
    }
    Err(TokenError::Issuer { found: Quoted::new(issuer), wanted: Quoted::new(wanted) })
}

/// A text, or a list of nothing but texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The end of the year 9999. What lies behind it is nearly always a time in milliseconds, and would never expire.
const LAST_SECOND: f64 = 253_402_300_799.0;
