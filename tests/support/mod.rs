//! What the tests over the wire share: the real binary, the mock upstream, exact HTTP, temporary folders.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part of this"
)]

pub mod account;
pub mod binary;
pub mod codings;
pub mod command;
pub mod crowd;
pub mod curl;
pub mod dice;
pub mod fleet;
pub mod http;
pub mod http2;
pub mod keeper;
pub mod load;
pub mod mock;
pub mod prices;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod refusal;
pub mod relay;
pub mod scripted;
pub mod setup;
pub mod storms;
pub mod temp;
pub mod tls;
pub mod tunnel;

pub use curl::curl;
pub use fleet::Fleet;
pub use http::{Answer, Call, Connection, Exchange};
pub use http2::Http2;
pub use load::{Load, Seen};
pub use mock::Mock;
pub use proxy::Proxy;
pub use raw::RawUpstream;
pub use refusal::{Retry, refusal};
pub use relay::{Cut, Direction, Door, Relay, Way};
pub use scripted::{Ending, Framing, Script, Scripted};
pub use setup::{Setup, chat, image, occupy, start, start_with, stream};
pub use temp::TempDir;
pub use tls::Authority;
pub use tunnel::Tunnel;

use std::process::Command;
use std::time::{Duration, Instant};

/// How long anything may take that a test waits for; far above what it takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `look` has an answer; panics with `what` when it is late.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal such as `TERM` to one process.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .expect("kill runs");
    assert!(sent.success(), "kill -{name} {pid}");
}

/// Whether rounds should be few (`scripts/test --quick`, and by default).
pub fn quick() -> bool {
    std::env::var("TOLLGATE_TEST_QUICK").as_deref() != Ok("0")
}

/// An amount of money, as a decimal string, in nano units.
pub fn nano(text: &str) -> i64 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(
        part.len() <= 9 && !part.ends_with('0'),
        "not a plain decimal: {text}"
    );
    let whole: i64 = whole.parse().expect("whole units");
    let part: i64 = format!("{part:0<9}").parse().expect("a fraction");
    sign * (whole * 1_000_000_000 + part)
}

/// Nano units as a plain decimal without trailing zeros.
pub fn decimal(nano: i64) -> String {
    let (sign, nano) = if nano < 0 { ("-", -nano) } else { ("", nano) };
    let text = format!("{sign}{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
