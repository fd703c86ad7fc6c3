//! One pair of connections to the server, from its making to its loss: [`Link`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::PublishError;

/// The connection that listens and the one that publishes. They are made, and given up, together.
pub(super) struct Link {
    pub(super) listening: Connection,
    pub(super) publishing: Connection,
    lost: Arc<Notify>,
}

/// One connection, and what is known about its life.
#[derive(Clone)]
pub(super) struct Connection {
    redis: MultiplexedConnection,
    /// Grows with every sign of life from the server that is not the answer to a ping.
    heard: Arc<AtomicU64>,
}

/// What the server said to a batch of channels.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Done,
    /// One of the channels at least is forbidden, and nothing was done.
    Forbidden(String),
}

/// Why a command has no answer that counts.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The server said no, and has done nothing.
    Answer {
        /// It would say no again: the user may not, or the key holds something else.
        for_good: bool,
        reason: String,
    },
    /// It said nothing that can be understood; it may have done what it was asked for.
    Silence(String),
}

/// Sees what the server sends unasked on one connection, and its end.
struct Watch<F> {
    heard: Arc<AtomicU64>,
    lost: Arc<Notify>,
    push: F,
}

impl Link {
    /// Connects twice; what the server says to the listening connection goes to `push`, in its reader's own time.
    pub(super) async fn connect(
        client: &Client,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let lost = Arc::new(Notify::new());
        let (listening, publishing) =
            tokio::try_join!(Connection::open(client, &lost, push), Connection::open(client, &lost, drop))?;
        Ok(Self { listening, publishing, lost })
    }

    /// Waits until one of the connections is closed or silent for too long, and says why.
    pub(super) async fn broken(&self) -> String {
        tokio::select! {
            () = self.lost.notified() => "the server closed the connection".into(),
            reason = self.listening.silent() => reason,
            reason = self.publishing.silent() => reason,
        }
    }
}

impl Connection {
    async fn open(
        client: &Client,
        lost: &Arc<Notify>,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let heard = Arc::<AtomicU64>::default();
        let watch = Watch { heard: Arc::clone(&heard), lost: Arc::clone(lost), push };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_DEADLINE))
            // The ping is the judge of a silent server; a long batch of channels is no reason to give up.
            .set_response_timeout(None)
            .set_push_sender(watch);
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(redis) => Ok(Self { redis, heard }),
            Err(error) => Err(describe(&error)),
        }
    }

    /// Listens to `channels`; returns when each of them is confirmed, or none is.
    pub(super) async fn subscribe(&self, channels: &[Arc<str>]) -> Result<Answer, String> {
        match self.redis.clone().subscribe(names(channels)).await {
            Ok(()) => Ok(Answer::Done),
            Err(error) if error.code() == Some(FORBIDDEN) => Ok(Answer::Forbidden(describe(&error))),
            Err(error) => Err(describe(&error)),
        }
    }

    /// Stops listening to `channels`; returns when each of them is confirmed.
    pub(super) async fn unsubscribe(&self, channels: &[Arc<str>]) -> Result<(), String> {
        self.redis.clone().unsubscribe(names(channels)).await.map_err(|error| describe(&error))
    }

    pub(super) async fn publish(&self, channel: &str, payload: &Bytes) -> Result<(), PublishError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(&payload[..]);
        match self.ask::<()>(&command).await {
            Ok(()) => Ok(()),
            Err(Failure::Answer { reason, .. }) => Err(PublishError::NotSent(reason)),
            Err(Failure::Silence(reason)) => Err(PublishError::Unknown(reason)),
        }
    }

    /// Sends one command, and waits for its answer for a while.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        match timeout(COMMAND_DEADLINE, command.query_async(&mut self.redis.clone())).await {
            Ok(Ok(answer)) => {
                self.heard.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::Silence(format!("no answer for {COMMAND_DEADLINE:?}"))),
        }
    }

    /// Sends commands together, and waits for all answers for as long as the server lives; an error is its end.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        pipeline: &mut Pipeline,
    ) -> Result<Vec<Result<T, Failure>>, String> {
        let answers = pipeline.ignore_errors().query_async(&mut self.redis.clone()).await;
        let answers: Vec<Result<T, RedisError>> = answers.map_err(|error| describe(&error))?;
        self.heard.fetch_add(1, Ordering::Relaxed);
        Ok(answers.into_iter().map(|answer| answer.map_err(|error| Failure::of(&error))).collect())
    }

    /// Asks for signs of life until there are none, and says why.
    async fn silent(&self) -> String {
        loop {
            sleep(PING_INTERVAL).await;
            if let Err(reason) = self.ping().await {
                return reason;
            }
        }
    }

    async fn ping(&self) -> Result<(), String> {
        let mut redis = self.redis.clone();
        let command = redis::cmd("PING");
        let answer = command.query_async::<()>(&mut redis);
        tokio::pin!(answer);
        loop {
            let heard = self.heard.load(Ordering::Relaxed);
            match timeout(PING_DEADLINE, &mut answer).await {
                Ok(Ok(())) => return Ok(()),
                // A server that refuses a ping lives.
                Ok(Err(error)) if is_answer(&error) => return Ok(()),
                Ok(Err(error)) => return Err(describe(&error)),
                // The answer waits behind messages that do arrive: to give up now would turn a crowd into an outage.
                Err(_) if self.heard.load(Ordering::Relaxed) != heard => {}
                Err(_) => return Err(format!("no answer for {PING_DEADLINE:?}")),
            }
        }
    }
}

impl Failure {
    fn of(error: &RedisError) -> Self {
        let reason = describe(error);
        if is_answer(error) {
            Self::Answer { for_good: matches!(error.code(), Some(FORBIDDEN | WRONG_TYPE)), reason }
        } else {
            Self::Silence(reason)
        }
    }
}

impl<F: Fn(PushInfo) + Send + Sync + 'static> AsyncPushSender for Watch<F> {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if info.kind == PushKind::Disconnection {
            self.lost.notify_one();
            return Ok(());
        }
        self.heard.fetch_add(1, Ordering::Relaxed);
        (self.push)(info);
        Ok(())
    }
}

fn names(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}

/// Whether the server itself said no, so that it lives and has done nothing.
fn is_answer(error: &RedisError) -> bool {
    error.code().is_some()
}

/// An error's text for people; the server's own words where it spoke. None of them holds a password.
fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        _ => error.to_string(),
    }
}

const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
const PING_INTERVAL: Duration = Duration::from_secs(1);
const PING_DEADLINE: Duration = Duration::from_secs(2);
const COMMAND_DEADLINE: Duration = Duration::from_secs(2);

/// The code of Redis' answer to a command, key or channel that the user may not use.
const FORBIDDEN: &str = "NOPERM";
/// The code of its answer to a hash's command for a key that holds something else.
const WRONG_TYPE: &str = "WRONGTYPE";
