//! `stentor subscribe`.

use std::{
    fs,
    io::{self, Read},
    pin::pin,
    time::{Duration, SystemTime},
};

use clap::Args;
use serde_json::{Map, Value};
use stentor::{
    client::{Client, Error, ExecutionResult, Gap, Request, Subscription, Update},
    config::Period,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::block_on;
use crate::{
    failure::Failure,
    terminal::{Reader, note, plain, write},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  stentor subscribe 'subscription { botStatusChanged(botId: \"42\") { status } }'
  stentor subscribe @watch.graphql --variables '{\"botId\": \"42\"}'
  STENTOR_TOKEN=$(stentor token --scope bot:view) stentor subscribe @watch.graphql
  stentor subscribe @watch.graphql --json --count 1 --timeout 30s | jq .data

Results go to standard output, everything else that happens to standard error. It ends with 0 when the server completes
the operation, after --count results, after --timeout and at Ctrl-C; with 1 when the operation or the connection fails
for good, or ends before --count results.";

/// Subscribes, and shows what comes.
#[derive(Args, Debug)]
pub(crate) struct Subscribe {
    /// The GraphQL document: itself, @FILE to read it from a file, or - from standard input
    #[arg(value_name = "QUERY")]
    query: String,
    /// The server's WebSocket address; wss:// for TLS
    #[arg(long, env = "STENTOR_URL", hide_env_values = true, default_value = "ws://127.0.0.1:4000/graphql")]
    url: String,
    /// The token to show to the server; other users of this machine cannot see it in the variable
    #[arg(long, env = "STENTOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The values of the document's variables, a JSON object
    #[arg(long, value_name = "JSON", value_parser = variables)]
    variables: Option<Map<String, Value>>,
    /// Which operation to run, in a document with several
    #[arg(long, value_name = "NAME")]
    operation_name: Option<String>,
    /// Print each result on one line, exactly as it came
    #[arg(long)]
    json: bool,
    /// How many times in a row to try to connect again after the connection was lost
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,
    /// End when the connection is lost, as --retries 0 does
    #[arg(long, conflicts_with = "retries")]
    no_reconnect: bool,
    /// End after that many results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after that time, such as 30s
    #[arg(long, value_name = "TIME")]
    timeout: Option<Period>,
}

/// Why nothing more is shown.
enum End {
    /// The server has completed the operation.
    Completed,
    /// Everything was seen that was to be seen.
    Counted,
    /// Somebody pressed Ctrl-C, or closed the pipe that is written to.
    Left,
    /// The time is over.
    TimedOut,
}

impl Subscribe {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut client = Client::new(&self.url).map_err(|error| usage(error.to_string()))?;
        client = client.retries(if self.no_reconnect { 0 } else { self.retries });
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            client = client.token(token.trim());
        }
        let mut request = Request::new(document(&self.query)?);
        if let Some(name) = &self.operation_name {
            request = request.operation_name(name);
        }
        if let Some(variables) = &self.variables {
            request = request.variables(variables.clone());
        }
        block_on(self.watch(client.subscribe(request)))
    }

    async fn watch(&self, mut subscription: Subscription) -> Result<(), Failure> {
        let mut seen = 0;
        let end = self.show(&mut subscription, &mut seen).await?;
        subscription.close().await;
        let why = match end {
            End::Counted | End::Left => return Ok(()),
            End::Completed => "the server completed the operation",
            End::TimedOut => "the time is over",
        };
        match self.count {
            Some(count) => Err(Failure::failed(format!("{why} after {seen} of {count} results"))),
            None => {
                note(why);
                Ok(())
            }
        }
    }

    async fn show(&self, subscription: &mut Subscription, seen: &mut u64) -> Result<End, Failure> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut deadline = pin!(sleep(self.timeout.map_or(FOR_EVER, Period::get)));
        loop {
            let update = tokio::select! {
                // A flood of results must not keep anybody from ending it.
                biased;
                _ = interrupt.recv() => return Ok(End::Left),
                _ = terminate.recv() => return Ok(End::Left),
                () = &mut deadline => return Ok(End::TimedOut),
                update = subscription.next() => update.map_err(|error| self.failed(&error))?,
            };
            let Some(update) = update else { return Ok(End::Completed) };
            let Update::Result(result) = update else {
                if self.tell(update)? == Reader::Left {
                    return Ok(End::Left);
                }
                continue;
            };
            if self.tell_result(&result)? == Reader::Left {
                return Ok(End::Left);
            }
            *seen += 1;
            if self.count.is_some_and(|count| *seen >= count) {
                return Ok(End::Counted);
            }
        }
    }

    fn tell_result(&self, result: &ExecutionResult) -> Result<Reader, Failure> {
        if self.json {
            // Outside of strings, where line ends are escaped, they are white space.
            return write(&result.as_str().replace(['\n', '\r'], " "));
        }
        let gap = result.gap().map(|gap| format!("{}\n", gap_line(&gap))).unwrap_or_default();
        write(&plain(&format!("{gap}{} {}", clock(), pretty(result)?)))
    }

    /// Everything but results.
    fn tell(&self, update: Update) -> Result<Reader, Failure> {
        match update {
            Update::Connected { again: false } => note(&format!("connected to {}", self.url)),
            Update::Connected { again: true } => {
                note("connected again; what was published meanwhile is missing")
            }
            Update::Live => note("live: every event from now on is shown"),
            Update::Lost { reason, wait, attempt } => note(&format!(
                "{reason}; connecting again in {:.1} s (attempt {attempt} of {})",
                wait.as_secs_f64(),
                self.retries
            )),
            // In its place among the results, where people read it; programs find it in the next result.
            Update::Gap(gap) if self.json => note(&gap_line(&gap)),
            Update::Gap(gap) => return write(&plain(&gap_line(&gap))),
            _ => {}
        }
        Ok(Reader::Reads)
    }

    /// The error with what to do about it.
    fn failed(&self, error: &Error) -> Failure {
        let advice = match error {
            Error::Closed { code: FORBIDDEN, .. } if self.token.is_none() => {
                "\npass a token with --token or STENTOR_TOKEN; `stentor token` makes one for development"
            }
            Error::Closed { code: FORBIDDEN, .. } => "\n`stentor token` makes a token for development",
            Error::Connect(_) => "\nis `stentor serve` running, and is --url its address?",
            _ => "",
        };
        Failure::failed(format!("{error}{advice}"))
    }
}

/// The document that an argument means.
fn document(argument: &str) -> Result<String, Failure> {
    let document = match argument.strip_prefix('@') {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| Failure::failed(format!("{path} cannot be read: {error}")))?,
        None if argument == "-" => {
            let mut document = String::new();
            io::stdin().lock().take(MAX_DOCUMENT_BYTES).read_to_string(&mut document)?;
            document
        }
        None => argument.to_owned(),
    };
    if document.trim().is_empty() {
        return Err(usage("the document is empty"));
    }
    Ok(document)
}

fn variables(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(variables)) => Ok(variables),
        Ok(_) => Err("it is not a JSON object, such as {\"botId\": \"42\"}".into()),
        Err(error) => Err(format!("it is not JSON: {error}; write it as '{{\"botId\": \"42\"}}'")),
    }
}

/// The data as people read it, and below it what is wrong with it.
fn pretty(result: &ExecutionResult) -> Result<String, Failure> {
    let result: Value = result.read()?;
    let mut lines = Vec::new();
    if let Some(data) = result.get("data") {
        lines.push(serde_json::to_string_pretty(data)?);
    }
    for error in result["errors"].as_array().into_iter().flatten() {
        let message = error["message"].as_str().unwrap_or("the server gives no reason");
        let code = error["extensions"]["code"].as_str().map(|code| format!(" ({code})")).unwrap_or_default();
        let place = error.get("path").map(|path| format!(" at {path}")).unwrap_or_default();
        lines.push(format!("error{place}: {message}{code}"));
    }
    Ok(lines.join("\n"))
}

fn gap_line(gap: &Gap) -> String {
    let lost = match gap.dropped {
        Some(1) => "1 event was lost".to_owned(),
        Some(count) => format!("{count} events were lost"),
        None => "nobody knows how many events were lost".to_owned(),
    };
    format!("{} gap: {lost} here ({})", clock(), gap.reason)
}

/// The time of day, as UTC has it.
fn clock() -> String {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    now.split_once('T').map(|(_, time)| time.to_owned()).unwrap_or(now)
}

fn usage(mistake: impl Into<String>) -> Failure {
    Failure::usage("subscribe", mistake)
}

/// The close code for a token that is missing, wrong or over.
const FORBIDDEN: u16 = 4403;
/// Longest document that is read from standard input; no server takes one that is longer.
const MAX_DOCUMENT_BYTES: u64 = 16 << 20;
/// A hundred years.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
