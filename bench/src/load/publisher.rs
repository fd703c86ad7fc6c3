//! Publishes events to Redis, by the clock or as fast as subscribers confirm receipt.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

use super::event;
use super::ledger::Ledger;
use crate::error::{self, Error};
use crate::resp::{Reply, write_command};
use crate::scenario::{Pace, Regime, Scenario};

/// The one publisher of a run.
#[derive(Debug)]
pub(crate) struct Publisher {
    redis: OwnedWriteHalf,
    commands: Vec<u8>,
    window: u64,
    pace: Pace,
    ledger: Rc<Ledger>,
}

impl Publisher {
    pub(crate) async fn connect(
        redis: SocketAddr,
        scenario: &Scenario,
        ledger: Rc<Ledger>,
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(redis).await.map_err(Error::io("connect to Redis"))?;
        stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
        let (reader, writer) = stream.into_split();
        tokio::task::spawn_local(read_replies(reader, Rc::clone(&ledger)));
        let (window, pace) = (scenario.events_in_flight(), scenario.shape.pace());
        Ok(Self { redis: writer, commands: Vec::new(), window, pace, ledger })
    }

    /// Publishes for this long, and returns when everyone has received everything.
    pub(crate) async fn publish_for(&mut self, regime: Regime, duration: Duration) -> Result<(), Error> {
        let end = Instant::now() + duration;
        match regime {
            Regime::Saturating => self.saturate(end).await?,
            Regime::Paced => self.keep_pace(end).await?,
            Regime::Idle => {}
        }
        self.settle().await
    }

    /// Publishes one event to each topic, and returns when everyone has received it.
    pub(crate) async fn round(&mut self) -> Result<(), Error> {
        self.publish(self.ledger.topics()).await?;
        self.settle().await
    }

    async fn saturate(&mut self, end: Instant) -> Result<(), Error> {
        while Instant::now() < end {
            let room = self.window.saturating_sub(self.ledger.in_flight());
            if room == 0 {
                self.ledger.progress().await?;
            } else {
                self.publish(room).await?;
            }
        }
        Ok(())
    }

    async fn keep_pace(&mut self, end: Instant) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(self.pace.tick);
        while Instant::now() < end {
            ticks.tick().await;
            self.ledger.check()?;
            self.publish(self.pace.events_per_tick).await?;
        }
        Ok(())
    }

    async fn settle(&self) -> Result<(), Error> {
        while self.ledger.in_flight() > 0 {
            self.ledger.progress().await?;
        }
        self.ledger.check()
    }

    async fn publish(&mut self, events: u64) -> Result<(), Error> {
        self.commands.clear();
        for _ in 0..events {
            let sequence = self.ledger.publish();
            let bot = event::bot(sequence % self.ledger.topics());
            let payload = event::encode(sequence, &bot);
            let topic = event::topic(&bot);
            write_command(&mut self.commands, &[b"PUBLISH", topic.as_bytes(), payload.as_bytes()]);
        }
        self.redis.write_all(&self.commands).await.map_err(Error::io("write to Redis"))
    }
}

async fn read_replies(mut redis: OwnedReadHalf, ledger: Rc<Ledger>) {
    if let Err(error) = check_replies(&mut redis).await {
        ledger.fail(error::chain(&error));
    }
}

/// Reads until the run ends; every event must reach one subscriber of Redis, the server under test.
async fn check_replies(redis: &mut OwnedReadHalf) -> Result<(), Error> {
    let mut input = Vec::new();
    loop {
        let read = redis.read_buf(&mut input).await.map_err(Error::io("read from Redis"))?;
        if read == 0 {
            return Err(Error::invalid("Redis closed the connection"));
        }
        let mut taken = 0;
        while let Some((reply, length)) = Reply::parse(&input[taken..]).map_err(Error::invalid)? {
            match reply {
                Reply::Integer(1) => {}
                Reply::Integer(servers) => {
                    return Err(Error::invalid(format!(
                        "Redis handed an event to {servers} subscribers, not to one"
                    )));
                }
                other => return Err(Error::invalid(format!("unexpected {other:?} from Redis"))),
            }
            taken += length;
        }
        input.drain(..taken);
    }
}
