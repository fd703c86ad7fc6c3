//! `stentor publish`.

use std::io::{self, BufRead, Read};

use clap::Args;
use serde_json::{Value, json};
use stentor::Publisher;

use super::{ConfigFile, block_on};
use crate::{failure::Failure, terminal::print};

pub(super) const USAGE: &str = "stentor publish [OPTIONS] TOPIC PAYLOAD
       stentor publish [OPTIONS] TOPIC - [--lines]
       stentor publish [OPTIONS] --hash KEY FIELD=VALUE...";

pub(super) const EXAMPLES: &str = "\
Examples:
  stentor publish bot:42 '{\"bot_id\": \"42\", \"status\": \"running\"}'
  tail -f events.ndjson | stentor publish bot:42 - --lines
  stentor publish --hash progress:7 stage=retrieving progress=0.25

It publishes through the broker of stentor.toml, behind its prefix, as any other publisher would with Redis' PUBLISH and
HSET. A payload that begins with { or [ is JSON to every server, anything else is text.";

/// Publishes events, or writes a hash.
#[derive(Args, Debug)]
pub(crate) struct Publish {
    /// The topic, then the payload, or - for standard input; with --hash the fields
    #[arg(value_name = "WORDS", required = true, allow_negative_numbers = true)]
    words: Vec<String>,
    /// Publish each line of standard input as one event as soon as it is there; empty lines are skipped
    #[arg(long, conflicts_with = "hash")]
    lines: bool,
    /// Write fields of the hash KEY instead, for subscriptions that follow a hash
    #[arg(long, value_name = "KEY")]
    hash: Option<String>,
    /// Do not check that what looks like JSON is JSON
    #[arg(long)]
    text: bool,
    /// Print {"topic", "published"} or {"hash", "written"} instead of a sentence
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// What is to be done.
enum Task<'a> {
    Event { topic: &'a str, payload: &'a str },
    StandardInput { topic: &'a str },
    Lines { topic: &'a str },
    Hash { key: &'a str, fields: Vec<(String, String)> },
}

impl Publish {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let task = self.task()?;
        let config = self.config.load()?;
        // Before anything is sent, and before anybody waits for a broker.
        if let Task::Event { payload, .. } = task {
            self.check(payload)?;
        }
        block_on(async {
            let publisher = Publisher::connect(&config).await?;
            self.perform(task, &publisher).await
        })
    }

    fn task(&self) -> Result<Task<'_>, Failure> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        if let Some(key) = &self.hash {
            let fields = words.iter().map(|word| field(word)).collect::<Result<_, _>>()?;
            return Ok(Task::Hash { key: name("key", key)?, fields });
        }
        match words[..] {
            [topic] | [topic, "-"] if self.lines => Ok(Task::Lines { topic: name("topic", topic)? }),
            [_, _] if self.lines => Err(usage("--lines reads standard input: leave the payload out")),
            [topic, "-"] => Ok(Task::StandardInput { topic: name("topic", topic)? }),
            [topic, payload] => Ok(Task::Event { topic: name("topic", topic)?, payload }),
            [_] => Err(usage(
                "the payload is missing: give it after the topic, or - to read it from standard input",
            )),
            _ => Err(usage(
                "more than a topic and a payload: put quotation marks around the payload, '{\"a\": 1}'",
            )),
        }
    }

    async fn perform(&self, task: Task<'_>, publisher: &Publisher) -> Result<(), Failure> {
        match task {
            Task::Event { topic, payload } => {
                publisher.publish(topic, payload.to_owned()).await?;
                self.tell_published(topic, 1)
            }
            Task::StandardInput { topic } => {
                let payload = self.standard_input()?;
                publisher.publish(topic, payload).await?;
                self.tell_published(topic, 1)
            }
            Task::Lines { topic } => self.publish_lines(topic, publisher).await,
            Task::Hash { key, fields } => {
                publisher.set_hash(key, &fields).await?;
                let written = fields.len();
                if self.json {
                    return print(&json!({ "hash": key, "written": written }).to_string());
                }
                print(&format!("wrote {} of {key}", counted(written, "field")))
            }
        }
    }

    /// One event a line, each sent before the next is read: what is read ahead is a buffer of the reader's.
    async fn publish_lines(&self, topic: &str, publisher: &Publisher) -> Result<(), Failure> {
        let mut input = io::stdin().lock();
        let mut published = 0;
        for number in 1.. {
            let sent = async {
                let Some(line) = read_line(&mut input)? else { return Ok(Line::Last) };
                if line.trim().is_empty() {
                    return Ok(Line::Empty);
                }
                self.check(&line)?;
                publisher.publish(topic, line).await?;
                Ok(Line::Published)
            };
            match sent.await {
                Ok(Line::Published) => published += 1,
                Ok(Line::Empty) => {}
                Ok(Line::Last) => break,
                Err(failure) => return Err(at_line(number, published, failure)),
            }
        }
        self.tell_published(topic, published)
    }

    fn standard_input(&self) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MAX_EVENT_BYTES + 1).read_to_end(&mut bytes)?;
        let payload = text(bytes)?;
        self.check(&payload)?;
        Ok(payload)
    }

    /// Refuses what a server would skip as malformed.
    fn check(&self, payload: &str) -> Result<(), Failure> {
        if self.text {
            return Ok(());
        }
        if payload.trim_start().len() < payload.len() && payload.trim_start().starts_with(['{', '[']) {
            return Err(Failure::failed(
                "the payload begins with white space, so that servers would take it for text, not for JSON\n\
                 take the white space away, or pass --text if it is meant to be text",
            ));
        }
        if !payload.starts_with(['{', '[']) {
            return Ok(());
        }
        serde_json::from_str::<Value>(payload).map(drop).map_err(|error| not_json(payload, &error))
    }

    fn tell_published(&self, topic: &str, published: usize) -> Result<(), Failure> {
        if self.json {
            return print(&json!({ "topic": topic, "published": published }).to_string());
        }
        print(&format!("published {} to {topic}", counted(published, "event")))
    }
}

/// What became of a line.
enum Line {
    Empty,
    Last,
    Published,
}

/// A topic or a key, as long as a server could listen to it.
fn name<'a>(kind: &str, name: &'a str) -> Result<&'a str, Failure> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(usage(format!("the {kind} is empty or has control characters in it")));
    }
    Ok(name)
}

/// `field=value`; the value may hold further equals signs.
fn field(word: &str) -> Result<(String, String), Failure> {
    let (name, value) = word
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| usage(format!("{word:?} is not FIELD=VALUE, such as stage=retrieving")))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The next line without its end; `None` behind the last.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    input.take(MAX_EVENT_BYTES + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() { Ok(None) } else { text(bytes).map(Some) }
}

/// What was read, without the end of its last line.
fn text(mut bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.len() as u64 > MAX_EVENT_BYTES {
        return Err(Failure::failed(format!("the payload is longer than {} MiB", MAX_EVENT_BYTES >> 20)));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        bytes.pop_if(|last| *last == b'\r');
    }
    String::from_utf8(bytes)
        .map_err(|error| Failure::failed(format!("the payload is not UTF-8: {}", error.utf8_error())))
}

/// Shows the place of the mistake, with a caret below it.
fn not_json(payload: &str, error: &serde_json::Error) -> Failure {
    let line = payload.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    // The column counts bytes; the caret stands below a character.
    let at = line.floor_char_boundary(error.column().saturating_sub(1));
    let before: Vec<char> = line[..at].chars().rev().take(CONTEXT_CHARACTERS).collect();
    let after = line[at..].chars().take(CONTEXT_CHARACTERS);
    let shown: String = before.iter().rev().copied().chain(after).collect();
    let caret = " ".repeat(before.len());
    Failure::failed(format!(
        "the payload is not JSON: {error}\n  {shown}\n  {caret}^\n\
         it begins with {{ or [, so servers would take it for JSON and skip it: mend it, or pass --text to send it anyway"
    ))
}

fn at_line(number: usize, published: usize, failure: Failure) -> Failure {
    match failure {
        Failure::Failed(reason) => Failure::failed(format!(
            "line {number}: {reason}\npublished before it: {}",
            counted(published, "event")
        )),
        usage @ Failure::Usage { .. } => usage,
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn usage(mistake: impl Into<String>) -> Failure {
    Failure::usage("publish", mistake)
}

/// Longest event that is read from standard input. It is more than any server would send to a client in one message.
const MAX_EVENT_BYTES: u64 = 16 << 20;
/// How much of a line is shown on each side of a mistake.
const CONTEXT_CHARACTERS: usize = 40;
