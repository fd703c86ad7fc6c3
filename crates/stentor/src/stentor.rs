//! The library's front door: [`Stentor`].

use std::{future::Future, io, sync::Arc};

use axum::Router;
use bytes::Bytes;
use serde::Serialize;
use stentor_broker::PublishError;
use tokio::net::TcpListener;

use crate::{Builder, app::App, config::Config, http, server};

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

    /// Sends an event, as JSON, to the subscribers of `topic` on every node.
    ///
    /// # Errors
    ///
    /// The event does not serialize, or as [`Broker::publish`](crate::Broker::publish).
    pub async fn publish<T: Serialize + ?Sized>(&self, topic: &str, event: &T) -> Result<(), PublishError> {
        let payload = serde_json::to_vec(event).map_err(|error| PublishError::NotSent(error.to_string()))?;
        self.0.engine.publish(topic, Bytes::from(payload)).await
    }

    /// The configuration it was built with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}
