//! Which server, and how it is spoken to: [`RedisConfig`].

use std::fmt;

use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

/// How a [`RedisBroker`](crate::RedisBroker) reaches its server.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user[:password]@]host[:port][/database]`, or the same with `valkey://`. Never shown or logged.
    pub url: String,
    /// What is put before every topic to make its channel's name. Nobody but the server sees it.
    pub prefix: String,
    /// How many publishes may wait for the server's answer at one time, each with a copy of its payload (1,024 unless
    /// set). One more is refused at once.
    pub max_publishes_in_flight: usize,
}

/// A URL that cannot be used. Says what is wrong with it, but never what it says, since it may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// What follows the host is not a database number.
    #[error("what follows the host in the broker's URL is not a database number; {EXAMPLE}")]
    Database,
    /// No host, or one that nobody can connect to.
    #[error("the broker's URL names no host to connect to; {EXAMPLE}")]
    Host,
    /// Neither `redis://` nor `valkey://`.
    #[error("the broker's URL does not begin with `redis://` or `valkey://`; {EXAMPLE}")]
    Scheme,
    /// `rediss://` or `valkeys://`.
    #[error("TLS to the broker (`rediss://`, `valkeys://`) is not supported yet; {EXAMPLE}")]
    Tls,
    /// Not a URL at all, or one with a user, password or port that cannot be read.
    #[error(
        "the broker's URL cannot be read; {EXAMPLE}, with special characters of a password percent-encoded (`/` is `%2F`)"
    )]
    Url,
}

/// A server's address, and the way from a topic to its channel and back.
pub(super) struct Server {
    pub(super) client: Client,
    /// Host and port, for people.
    pub(super) address: String,
    pub(super) prefix: String,
}

impl RedisConfig {
    /// The server at `url`, with no prefix and the usual limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), prefix: String::new(), max_publishes_in_flight: 1024 }
    }

    /// Whether the URL can be used, without using it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], as [`RedisBroker::connect`](crate::RedisBroker::connect).
    pub fn check(&self) -> Result<(), ConfigError> {
        Server::new(self).map(drop)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &"(hidden)")
            .field("prefix", &self.prefix)
            .field("max_publishes_in_flight", &self.max_publishes_in_flight)
            .finish()
    }
}

impl Server {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        check_scheme(&config.url)?;
        let url = redis::parse_redis_url(&config.url).ok_or(ConfigError::Url)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ConfigError::Host);
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(ConfigError::Database);
        }
        let connection = url.into_connection_info().map_err(|_| ConfigError::Url)?;
        let ConnectionAddr::Tcp(host, port) = connection.addr() else { return Err(ConfigError::Scheme) };
        let address = format!("{host}:{port}");
        let settings: RedisConnectionInfo = connection.redis_settings().clone();
        // RESP3: messages and replies share a connection, and messages can be taken from its reader.
        let connection = connection.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        let client = Client::open(connection).map_err(|_| ConfigError::Url)?;
        Ok(Self { client, address, prefix: config.prefix.clone() })
    }

    pub(super) fn channel(&self, topic: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), topic.as_bytes()].concat()
    }

    pub(super) fn topic<'a>(&self, channel: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(channel.strip_prefix(self.prefix.as_bytes())?).ok()
    }
}

fn check_scheme(url: &str) -> Result<(), ConfigError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("redis" | "valkey") => Ok(()),
        Some("rediss" | "valkeys") => Err(ConfigError::Tls),
        Some(_) | None => Err(ConfigError::Scheme),
    }
}

const EXAMPLE: &str = "write it like `redis://user:password@127.0.0.1:6379/0`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server() {
        let cases = [
            ("redis://127.0.0.1", "127.0.0.1:6379", 0),
            ("redis://localhost:7000", "localhost:7000", 0),
            ("REDIS://localhost", "localhost:6379", 0),
            ("valkey://localhost:7000/3", "localhost:7000", 3),
            ("redis://:p%2Fw@localhost/15", "localhost:6379", 15),
            ("redis://me:pw@[::1]:7000/", "::1:7000", 0),
            ("redis://localhost/?protocol=resp2", "localhost:6379", 0),
        ];
        for (url, address, database) in cases {
            let server = Server::new(&RedisConfig::new(url)).unwrap();
            let settings = server.client.get_connection_info().redis_settings();
            assert_eq!((&*server.address, settings.db()), (address, database), "{url}");
            assert_eq!(settings.protocol(), ProtocolVersion::RESP3, "{url}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let server = Server::new(&RedisConfig::new("redis://m%40e:p%2Fw@localhost")).unwrap();
        let settings = server.client.get_connection_info().redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("m@e"), Some("p/w")));
    }

    #[test]
    fn wrong_urls_are_refused_without_repeating_them() {
        let cases = [
            ("", ConfigError::Scheme),
            ("hunter2", ConfigError::Scheme),
            ("me:hunter2@localhost", ConfigError::Scheme),
            ("http://hunter2", ConfigError::Scheme),
            ("unix:///hunter2", ConfigError::Scheme),
            ("rediss://:hunter2@localhost", ConfigError::Tls),
            ("redis://", ConfigError::Host),
            ("redis://:hunter2/x@localhost", ConfigError::Url),
            ("redis://localhost:hunter2", ConfigError::Url),
            ("redis://localhost:70000", ConfigError::Url),
            ("redis://localhost/hunter2", ConfigError::Database),
            ("redis://localhost/-1", ConfigError::Database),
            ("redis://:%FFhunter2@localhost", ConfigError::Url),
        ];
        for (url, expected) in cases {
            let error =
                Server::new(&RedisConfig::new(url)).err().unwrap_or_else(|| panic!("{url} is accepted"));
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_hides_the_url() {
        let config = RedisConfig::new("redis://me:hunter2@localhost");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_prefix_goes_on_and_comes_off() {
        let config = RedisConfig { prefix: "stage:".into(), ..RedisConfig::new("redis://localhost") };
        let server = Server::new(&config).unwrap();
        assert_eq!(server.channel("bot:42"), b"stage:bot:42");
        assert_eq!(server.topic(b"stage:bot:42"), Some("bot:42"));
        assert_eq!(server.topic(b"bot:42"), None);
        assert_eq!(server.topic(b"stage:\xff"), None);
    }
}
