//! Events that travel through Redis or Valkey. Start at [`RedisBroker`].
//!
//! Desired state lives in [`topics`] and [`watches`], without I/O. [`supervisor`] keeps a [`link`] to the server and brings the server's
//! state to the desired one; [`listener`] hands what the server says straight to the sinks.

mod config;
mod hashes;
mod link;
mod listener;
mod supervisor;
mod topics;
mod watches;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, watch},
    task::JoinHandle,
    time::timeout,
};

use self::{config::Server, hashes::Hashes, link::Connection, topics::Topics};
use crate::{Broker, BrokerMode, BrokerState, PublishError, Sink};

pub use self::{
    config::{ConfigError, HASH_SAFETY_POLLS, RedisConfig},
    hashes::RedisHashStore,
};

/// A broker on a Redis or Valkey server, shared by every node that uses the same server and prefix.
///
/// Two connections serve any number of topics: one listens, one publishes, so that a publisher's reply never waits
/// behind a flood of messages. The server needs RESP3 (Redis 6, any Valkey). Both connections are made, watched and made
/// anew in the background for as long as one clone of the broker lives; clones share everything.
///
/// # Limits
///
/// Messages go from the socket's reader to the sink with no queue between. A server that gives no answer for
/// 2 s counts as lost; it is tried again after 50 ms, doubling to 500 ms. A publish is given up after 2 s, and
/// [`RedisConfig::max_commands_in_flight`] of them may wait at one time.
///
/// [`RedisBroker::hashes`] gives the hash store on the same server, which uses the same connections.
///
/// ```no_run
/// use std::time::Duration;
/// use stentor_broker::{Broker, RedisBroker, RedisConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = RedisBroker::connect(&RedisConfig::new("redis://127.0.0.1:6379"))?;
/// broker.ready(Duration::from_secs(1)).await?;
/// broker.publish("bot:42", r#"{"status": "running"}"#.into()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisBroker {
    shared: Arc<Shared>,
    supervisor: Arc<Supervisor>,
}

/// What the broker's handles, its supervisor and its listener share.
struct Shared {
    server: Server,
    topics: Mutex<Topics>,
    hashes: Arc<Hashes>,
    /// Which connection may speak to sinks. Held while one is told something: whoever changes it knows that the
    /// connection before is silent for good.
    speaker: Mutex<Speaker>,
    /// Told when topics are to be settled with the server.
    unsettled: Notify,
    publishing: Mutex<Option<Connection>>,
    commands: Semaphore,
    max_commands: usize,
    status: watch::Sender<Status>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Speaker {
    /// The connection with this number.
    Generation(u64),
    /// Nobody: the broker is closed.
    Nobody,
}

struct Status {
    state: BrokerState,
    /// Why it is down.
    reason: String,
}

/// The background task; it ends with the last handle.
struct Supervisor(Mutex<Option<JoinHandle<()>>>);

/// Redis was not reached in time; says why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("redis is not ready: {reason}")]
pub struct NotReady {
    /// What went wrong last, without secrets.
    pub reason: String,
}

impl RedisBroker {
    /// Starts to connect, in the background and for ever; whether it has worked is told by `state` and [`Self::ready`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the URL cannot be used. A server that does not answer is not an error here.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(config: &RedisConfig) -> Result<Self, ConfigError> {
        let shared = Arc::new(Shared::new(config)?);
        let task = tokio::spawn(supervisor::run(Arc::clone(&shared)));
        Ok(Self { shared, supervisor: Arc::new(Supervisor(Mutex::new(Some(task)))) })
    }

    /// Waits until the broker is up, or is not.
    pub(crate) async fn until(&self, up: bool) {
        // The sender lives as long as this handle.
        let _ = self.shared.status.subscribe().wait_for(|status| status.state.is_up() == up).await;
    }

    /// The hashes on the same server. It may be asked for any number of times; all are one store.
    pub fn hashes(&self) -> RedisHashStore {
        RedisHashStore::new(&self.shared, &self.supervisor)
    }

    /// Waits until events flow, for at most `patience`.
    ///
    /// # Errors
    ///
    /// [`NotReady`], with what went wrong last. The broker goes on trying.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub async fn ready(&self, patience: Duration) -> Result<(), NotReady> {
        let mut status = self.shared.status.subscribe();
        match timeout(patience, status.wait_for(|status| status.state.is_up())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotReady { reason: self.shared.down_reason() }),
        }
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker")
            .field("address", &self.shared.server.address)
            .field("prefix", &self.shared.server.prefix)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for RedisBroker {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn subscribe(&self, topic: &str, sink: Arc<dyn Sink>) {
        // Bound to a name, so that a replaced sink is dropped after the lock on the topics is released.
        let channel = self.shared.server.channel(topic);
        let _replaced = self.shared.topics.lock().subscribe(&channel, sink);
        self.shared.unsettled.notify_one();
    }

    fn unsubscribe(&self, topic: &str) {
        let channel = self.shared.server.channel(topic);
        let _dropped_unlocked = self.shared.topics.lock().unsubscribe(&channel);
        self.shared.unsettled.notify_one();
    }

    /// Sends `payload` to everyone who listens to `topic`, on every node.
    ///
    /// # Errors
    ///
    /// As the trait says: [`PublishError::NotSent`] at once while the server is away, when too many publishes wait, and
    /// when the server refuses; [`PublishError::Unknown`] when the connection breaks or no answer comes in time.
    ///
    /// # Cancel safety
    ///
    /// A publish whose future is dropped may or may not be sent.
    async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        let shared = &*self.shared;
        let (connection, _permit) = shared.begin_command().map_err(PublishError::NotSent)?;
        connection.publish(&shared.server.channel(topic), &payload).await
    }

    fn state(&self) -> BrokerState {
        self.shared.status.borrow().state
    }

    async fn close(&self) {
        let _dropped_unlocked = self.shared.topics.lock().close();
        let _dropped_unlocked = self.shared.hashes.watches.lock().close();
        *self.shared.speaker.lock() = Speaker::Nobody;
        let task = self.supervisor.0.lock().take();
        if let Some(task) = task {
            task.abort();
            // It was aborted, so the only news is that it has ended.
            let _ = task.await;
        }
        self.shared.went_down(CLOSED);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut() {
            task.abort();
        }
    }
}

impl Shared {
    fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        let state = BrokerState::now(BrokerMode::Down);
        Ok(Self {
            server: Server::new(config)?,
            topics: Mutex::default(),
            hashes: Arc::new(Hashes::new(config.hash_poll)),
            speaker: Mutex::new(Speaker::Generation(0)),
            unsettled: Notify::new(),
            publishing: Mutex::default(),
            commands: Semaphore::new(config.max_commands_in_flight.min(Semaphore::MAX_PERMITS)),
            max_commands: config.max_commands_in_flight,
            status: watch::Sender::new(Status { state, reason: "the first connection is being made".into() }),
        })
    }

    /// The connection for one command, and the command's place among those under way; or why there is none.
    fn begin_command(&self) -> Result<(Connection, SemaphorePermit<'_>), String> {
        let Ok(permit) = self.commands.try_acquire() else {
            return Err(format!("too many commands are under way (limit {})", self.max_commands));
        };
        let connection = self.publishing.lock().clone();
        match connection {
            Some(connection) => Ok((connection, permit)),
            None => Err(format!("redis is away: {}", self.down_reason())),
        }
    }

    /// Runs `tell` while nobody else may speak to sinks; nothing happens when `speaker` has lost its turn.
    fn speak(&self, speaker: Speaker, tell: impl FnOnce()) {
        let turn = self.speaker.lock();
        if *turn == speaker {
            tell();
        }
    }

    fn went_up(&self, publishing: Connection) {
        *self.publishing.lock() = Some(publishing);
        self.status.send_modify(|status| {
            status.state = BrokerState::now(BrokerMode::Up);
            status.reason.clear();
        });
    }

    fn went_down(&self, reason: &str) {
        let _dropped_unlocked = self.publishing.lock().take();
        self.status.send_modify(|status| {
            if status.state.is_up() {
                status.state = BrokerState::now(BrokerMode::Down);
            }
            status.reason = reason.into();
        });
    }

    fn down_reason(&self) -> String {
        self.status.borrow().reason.clone()
    }
}

const CLOSED: &str = "the broker is closed";
