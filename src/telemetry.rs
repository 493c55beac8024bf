//! Logs: one line each on stderr, for people on a terminal and as JSON elsewhere. No prompt and no
//! secret is ever logged.

mod lines;
#[cfg(feature = "otel")]
pub mod traces;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::clock::wall;
use lines::Lines;

/// The environment variable that says what is logged, such as `info` or `tollgate=debug`.
pub const LOG_ENV: &str = "TOLLGATE_LOG";

/// How long the end of the process waits for a slow stderr.
const LAST_LINES: Duration = Duration::from_secs(1);

static WRITES_JSON: AtomicBool = AtomicBool::new(false);

/// Whether lines of the log are JSON.
pub fn writes_json() -> bool {
    WRITES_JSON.load(Ordering::Relaxed)
}

/// Writes a line of JSON at level `info`, as the log itself would, with the members that `members` adds, each after a
/// comma. Whether such lines are wanted is for the caller to ask.
pub fn write_info(target: &str, message: &str, members: impl FnOnce(&mut Vec<u8>)) {
    let mut line = Vec::with_capacity(LINE_BYTES);
    let mut put = |text: &str| line.extend_from_slice(text.as_bytes());
    put("{\"timestamp\":\"");
    put(&wall().to_string());
    put("\",\"level\":\"INFO\",\"message\":\"");
    put(message);
    put("\"");
    members(&mut line);
    let mut put = |text: &str| line.extend_from_slice(text.as_bytes());
    put(",\"target\":\"");
    put(target);
    put("\"}\n");
    Lines::to_stderr().take(&line);
}

/// Room for a usual line.
const LINE_BYTES: usize = 1_024;

/// Starts logging, of panics too. Later calls change nothing.
pub fn start(default: &str) {
    let wish = std::env::var_os(LOG_ENV).unwrap_or_default();
    let (filter, wrong) = filter(&wish.to_string_lossy(), default);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Lines::to_stderr);
    let is_json = !std::io::stderr().is_terminal();
    let started = match is_json {
        false => builder.with_target(false).try_init(),
        true => builder.json().flatten_event(true).try_init(),
    };
    // An error means that logging was started before, which is as well.
    if started.is_ok() {
        WRITES_JSON.store(is_json, Ordering::Relaxed);
        std::panic::set_hook(Box::new(log_panic));
    }
    if let Some(wrong) = wrong {
        tracing::error!("{LOG_ENV} is not understood, and {default} is logged: {wrong}");
    }
}

/// What is logged, and what is wrong with the wish for it. An empty wish is none.
fn filter(wish: &str, default: &str) -> (EnvFilter, Option<String>) {
    let usual = || EnvFilter::new(default);
    match wish.trim() {
        "" => (usual(), None),
        wish => match EnvFilter::builder().parse(wish) {
            Ok(filter) => (filter, None),
            Err(error) => (usual(), Some(error.to_string())),
        },
    }
}

/// A panic is a line of the log as any other; its backtrace is in it where `RUST_BACKTRACE` asks for one.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        thread = thread.name(),
        at = panic.location().map(tracing::field::display),
        backtrace,
        "panic: {message}"
    );
    // The process ends with its first thread, before anybody else could write the line.
    if thread.name() == Some("main") {
        lines::STDERR.flush(LAST_LINES);
    }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn an_empty_wish_is_none_and_a_wrong_one_is_told() {
        for wish in ["", " "] {
            let (filter, wrong) = filter(wish, "info");
            assert_eq!((filter.to_string(), wrong), ("info".to_owned(), None));
        }
        let (taken, wrong) = filter("warn", "info");
        assert_eq!((taken.to_string(), wrong), ("warn".to_owned(), None));
        let (usual, wrong) = filter("tollgate=loud=", "info");
        assert_eq!(usual.to_string(), "info");
        assert!(wrong.is_some());
    }

    /// Keeps what is written to it.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_of_the_log() {
        let kept = Kept::default();
        let out = kept.clone();
        let json = tracing_subscriber::fmt().json().flatten_event(true);
        let log = json.with_writer(move || out.clone()).finish();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let panicked = tracing::subscriber::with_default(log, || {
            std::panic::catch_unwind(|| panic!("two\nlines, {}", 7))
        });
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let text = String::from_utf8(kept.0.lock().clone()).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["message"], "panic: two\nlines, 7");
        assert_eq!(line["level"], "ERROR");
        let place = line["at"].as_str().expect("a place");
        assert!(place.starts_with(file!()), "{place}");
    }
}
