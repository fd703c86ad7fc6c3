//! Where log lines go: [`start`].

use std::io;

use stentor::config::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

/// Writes the log to standard error, as configured.
pub(crate) fn start(config: &LogConfig) {
    let filter = EnvFilter::new(config.level.as_str());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
    }
}
