//! Which server, and how it is spoken to: [`RedisConfig`].

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};

/// How a [`RedisBroker`](crate::RedisBroker) reaches its server.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user[:password]@]host[:port][/database]`, or the same with `valkey://`; with `rediss://` or `valkeys://`
    /// over TLS. Never shown or logged.
    pub url: String,
    /// For TLS: a PEM file with the certificates of those who may vouch for the server, instead of the system's own.
    pub ca_file: Option<PathBuf>,
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
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file with the certificates cannot be used.
    #[error("the CA file {} cannot be used: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file with certificates, but no TLS.
    #[error(
        "a CA file is of no use without TLS; begin the broker's URL with `rediss://`, or leave the file out"
    )]
    CaFileWithoutTls,
    /// What follows the host is not a database number.
    #[error("what follows the host in the broker's URL is not a database number; {EXAMPLE}")]
    Database,
    /// No host, or one that nobody can connect to.
    #[error("the broker's URL names no host to connect to; {EXAMPLE}")]
    Host,
    /// `#insecure`, or another fragment.
    #[error(
        "the broker's URL has a fragment (`#`); certificates are always checked, with a CA file of your own if need be"
    )]
    Fragment,
    /// None of the four that are known.
    #[error(
        "the broker's URL does not begin with `redis://`, `rediss://`, `valkey://` or `valkeys://`; {EXAMPLE}"
    )]
    Scheme,
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
            ca_file: None,
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
            .field("ca_file", &self.ca_file)
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
        if url.fragment().is_some() {
            return Err(ConfigError::Fragment);
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(ConfigError::Database);
        }
        let connection = url.into_connection_info().map_err(|_| ConfigError::Url)?;
        let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = connection.addr()
        else {
            return Err(ConfigError::Scheme);
        };
        let address = format!("{host}:{port}");
        let tls = matches!(connection.addr(), ConnectionAddr::TcpTls { .. });
        let settings: RedisConnectionInfo = connection.redis_settings().clone();
        // RESP3: messages and replies share a connection, and messages can be taken from its reader.
        let connection = connection.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        if tls {
            provide_cryptography();
        }
        let client = match &config.ca_file {
            None => Client::open(connection).map_err(|_| ConfigError::Url)?,
            Some(path) if tls => client_with_ca(connection, path)?,
            Some(_) => return Err(ConfigError::CaFileWithoutTls),
        };
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
        Some("redis" | "rediss" | "valkey" | "valkeys") => Ok(()),
        Some(_) | None => Err(ConfigError::Scheme),
    }
}

/// Chooses the cryptography of this process, unless the program around has done so: the redis client brings none.
fn provide_cryptography() {
    // An error is the choice of another, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn client_with_ca(connection: ConnectionInfo, path: &Path) -> Result<Client, ConfigError> {
    let unusable = |reason: String| ConfigError::CaFile { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if !pem.windows(PEM_BEGIN.len()).any(|bytes| bytes == PEM_BEGIN) {
        return Err(unusable("it holds no certificate in PEM form".into()));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    Client::build_with_tls(connection, certificates).map_err(|error| unusable(error.to_string()))
}

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

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
            ("rediss://localhost:7000/3", "localhost:7000", 3),
            ("valkeys://me:pw@localhost", "localhost:6379", 0),
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
            ("rediss://:hunter2@localhost/#insecure", ConfigError::Fragment),
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
    fn a_ca_file_that_cannot_be_used_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let begin = std::str::from_utf8(PEM_BEGIN).unwrap();
        let broken = format!("{begin}\nnot base64 !\n-----END CERTIFICATE-----\n");
        let files = [folder.path().join("none.pem"), file("text.pem", "hello"), file("broken.pem", &broken)];
        for path in files {
            let config =
                RedisConfig { ca_file: Some(path.clone()), ..RedisConfig::new("rediss://localhost") };
            let error = config.check().unwrap_err();
            assert!(matches!(error, ConfigError::CaFile { .. }), "{error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            let plain = RedisConfig { url: "redis://localhost".into(), ..config };
            assert_eq!(plain.check(), Err(ConfigError::CaFileWithoutTls));
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
