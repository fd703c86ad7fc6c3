//! Values that must not be read in a log: [`Secret`] and [`BrokerUrl`].

use std::fmt;

/// Text that is shown as `…` wherever it is printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::from(secret.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The address of a broker, shown without user, password and options.
#[derive(Clone, Eq, PartialEq)]
pub struct BrokerUrl(String);

impl BrokerUrl {
    /// The address of a Redis server.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without quoting it: a scheme that is not known, or no host.
    pub fn new(url: impl Into<String>) -> Result<Self, String> {
        let url = Self(url.into());
        let Some((scheme, rest)) = url.0.split_once("://") else {
            return Err("the address has no scheme: redis://HOST:PORT".to_owned());
        };
        if !matches!(scheme, "redis" | "rediss" | "valkey" | "valkeys") {
            return Err(
                "the address must begin with redis:// or rediss:// (valkey:// and valkeys:// are the same)"
                    .to_owned(),
            );
        }
        if host(rest).is_empty() {
            return Err("the address names no host: redis://HOST:PORT".to_owned());
        }
        Ok(url)
    }

    /// Whether the server is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        ["rediss://", "valkeys://"].iter().any(|scheme| self.0.starts_with(scheme))
    }

    /// The whole address, with its secrets.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        write!(f, "{scheme}://")?;
        match rest.matches('@').count() {
            0 => f.write_str(without_options(rest)),
            1 => write!(f, "…@{}", without_options(&rest[rest.find('@').map_or(0, |at| at + 1)..])),
            // A password with an @, /, ? or # that is not escaped: where it ends is not certain enough to show the rest.
            _ => f.write_str("…"),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `host:port/database`; what comes after it can hold a password too.
fn without_options(rest: &str) -> &str {
    rest.split(['?', '#']).next().unwrap_or_default()
}

fn host(rest: &str) -> &str {
    let after_user = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    after_user.split([':', '/', '?', '#']).next().unwrap_or_default()
}
