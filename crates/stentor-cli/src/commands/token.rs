//! `stentor token`.

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use serde_json::{Map, Value, json};
use stentor::{
    config::{AuthConfig, Period},
    sign_hs256,
};

use super::ConfigFile;
use crate::{
    failure::Failure,
    terminal::{plain, print},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  stentor token --subject ann --scope bot:42:view
  stentor token --tenant acme --claim 'roles=[\"admin\"]' --expires 10m
  STENTOR_TOKEN=$(stentor token --scope bot:view) stentor subscribe @watch.graphql

The token is signed with [auth.jwt] secret, and carries its audience and issuer. Whoever runs this could sign any token
with that secret: it gives away nothing new, but is no way to let users in.";

/// Signs a token with the configured secret.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// Whose token it is (`sub`)
    #[arg(long, value_name = "NAME", default_value = "developer")]
    subject: String,
    /// What it allows, with spaces between, such as "bot:42:view trade:view" (`scope`)
    #[arg(long, value_name = "SCOPES")]
    scope: Vec<String>,
    /// Its tenant, in the claim that [auth] tenant_claim names; several make a list
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<String>,
    /// A further claim, or another value for one of the others; the value is JSON
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// How long it lasts
    #[arg(long, value_name = "TIME", default_value = "1h")]
    expires: Period,
    /// Print {"token", "claims"} instead of the bare token
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Token {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let auth = config.auth.as_ref().ok_or_else(no_auth)?;
        // Whoever could sign for a provider's public keys would be the provider.
        if auth.jwt.secret.expose().is_empty() {
            return Err(no_secret());
        }
        let claims = self.claims(auth, SystemTime::now())?;
        let token = sign_hs256(auth.jwt.secret.expose(), &claims);
        if self.json {
            print(&json!({ "token": token, "claims": claims }).to_string())?;
            return Ok(());
        }
        print(&token)?;
        if io::stdout().is_terminal() {
            eprintln!("{}", plain(&summary(&claims)));
        }
        Ok(())
    }

    fn claims(&self, auth: &AuthConfig, now: SystemTime) -> Result<Map<String, Value>, Failure> {
        let mut claims = Map::new();
        claims.insert("sub".into(), self.subject.as_str().into());
        claims.extend(one_or_all(&auth.jwt.audience).map(|audience| ("aud".into(), audience)));
        claims.extend(auth.jwt.issuer.as_deref().map(|issuer| ("iss".into(), issuer.into())));
        if !self.scope.is_empty() {
            claims.insert("scope".into(), self.scope.join(" ").into());
        }
        if let Some(tenant) = one_or_all(&self.tenant) {
            claims.insert(auth.tenant_claim.clone().ok_or_else(no_tenant_claim)?, tenant);
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), now.saturating_add(self.expires.get()).as_secs().into());
        claims.extend(self.claims.iter().cloned());
        Ok(claims)
    }
}

/// `name=JSON`.
fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("a claim is written NAME=JSON")?;
    match serde_json::from_str(value) {
        Ok(value) => Ok((name.to_owned(), value)),
        Err(error) => {
            let quoted = Value::from(value);
            Err(format!("the value is not JSON: {error}; if it is text, write '{name}={quoted}'"))
        }
    }
}

/// One text alone, several as a list, as RFC 7519 has it for `aud`.
fn one_or_all(texts: &[String]) -> Option<Value> {
    match texts {
        [] => None,
        [one] => Some(one.as_str().into()),
        several => Some(several.into()),
    }
}

/// What the token says, for the person who looks at it.
fn summary(claims: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in claims {
        let time = match name.as_str() {
            "exp" | "iat" | "nbf" => value.as_u64().and_then(date),
            _ => None,
        };
        _ = writeln!(text, "  {name}: {}", time.unwrap_or_else(|| value.to_string()));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The moment that a claim names, if a calendar has it.
fn date(seconds: u64) -> Option<String> {
    let moment = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    (seconds <= LAST_SECOND).then(|| humantime::format_rfc3339_seconds(moment).to_string())
}

fn no_auth() -> Failure {
    Failure::failed(
        "no [auth] is configured: everyone is anonymous, and a token changes nothing\n\
         to check tokens, set [auth.jwt] secret in stentor.toml, or STENTOR_AUTH__JWT__SECRET, for the server too",
    )
}

fn no_secret() -> Failure {
    Failure::failed(
        "[auth.jwt] checks tokens with a provider's public keys, and only the provider can sign for those\n\
         ask the provider for a token, or set [auth.jwt] secret instead of issuer and jwks_url",
    )
}

fn no_tenant_claim() -> Failure {
    Failure::failed(
        "--tenant needs to know which claim names the tenant: set [auth] tenant_claim, \"tenant_id\" say",
    )
}

/// The end of the year 9999, behind which dates are no longer written.
const LAST_SECOND: u64 = 253_402_300_799;
