//! Answers that come encoded although upstreams are asked for none: they are decoded while they flow.
//!
//! What can be read of an encoded piece leaves at once, so that the events of a stream are not held up. An answer
//! may not expand without bound: beyond [`ROOM`] it may be [`RATIO`] times what came, and [`BYTES_MAX`] at most.

mod codec;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};

use super::{Source, UpstreamBody};
use crate::upstream::error::BodyError;
use codec::{Codec, Coding, Piece};

/// What an answer may expand to, however little came: blanks that keep a connection alive shrink a thousandfold.
const ROOM: u64 = 1 << 20;
/// Bytes that one byte of the wire may become, on the whole. Text shrinks to a tenth, rarely to a thirtieth.
const RATIO: u64 = 100;
/// The most that an answer may expand to, in bytes.
const BYTES_MAX: u64 = 256 << 20;
/// More codings than these, one on top of the other, are left to be refused.
const CODINGS_MAX: usize = 2;

/// An encoded body, as what it means.
#[derive(Debug)]
pub(in crate::upstream) struct Decoded {
    from: Source,
    codec: Codec,
    /// What came and is not decoded yet.
    pending: Bytes,
    /// Whether the codec has more to say of what it was given.
    more: bool,
    ended: bool,
    /// Bytes that came from `from`.
    came: u64,
    /// Bytes that they became.
    became: u64,
}

/// An answer with its body decoded, and without the headers that told of the coding. Where a coding is not known,
/// it stays as it is.
pub(in crate::upstream) fn decoded(mut response: Response<UpstreamBody>) -> Response<UpstreamBody> {
    if !response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let Some(codings) = codings(response.headers()) else {
        return response;
    };
    response.headers_mut().remove(CONTENT_ENCODING);
    if codings.is_empty() || response.body().is_end_stream() {
        return response;
    }
    response.headers_mut().remove(CONTENT_LENGTH);
    response.map(|body| {
        body.map(|source| {
            // They are listed in the order in which they were applied.
            let each = codings.into_iter().rev();
            each.fold(source, |source, coding| {
                Source::Decoded(Box::new(Decoded::new(source, coding)))
            })
        })
    })
}

/// The codings that were applied, in their order; `None` where they cannot be undone.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for word in value.to_str().ok()?.split(',') {
            match word.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                word => codings.push(Coding::named(word)?),
            }
        }
    }
    (codings.len() <= CODINGS_MAX).then_some(codings)
}

impl Decoded {
    fn new(from: Source, coding: Coding) -> Self {
        Decoded {
            from,
            codec: Codec::new(coding),
            pending: Bytes::new(),
            more: false,
            ended: false,
            came: 0,
            became: 0,
        }
    }

    /// Whether nothing is to come.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The next piece, as long as there is one.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_next(cx));
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next.map(|piece| piece.map(Frame::data).map_err(BodyError::new)))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            if self.more || !self.pending.is_empty() {
                match self.decode() {
                    Ok(piece) if piece.is_empty() => continue,
                    done => return Poll::Ready(Some(done)),
                }
            }
            match ready!(self.from.poll(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.came = self.came.saturating_add(data.len() as u64);
                        self.pending = data;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into_reason()))),
                // Nothing at all is an empty body, as servers send it with an error.
                None if self.came == 0 => return Poll::Ready(None),
                None => return Poll::Ready(self.codec.finish().err().map(Err)),
            }
        }
    }

    /// Decodes one piece of what came, which may be empty.
    fn decode(&mut self) -> Result<Bytes, String> {
        let Piece { read, bytes, more } = self.codec.step(&self.pending)?;
        self.pending.advance(read);
        self.more = more;
        if read == 0 && bytes.is_empty() && !more && !self.pending.is_empty() {
            return Err(format!(
                "something follows the end of its {}",
                self.codec.name()
            ));
        }
        self.became = self.became.saturating_add(bytes.len() as u64);
        let bound = ROOM
            .saturating_add(self.wire().saturating_mul(RATIO))
            .min(BYTES_MAX);
        if self.became > bound {
            let name = self.codec.name();
            return Err(format!("its {name} expands to more than {bound} bytes"));
        }
        Ok(bytes)
    }

    /// Bytes that came over the wire, be it through another coding.
    fn wire(&self) -> u64 {
        match &self.from {
            Source::Decoded(inner) => inner.wire(),
            _ => self.came,
        }
    }
}
