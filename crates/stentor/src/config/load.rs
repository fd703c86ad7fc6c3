//! File, then environment, then what no single key can decide: [`load`].

use std::{collections::HashMap, fs, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    BrokerUrl, Config, ConfigError, KeySource,
    error::{Place, Problem},
    keys::{self, PREFIX},
    setting::Written,
};

/// The variables of this process that are text; others cannot be a setting.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(super) fn load(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut loader = Loader::default();
    if let Some(path) = path {
        loader.read_file(path);
    }
    loader.read_environment(env);
    if loader.problems.is_empty() {
        loader.check_together();
    }
    if loader.problems.is_empty() { Ok(loader.config) } else { Err(ConfigError(loader.problems)) }
}

#[derive(Default)]
struct Loader {
    config: Config,
    /// Where each key, and the table `auth`, was last written.
    places: HashMap<String, Place>,
    problems: Vec<Problem>,
}

/// The file that is being read.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn place(self, span: Range<usize>) -> Place {
        Place::in_file(self.name, self.text, span)
    }
}

impl Loader {
    fn read_file(&mut self, path: &Path) {
        let name = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(Problem::new(Place::Nowhere, format!("cannot read {name}: {error}")));
                return;
            }
        };
        let file = File { name: &name, text: &text };
        match DeTable::parse(&text) {
            Ok(table) => self.read_table(file, "", table.get_ref()),
            Err(error) => {
                let place = file.place(error.span().unwrap_or_default());
                self.problems.push(Problem::new(place, error.message()));
            }
        }
        if let Some(folder) = path.parent() {
            self.config.schema = folder.join(&self.config.schema);
            let ca_file = self.config.broker.ca_file.take();
            self.config.broker.ca_file = ca_file.map(|file| folder.join(file));
            let ca_file = self.config.auth.as_mut().and_then(|auth| auth.jwt.ca_file.as_mut());
            if let Some(ca_file) = ca_file {
                *ca_file = folder.join(&ca_file);
            }
        }
    }

    fn read_table(&mut self, file: File<'_>, path: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = key.get_ref();
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            self.read_entry(file, &path, key.span(), value);
        }
    }

    fn read_entry(&mut self, file: File<'_>, path: &str, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        if keys::find(path).is_some() {
            self.read_value(file, path, value);
        } else if !keys::is_table(path) {
            self.problems.push(unknown(path, path, file.place(key), str::to_owned));
        } else if let Some(table) = value.as_ref().as_table() {
            self.enter_table(path, file.place(key));
            self.read_table(file, path, table);
        } else {
            let message = format!("`{path}` is a table of keys, not a value");
            let help = Some(format!("write [{path}] on a line of its own, and its keys below"));
            self.problems.push(Problem::new(file.place(key), message).with_help(help));
        }
    }

    /// The entries of a map are set one by one, so that a mistake has the place of its entry.
    fn read_value(&mut self, file: File<'_>, path: &str, value: &Spanned<DeValue<'_>>) {
        let entries = value.as_ref().as_table().filter(|_| keys::is_map(path));
        let Some(entries) = entries else {
            return self.set(path, Written::Toml(value.get_ref()), file.place(value.span()));
        };
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, entry) in entries {
            self.set(path, Written::Entry(name.get_ref(), entry.get_ref()), file.place(entry.span()));
        }
    }

    /// An `[auth]` with nothing in it switches authentication on as well: to pass over it would let everybody in.
    fn enter_table(&mut self, path: &str, place: Place) {
        if path == "auth" {
            self.config.auth.get_or_insert_default();
            self.places.insert(path.to_owned(), place);
        }
    }

    fn read_environment(&mut self, env: impl Iterator<Item = (String, String)>) {
        let ours = |(name, value): &(String, String)| {
            name.starts_with(PREFIX) && !CLIENT_VARIABLES.contains(&name.as_str()) && !is_foreign(name, value)
        };
        let mut variables: Vec<_> = env.filter(ours).collect();
        variables.sort();
        for (name, value) in &variables {
            let path = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            let place = Place::Variable(name.clone());
            match keys::find(&path) {
                Some(key) if key.variable() == *name => self.set(&path, Written::Variable(value), place),
                _ => self.problems.push(unknown(&path, name, place, keys::variable)),
            }
        }
    }

    fn set(&mut self, path: &str, written: Written<'_>, place: Place) {
        let Some(key) = keys::find(path) else {
            return;
        };
        match (key.set)(&mut self.config, written) {
            Ok(()) => _ = self.places.insert(path.to_owned(), place),
            Err(message) => {
                let place = if keys::is_secret(path) { place.without_text() } else { place };
                self.problems.push(Problem::new(place, format!("`{path}`: {message}")));
            }
        }
    }

    /// The rules between keys, once each key for itself is right.
    fn check_together(&mut self) {
        let Config { broker, limits, shutdown, .. } = &self.config;
        let rules: &[(bool, &[&str], &str)] = &[
            (
                !broker.required || broker.url.is_some(),
                &["broker.required"],
                "`broker.required` needs a `broker.url`",
            ),
            (
                broker.ca_file.is_none() || broker.url.as_ref().is_some_and(BrokerUrl::is_tls),
                &["broker.ca_file"],
                "`broker.ca_file` needs a `broker.url` that begins with `rediss://`",
            ),
            (
                limits.mailbox_bytes <= limits.connection_bytes,
                &["limits.mailbox_bytes", "limits.connection_bytes"],
                "`limits.mailbox_bytes` must not be more than `limits.connection_bytes`",
            ),
            (
                limits.message_bytes <= limits.http_body_bytes,
                &["limits.http_body_bytes", "limits.message_bytes"],
                "`limits.message_bytes` must not be more than `limits.http_body_bytes`",
            ),
            (
                limits.topic_queue_events <= limits.queue_events,
                &["limits.topic_queue_events", "limits.queue_events"],
                "`limits.topic_queue_events` must not be more than `limits.queue_events`",
            ),
            (
                shutdown.window <= shutdown.timeout,
                &["shutdown.window", "shutdown.timeout"],
                "`shutdown.window` must not be longer than `shutdown.timeout`",
            ),
        ];
        for (_, blamed, message) in rules.iter().filter(|(holds, ..)| !holds) {
            let place = blamed.iter().find_map(|path| self.places.get(*path)).cloned().unwrap_or_default();
            self.problems.push(Problem::new(place, *message));
        }
        self.check_keys();
    }

    /// Exactly one kind of key checks tokens, and what belongs to another kind has no use.
    fn check_keys(&mut self) {
        let Some(auth) = &self.config.auth else { return };
        match auth.jwt.key_source() {
            Ok(KeySource::Secret(_)) => {
                let useless =
                    PUBLIC_KEYS_ONLY.iter().filter_map(|path| Some((path, self.places.get(*path)?)));
                let problems = useless.map(|(path, place)| {
                    let message = format!("`{path}` is about public keys, and has no use beside `auth.jwt.secret`; remove one of the two");
                    Problem::new(place.clone(), message)
                });
                self.problems.extend(problems);
            }
            Ok(KeySource::Url(_) | KeySource::Issuer(_)) => {}
            Err(message) => {
                let place = KEY_PLACES.iter().find_map(|path| self.places.get(*path)).cloned();
                self.problems.push(Problem::new(place.unwrap_or_default(), message));
            }
        }
    }
}

/// A key or variable, `written` so, that has no row in the table; `spell` writes another as it is written there.
fn unknown(path: &str, written: &str, place: Place, spell: fn(&str) -> String) -> Problem {
    let help = keys::nearest(path).map(|near| match keys::is_table(near) {
        true => format!("did you mean the table `{near}`?"),
        false => format!("did you mean `{}`?", spell(near)),
    });
    Problem::new(place, format!("`{written}` is not known")).with_help(help)
}

/// Whether Kubernetes set this variable for a service whose name begins with `stentor`:
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn is_foreign(name: &str, value: &str) -> bool {
    let address = value.contains("://");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || (name.ends_with("_PORT") && address)
}

/// What `stentor subscribe` reads, in the environment of every command where somebody has exported it.
const CLIENT_VARIABLES: [&str; 2] = ["STENTOR_TOKEN", "STENTOR_URL"];

/// Where `[auth]` came from, the likeliest to be wrong first.
const KEY_PLACES: &[&str] = &[
    "auth.jwt.jwks_url",
    "auth.jwt.issuer",
    "auth.jwt.secret",
    "auth",
    "auth.jwt.audience",
    "auth.tenant_claim",
    "auth.anonymous",
    "auth.roles",
];
const PUBLIC_KEYS_ONLY: &[&str] = &[
    "auth.jwt.algorithms",
    "auth.jwt.refresh_interval",
    "auth.jwt.ca_file",
    "auth.jwt.dangerously_allow_http",
];
