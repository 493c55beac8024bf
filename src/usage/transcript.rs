//! The text that a model wrote, collected without parsing JSON.
//!
//! A lexical walk finds string members by name and keeps their values as they were escaped; they are
//! unescaped only if somebody has to count them. Text cannot pose as a member: inside a JSON string
//! every quote is escaped, so that a quote met by the walk really opens or closes a string.

mod walk;

use memchr::memchr;

use super::tokenizer::{Counter, Tokenizer};
pub use walk::{Seen, Typed};
use walk::{Stand, Walk};

/// The most escaped bytes that a transcript keeps: 4 MiB.
pub const TRANSCRIPT_BYTES_MAX: usize = 4 << 20;

/// A growing, bounded collection of what a model wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    escaped: Vec<u8>,
    bytes_seen: u64,
}

/// The longest beginning that is remembered.
const BEGINNING_BYTES_MAX: usize = 1024;

/// How the events of a stream begin, up to their text: mostly all alike, and then read once.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    bytes: Vec<u8>,
    stand: Stand,
}

/// A length that a [`Transcript`] had.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    kept: usize,
    bytes_seen: u64,
}

impl Transcript {
    /// The transcript of one whole JSON text.
    pub fn of(json: &[u8]) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.feed(json);
        transcript
    }

    /// Adds the text of one JSON text (an answer, or one event's data). Takes any bytes.
    pub fn feed(&mut self, json: &[u8]) -> Seen {
        self.feed_next(json, &mut Beginning::default())
    }

    /// The same for one of many that begin alike.
    pub fn feed_next(&mut self, json: &[u8], beginning: &mut Beginning) -> Seen {
        let known = !beginning.bytes.is_empty() && json.starts_with(&beginning.bytes);
        let stand = if known {
            beginning.stand
        } else {
            Stand::default()
        };
        let mut walk = Walk::new(json, stand);
        let before = (self.escaped.len(), self.bytes_seen);
        walk.run(if known { beginning.bytes.len() } else { 0 }, self);
        if let Some((at, stand)) = walk.begun.filter(|(at, _)| {
            *at <= BEGINNING_BYTES_MAX && !known && is_between_members(&json[..*at])
        }) {
            beginning.bytes.clear();
            beginning.bytes.extend_from_slice(&json[..at]);
            beginning.stand = stand;
        }
        let mut seen = walk.stand.seen;
        if seen.typed != Typed::Plain && before.1 > 0 {
            self.escaped.truncate(before.0);
            self.bytes_seen = before.1;
            seen.text = false;
        }
        // The other pictures are still to come.
        seen.error &= seen.typed != Typed::PictureFails;
        seen
    }

    /// Takes back what was added since the transcript was as long as `earlier`.
    pub fn rewind(&mut self, earlier: Mark) {
        self.escaped.truncate(earlier.kept);
        self.bytes_seen = earlier.bytes_seen;
    }

    /// How long it is now, to [`Transcript::rewind`] to.
    pub fn mark(&self) -> Mark {
        Mark {
            kept: self.escaped.len(),
            bytes_seen: self.bytes_seen,
        }
    }

    /// Whether the model wrote nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes_seen == 0
    }

    /// Whether there was more text than is kept.
    pub fn is_cut(&self) -> bool {
        self.bytes_seen > self.kept()
    }

    /// The text that is kept, unescaped.
    pub fn text(&self) -> String {
        unescape(&self.escaped)
    }

    /// The tokens of the whole text; what was not kept is taken to be like what was. Slow: see
    /// [`super::tokenizer::pooled`].
    pub fn tokens(&self, tokenizer: &Tokenizer) -> u64 {
        let text = self.text();
        let mut counter = Counter::new(tokenizer);
        counter.add(&text);
        // What was not kept is known in escaped bytes only.
        let unseen = u128::from(self.bytes_seen.saturating_sub(self.kept())) * text.len() as u128;
        let unseen = unseen / u128::from(self.kept().max(1));
        counter.add_unseen(u64::try_from(unseen).unwrap_or(u64::MAX));
        counter.total()
    }

    /// The escaped bytes that are kept.
    pub(super) fn kept(&self) -> u64 {
        u64::try_from(self.escaped.len()).unwrap_or(u64::MAX)
    }

    fn append(&mut self, escaped: &[u8]) {
        let added = u64::try_from(escaped.len()).unwrap_or(u64::MAX);
        self.bytes_seen = self.bytes_seen.saturating_add(added);
        let room = TRANSCRIPT_BYTES_MAX.saturating_sub(self.escaped.len());
        self.escaped
            .extend_from_slice(&escaped[..escaped.len().min(room)]);
    }
}

/// Whether JSON that is sound so far begins a new member or element here: what came before is whole then, whatever
/// follows. Within anything else, the walk has looked ahead.
fn is_between_members(json: &[u8]) -> bool {
    matches!(json.trim_ascii_end().last(), Some(b'{' | b'[' | b','))
}

/// The text of a JSON string's inside. What is not valid becomes U+FFFD; an escape cut off at the end is dropped.
pub(super) fn unescape(escaped: &[u8]) -> String {
    let mut text = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let Some((&letter, after)) = rest[at + 1..].split_first() else {
            rest = &[];
            break;
        };
        rest = after;
        match letter {
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'u' => {
                let (letter, after) = unescape_unicode(rest);
                rest = after;
                if let Some(letter) = letter {
                    text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            other => text.push(other),
        }
    }
    text.extend_from_slice(rest);
    String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads what follows `\u`: four digits, or two escapes that make a surrogate pair.
fn unescape_unicode(rest: &[u8]) -> (Option<char>, &[u8]) {
    let Some(high) = hex4(rest) else {
        let whole_escape = rest.len() >= 4;
        return (
            whole_escape.then_some(char::REPLACEMENT_CHARACTER),
            if whole_escape { rest } else { &[] },
        );
    };
    let after = &rest[4..];
    let low = after.strip_prefix(b"\\u").and_then(hex4);
    match (char::from_u32(high), low) {
        (Some(letter), _) => (Some(letter), after),
        (None, Some(low)) if high < 0xDC00 && (0xDC00..0xE000).contains(&low) => {
            let point = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            let letter = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
            (Some(letter), &after[6..])
        }
        _ => (Some(char::REPLACEMENT_CHARACTER), after),
    }
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests;
