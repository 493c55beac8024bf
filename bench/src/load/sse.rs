//! Reads a stream as it comes: counts its data events, and keeps the few lines that matter.

use std::io::BufRead;

/// What a stream has shown so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StreamReader {
    /// Data events, `[DONE]` and errors aside.
    pub events: u64,
    pub done: bool,
    /// The JSON of an error event.
    pub error: Option<Vec<u8>>,
    /// Comments that begin with `: tollgate`.
    pub comments: Vec<String>,
    /// The JSON of the last data event, if wanted.
    pub last: Vec<u8>,
    keep_last: bool,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

// === impl StreamReader ===

impl StreamReader {
    pub fn new(keep_last: bool) -> StreamReader {
        StreamReader {
            keep_last,
            ..StreamReader::default()
        }
    }

    /// Content chunks: all events but the first, which names the role. Finish and usage chunks come after the
    /// content, so the caller caps the count at what it asked for.
    pub fn chunks(&self) -> u64 {
        self.events.saturating_sub(1)
    }

    pub fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = rest;
            // A slice cannot fail to be read.
            let length = rest.skip_until(b'\n').unwrap_or(0);
            let line = &before[..length];
            if line.last() != Some(&b'\n') {
                self.partial.extend_from_slice(line);
            } else if self.partial.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole);
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.trim_ascii_start();
            if data == b"[DONE]" {
                self.done = true;
            } else if data.starts_with(b"{\"error\"") {
                self.error = Some(data.to_vec());
            } else {
                self.events += 1;
                if self.keep_last {
                    self.last.clear();
                    self.last.extend_from_slice(data);
                }
            }
        } else if line.starts_with(b": tollgate") {
            self.comments
                .push(String::from_utf8_lossy(line).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b": keep-alive\n\ndata: {\"a\":1}\n\ndata:{\"b\":2}\r\n\r\n: tollgate cost=1\n\ndata: [DONE]\n\n";

    fn whole() -> StreamReader {
        let mut reader = StreamReader::new(true);
        reader.read(TEXT);
        reader
    }

    #[test]
    fn counts_events_and_keeps_our_comments() {
        let reader = whole();
        assert_eq!((reader.events, reader.chunks(), reader.done), (2, 1, true));
        assert_eq!(reader.comments, [": tollgate cost=1"]);
        assert_eq!(reader.last, b"{\"b\":2}");
    }

    #[test]
    fn any_split_reads_the_same() {
        for cut in 0..=TEXT.len() {
            let mut reader = StreamReader::new(true);
            reader.read(&TEXT[..cut]);
            reader.read(&TEXT[cut..]);
            assert_eq!(reader, whole(), "split at {cut}");
        }
    }

    #[test]
    fn an_error_event_is_no_chunk() {
        let mut reader = StreamReader::new(false);
        reader.read(b"data: {\"error\":{\"code\":\"x\"}}\n\n");
        assert_eq!(
            (reader.events, reader.error.is_some(), reader.done),
            (0, true, false)
        );
    }
}
