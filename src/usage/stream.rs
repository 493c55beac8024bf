//! Reads an answer's stream, event by event, while it passes: usage, text, and how it ended.
//!
//! An event is parsed only if it holds a usage object. All others are walked over once by
//! [`Transcript::feed`].

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Choice, last_usage, read_answer};
use super::lenient::{Object, Objects, Raw, plain};
use super::report::{self, Reported, Unbelievable};
use super::skeleton::Skeleton;
use super::sse::Event;
use super::transcript::{Beginning, Mark, Seen, Transcript, Typed};

/// What an event is to the one who forwards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of the model.
    Content,
    /// `choices: []` with a usage: the event that a client only gets if it asked for it.
    UsageOnly,
    /// The model stopped; no text in this event.
    Finish,
    /// The end marker: `[DONE]`, or the event that its API ends with.
    Done,
    /// The upstream reports an error instead of going on.
    Error,
    /// Anything else: comments, blanks, roles, unknown events.
    Other,
}

/// What a whole stream told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// The last report, `None` if there was none.
    pub usage: Option<Result<Reported, Unbelievable>>,
    /// Whether the end marker came.
    pub saw_done: bool,
    /// Whether the upstream sent an error event.
    pub saw_error: bool,
    /// Whether a choice ended with a reason.
    pub finish_reason_seen: bool,
    /// Events that carried text of the model.
    pub content_events: u64,
    /// That text.
    pub transcript: Transcript,
    /// Pictures that were delivered whole.
    pub pictures: u64,
    /// Pictures that were delivered before they were done.
    pub previews: u64,
    /// The last `sequence_number`.
    pub sequence: Option<u64>,
    /// The id of the response that it is.
    pub response: Option<String>,
    /// Seconds of the recording that it writes down.
    pub seconds: Option<u64>,
    /// The size of its pictures, in the vendor's words.
    pub size: Option<String>,
    /// Their quality.
    pub quality: Option<String>,
}

/// Reads events as they pass.
#[derive(Clone, Debug, Default)]
pub struct StreamMeter {
    usage: Option<Result<Reported, Unbelievable>>,
    saw_done: bool,
    saw_error: bool,
    finish_reason_seen: bool,
    content_events: u64,
    transcript: Transcript,
    beginning: Beginning,
    pictures: u64,
    previews: u64,
    sequence: Option<u64>,
    response: Option<String>,
    seconds: Option<u64>,
    size: Option<String>,
    quality: Option<String>,
    /// The event that was too large to wait for its end.
    oversized: Option<Skeleton>,
}

impl StreamMeter {
    /// A meter at the start of a stream.
    pub fn new() -> Self {
        StreamMeter::default()
    }

    /// Reads one event. The tail of an oversized one ([`Event::is_tail`]) completes its fragments.
    pub fn event(&mut self, event: &Event) -> Kind {
        if event.is_tail {
            self.fragment(&event.bytes);
            return self.end_oversized();
        }
        let data = event.data();
        if data.trim_ascii() == b"[DONE]" {
            self.saw_done = true;
            return Kind::Done;
        }
        // Most events are one line of data: too short to have a name as well.
        let has_more_lines = event.bytes.len() > data.len() + "data: \r\n\r\n".len();
        if has_more_lines && event.event_name() == Some(b"error") {
            self.saw_error = true;
            return Kind::Error;
        }
        self.data(&data)
    }

    /// Reads a part of an event that the scanner handed out before its end ([`Scanner::overflow`]).
    ///
    /// [`Scanner::overflow`]: super::sse::Scanner::overflow
    pub fn fragment(&mut self, bytes: &[u8]) {
        match &mut self.oversized {
            Some(skeleton) => skeleton.push(bytes),
            None => {
                // The JSON starts after the field's name.
                let start = memchr::memchr(b'{', bytes).unwrap_or(bytes.len());
                let mut skeleton = Skeleton::new();
                skeleton.push(&bytes[start..]);
                self.oversized = Some(skeleton);
            }
        }
    }

    /// How much text came so far, to [`StreamMeter::rewind`] to.
    pub fn mark(&self) -> Mark {
        self.transcript.mark()
    }

    /// Takes back the text that came since: it reached nobody.
    pub fn rewind(&mut self, earlier: Mark) {
        self.transcript.rewind(earlier);
    }

    /// What is known of the usage so far.
    pub fn usage(&self) -> Option<Result<Reported, Unbelievable>> {
        self.usage
    }

    /// Whether a choice has ended with a reason.
    pub fn finish_reason_seen(&self) -> bool {
        self.finish_reason_seen
    }

    /// Whether the upstream has told of an error.
    pub fn error_seen(&self) -> bool {
        self.saw_error
    }

    /// The id of the response that the events tell of, once one has named it.
    pub fn response(&self) -> Option<&str> {
        self.response.as_deref()
    }

    /// How many pictures were delivered whole so far.
    pub fn pictures(&self) -> u64 {
        self.pictures
    }

    /// The verdict at the end of the stream, however it ended.
    pub fn finish(mut self) -> StreamFacts {
        self.end_oversized();
        StreamFacts {
            usage: self.usage,
            saw_done: self.saw_done,
            saw_error: self.saw_error,
            finish_reason_seen: self.finish_reason_seen,
            content_events: self.content_events,
            transcript: self.transcript,
            pictures: self.pictures,
            previews: self.previews,
            sequence: self.sequence,
            response: self.response,
            seconds: self.seconds,
            size: self.size,
            quality: self.quality,
        }
    }

    fn end_oversized(&mut self) -> Kind {
        match self.oversized.take() {
            Some(skeleton) => self.data(&skeleton.into_json()),
            None => Kind::Other,
        }
    }

    fn data(&mut self, data: &[u8]) -> Kind {
        let seen = self.transcript.feed_next(data, &mut self.beginning);
        self.saw_error |= seen.error;
        self.finish_reason_seen |= seen.finish;
        self.content_events += u64::from(seen.text);
        self.sequence = seen.sequence.or(self.sequence);
        // The first event of a response names it.
        if seen.typed != Typed::Plain && self.response.is_none() {
            self.response = response_id(data);
        }
        let is_usage_only = seen.usage && self.read_usage(data);
        match seen {
            _ if seen.error => Kind::Error,
            _ if self.ends(&seen, data) => Kind::Done,
            _ if is_usage_only => Kind::UsageOnly,
            _ if seen.text => Kind::Content,
            _ if seen.finish => Kind::Finish,
            _ => Kind::Other,
        }
    }

    /// Whether the event is the last one, by its type.
    fn ends(&mut self, seen: &Seen, data: &[u8]) -> bool {
        match seen.typed {
            Typed::Plain | Typed::Repeats | Typed::PictureFails => {
                self.previews += u64::from(seen.picture);
                return false;
            }
            Typed::Picture => {
                self.picture(seen, data);
                return false;
            }
            Typed::PicturesEnd => self.picture(seen, data),
            Typed::Ends => {
                let told = read_answer(data).ok().and_then(|told| told.seconds());
                self.seconds = told.or(self.seconds);
            }
            Typed::Fails => self.saw_error |= self.usage.is_none(),
        }
        self.saw_done = true;
        true
    }

    fn picture(&mut self, seen: &Seen, data: &[u8]) {
        self.pictures += u64::from(seen.picture);
        if let Ok(told) = read_answer(data) {
            self.size = told.image.size.map(str::to_owned).or(self.size.take());
            self.quality = told
                .image
                .quality
                .map(str::to_owned)
                .or(self.quality.take());
        }
    }

    /// Takes the event's report, which replaces earlier ones; in an API that tells its usage in parts, what it leaves
    /// out stays. Returns whether the event holds nothing else.
    fn read_usage(&mut self, data: &[u8]) -> bool {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return false;
        };
        let nested = |within: &Object<Choice<'_>>| {
            let usage = within.0.as_ref()?.usage?;
            report::read(usage.get().as_bytes())
        };
        let told = last_usage(chunk.usage, &chunk.choices)
            .or_else(|| nested(&chunk.response))
            .or_else(|| nested(&chunk.message).map(|told| told.map(Reported::input_alone)));
        self.usage = match (told, self.usage) {
            (Some(Ok(later)), Some(Ok(earlier))) if chunk.kind.is_some() => {
                Some(Ok(later.after(earlier)))
            }
            (told, before) => told.or(before),
        };
        chunk.is_usage_only()
    }
}

/// Inserts `members` (such as `,"cost":"0.000868"`, with its leading comma) at the end of the top-level
/// `usage` object of a usage-only event. All other bytes stay. `None` if the event is no such event, or if
/// the upstream has put a member of that name there itself: a name given twice is read in two ways.
pub fn splice_cost(event: &Event, members: &str) -> Option<Bytes> {
    let data = event.data();
    let chunk: Chunk<'_> = serde_json::from_slice(&data).ok()?;
    let usage = chunk.usage.filter(|_| chunk.is_usage_only())?.get();
    let inside = usage.strip_prefix('{')?.strip_suffix('}')?;
    let name = members.split('"').nth(1)?;
    let own: std::collections::BTreeMap<&str, &RawValue> = serde_json::from_str(usage).ok()?;
    if own.contains_key(name) {
        return None;
    }
    let members = match inside.trim_ascii() {
        "" => members.strip_prefix(',').unwrap_or(members),
        _ => members,
    };
    // Both are slices of the event if its data is one line; the distance of their starts is the offset.
    let start = (inside.as_ptr() as usize).checked_sub(event.bytes.as_ptr() as usize)?;
    let end = start.checked_add(inside.len())?;
    if event.bytes.get(start..end)? != inside.as_bytes() {
        return None;
    }
    let mut spliced = BytesMut::with_capacity(event.bytes.len() + members.len());
    spliced.extend_from_slice(&event.bytes[..end]);
    spliced.extend_from_slice(members.as_bytes());
    spliced.extend_from_slice(&event.bytes[end..]);
    Some(spliced.freeze())
}

fn response_id(data: &[u8]) -> Option<String> {
    let event: Named<'_> = serde_json::from_slice(data).ok()?;
    plain(event.response.0?.id?).map(str::to_owned)
}

/// An event that is about a response.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    response: Object<Id<'a>>,
}

#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow, default)]
    id: Option<Raw<'a>>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    usage: Option<Raw<'a>>,
    #[serde(borrow, default)]
    choices: Objects<Choice<'a>>,
    /// Where the events of Responses have it.
    #[serde(borrow, default)]
    response: Object<Choice<'a>>,
    /// Where the first event of Messages has it.
    #[serde(borrow, default)]
    message: Object<Choice<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl Chunk<'_> {
    fn is_usage_only(&self) -> bool {
        let has_usage = self.usage.is_some_and(|usage| usage.get().starts_with('{'));
        has_usage && self.choices.0.as_ref().is_some_and(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests;
