//! Topics, their members, and the one connection to Redis.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Mode;
use super::socket::Socket;
use crate::error::Error;
use crate::resp::{Reply, write_command};
use crate::websocket::{TEXT, server_frame, write_server_header};

/// Who hears which topic.
#[derive(Debug)]
pub(crate) struct Hub {
    mode: Mode,
    topics: Mutex<HashMap<Vec<u8>, Topic>>,
    redis: tokio::sync::Mutex<OwnedWriteHalf>,
}

#[derive(Debug, Default)]
struct Topic {
    /// Whether Redis has confirmed the subscription, so that members hear every event from now on.
    confirmed: bool,
    /// Shared, so that an event takes one reference instead of a copy of the list.
    members: Arc<Vec<Arc<Socket>>>,
}

impl Hub {
    pub(crate) fn new(mode: Mode, redis: OwnedWriteHalf) -> Self {
        Self { mode, topics: Mutex::default(), redis: redis.into() }
    }

    /// Makes `socket` a member of `topic`, subscribed at Redis by the first one, and tells it when events flow.
    pub(crate) async fn join(&self, topic: String, socket: &Arc<Socket>) -> Result<(), Error> {
        let (first, confirmed) = {
            let mut topics = self.topics.lock();
            let topic = topics.entry(topic.clone().into_bytes()).or_default();
            let members = Arc::make_mut(&mut topic.members);
            members.push(Arc::clone(socket));
            (members.len() == 1, topic.confirmed)
        };
        if confirmed {
            socket.write(&live_frame()).await;
        }
        if first {
            let mut command = Vec::new();
            write_command(&mut command, &[b"SUBSCRIBE", topic.as_bytes()]);
            self.redis.lock().await.write_all(&command).await.map_err(Error::io("write to Redis"))?;
        }
        Ok(())
    }

    /// Delivers what Redis sends, until it goes.
    pub(crate) async fn read_events(&self, mut redis: OwnedReadHalf) -> Result<(), Error> {
        let mut input = Vec::with_capacity(READ_BYTES);
        let mut frame = Vec::new();
        loop {
            let read = redis.read_buf(&mut input).await.map_err(Error::io("read from Redis"))?;
            if read == 0 {
                return Err(Error::Setup("Redis closed the connection".into()));
            }
            let mut taken = 0;
            while let Some((reply, length)) = Reply::parse(&input[taken..]).map_err(Error::Setup)? {
                match reply {
                    Reply::Message { topic, payload } => {
                        encode(&mut frame, payload);
                        self.deliver(topic, &frame).await;
                    }
                    Reply::Subscribed { topic } => self.confirm(topic).await,
                    Reply::Integer(_) => {}
                }
                taken += length;
            }
            input.drain(..taken);
        }
    }

    async fn deliver(&self, topic: &[u8], frame: &[u8]) {
        let members = self.topics.lock().get(topic).map(|topic| Arc::clone(&topic.members));
        for socket in members.iter().flat_map(|members| members.iter()) {
            match self.mode {
                Mode::Each => socket.write(frame).await,
                Mode::Join => socket.queue(frame),
            }
        }
    }

    async fn confirm(&self, topic: &[u8]) {
        let members = self.topics.lock().get_mut(topic).map(|topic| {
            topic.confirmed = true;
            Arc::clone(&topic.members)
        });
        for socket in members.iter().flat_map(|members| members.iter()) {
            socket.write(&live_frame()).await;
        }
    }
}

/// The one `next` message of an event; every subscriber uses the same operation id.
fn encode(frame: &mut Vec<u8>, event: &[u8]) {
    const BEFORE: &[u8] = br#"{"id":"1","type":"next","payload":{"data":{"botStatusChanged":"#;
    const AFTER: &[u8] = b"}}}";
    frame.clear();
    write_server_header(frame, TEXT, BEFORE.len() + event.len() + AFTER.len());
    frame.extend_from_slice(BEFORE);
    frame.extend_from_slice(event);
    frame.extend_from_slice(AFTER);
}

/// Tells a client that asked with `ackId` that its subscription is live.
fn live_frame() -> Vec<u8> {
    server_frame(TEXT, br#"{"type":"ping","payload":{"ackId":"1"}}"#)
}

/// Bytes that are read from Redis at once.
const READ_BYTES: usize = 64 * 1024;
