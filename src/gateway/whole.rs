//! An upstream's whole answer in memory, within the budget that all answers share.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::budget::{Budget, Full};
use crate::upstream::UpstreamBody;

/// Why an answer is not there in whole.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    /// The upstream broke off.
    #[error("the upstream broke off: {0}")]
    Cut(String),
    /// The upstream fell silent.
    #[error("the upstream fell silent")]
    Silent,
    /// It is longer than anybody wants to read.
    #[error("the upstream's answer is longer than {0} bytes")]
    TooLong(u64),
    /// There is no room for it now.
    #[error("the memory for answers is full")]
    Full,
}

/// Reads `rest`, which comes after `head`, to its end. The bytes keep their reservation.
///
/// # Errors
/// Where it breaks off, is silent for longer than `idle`, has more than `bytes_max`, or does not fit into `memory`.
/// What was read is gone then.
///
/// **Cancellation**: dropping it gives the reservation back.
pub async fn read(
    head: Bytes,
    mut rest: UpstreamBody,
    bytes_max: u64,
    idle: Duration,
    memory: &Budget,
) -> Result<Bytes, NotWhole> {
    let full = |_: Full| NotWhole::Full;
    let mut reserved = memory.reserve(head.len() as u64).map_err(full)?;
    let mut body = BytesMut::from(head);
    loop {
        let frame = match timeout(idle, rest.frame()).await {
            Ok(None) => return Ok(reserved.of(body.freeze())),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(NotWhole::Cut(error.to_string())),
            Err(_) => return Err(NotWhole::Silent),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = (body.len() + data.len()) as u64;
        if length > bytes_max {
            return Err(NotWhole::TooLong(bytes_max));
        }
        reserved.grow_to(length).map_err(full)?;
        body.extend_from_slice(&data);
    }
}
