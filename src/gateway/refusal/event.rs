//! A refusal as an event of a stream, in the shape of the API that the stream is of.

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::Refused;
use crate::gateway::service::Service;

/// The error event of Responses.
#[derive(Serialize)]
struct ResponseError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    sequence_number: u64,
}

impl Refused {
    /// The refusal as the event after which nothing comes; `sequence` is the number of the event before.
    pub fn event(&self, service: Service, sequence: Option<u64>) -> Bytes {
        let (name, data) = match service {
            Service::Responses => ("event: error\n", self.response_error(sequence)),
            Service::Messages => ("event: error\n", self.body_for(Some(service))),
            _ => ("", self.body_for(None)),
        };
        let mut event = BytesMut::from(name);
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(&data);
        event.extend_from_slice(b"\n\n");
        event.freeze()
    }

    fn response_error(&self, sequence: Option<u64>) -> Bytes {
        let error = ResponseError {
            kind: "error",
            code: self.code.word(),
            message: &self.message,
            param: self.param.as_deref(),
            sequence_number: sequence.map_or(0, |before| before.saturating_add(1)),
        };
        serde_json::to_vec(&error)
            .map(Bytes::from)
            .unwrap_or_else(|_| Bytes::from_static(b"{\"type\":\"error\"}"))
    }
}
