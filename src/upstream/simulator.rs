//! An upstream inside this process.
use super::error::{BodyError, SendError};
use super::{Call, UpstreamBody};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
/// The body of a simulated answer.
#[derive(Debug)]
pub struct SimulatedBody;
pub(super) async fn send(
    _u: &Arc<str>,
    _call: &Call<'_>,
) -> Result<Response<UpstreamBody>, SendError> {
    Ok(Response::new(UpstreamBody::Simulated(SimulatedBody)))
}
impl Body for SimulatedBody {
    type Data = Bytes;
    type Error = BodyError;
    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(None)
    }
}
