//! The one type of all bodies that clients get.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::meter::MeteredBody;
use super::passage::{BodyError, Passage};

/// What a client gets: a whole body, an upstream's error passed on, or a metered answer.
pub enum ClientBody {
    /// All there is.
    Full(Full<Bytes>),
    /// An upstream's body, as it comes, uncharged.
    Passage(Passage),
    /// An answer that is charged before its end leaves.
    Metered(Box<MeteredBody>),
}

impl ClientBody {
    /// A body of these bytes.
    pub fn full(bytes: Bytes) -> Self {
        ClientBody::Full(Full::new(bytes))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            ClientBody::Full(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            ClientBody::Passage(body) => Pin::new(body).poll_frame(cx),
            ClientBody::Metered(body) => body.poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ClientBody::Full(body) => body.is_end_stream(),
            ClientBody::Passage(body) => body.is_end_stream(),
            ClientBody::Metered(body) => body.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ClientBody::Full(body) => body.size_hint(),
            ClientBody::Passage(body) => body.size_hint(),
            ClientBody::Metered(_) => SizeHint::default(),
        }
    }
}
