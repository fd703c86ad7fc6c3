//! The library's front door: [`Stentor`].

use std::{future::Future, io, sync::Arc};

use axum::Router;
use serde::Serialize;
use stentor_broker::{HashError, PublishError};
use tokio::net::TcpListener;

use crate::{
    Builder,
    app::App,
    config::Config,
    http,
    outgoing::{payload, texts},
    server,
};

/// A GraphQL subscription server. A handle: clones share.
#[derive(Clone, Debug)]
pub struct Stentor(pub(crate) Arc<App>);

impl Stentor {
    /// Begins a server with the default configuration: in-memory broker, everyone anonymous.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves on `listener` until `shutdown` is ready, then drains: new clients are turned away, running ones are
    /// closed with 1012 over the configured window.
    ///
    /// # Errors
    ///
    /// The listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        self.serve_router(self.router(), listener, shutdown).await
    }

    /// As [`serve`](Self::serve), with a router that has pages of the program's own beside [`router`](Self::router).
    ///
    /// # Errors
    ///
    /// The listener fails.
    pub async fn serve_router(
        &self,
        router: Router,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        server::serve(&self.0, router, listener, shutdown).await
    }

    /// Every address of the server (`/graphql`, `/ws`, `/healthz`, `/readyz`, `/metrics`), to mount in an axum
    /// application, below any path. Its owner is then also the one who limits and drains connections that are not
    /// WebSockets, and shows GraphiQL only by [`Config::graphiql`].
    pub fn router(&self) -> Router {
        http::router(&self.0)
    }

    /// Sends an event to the subscribers of `topic` on every node: text as it is, everything else as JSON.
    ///
    /// # Errors
    ///
    /// The event does not serialize, or is text that would be read as JSON because it begins with `{` or `[`; and as [`Broker::publish`](crate::Broker::publish).
    pub async fn publish<T: Serialize + ?Sized>(&self, topic: &str, event: &T) -> Result<(), PublishError> {
        self.0.engine.publisher().publish(topic, payload(event)?).await
    }

    /// Sets fields of the hash `key`, as HSET does: its other fields stay. Subscribers of the hash on every node see the value
    /// after the change.
    ///
    /// `fields` is a struct or a map. Text is written as it is, numbers and booleans as text, lists and objects as JSON; a null
    /// is refused.
    ///
    /// # Errors
    ///
    /// The fields have no text, or as [`HashStore::write`](crate::HashStore::write).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use stentor::Stentor;
    /// #[derive(serde::Serialize)]
    /// struct Progress { stage: &'static str, progress: f64 }
    ///
    /// let stentor = Stentor::builder()
    ///     .schema(r#"
    ///         type Subscription { progress(id: ID!): Progress! @subscribe(hash: "progress:{{ args.id }}") }
    ///         type Progress { stage: String! progress: Float! }
    ///     "#)
    ///     .build()
    ///     .await?;
    /// stentor.set_hash("progress:42", &Progress { stage: "retrieving", progress: 0.25 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_hash<T: Serialize + ?Sized>(&self, key: &str, fields: &T) -> Result<(), HashError> {
        self.0.engine.publisher().set_hash(key, &texts(fields)?).await
    }

    /// The configuration it was built with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}
