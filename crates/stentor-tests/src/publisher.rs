//! A publisher that is a program of its own: [`Publisher`].

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};

use crate::{PATIENCE, RedisServer};

/// One connection to a Redis server that publishes many events in one go.
#[derive(Clone, Debug)]
pub struct Publisher(MultiplexedConnection);

impl Publisher {
    /// Connects to `server`.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn connect(server: &RedisServer) -> Self {
        let client = Client::open(server.url()).expect("its own URL is right");
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        Self(connection.unwrap_or_else(|error| panic!("{server:?} does not answer: {error}")))
    }

    /// Publishes events, each with its channel; how many connections each was sent to.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn publish<C: AsRef<str>>(
        &mut self,
        events: impl IntoIterator<Item = (C, String)>,
    ) -> Vec<u64> {
        let mut pipeline = redis::pipe();
        for (channel, event) in events {
            pipeline.publish(channel.as_ref(), event);
        }
        let answer = pipeline.query_async(&mut self.0).await;
        answer.unwrap_or_else(|error| panic!("redis does not answer: {error}"))
    }
}
