//! The text that a model wrote, collected without parsing JSON.
//!
//! A lexical walk finds string members by name and keeps their values as they were escaped; they are
//! unescaped only if somebody has to count them. Text cannot pose as a member: inside a JSON string
//! every quote is escaped, so that a quote met by the walk really opens or closes a string.

use memchr::{memchr, memchr2};

use super::tokenizer::{Counter, Tokenizer};

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

/// How a walk stands. It follows from the bytes that it went over, and from nothing else.
#[derive(Clone, Copy, Debug, Default)]
struct Stand {
    depth: u32,
    /// The depth at which the container that is passed over began.
    passing_over: Option<u32>,
    seen: Seen,
}

/// A length that a [`Transcript`] had.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    kept: usize,
    bytes_seen: u64,
}

/// What a walk over one JSON text met on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Text of the model.
    pub text: bool,
    /// A `usage` member that is an object, at the top or in a choice.
    pub usage: bool,
    /// A top-level `error` that is not null, or a top-level `"type": "error"`.
    pub error: bool,
    /// A `finish_reason` or a `stop_reason` that is a string.
    pub finish: bool,
    /// What the top-level `type` says.
    pub typed: Typed,
    /// A top-level `url` or `b64_json`: a picture.
    pub picture: bool,
    /// The top-level `sequence_number`.
    pub sequence: Option<u64>,
}

/// What the `type` of an event says of the stream that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Typed {
    /// There is none, or it says nothing that matters.
    #[default]
    Plain,
    /// It tells again what came before, or tells of its frame.
    Repeats,
    /// It is the last event.
    Ends,
    /// It is the last event, and the answer failed.
    Fails,
    /// It brings one picture of several.
    Picture,
    /// It is the last event, and may bring a picture.
    PicturesEnd,
    /// It tells of one picture that failed.
    PictureFails,
}

impl Typed {
    fn of(value: &[u8]) -> Typed {
        match value {
            b"response.completed"
            | b"response.incomplete"
            | b"message_stop"
            | b"transcript.text.done"
            | b"speech.audio.done" => Typed::Ends,
            b"response.failed" => Typed::Fails,
            b"image_generation.completed" | b"image_edit.completed" => Typed::PicturesEnd,
            b"image_generation.partial_succeeded" => Typed::Picture,
            b"image_generation.partial_failed" => Typed::PictureFails,
            b"transcript.text.segment" => Typed::Repeats,
            _ if value.starts_with(b"response.") => {
                let is_sound = value.ends_with(b"audio.delta");
                match value.ends_with(b".delta") && !is_sound {
                    true => Typed::Plain,
                    false => Typed::Repeats,
                }
            }
            _ => Typed::Plain,
        }
    }
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
        let mut walk = Walk {
            json,
            stand: if known {
                beginning.stand
            } else {
                Stand::default()
            },
            reasoning: None,
            begun: None,
        };
        let before = (self.escaped.len(), self.bytes_seen);
        walk.run(if known { beginning.bytes.len() } else { 0 }, self);
        if let Some((at, stand)) = walk
            .begun
            .filter(|(at, _)| *at <= BEGINNING_BYTES_MAX && !known)
        {
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

struct Walk<'a> {
    json: &'a [u8],
    stand: Stand,
    /// The last reasoning text and its member's name: some upstreams send it under two names.
    reasoning: Option<(&'a [u8], &'a [u8])>,
    /// Where the first member with text is, and how the walk stood there.
    begun: Option<(usize, Stand)>,
}

impl<'a> Walk<'a> {
    fn run(&mut self, mut at: usize, transcript: &mut Transcript) {
        while let Some(&byte) = self.json.get(at) {
            at += 1;
            match byte {
                b'{' | b'[' => self.stand.depth = self.stand.depth.saturating_add(1),
                b'}' | b']' => self.close(),
                b'"' => match self.string(at, transcript) {
                    Some(next) => at = next,
                    None => return,
                },
                _ => {}
            }
        }
    }

    fn close(&mut self) {
        let stand = &mut self.stand;
        stand.depth = stand.depth.saturating_sub(1);
        if stand.passing_over == Some(stand.depth) {
            stand.passing_over = None;
        }
    }

    /// Reads the string that starts at `start`, and its value if it is a member's name and the value is
    /// a string. Returns where to go on, or `None` if the text ends before the string does.
    fn string(&mut self, start: usize, transcript: &mut Transcript) -> Option<usize> {
        let end = string_end(self.json, start)?;
        let colon = self.after_blanks(end + 1);
        if self.json.get(colon) != Some(&b':') {
            return Some(end + 1);
        }
        let name = &self.json[start..end];
        let at = self.after_blanks(colon + 1);
        match self.json.get(at)? {
            b'"' => {
                let before = self.stand;
                // A value that the answer's end cut off was delivered as far as it goes.
                let end = string_end(self.json, at + 1);
                let value = &self.json[at + 1..end.unwrap_or(self.json.len())];
                if self.text_member(name, value, transcript) && self.begun.is_none() {
                    self.begun = Some((start - 1, before));
                }
                Some(end? + 1)
            }
            _ => {
                if name == b"sequence_number" && self.stand.depth == 1 {
                    self.stand.seen.sequence = number(&self.json[at..]);
                }
                self.other_member(name, at);
                Some(at)
            }
        }
    }

    /// Whether it is text of the model, which is kept.
    fn text_member(
        &mut self,
        name: &'a [u8],
        value: &'a [u8],
        transcript: &mut Transcript,
    ) -> bool {
        let Stand {
            depth,
            passing_over,
            seen,
        } = &mut self.stand;
        let at_top = *depth == 1;
        let is_text = match name {
            _ if passing_over.is_some() || value.is_empty() => false,
            b"delta" => at_top,
            b"reasoning" | b"reasoning_content" => {
                let same = |(other, text)| other != name && text == value;
                !self.reasoning.replace((name, value)).is_some_and(same)
            }
            b"content" | b"refusal" | b"arguments" | b"name" | b"text" | b"input" | b"thinking"
            | b"partial_json" => true,
            _ => {
                match name {
                    b"finish_reason" | b"stop_reason" => seen.finish = true,
                    b"error" if at_top => seen.error = true,
                    b"type" if at_top && value == b"error" => seen.error = true,
                    b"type" if at_top => seen.typed = Typed::of(value),
                    b"url" | b"b64_json" if at_top => seen.picture = true,
                    _ => {}
                }
                false
            }
        };
        if is_text {
            seen.text = true;
            transcript.append(value);
        }
        is_text
    }

    /// Any member but a string, whose value begins at `at`.
    fn other_member(&mut self, name: &[u8], at: usize) {
        let first = self.json[at];
        let is_container = matches!(first, b'{' | b'[');
        let within = self.json.get(self.after_blanks(at + 1));
        let is_empty = is_container && matches!(within, Some(b'}' | b']'));
        let says_something = !is_empty && !matches!(first, b'n' | b'f');
        let stand = &mut self.stand;
        match name {
            b"usage" if stand.depth <= 3 && first == b'{' => stand.seen.usage = true,
            b"error" if stand.depth == 1 && says_something => stand.seen.error = true,
            _ => {}
        }
        // What these hold is not text of the model, or a second copy of it.
        let is_passed_over = matches!(
            name,
            b"usage"
                | b"error"
                | b"logprobs"
                | b"reasoning_details"
                | b"annotations"
                | b"tools"
                | b"tool_choice"
                | b"metadata"
                // How the text is to be, in a response that repeats what was asked for; and its prompts.
                | b"format"
                | b"instructions"
                | b"prompt"
        );
        if is_container && is_passed_over && stand.passing_over.is_none() {
            stand.passing_over = Some(stand.depth);
        }
    }

    fn after_blanks(&self, from: usize) -> usize {
        let rest = self.json.get(from..).unwrap_or_default();
        from + rest.len() - rest.trim_ascii_start().len()
    }
}

/// The digits that `json` begins with.
fn number(json: &[u8]) -> Option<u64> {
    let end = json.iter().position(|byte| !byte.is_ascii_digit());
    let digits = &json[..end.unwrap_or(json.len())];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where the string whose first byte is at `start` has its closing quote.
fn string_end(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
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
