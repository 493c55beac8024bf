//! The fields of a wallet's hash: counters and grants, as text and back.

use std::sync::Arc;

use crate::clock::UnixMs;
use crate::ledger::book::Tally;
use crate::ledger::book::snapshot::StandingCounter;
use crate::ledger::grant::{Grant, GrantState, GrantUnit};
use crate::ledger::limit::Window;

/// The field of a counter: its key, and its window after a bar.
pub fn counter_field(key: &str, window: Window) -> String {
    match window {
        Window::Total => format!("c:{key}|t"),
        Window::Period { start, end } => format!("c:{key}|p{}-{}", start.0, end.0),
        Window::Bucket { refill_ms } => format!("c:{key}|b{refill_ms}"),
        Window::Concurrent => format!("c:{key}|c"),
    }
}

/// The counter of a field and its content; `None` for what is none.
pub fn counter(field: &str, content: &str) -> Option<StandingCounter> {
    let (key, window) = counter_key(field)?;
    let mut numbers = content.split(' ');
    let cap = numbers.next()?.parse().ok()?;
    let held = numbers.next()?.parse().ok()?;
    let counted = numbers.next()?;
    let tally = match numbers.next() {
        Some(at) => Tally::Level {
            unit_ms: counted.parse().ok()?,
            at: UnixMs(at.parse().ok()?),
        },
        None => Tally::Used(counted.parse().ok()?),
    };
    Some(StandingCounter {
        key,
        window,
        cap,
        held,
        tally,
    })
}

/// The key and the window of a counter's field; `None` for what is none.
pub fn counter_key(field: &str) -> Option<(Arc<str>, Window)> {
    let (key, window) = field.strip_prefix("c:")?.rsplit_once('|')?;
    Some((Arc::from(key), window_of(window)?))
}

fn window_of(text: &str) -> Option<Window> {
    let rest = text.get(1..)?;
    match text.as_bytes().first()? {
        b't' => Some(Window::Total),
        b'c' => Some(Window::Concurrent),
        b'b' => Some(Window::Bucket {
            refill_ms: rest.parse().ok()?,
        }),
        b'p' => {
            // The first sign may be the start's own.
            let dash = rest.get(1..)?.find('-')? + 1;
            Some(Window::Period {
                start: UnixMs(rest[..dash].parse().ok()?),
                end: UnixMs(rest[dash + 1..].parse().ok()?),
            })
        }
        _ => None,
    }
}

/// The letter of a unit.
pub fn unit_letter(unit: GrantUnit) -> &'static str {
    match unit {
        GrantUnit::Tokens => "t",
        GrantUnit::Images => "i",
        GrantUnit::Requests => "r",
        GrantUnit::Money => "m",
    }
}

/// The unit of a letter.
pub fn unit_of(letter: &str) -> Option<GrantUnit> {
    use GrantUnit::{Images, Money, Requests, Tokens};
    let units = [Tokens, Images, Requests, Money];
    units.into_iter().find(|unit| unit_letter(*unit) == letter)
}

/// When a grant or a key ends, as text.
pub fn expiry(at: Option<UnixMs>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.0.to_string())
}

/// A grant as it stands by its field's content: `<unit> <amount> <expiry> <used> <held>`.
pub fn grant_state(grant: &Grant, content: &str) -> Option<GrantState> {
    let mut words = content.split(' ').skip(3);
    Some(GrantState {
        grant: grant.clone(),
        used: words.next()?.parse().ok()?,
        held: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_back_whatever_their_window() {
        let at = UnixMs(5);
        let windows = [
            (Window::Total, "9 2 3", Tally::Used(3)),
            (Window::Concurrent, "9 2 0", Tally::Used(0)),
            (
                Window::Period {
                    start: UnixMs(-10),
                    end: UnixMs(20),
                },
                "9 2 18446744073709551615",
                Tally::Used(u64::MAX),
            ),
            (
                Window::Bucket { refill_ms: 60_000 },
                "9 2 -7 5",
                Tally::Level { unit_ms: -7, at },
            ),
        ];
        for (window, content, tally) in windows {
            let field = counter_field("k/l/spend/-10", window);
            let read = counter(&field, content).unwrap();
            assert_eq!((&*read.key, read.window), ("k/l/spend/-10", window));
            assert_eq!((read.cap, read.held, read.tally), (9, 2, tally));
        }
        assert_eq!(counter("g:gift", "t 1 - 0 0"), None);
    }
}
