//! Everything in the engine that a client or a publisher could make grow: [`Limits`].

use std::time::Duration;

use stentor_schema::OperationLimits;

/// The bounds of one node. Each has an outcome when it is reached.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What a client's document may ask for; exceeding it is an error of that operation.
    pub operation: OperationLimits,
    /// Events that wait for one subscription when the schema's `@delivery` does not say; then its overflow decides.
    pub mailbox_events: u32,
    /// Bytes that wait for one subscription; then its overflow decides.
    pub mailbox_bytes: usize,
    /// Bytes that wait for all subscriptions of one connection; then the overflow of the one that is full decides.
    pub connection_bytes: usize,
    /// Queries and mutations that connections run at a time; one more is an error.
    pub requests: usize,
    /// How long each of them may take; longer is an error.
    pub request_timeout: Duration,
    /// Events of all topics that came from the broker and wait for their audiences; more are a gap of their topic.
    pub queue_events: usize,
    /// Bytes of those events.
    pub queue_bytes: usize,
    /// Events of one topic among those; more are a gap of that topic.
    pub topic_queue_events: usize,
    /// Loads in flight; one more waits, and with it its audience. A sixteenth of them at most is of one audience.
    pub loads: usize,
    /// Events of one audience that wait for their values; more are a gap of its members.
    pub load_queue: usize,
    /// How long a load may take; longer is a field error.
    pub load_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operation: OperationLimits {
                depth: 20,
                aliases: 50,
                root_fields: 20,
                tokens: 10_000,
                introspection: true,
            },
            mailbox_events: 100,
            mailbox_bytes: 1 << 20,
            connection_bytes: 8 << 20,
            requests: 1_024,
            request_timeout: Duration::from_secs(30),
            queue_events: 65_536,
            queue_bytes: 64 << 20,
            topic_queue_events: 16_384,
            loads: 256,
            load_queue: 256,
            load_timeout: Duration::from_secs(10),
        }
    }
}
