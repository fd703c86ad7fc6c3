//! Which server, and how it is spoken to: [`RedisConfig`].

use std::{fmt, time::Duration};

use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

/// How a [`RedisBroker`](crate::RedisBroker) reaches its server.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user[:password]@]host[:port][/database]`, or the same with `valkey://`. Never shown or logged.
    pub url: String,
    /// What is put before every topic to make its channel's name, and before every key of a hash. Nobody but the server
    /// sees it.
    pub prefix: String,
    /// How many publishes, writes and reads may wait for the server's answer at one time, each with a copy of what it
    /// sends (1,024 unless set). One more is refused at once.
    pub max_commands_in_flight: usize,
    /// How often a watched hash is read where the server does not announce changes (every 500 ms unless set). Where it
    /// does, [`HASH_SAFETY_POLLS`] times as seldom.
    pub hash_poll: Duration,
}

/// How many polls pass until every watched hash is read once, also where the server announces changes, and until the
/// server is asked again whether it does.
pub const HASH_SAFETY_POLLS: u32 = 20;

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

/// A server's address, and the way from topics and keys to channels.
pub(super) struct Server {
    pub(super) client: Client,
    /// Host and port, for people.
    pub(super) address: String,
    pub(super) prefix: String,
}

impl RedisConfig {
    /// The server at `url`, with no prefix and the usual limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: String::new(),
            max_commands_in_flight: 1024,
            hash_poll: Duration::from_millis(500),
        }
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
            .field("max_commands_in_flight", &self.max_commands_in_flight)
            .field("hash_poll", &self.hash_poll)
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

    /// Where a topic's events are published.
    pub(super) fn channel(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Where a hash is kept.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Where the server announces what changes at a hash's key, if it announces such things.
    pub(super) fn key_channel(&self, key: &str) -> String {
        let database = self.client.get_connection_info().redis_settings().db();
        format!("__keyspace@{database}__:{}{key}", self.prefix)
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
    fn a_prefix_goes_before_topics_and_keys() {
        let config = RedisConfig { prefix: "stage:".into(), ..RedisConfig::new("redis://localhost/3") };
        let server = Server::new(&config).unwrap();
        assert_eq!(server.channel("bot:42"), "stage:bot:42");
        assert_eq!(server.key("progress:1"), "stage:progress:1");
        assert_eq!(server.key_channel("progress:1"), "__keyspace@3__:stage:progress:1");
    }
}
