//! `stentor serve`.

use clap::Args;
use stentor::{Stentor, config::Config};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::ConfigFile;
use crate::{failure::Failure, log};

/// Serves until SIGTERM or SIGINT.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
}

impl Serve {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut config = self.config.load()?;
        log::start(&config.log);
        fit_file_limit(&mut config);
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(config))
    }
}

#[expect(clippy::print_stdout, reason = "the one line that says where to go")]
async fn serve(config: Config) -> Result<(), Failure> {
    let listen = config.listen.clone();
    if config.auth.is_none() {
        tracing::warn!("no [auth] is configured: everyone is anonymous and may run every operation");
    }
    let stentor = Stentor::builder().config(config).build().await?;
    let listener = TcpListener::bind(&listen).await.map_err(|error| {
        Failure::failed(format!("{listen} cannot be listened on: {error}; choose another `listen`"))
    })?;
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

/// File descriptors for everything that is not a client: the broker, files.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files, which is 1,024 as a rule, to the hard one, and takes no more sockets than that
/// allows: clients too many are then told so, while a process without file descriptors could tell them nothing.
fn fit_file_limit(config: &mut Config) {
    let files = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files) => files,
        Err(error) => return tracing::warn!(%error, "the limit of open files could not be raised"),
    };
    let sockets = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    let limits = &mut config.limits;
    if sockets < limits.connections.saturating_add(limits.http_connections) {
        limits.http_connections = limits.http_connections.min(sockets / 8).max(1);
        limits.connections = limits.connections.min(sockets - limits.http_connections).max(1);
        tracing::info!(
            files,
            connections = limits.connections,
            "the system's limit of open files bounds the sockets"
        );
    }
}
