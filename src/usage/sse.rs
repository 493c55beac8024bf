//! Cuts a byte stream into server-sent events without copying or changing it.
//!
//! An event is everything up to and with its blank line. All bytes that are pushed come out again, in
//! order: from [`Scanner::next`], [`Scanner::overflow`] or [`Scanner::finish`].

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

/// How long an unfinished event may grow before [`Scanner::overflow`] lets it flow: 256 KiB.
pub const PENDING_BYTES_MAX: usize = 256 << 10;

/// One event (or a blank line that keeps the connection alive), as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The raw bytes, with the blank line, to be forwarded unchanged.
    pub bytes: Bytes,
    /// Whether the event's beginning has already been handed out by [`Scanner::overflow`]. Then `bytes`
    /// is only its end, and there is no data to be read from it.
    pub is_tail: bool,
}

impl Event {
    /// The value of the `data` field: that of its only line as a slice, several joined by line feeds.
    /// Empty if there is none.
    pub fn data(&self) -> Cow<'_, [u8]> {
        let mut values = self.fields().filter(|(name, _)| *name == b"data");
        let first = values.next().map_or(&[][..], |(_, value)| value);
        let mut data = Cow::Borrowed(first);
        for (_, value) in values {
            let joined = data.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        data
    }

    /// The value of the `event` field.
    pub fn event_name(&self) -> Option<&[u8]> {
        let named = self.fields().filter(|(name, _)| *name == b"event");
        named.last().map(|(_, value)| value)
    }

    /// Whether this is the `[DONE]` that ends a chat's stream.
    pub fn is_done(&self) -> bool {
        self.data().trim_ascii() == b"[DONE]"
    }

    /// Whether there are only comments and blank lines.
    pub fn is_comment_only(&self) -> bool {
        !self.is_tail && self.fields().next().is_none()
    }

    /// Whether it ends with its blank line: what follows is another event, and no part of this one.
    pub fn is_whole(&self) -> bool {
        let line = |bytes: &'_ [u8]| -> Option<usize> {
            let ends: [&[u8]; 3] = [b"\r\n", b"\n", b"\r"];
            let end = ends.into_iter().find(|end| bytes.ends_with(end))?;
            Some(bytes.len() - end.len())
        };
        let Some(blank) = line(&self.bytes) else {
            return false;
        };
        blank == 0 || line(&self.bytes[..blank]).is_some()
    }

    /// The event's fields, without comments and blank lines.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest: &[u8] = if self.is_tail { &[] } else { &self.bytes };
        // A line that ends with CR LF is followed by an empty one here, which is no field.
        let lines = std::iter::from_fn(move || {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            // A byte order mark belongs to the stream's start, but no field's name begins with one.
            let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
            let more = !rest.is_empty();
            rest = rest.get(end + 1..).unwrap_or_default();
            more.then_some(line)
        });
        lines
            .filter(|line| !line.is_empty() && !line.starts_with(b":"))
            .map(field)
    }
}

/// Name and value of a line.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &[]),
    }
}

/// Cuts pushed chunks into events. Only an event that lies across chunks is copied.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The unfinished event's bytes from earlier chunks, already looked through.
    carried: BytesMut,
    /// The current chunk, of which the first `looked` bytes belong to the unfinished event.
    chunk: Bytes,
    looked: usize,
    /// The current line has bytes.
    in_line: bool,
    /// The last byte was a CR, so that a LF now would still belong to it.
    after_cr: bool,
    /// An event is whole but for that LF: whether it comes is not known before the next byte.
    awaits_lf: bool,
    /// The beginning of the unfinished event has been handed out.
    is_tail: bool,
}

impl Scanner {
    /// A scanner at the start of a stream.
    pub fn new() -> Self {
        Scanner::default()
    }

    /// Takes the next bytes of the stream. Call [`Scanner::next`] until it returns `None` before the
    /// next push: it still works if you do not, but copies.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
        joined.extend_from_slice(&self.chunk);
        joined.extend_from_slice(&chunk);
        self.chunk = joined.freeze();
    }

    /// The next whole event, or `None` if more bytes are needed. Where a chunk ends with the CR of a blank line, one more
    /// is.
    #[allow(
        clippy::should_implement_trait,
        reason = "None is not the end: more may be pushed"
    )]
    pub fn next(&mut self) -> Option<Event> {
        if self.awaits_lf {
            let first = *self.chunk.first()?;
            self.awaits_lf = false;
            self.after_cr = false;
            self.looked = usize::from(first == b'\n');
            return Some(self.take_event());
        }
        while let Some(found) = memchr2(b'\n', b'\r', &self.chunk[self.looked..]) {
            let at = self.looked + found;
            let byte = self.chunk[at];
            let is_rest_of_crlf = found == 0 && self.after_cr && byte == b'\n';
            self.in_line |= found > 0;
            self.looked = at + 1;
            self.after_cr = byte == b'\r';
            if is_rest_of_crlf {
                continue;
            }
            if self.in_line {
                self.in_line = false;
                continue;
            }
            if self.after_cr {
                // A LF that belongs to this event must not become a part of the next one, which may be taken out.
                let Some(after) = self.chunk.get(at + 1) else {
                    self.awaits_lf = true;
                    break;
                };
                self.looked += usize::from(*after == b'\n');
                self.after_cr = false;
            }
            return Some(self.take_event());
        }
        if self.looked < self.chunk.len() {
            self.in_line = true;
            self.after_cr = false;
        }
        self.carry();
        None
    }

    /// How many bytes of an unfinished event are kept back.
    pub fn pending_len(&self) -> usize {
        self.carried.len() + self.chunk.len()
    }

    /// Hands out an unfinished event that has grown beyond [`PENDING_BYTES_MAX`], so that it can flow.
    /// What comes of it later has `is_tail` set. Ask after [`Scanner::next`] returned `None`.
    pub fn overflow(&mut self) -> Option<Bytes> {
        if self.carried.len() <= PENDING_BYTES_MAX {
            return None;
        }
        self.is_tail = true;
        Some(self.carried.split().freeze())
    }

    /// The rest at the end of the stream: an event whose blank line never came. The scanner is then as new.
    pub fn finish(&mut self) -> Option<Event> {
        self.looked = self.chunk.len();
        let rest = self.take_event();
        *self = Scanner::default();
        (!rest.bytes.is_empty()).then_some(rest)
    }

    fn take_event(&mut self) -> Event {
        let here = self.chunk.split_to(self.looked);
        self.looked = 0;
        let bytes = if self.carried.is_empty() {
            here
        } else {
            self.carried.extend_from_slice(&here);
            self.carried.split().freeze()
        };
        let is_tail = std::mem::take(&mut self.is_tail);
        Event { bytes, is_tail }
    }

    /// Moves the chunk's rest, which has been looked through, to the carried bytes.
    fn carry(&mut self) {
        self.carried.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
        self.looked = 0;
    }
}

#[cfg(test)]
mod tests;
