//! [`Config`]: how long a connection waits and how much it holds.

use std::time::Duration;

/// The limits of a connection, shared by all connections of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the socket may be open without `connection_init`; zero for ever. 3 s.
    pub init_timeout: Duration,
    /// How long an accepted client may be silent before it gets a `ping`; zero for ever. 30 s.
    pub ping_interval: Duration,
    /// How long it may stay silent after that `ping`; zero for ever, the `ping`s then only keep proxies awake. 30 s.
    pub pong_timeout: Duration,
    /// How many operations may run at a time; each costs about 100 bytes here. A further one is refused with
    /// `error`. 1,000; an id is found by looking through them all.
    pub max_operations: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(3),
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(30),
            max_operations: 1_000,
        }
    }
}
