//! The load generator: subscribers, a publisher, and the accounts between them.

mod client;
mod event;
mod ledger;
mod publisher;
mod receiver;

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, LocalSet};

use crate::error::Error;
use crate::process::Usage;
use crate::scenario::{Regime, Scenario, Shape};
use client::Client;
use ledger::Ledger;
use publisher::Publisher;

/// What `load` takes.
#[derive(Debug, Args)]
pub(crate) struct LoadOptions {
    /// The server under test, such as 127.0.0.1:4100.
    #[arg(long)]
    server: SocketAddr,
    /// Its process, whose CPU time and memory are read.
    #[arg(long)]
    pid: u32,
    /// Where events are published.
    #[arg(long)]
    redis: SocketAddr,
    /// How subscribers are spread over topics.
    #[arg(long)]
    shape: Shape,
    /// When events are published.
    #[arg(long)]
    regime: Regime,
    /// Events in flight per topic at saturation.
    #[arg(long)]
    window: u64,
    /// Connections, with one subscription each.
    #[arg(long, default_value_t = 1_000)]
    connections: u64,
    /// Length of the measured phase.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
}

/// What one run found; printed as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Threads of the server process.
    pub(crate) threads: u64,
    /// Messages delivered in the measured phase.
    pub(crate) deliveries: u64,
    /// Length of the measured phase, from its first event to its last delivery.
    pub(crate) seconds: f64,
    /// CPU time that the server process took in it, user and system.
    pub(crate) cpu_seconds: f64,
    /// Messages that one read of a subscriber's socket found: how far messages left the server together.
    pub(crate) messages_per_read: f64,
    /// Bytes of one delivered WebSocket frame.
    pub(crate) frame_bytes: u64,
    /// Resident bytes of the server per connection, when all were subscribed and no event had come yet.
    pub(crate) rss_per_connection: f64,
    /// The same by proportional set size.
    pub(crate) pss_per_connection: f64,
}

/// Connects, measures, and prints a [`Sample`].
///
/// # Errors
///
/// [`Error::Invalid`] when any delivery was lost, repeated, out of order or wrong, or came with a gap.
pub(crate) fn run(options: &LoadOptions) -> Result<(), Error> {
    require_open_files(options.connections)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start tokio"))?;
    let sample = LocalSet::new().block_on(&runtime, measure(options))?;
    let line = serde_json::to_string(&sample).map_err(|error| Error::Setup(error.to_string()))?;
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("print the figures"))
}

/// Raises the limit of open files, for this process and those that it starts.
///
/// # Errors
///
/// When the hard limit is too low for `connections` sockets.
pub(crate) fn require_open_files(connections: u64) -> Result<(), Error> {
    let limit =
        rlimit::increase_nofile_limit(u64::MAX).map_err(Error::io("raise the limit of open files"))?;
    let needed = connections + OTHER_FILES;
    if limit < needed {
        return Err(Error::Setup(format!(
            "{connections} connections need {needed} open files, and the hard limit is {limit}: raise it with ulimit -Hn"
        )));
    }
    Ok(())
}

async fn measure(options: &LoadOptions) -> Result<Sample, Error> {
    let LoadOptions { shape, regime, window, connections, seconds, .. } = *options;
    let scenario = Scenario { shape, regime, window, connections, seconds };
    let before = Usage::of(options.pid)?;
    let clients = connect_all(options).await?;
    let ledger = Rc::new(Ledger::new(&scenario));
    for (index, client) in clients.into_iter().enumerate() {
        tokio::task::spawn_local(receiver::receive(client, index as u64, Rc::clone(&ledger)));
    }
    let mut publisher = Publisher::connect(options.redis, &scenario, Rc::clone(&ledger)).await?;
    let settled = settle_memory(options.pid, regime).await?;

    let warm_up = if regime == Regime::Idle { Duration::ZERO } else { WARM_UP };
    publisher.publish_for(regime, warm_up).await?;
    let (start, first, reads) = (Usage::of(options.pid)?, ledger.deliveries(), ledger.reads());
    let clock = Instant::now();
    if regime != Regime::Idle {
        publisher.publish_for(regime, Duration::from_secs_f64(seconds)).await?;
    }
    let elapsed = clock.elapsed();
    let end = Usage::of(options.pid)?;
    let (deliveries, reads) = (ledger.deliveries() - first, ledger.reads() - reads);

    // One more event for everyone: nothing repeated or late can hide behind it.
    ledger.read_every_message();
    publisher.round().await?;
    let per_connection = |before: u64, after: u64| (after as f64 - before as f64) / connections as f64;
    Ok(Sample {
        threads: end.threads,
        deliveries,
        seconds: elapsed.as_secs_f64(),
        cpu_seconds: end.cpu.saturating_sub(start.cpu).as_secs_f64(),
        messages_per_read: deliveries as f64 / reads.max(1) as f64,
        frame_bytes: ledger.frame_bytes(),
        rss_per_connection: per_connection(before.rss, settled.rss),
        pss_per_connection: per_connection(before.pss, settled.pss),
    })
}

async fn connect_all(options: &LoadOptions) -> Result<Vec<Client>, Error> {
    let mut waiting = 0..options.connections;
    let mut connecting = JoinSet::new();
    let mut connect = |connecting: &mut JoinSet<_>| {
        if let Some(index) = waiting.next() {
            let topic = index % options.shape.topics(options.connections);
            connecting.spawn_local(Client::connect(options.server, event::bot(topic)));
        }
    };
    for _ in 0..CONNECTING_AT_ONCE {
        connect(&mut connecting);
    }
    let mut clients = Vec::new();
    while let Some(client) = connecting.join_next().await {
        clients.push(client.map_err(|error| Error::Setup(error.to_string()))??);
        connect(&mut connecting);
    }
    // Topics are given out by index, and connections come ready in any order.
    clients.sort_by(|one, other| one.bot().cmp(other.bot()));
    Ok(clients)
}

/// Reads the memory once the server has had time to give back what connecting took.
async fn settle_memory(pid: u32, regime: Regime) -> Result<Usage, Error> {
    if regime == Regime::Idle {
        tokio::time::sleep(SETTLE).await;
    }
    Usage::of(pid)
}

/// Unmeasured events first: threads, caches and buffers of the server reach their usual state.
const WARM_UP: Duration = Duration::from_secs(1);
/// Rest between the last subscription and the reading of memory.
const SETTLE: Duration = Duration::from_secs(2);
/// Below the backlog of any server's listener.
const CONNECTING_AT_ONCE: usize = 64;
/// Open files beside the connections.
const OTHER_FILES: u64 = 64;
