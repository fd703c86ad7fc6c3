//! Every key of the configuration, once: [`KEYS`].

use std::{collections::BTreeMap, fmt::Write};

use stentor_auth::Algorithm;

use super::{
    AuthConfig, ByteSize, Config, Period,
    setting::{Setting, Written, assign, within},
};

/// One key: where it belongs, what it may be and what it means.
pub(super) struct Key {
    /// Its tables and its name, with dots between.
    pub(super) path: &'static str,
    /// Sets the field, or says why not.
    pub(super) set: fn(&mut Config, Written<'_>) -> Result<(), String>,
    /// What the field holds, as one would write it.
    show: fn(&mut Config) -> String,
    /// What is allowed, for the table.
    allowed: fn() -> String,
    doc: &'static str,
}

impl Key {
    /// The name of its variable in the environment.
    pub(super) fn variable(&self) -> String {
        variable(self.path)
    }

    /// The table it stands in, empty at the top.
    fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(table, _)| table)
    }
}

/// The name of a key's variable in the environment.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether keys stand below this path.
pub(super) fn is_table(path: &str) -> bool {
    tables().contains(&path)
}

/// Whether the key is a map, whose entries the operator names.
pub(super) fn is_map(path: &str) -> bool {
    path == "auth.roles"
}

/// Whether the value must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    matches!(path, "auth.jwt.secret" | "broker.url")
}

/// The key or table that was most likely meant by a path that names none.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit_once('.').map_or(path, |(_, last)| last);
    let wanted_last = path.rsplit_once('.').map_or(path, |(_, last)| last);
    let score = |known: &'static str| {
        // A key in the wrong table is nearly as near as a key with a typing error.
        let whole = strsim::normalized_damerau_levenshtein(path, known);
        whole.max(0.95 * strsim::normalized_damerau_levenshtein(wanted_last, last(known)))
    };
    let known = KEYS.iter().map(|key| key.path).chain(tables());
    let best = known.map(|known| (score(known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score >= NEAR).map(|(_, known)| known)
}

/// Every key with its default, range and meaning, as the text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut table = None;
    for key in KEYS {
        if table != Some(key.table()) {
            table = Some(key.table());
            let heading = if key.table().is_empty() { "Top level" } else { &format!("`[{}]`", key.table()) };
            _ = write!(text, "\n## {heading}\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n");
        }
        let name = key.path.rsplit_once('.').map_or(key.path, |(_, name)| name);
        let default = match (key.show)(&mut Config::default()) {
            default if default.is_empty() => "none".to_owned(),
            default => format!("`{default}`"),
        };
        _ = writeln!(text, "| `{name}` | {default} | {} | {} |", (key.allowed)(), key.doc);
    }
    text
}

fn tables() -> Vec<&'static str> {
    let mut tables: Vec<&str> = KEYS.iter().map(Key::table).filter(|table| !table.is_empty()).collect();
    tables.dedup();
    tables
}

/// A row: path, field, then `in` a range or `if` a check accepts it, meaning.
macro_rules! key {
    ($path:literal, |$config:ident| $field:expr, in $range:expr, $doc:literal) => {
        Key {
            path: $path,
            set: |$config, written| assign(&mut $field, written, |value| within(value, &$range)),
            show: |$config| Setting::show(&$field),
            allowed: || format!("{} to {}", $range.start(), $range.end()),
            doc: $doc,
        }
    };
    ($path:literal, |$config:ident| $field:expr, if $check:expr, $doc:literal) => {
        Key {
            path: $path,
            set: |$config, written| assign(&mut $field, written, $check),
            show: |$config| Setting::show(&$field),
            allowed: || kind(|$config| &mut $field).to_owned(),
            doc: $doc,
        }
    };
}

fn kind<T: Setting>(_field: impl FnOnce(&mut Config) -> &mut T) -> &'static str {
    T::KIND
}

fn anything<T>(_value: &T) -> Result<(), String> {
    Ok(())
}

fn address(listen: &str) -> Result<(), String> {
    let port = listen.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!("\"{listen}\" is not host:port, such as \"127.0.0.1:4000\"")),
    }
}

/// Each as browsers send it, or the comparison with what they send would never hold.
fn origins(list: &[String]) -> Result<(), String> {
    for origin in list.iter().filter(|origin| *origin != "*") {
        let lower = origin.to_lowercase();
        let (scheme, host) = lower
            .split_once("://")
            .filter(|(scheme, host)| !scheme.is_empty() && !host.is_empty())
            .ok_or_else(|| format!("\"{origin}\" is not an origin, such as \"https://app.example.com\""))?;
        let host = host.trim_end_matches('/');
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let sent = format!("{scheme}://{}", host.strip_suffix(default_port).unwrap_or(host));
        if host.contains('/') {
            return Err(format!("\"{origin}\" is not an origin: it has a path"));
        }
        if sent != *origin {
            return Err(format!("\"{origin}\" is not an origin as browsers send it: \"{sent}\""));
        }
    }
    Ok(())
}

/// A prefix with a glob in it would make every topic look like a pattern.
fn prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > MAX_PREFIX_BYTES {
        return Err(format!("the prefix is longer than {MAX_PREFIX_BYTES} bytes"));
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || "*?[]\\".contains(c);
    match prefix.chars().find(|c| bad(*c)) {
        Some(c) => Err(format!("the prefix must not contain {c:?}")),
        None => Ok(()),
    }
}

/// Scopes are words of the `scope` claim, so they have no white space.
fn role_scopes(roles: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
    for (role, scopes) in roles {
        let name = role
            .rsplit_once('/')
            .map_or(role.as_str(), |(client, name)| if client.is_empty() { "" } else { name });
        if name.is_empty() {
            return Err(format!("\"{role}\" is neither ROLE nor CLIENT/ROLE"));
        }
        if scopes.is_empty() {
            return Err(format!("the role \"{role}\" brings no scope; list some, or leave it out"));
        }
        if let Some(scope) =
            scopes.iter().find(|scope| scope.is_empty() || scope.contains(char::is_whitespace))
        {
            return Err(format!("\"{scope}\" of the role \"{role}\" is not a scope, such as \"bot:view\""));
        }
    }
    Ok(())
}

fn algorithms(list: &[Algorithm]) -> Result<(), String> {
    if list.is_empty() {
        return Err(
            "without an algorithm no token could be accepted; name some, or leave the key out".to_owned()
        );
    }
    Ok(())
}

fn auth(config: &mut Config) -> &mut AuthConfig {
    config.auth.get_or_insert_default()
}

/// What every name of a variable begins with.
pub(super) const PREFIX: &str = "STENTOR_";
const MAX_PREFIX_BYTES: usize = 64;
/// Between 0, nothing in common, and 1: a letter wrong or missing in a short name is near, another word is not.
const NEAR: f64 = 0.6;

/// In the order of the documentation; the keys of a table stand together.
pub(super) static KEYS: &[Key] = &[
    key!("listen", |c| c.listen, if |listen| address(listen),
        "`host:port` to listen on. A host of `0.0.0.0` or `[::]` is every address of the machine; a port of 0 is any free one."),
    key!("schema", |c| c.schema, if anything,
        "The schema file. In the file, and by default, relative to the file's folder; in the environment to the working directory."),
    key!("allowed_origins", |c| c.allowed_origins, if |list| origins(list),
        "Origins of the browser pages that may connect, for WebSocket and CORS. None: pages of the same host name on any port, where all names of this machine's loopback are the same. `*`: every page."),
    key!("introspection", |c| c.introspection, if anything,
        "Whether `__schema` and `__type` are answered."),
    key!("graphiql", |c| c.graphiql, if anything,
        "Whether a browser that opens `/graphql` is shown GraphiQL. None: while the server listens on a loopback address, so `false` belongs in the configuration of one behind a proxy on the same machine. A router within another program shows it only with `true`, unless that program lets `Stentor` serve it."),
    key!("broker.url", |c| c.broker.url, if anything,
        "The Redis or Valkey server: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://…` over TLS. None: the memory of this process, which no other can publish to."),
    key!("broker.ca_file", |c| c.broker.ca_file, if anything,
        "For `rediss://`: a PEM file with the certificates that may vouch for the server. None: those that the system trusts. Relative as `schema` is."),
    key!("broker.prefix", |c| c.broker.prefix, if |text| prefix(text),
        "Put before every topic and hash key, so that several installations can share a server."),
    key!("broker.required", |c| c.broker.required, if anything,
        "Whether the server must be there: no start without it, and no [fallback to memory](operations.md#failover)."),
    key!("broker.fallback_after", |c| c.broker.fallback_after, in Period::millis(100)..=Period::hours(1),
        "How long the server must be away before this node's memory takes over."),
    key!("broker.hash_poll", |c| c.broker.hash_poll, in Period::millis(50)..=Period::minutes(1),
        "How often a [hash](operations.md#hashes) is read, once for each key that somebody subscribes to, where the server does not announce changes. Where it does, 20 times as seldom."),
    key!("auth.tenant_claim", |c| auth(c).tenant_claim, if anything,
        "The claim that names the tenant, or the list of tenants, for `@tenant`."),
    key!("auth.anonymous", |c| auth(c).anonymous, if anything,
        "Whether a connection without a token is let in, for `@public` fields. A wrong token is refused in any case."),
    key!("auth.roles", |c| auth(c).roles, if role_scopes,
        "Scopes that a role brings, as if they stood in the token's `scope`. A name is a realm role (`realm_access.roles`), `CLIENT/ROLE` a client's (`resource_access`). In the environment `trader=bot:view trade:view; dashboard/operator=runner:view`."),
    key!("auth.jwt.secret", |c| auth(c).jwt.secret, if anything,
        "The secret that tokens are signed with, HS256; 32 bytes or more. Every `[auth]` needs this, `jwks_url` or `issuer`."),
    key!("auth.jwt.jwks_url", |c| auth(c).jwt.jwks_url, if anything,
        "Where the public keys are that tokens are signed with, as a JSON Web Key Set. `https://`, or `http://` on this machine. Not together with `secret`."),
    key!("auth.jwt.issuer", |c| auth(c).jwt.issuer, if anything,
        "What the token's `iss` must be, letter for letter. Without `secret` and `jwks_url` it is also the OpenID provider whose `/.well-known/openid-configuration` names the keys, a Keycloak realm say. None: `iss` is not looked at."),
    key!("auth.jwt.algorithms", |c| auth(c).jwt.algorithms, if |list| algorithms(list),
        "How tokens may be signed that are checked with public keys. With a `secret` it is always HS256."),
    key!("auth.jwt.audience", |c| auth(c).jwt.audience, if anything,
        "One of these must be in the token's `aud`. None: `aud` is not looked at."),
    key!("auth.jwt.refresh_interval", |c| auth(c).jwt.refresh_interval, in Period::seconds(15)..=Period::hours(24),
        "Longest time between two fetches of the public keys, and so the time for which a key still works that the provider has withdrawn. A shorter `Cache-Control: max-age` of the provider is heeded down to 1 min. A new key is found at once."),
    key!("auth.jwt.ca_file", |c| auth(c).jwt.ca_file, if anything,
        "Certificates (PEM) to trust beside the system's where keys are fetched. In the file relative to the file's folder."),
    key!("auth.jwt.dangerously_allow_http", |c| auth(c).jwt.dangerously_allow_http, if anything,
        "Whether public keys may be fetched over `http://` from another machine. Whoever sits on the way can then sign tokens for everybody."),
    key!("limits.message_bytes", |c| c.limits.message_bytes, in ByteSize::kib(1)..=ByteSize::mib(16),
        "Longest WebSocket message and HTTP body. Longer: closed with 1009; HTTP 413."),
    key!("limits.connections", |c| c.limits.connections, in 1..=10_000_000,
        "WebSocket connections of this node. More: closed with 1013."),
    key!("limits.subscriptions_per_connection", |c| c.limits.subscriptions_per_connection, in 1..=100_000,
        "Operations that run at one time on a connection. More: an `error` for that operation."),
    key!("limits.init_timeout", |c| c.limits.init_timeout, in Period::millis(100)..=Period::minutes(5),
        "Time to `connection_init`. Later: closed with 4408."),
    key!("limits.operation_depth", |c| c.limits.operation_depth, in 1..=100,
        "How deep selections may nest."),
    key!("limits.aliases", |c| c.limits.aliases, in 0..=10_000,
        "Aliases in an operation, fragments counted where they are used."),
    key!("limits.root_fields", |c| c.limits.root_fields, in 1..=1_000,
        "Root fields in a query or mutation."),
    key!("limits.operation_tokens", |c| c.limits.operation_tokens, in 10..=1_000_000,
        "Tokens in a document. White space between two of them, and a comment, count as one each."),
    key!("limits.mailbox_events", |c| c.limits.mailbox_events, in 1..=100_000,
        "Events that may wait for a subscription, unless `@delivery(buffer)` says otherwise. More: as `@delivery(overflow)` says, and the subscriber is told."),
    key!("limits.mailbox_bytes", |c| c.limits.mailbox_bytes, in ByteSize::kib(1)..=ByteSize::gib(1),
        "Bytes that may wait for a subscription; overflow as for events. Subscribers of the same audience share the bytes in memory."),
    key!("limits.connection_bytes", |c| c.limits.connection_bytes, in ByteSize::kib(1)..=ByteSize::gib(4),
        "Bytes that may wait for all subscriptions of a connection; overflow as for one."),
    key!("limits.queue_events", |c| c.limits.queue_events, in 1..=100_000_000,
        "Events that have arrived at the node and wait to be executed. More: dropped, and every subscriber of the topic is told."),
    key!("limits.queue_bytes", |c| c.limits.queue_bytes, in ByteSize::kib(64)..=ByteSize::gib(64),
        "Bytes of the events that have arrived and wait; overflow as for their number."),
    key!("limits.topic_queue_events", |c| c.limits.topic_queue_events, in 1..=100_000_000,
        "Events of one topic that have arrived and wait; overflow as for all."),
    key!("limits.loads", |c| c.limits.loads, in 1..=100_000,
        "Loads after events in flight, a sixteenth of them at most for the same group of subscribers. More: they wait."),
    key!("limits.load_queue", |c| c.limits.load_queue, in 1..=100_000,
        "Events that wait for their values, for each group of subscribers that receives the same. More: dropped, and the group is told."),
    key!("limits.load_timeout", |c| c.limits.load_timeout, in Period::millis(10)..=Period::hours(1),
        "Time for a load. Longer: an error in place of the value."),
    key!("limits.http_connections", |c| c.limits.http_connections, in 1..=10_000_000,
        "Sockets that are not, or not yet, WebSockets. More: 503."),
    key!("limits.http_body_bytes", |c| c.limits.http_body_bytes, in ByteSize::kib(1)..=ByteSize::gib(4),
        "Bytes of all HTTP bodies that are on their way in. More: 503. Not less than `message_bytes`."),
    key!("limits.http_requests", |c| c.limits.http_requests, in 1..=1_000_000,
        "HTTP requests whose body is there and that are worked on, and as many queries and mutations over WebSocket. More: 503, or an error. As many subscriptions may ask the program's guards at one time; more wait for their turn."),
    key!("limits.request_timeout", |c| c.limits.request_timeout, in Period::millis(100)..=Period::hours(1),
        "Time for the body of an HTTP request to arrive, then 408; and again for its answer, then 504, or for a query or mutation over WebSocket, or for the guards of a subscription."),
    key!("limits.stall_timeout", |c| c.limits.stall_timeout, in Period::seconds(1)..=Period::hours(24),
        "How long a client may refuse to read what waits for it. Longer: the connection is dropped."),
    key!("websocket.ping_interval", |c| c.websocket.ping_interval, in Period::millis(100)..=Period::hours(1),
        "How long a connection may be silent before the server pings."),
    key!("websocket.pong_timeout", |c| c.websocket.pong_timeout, in Period::millis(100)..=Period::hours(1),
        "How long the pong may take. Longer: the connection is dropped."),
    key!("shutdown.window", |c| c.shutdown.window, in Period::seconds(0)..=Period::minutes(10),
        "The time over which a stopping node closes its connections with 1012, so that the clients do not all return at once."),
    key!("shutdown.timeout", |c| c.shutdown.timeout, in Period::seconds(0)..=Period::hours(1),
        "The time after which a stopping node ends, whatever is still open. Not shorter than the window."),
    key!("log.format", |c| c.log.format, if anything,
        "How a line looks."),
    key!("log.level", |c| c.log.level, if anything,
        "The least important lines that are written."),
];

const INTRODUCTION: &str = r#"# Configuration

`stentor serve --config stentor.toml` reads a [TOML](https://toml.io) file. Every key can also stand in the environment:
`STENTOR_`, then the key in capitals, with two underscores between tables and key: `STENTOR_LISTEN`,
`STENTOR_BROKER__URL`, `STENTOR_AUTH__JWT__SECRET`. The environment wins. A variable's value is text, and takes the type of
its key; lists have commas between their items, and a table of roles has the form that is shown beside it; where a key has no default, the empty value is none.

A key that is not known is refused, with the nearest one that is; so is a value outside its range. `stentor check` tells
every mistake without starting. Lengths of time have a unit, `ms`, `s`, `m`, `h` or `d`; sizes have `B`, `KiB`, `MiB` or `GiB`.

```toml
listen = "127.0.0.1:4000"
schema = "schema.graphql"

[broker]
url = "redis://127.0.0.1:6379"

[auth]
tenant_claim = "tenant_id"

[auth.jwt]
issuer = "https://id.example.com/realms/main"
audience = "stentor"

[auth.roles]
trader = ["bot:view", "trade:view"]
"dashboard/operator" = ["runner:view"]
```

Without an `[auth]` everyone is anonymous, and a schema that asks who somebody is does not start. Variables named as
Kubernetes names them for a service called `stentor`, such as `STENTOR_SERVICE_HOST` and `STENTOR_PORT`, are passed over.
"#;
