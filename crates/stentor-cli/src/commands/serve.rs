//! `stentor serve`.

use std::error::Error;

use clap::Args;
use stentor::{Stentor, config::Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::ConfigFile;
use crate::log;

/// Serves until SIGTERM or SIGINT.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
}

impl Serve {
    pub(super) fn run(&self) -> Result<(), Box<dyn Error>> {
        let config = self.config.load()?;
        log::start(&config.log);
        raise_file_limit(&config);
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(config))
    }
}

#[expect(clippy::print_stdout, reason = "the one line that says where to go")]
async fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let listen = config.listen.clone();
    if config.auth.is_none() {
        tracing::warn!("no [auth] is configured: everyone is anonymous and may run every operation");
    }
    let stentor = Stentor::builder().config(config).build().await?;
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("{listen} cannot be listened on: {error}; choose another `listen`"))?;
    let address = listener.local_addr()?;
    let shutdown = shutdown()?;
    println!("stentor serves http://{address}/graphql and ws://{address}/graphql (also ws://{address}/ws)");
    stentor.serve(listener, shutdown).await?;
    Ok(())
}

/// Ready when the process is asked to stop. The handlers stand before the server accepts, so no signal is missed.
fn shutdown() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Each connection is a file descriptor, and the usual soft limit is 1,024.
fn raise_file_limit(config: &Config) {
    let wanted = config.limits.connections as u64;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < wanted => {
            tracing::warn!(limit, wanted, "the system allows fewer open files than [limits] connections");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
