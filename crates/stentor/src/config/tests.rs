//! Files and environments, and what comes of them.

mod auth;

use std::{fmt::Debug, fs, path::PathBuf};

use super::{
    keys::{KEYS, variable},
    *,
};

#[test]
fn without_a_file_and_variables_the_defaults_stand() {
    assert_eq!(Config::load(None, env(&[])), Ok(Config::default()));
}

#[test]
fn every_default_is_allowed() {
    let text: String =
        KEYS.iter().filter(|key| !key.path.starts_with("auth.")).map(|key| line(key.path)).collect();
    let loaded = load(&text, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Config { schema: Config::default().schema, ..loaded }, Config::default());
}

#[test]
fn a_file_sets_every_kind_of_key() {
    let config = load(
        r#"
        listen = "0.0.0.0:80"
        schema = "graphs/s.graphql"
        allowed_origins = ["https://app.example.com", "http://localhost:5173"]
        introspection = false
        graphiql = true
        [broker]
        url = "rediss://ann:hunter2@redis.internal:6379/3"
        ca_file = "certificates/ca.pem"
        prefix = "prod:"
        required = true
        fallback_after = "5s"
        hash_poll = "100ms"
        [auth]
        tenant_claim = "tenant_id"
        anonymous = true
        jwt = { secret = "0123", audience = "stentor", issuer = "https://id.example" }
        [limits]
        message_bytes = "64KiB"
        connections = 1_000
        init_timeout = "1500ms"
        [websocket]
        ping_interval = "1m"
        [shutdown]
        window = "0s"
        [log]
        format = "json"
        level = "debug"
        "#,
        &[],
    )
    .expect("a good file");
    let limits = LimitsConfig {
        message_bytes: ByteSize::kib(64),
        connections: 1_000,
        init_timeout: Period::millis(1_500),
        ..LimitsConfig::default()
    };
    let jwt = AuthJwtConfig {
        secret: Secret::from("0123".to_owned()),
        audience: vec!["stentor".into()],
        issuer: Some("https://id.example".into()),
        ..AuthJwtConfig::default()
    };
    let url = BrokerUrl::new("rediss://ann:hunter2@redis.internal:6379/3").expect("a good address");
    let expected = Config {
        listen: "0.0.0.0:80".into(),
        schema: config.schema.clone(),
        allowed_origins: vec!["https://app.example.com".into(), "http://localhost:5173".into()],
        introspection: false,
        graphiql: Some(true),
        broker: BrokerConfig {
            url: Some(url),
            ca_file: config.broker.ca_file.clone(),
            prefix: "prod:".into(),
            required: true,
            fallback_after: Period::seconds(5),
            hash_poll: Period::millis(100),
        },
        auth: Some(AuthConfig {
            tenant_claim: Some("tenant_id".into()),
            anonymous: true,
            jwt,
            ..AuthConfig::default()
        }),
        limits,
        websocket: WebSocketConfig { ping_interval: Period::minutes(1), ..WebSocketConfig::default() },
        shutdown: ShutdownConfig { window: Period::seconds(0), ..ShutdownConfig::default() },
        log: LogConfig { format: LogFormat::Json, level: LogLevel::Debug },
    };
    assert_eq!(config, expected);
}

#[test]
fn a_variable_is_text_until_its_key_gives_it_a_type() {
    let with = |name: &str, value: &str| {
        let variables = [(name, value), ("STENTOR_AUTH__JWT__SECRET", "s")];
        let variables = if name.ends_with("SECRET") { &variables[..1] } else { &variables[..] };
        Config::load(None, env(variables)).unwrap_or_else(|error| panic!("{error}"))
    };
    let secret =
        with("STENTOR_AUTH__JWT__SECRET", "0123").auth.map(|auth| auth.jwt.secret.expose().to_owned());
    assert_eq!(secret.as_deref(), Some("0123"));
    assert_eq!(with("STENTOR_LISTEN", "[::1]:0").listen, "[::1]:0");
    assert_eq!(with("STENTOR_BROKER__PREFIX", "true").broker.prefix, "true");
    assert!(with("STENTOR_AUTH__ANONYMOUS", "true").auth.is_some_and(|auth| auth.anonymous));
    assert_eq!(with("STENTOR_LIMITS__CONNECTIONS", "12").limits.connections, 12);
    assert_eq!(with("STENTOR_LIMITS__QUEUE_BYTES", "1GiB").limits.queue_bytes, ByteSize::gib(1));
    assert_eq!(with("STENTOR_WEBSOCKET__PING_INTERVAL", "1s").websocket.ping_interval, Period::seconds(1));
    assert_eq!(
        with("STENTOR_ALLOWED_ORIGINS", "http://a, http://b,").allowed_origins,
        ["http://a", "http://b"]
    );
    assert_eq!(with("STENTOR_ALLOWED_ORIGINS", "").allowed_origins, [""; 0]);
}

#[test]
fn the_environment_wins_and_can_take_back() {
    let file = "listen = \"127.0.0.1:1\"\n[broker]\nurl = \"redis://a\"\n[auth]\ntenant_claim = \"t\"\njwt.secret = \"s\"";
    let variables =
        [("STENTOR_LISTEN", "127.0.0.1:2"), ("STENTOR_BROKER__URL", ""), ("STENTOR_AUTH__TENANT_CLAIM", "")];
    let config = load(file, &variables).expect("good");
    assert_eq!(config.listen, "127.0.0.1:2");
    assert_eq!(config.broker.url, None);
    assert_eq!(config.auth.and_then(|auth| auth.tenant_claim), None);
}

#[test]
fn a_ca_file_in_the_file_is_in_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stentor.toml");
    fs::write(&path, "[broker]\nurl = \"valkeys://h\"\nca_file = \"a/ca.pem\"").expect("a writable folder");
    let config = Config::load(Some(&path), env(&[])).expect("good");
    assert_eq!(config.broker.ca_file, Some(folder.path().join("a/ca.pem")));
}

#[test]
fn a_schema_in_the_file_is_in_its_folder_and_one_in_the_environment_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stentor.toml");
    let schema = |text: &str, variables: &[(&str, &str)]| {
        fs::write(&path, text).expect("written");
        Config::load(Some(&path), env(variables)).expect("good").schema
    };
    assert_eq!(schema("schema = \"a/b.graphql\"", &[]), folder.path().join("a/b.graphql"));
    assert_eq!(schema("", &[]), folder.path().join("schema.graphql"));
    assert_eq!(schema("schema = \"/etc/s.graphql\"", &[]), PathBuf::from("/etc/s.graphql"));
    assert_eq!(schema("", &[("STENTOR_SCHEMA", "c.graphql")]), PathBuf::from("c.graphql"));
}

#[test]
fn a_mistake_in_the_file_is_pointed_at() {
    let rows = [
        (
            "listen = \"a:1\"\nlisten2 = 1",
            "error: `listen2` is not known\n --> stentor.toml:2:1\n  |\n2 | listen2\n  | ^^^^^^^\n  = help: did you mean `listen`?",
        ),
        (
            "[limit]\nconnections = 1",
            "error: `limit` is not known\n --> stentor.toml:1:2\n  |\n1 | [limit\n  |  ^^^^^\n  = help: did you mean the table `limits`?",
        ),
        (
            "ping_interval = \"1s\"",
            "error: `ping_interval` is not known\n --> stentor.toml:1:1\n  |\n1 | ping_interval\n  | ^^^^^^^^^^^^^\n  = help: did you mean `websocket.ping_interval`?",
        ),
        (
            "[broker]\nurll = \"redis://u:hunter2@h\"",
            "error: `broker.urll` is not known\n --> stentor.toml:2:1\n  |\n2 | urll\n  | ^^^^\n  = help: did you mean `broker.url`?",
        ),
        ("colour = 1", "error: `colour` is not known\n --> stentor.toml:1:1\n  |\n1 | colour\n  | ^^^^^^"),
        (
            "limits = 3",
            "error: `limits` is a table of keys, not a value\n --> stentor.toml:1:1\n  |\n1 | limits\n  | ^^^^^^\n  = help: write [limits] on a line of its own, and its keys below",
        ),
        (
            "[limits]\nconnections = 0",
            "error: `limits.connections`: 0 is out of range: 1 to 10000000\n --> stentor.toml:2:15\n  |\n2 | connections = 0\n  |               ^",
        ),
        (
            "[limits]\nconnections = \"9\"",
            "error: `limits.connections`: a text stands where a whole number is expected\n --> stentor.toml:2:15\n  |\n2 | connections = \"9\"\n  |               ^^^",
        ),
        (
            "limits.init_timeout = 3",
            "error: `limits.init_timeout`: a whole number stands where a length of time such as \"30s\" is expected\n --> stentor.toml:1:23\n  |\n1 | limits.init_timeout = 3\n  |                       ^",
        ),
        (
            "limits.init_timeout = \"3\"",
            "error: `limits.init_timeout`: \"3\" needs one of the units ms, s, m, h, d\n --> stentor.toml:1:23\n  |\n1 | limits.init_timeout = \"3\"\n  |                       ^^^",
        ),
        (
            "log.format = \"xml\"",
            "error: `log.format`: \"xml\" is not known: text or json\n --> stentor.toml:1:14\n  |\n1 | log.format = \"xml\"\n  |              ^^^^^",
        ),
        (
            "listen = \n",
            "error: string values must be quoted, expected literal string\n --> stentor.toml:1:10\n  |\n1 | listen = \n  |          ^",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(refusal(text, &[]), expected, "{text}");
    }
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let rows = [
        (
            "STENTOR_BROKER_URL",
            "redis://h",
            "error: `STENTOR_BROKER_URL` is not known\n --> STENTOR_BROKER_URL in the environment\n  = help: did you mean `STENTOR_BROKER__URL`?",
        ),
        (
            "STENTOR_listen",
            "a:1",
            "error: `STENTOR_listen` is not known\n --> STENTOR_listen in the environment\n  = help: did you mean `STENTOR_LISTEN`?",
        ),
        ("STENTOR_PORT", "4000", "error: `STENTOR_PORT` is not known\n --> STENTOR_PORT in the environment"),
        (
            "STENTOR_LIMITS__ALIASES",
            "many",
            "error: `limits.aliases`: \"many\" is not a whole number\n --> STENTOR_LIMITS__ALIASES in the environment",
        ),
        (
            "STENTOR_INTROSPECTION",
            "yes",
            "error: `introspection`: \"yes\" is neither true nor false\n --> STENTOR_INTROSPECTION in the environment",
        ),
        ("STENTOR_SCHEMA", "", "error: `schema`: the path is empty\n --> STENTOR_SCHEMA in the environment"),
    ];
    for (name, value, expected) in rows {
        assert_eq!(refusal("", &[(name, value)]), expected, "{name}={value}");
    }
}

#[test]
fn values_that_could_not_work_are_refused_with_the_reason() {
    let rows = [
        ("listen = \"4000\"", "\"4000\" is not host:port"),
        ("listen = \":4000\"", "is not host:port"),
        ("listen = \"localhost:99999\"", "is not host:port"),
        ("allowed_origins = \"app.example.com\"", "is not an origin, such as"),
        ("allowed_origins = [\"https://app.example.com/page\"]", "it has a path"),
        (
            "allowed_origins = [\"https://App.example.com/\"]",
            "as browsers send it: \"https://app.example.com\"",
        ),
        ("allowed_origins = [\"https://a.example:443\"]", "as browsers send it: \"https://a.example\""),
        ("allowed_origins = [1]", "a whole number stands where a text is expected"),
        ("broker.prefix = \"a*\"", "the prefix must not contain '*'"),
        ("broker.url = \"http://h\"", "must begin with redis:// or rediss://"),
        ("broker.url = \"localhost:6379\"", "has no scheme"),
        ("broker.url = \"redis://:pw@:6379\"", "names no host"),
        ("broker.required = true", "needs a `broker.url`"),
        ("broker.ca_file = \"ca.pem\"", "needs a `broker.url` that begins with `rediss://`"),
        ("broker = { ca_file = \"ca.pem\", url = \"redis://h\" }", "that begins with `rediss://`"),
        ("limits.connections = -1", "is not a whole number from 0"),
        ("limits.mailbox_bytes = \"16MiB\"", "must not be more than `limits.connection_bytes`"),
        ("limits.connection_bytes = \"512KiB\"", "must not be more than `limits.connection_bytes`"),
        ("limits.http_body_bytes = \"128KiB\"", "must not be more than `limits.http_body_bytes`"),
        ("limits.queue_events = 100", "must not be more than `limits.queue_events`"),
        ("shutdown.timeout = \"1s\"", "must not be longer than `shutdown.timeout`"),
        ("limits.message_bytes = \"1.5MiB\"", "is not a number of bytes"),
        ("limits.message_bytes = \"256KB\"", "needs one of the units B, KiB, MiB, GiB"),
        ("limits.message_bytes = \"99999999999999999999GiB\"", "is too large"),
    ];
    for (text, expected) in rows {
        let message = refusal(text, &[]);
        assert!(message.contains(expected), "{text}\n{message}");
        assert!(message.contains("--> stentor.toml:"), "{text}\n{message}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let message = refusal("a = 1\nb = 2", &[("STENTOR_C", "3")]);
    assert_eq!(message.matches("error: ").count(), 3, "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/stentor.toml")), env(&[])).expect_err("no such file");
    assert!(error.to_string().starts_with("error: cannot read /nowhere/stentor.toml: "), "{error}");
}

#[test]
fn variables_that_kubernetes_sets_are_passed_over() {
    let variables = [
        ("STENTOR_SERVICE_HOST", "10.0.0.1"),
        ("STENTOR_SERVICE_PORT", "4000"),
        ("STENTOR_SERVICE_PORT_HTTP", "4000"),
        ("STENTOR_PORT", "tcp://10.0.0.1:4000"),
        ("STENTOR_PORT_4000_TCP_ADDR", "10.0.0.1"),
        ("STENTOR_REDIS_SERVICE_HOST", "10.0.0.2"),
        ("PATH", "/bin"),
    ];
    assert_eq!(Config::load(None, env(&variables)), Ok(Config::default()));
}

#[test]
fn what_the_client_reads_is_no_key() {
    let variables = [("STENTOR_TOKEN", "eyJ"), ("STENTOR_URL", "ws://127.0.0.1:4000/graphql")];
    assert_eq!(Config::load(None, env(&variables)), Ok(Config::default()));
}

#[test]
fn secrets_are_never_shown() {
    let files = [
        "auth.jwt.secret = \"hunter2\"\nbroker.url = \"redis://ann:hunter2@h\"",
        "auth.jwt.secret = [\"hunter2\"]",
        "broker.url = \"ann:hunter2@h\"",
        "broker.url = [\"hunter2\"]",
        "broker.url = \"https://hunter2@h\"",
        "auth.jwt.secrt = \"hunter2\"",
        "auth.jwt.secret = \"hunter2",
        "auth = { jwt = { secret = \"hunter2\", audience = 5 } }",
        "[auth.jwt]\nsecret = \"hunter2\" x",
    ];
    for file in files {
        let shown = match load(file, &[]) {
            Ok(config) => format!("{config:?} {config:#?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("hunter2"), "{file}\n{shown}");
    }
    for variable in ["STENTOR_BROKER__URL", "STENTOR_BROKER_URL", "STENTOR_AUTH__JWT__SECRT"] {
        assert!(!refusal("", &[(variable, "hunter2")]).contains("hunter2"), "{variable}");
    }
}

#[test]
fn an_address_is_shown_without_what_is_secret() {
    let rows = [
        ("redis://h", "redis://h"),
        ("redis://h:6379/3", "redis://h:6379/3"),
        ("rediss://ann:pw@h:6379/3", "rediss://…@h:6379/3"),
        ("redis://:pw@h", "redis://…@h"),
        ("redis://h/0?password=pw", "redis://h/0"),
        ("redis://:p@w@h", "redis://…"),
        ("redis://:p/w@h", "redis://…@h"),
        ("redis://:p?w@h", "redis://…@h"),
        ("redis://:pw@h?x=a@b", "redis://…"),
    ];
    for (url, expected) in rows {
        let url = BrokerUrl::new(url).expect("a good address");
        assert_eq!((url.to_string(), format!("{url:?}")), (expected.to_owned(), expected.to_owned()));
    }
}

#[test]
fn numbers_with_a_unit_are_written_as_they_are_read() {
    for text in ["0s", "1ms", "1500ms", "90s", "5m", "36h", "2d"] {
        assert_eq!(text.parse::<Period>().map(|period| period.to_string()), Ok(text.to_owned()));
    }
    for text in ["0B", "1B", "1000B", "256KiB", "1025KiB", "8MiB", "64GiB"] {
        assert_eq!(text.parse::<ByteSize>().map(|size| size.to_string()), Ok(text.to_owned()));
    }
    for text in ["", "s", "-1s", "1.5s", "1 week", "1S", "0x1s", "1s1s", "18446744073709551616ms"] {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
}

#[test]
fn every_field_has_a_key() {
    let mut config = Config { auth: Some(AuthConfig::default()), ..Config::default() };
    config.broker.url = BrokerUrl::new("redis://h").ok();
    let fields = field_paths(&config);
    let keys: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(fields, keys);
}

#[test]
fn the_documentation_is_the_table_of_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let expected = reference();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &expected).expect("written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/configuration.md is not what the keys say; UPDATE_EXPECT=1 writes it anew"
    );
}

#[test]
fn the_example_in_the_documentation_loads() {
    let text = reference();
    let example =
        text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert!(load(example, &[]).is_ok_and(|config| config.auth.is_some()));
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stentor.toml");
    fs::write(&path, text).expect("written");
    Config::load(Some(&path), env(variables))
}

/// What is said of a bad configuration, with the file's name alone as its path.
fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stentor.toml");
    fs::write(&path, text).expect("written");
    let error = Config::load(Some(&path), env(variables)).expect_err(text).to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn env(variables: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    owned.into_iter()
}

/// The line of the documentation's default for this key, empty where there is none.
fn line(path: &str) -> String {
    let text = reference();
    let table =
        path.rsplit_once('.').map_or_else(|| "Top level".to_owned(), |(table, _)| format!("`[{table}]`"));
    let name = path.rsplit('.').next().unwrap_or_default();
    let section = text.split("\n## ").find(|section| section.starts_with(&table)).expect("a section");
    let row = section.lines().find(|line| line.starts_with(&format!("| `{name}`"))).expect("a row");
    let default = row.split(" | ").nth(1).unwrap_or_default().trim_matches('`');
    match default {
        "none" => String::new(),
        "true" | "false" => format!("{path} = {default}\n"),
        number if number.parse::<usize>().is_ok() => format!("{path} = {default}\n"),
        text => format!("{path} = \"{text}\"\n"),
    }
}

/// The paths of all leaves, read off the indented debug output.
fn field_paths(value: &impl Debug) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let mut paths = Vec::new();
    for line in format!("{value:#?}").lines() {
        let Some((name, rest)) = line.trim_start().split_once(": ") else {
            if line.trim() == "}," {
                tables.pop();
            }
            continue;
        };
        // An optional table opens two lines, its name on the first of them only.
        if rest.ends_with("Config {") || (name == "auth" && rest == "Some(") {
            tables.push(name.to_owned());
        } else {
            paths.push(tables.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("."));
        }
    }
    paths
}

#[test]
fn a_variable_is_spelled_from_its_key() {
    assert_eq!(variable("auth.jwt.secret"), "STENTOR_AUTH__JWT__SECRET");
    assert_eq!(variable("limits.init_timeout"), "STENTOR_LIMITS__INIT_TIMEOUT");
}
