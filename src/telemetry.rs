//! Logs: one line each on stderr, for people on a terminal and as JSON elsewhere. No prompt and no
//! secret is ever logged.

mod lines;
#[cfg(feature = "otel")]
pub mod traces;

use std::io::IsTerminal;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use lines::Lines;

/// The environment variable that says what is logged, such as `info` or `tollgate=debug`.
pub const LOG_ENV: &str = "TOLLGATE_LOG";

/// How long the end of the process waits for a slow stderr.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts logging. Later calls change nothing.
pub fn start(default: &str) {
    let filter = EnvFilter::builder()
        .with_env_var(LOG_ENV)
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines::to_stderr);
    // An error means that logging was started before, which is as well.
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.unwrap_or_default();
}

/// Waits until what was logged so far is written, and traces are sent, for a second each at most. To be called
/// before the process ends.
pub fn flush() {
    #[cfg(feature = "otel")]
    traces::end(LAST_LINES);
    lines::STDERR.flush(LAST_LINES);
}

/// How many lines were lost because stderr was too slow, or took none.
pub fn dropped() -> u64 {
    lines::STDERR.dropped()
}
