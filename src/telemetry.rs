//! Logs: one line each on stderr, for people on a terminal and as JSON elsewhere. No prompt and no
//! secret is ever logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable that says what is logged, such as `info` or `tollgate=debug`.
pub const LOG_ENV: &str = "TOLLGATE_LOG";

/// Starts logging. Later calls change nothing.
pub fn start(default: &str) {
    let filter = EnvFilter::builder()
        .with_env_var(LOG_ENV)
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // An error means that logging was started before, which is as well.
    let started = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().try_init()
    };
    started.unwrap_or_default();
}
