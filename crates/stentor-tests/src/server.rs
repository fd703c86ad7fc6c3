//! Servers to try: [`TestServer`], and what one can ask of every server, [`Served`].

use std::{io, net::SocketAddr};

use serde::Serialize;
use stentor::{
    Builder, Config, Stentor,
    config::{BrokerUrl, Period},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use crate::{Dial, HttpResponse, PATIENCE, RedisServer, WsClient, eventually, request};

/// A server in this process, on a free port of the loopback. Stops when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    stentor: Stentor,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl TestServer {
    /// Serves `schema` with the default configuration: memory broker, everyone anonymous.
    pub async fn start(schema: &str) -> Self {
        Self::configured(schema, |_| {}).await
    }

    /// Serves `schema` with the default configuration as `change` leaves it.
    ///
    /// Pings are far apart unless `change` says otherwise: a [`WsClient`] does not answer them, and a test may take
    /// its time on a busy machine.
    pub async fn configured(schema: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.websocket.ping_interval = Period::minutes(10);
        change(&mut config);
        Self::build(Stentor::builder().schema(schema).config(config)).await
    }

    /// Serves `schema` from a Redis server, with the default configuration as `change` leaves it.
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build).
    pub async fn on_redis(redis: &RedisServer, schema: &str, change: impl FnOnce(&mut Config)) -> Self {
        let url = BrokerUrl::new(redis.url()).expect("its own URL is right");
        Self::configured(schema, |config| {
            config.broker.url = Some(url);
            change(config);
        })
        .await
    }

    /// Serves what `builder` makes.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub async fn build<S: Clone + Send + Sync + 'static>(builder: Builder<S>) -> Self {
        let stentor = builder.build().await.unwrap_or_else(|error| panic!("{error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (shutdown, asked) = oneshot::channel::<()>();
        let served = stentor.clone();
        let serving = tokio::spawn(async move {
            let asked = async {
                // A sender that is dropped is no wish to stop: the task is aborted then.
                if asked.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            served.serve(listener, asked).await
        });
        Self { address, stentor, shutdown: Some(shutdown), serving }
    }

    /// The server itself.
    pub fn stentor(&self) -> &Stentor {
        &self.stentor
    }

    /// Publishes on this node.
    ///
    /// # Panics
    ///
    /// When the broker does not confirm it.
    pub async fn publish<T: Serialize + ?Sized>(&self, topic: &str, event: &T) {
        self.stentor.publish(topic, event).await.unwrap_or_else(|error| panic!("{topic}: {error}"));
    }

    /// Lets the future resolve that `serve` was given for its end.
    pub fn begin_shutdown(&mut self) {
        let shutdown = self.shutdown.take().expect("it is begun once");
        shutdown.send(()).expect("the server serves");
    }

    /// Waits until `serve` has returned.
    ///
    /// # Panics
    ///
    /// When it does not, or returns an error.
    pub async fn ended(&mut self) {
        let outcome = timeout(PATIENCE, &mut self.serving).await.expect("serve returns");
        outcome.expect("serve does not panic").expect("serve returns without an error");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served for TestServer {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What can be asked of a server from outside.
pub trait Served {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// A connection that has been acknowledged, without a token.
    fn client(&self) -> impl Future<Output = WsClient> {
        async { WsClient::connect(self.address(), &Dial::default()).await }
    }

    /// A connection that has been acknowledged, with this token.
    fn client_with(&self, token: &str) -> impl Future<Output = WsClient> {
        let dial = Dial { token: Some(token.to_owned()), ..Dial::default() };
        async move { WsClient::connect(self.address(), &dial).await }
    }

    /// The answer to a GET request.
    fn get(&self, target: &str) -> impl Future<Output = HttpResponse> {
        request(self.address(), "GET", target, &[], "")
    }

    /// The answer to a POST request with a JSON body.
    fn post(&self, target: &str, body: &str) -> impl Future<Output = HttpResponse> {
        let headers = &[("Content-Type", "application/json"), ("Accept", "application/json")];
        request(self.address(), "POST", target, headers, body)
    }

    /// One figure of `/metrics`, named as it stands there: `stentor_topics`, `stentor_gaps_total{reason="SOURCE"}`.
    ///
    /// # Panics
    ///
    /// When it is not there.
    fn metric(&self, name: &str) -> impl Future<Output = u64> {
        async move {
            let body = self.get("/metrics").await.body;
            let value = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value = value.and_then(|value| value.parse::<f64>().ok());
            value.unwrap_or_else(|| panic!("{name} is not in\n{body}")) as u64
        }
    }

    /// Waits until a figure of `/metrics` has this value.
    ///
    /// # Panics
    ///
    /// When it does not in time.
    fn expect_metric(&self, name: &str, value: u64) -> impl Future<Output = ()> {
        async move {
            eventually(&format!("{name} is {value}"), async || self.metric(name).await == value).await;
        }
    }
}
