//! One JSON line for each request, on disk before the next one is sent: what a client could swear to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use hyper::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::exchange::{Outcome, Seen};
use super::plan::{Kind, Plan};

/// The line. `prompt`, `completion` and `images` are what was asked of the mock; the rest is what came back.
#[derive(Debug, Serialize)]
pub struct Receipt<'a> {
    id: &'a str,
    kind: Kind,
    status: u16,
    outcome: Outcome,
    code: Option<&'a str>,
    streamed: bool,
    seen_end: bool,
    /// Content chunks received.
    chunks: u64,
    prompt: Option<u64>,
    completion: Option<u64>,
    images: u64,
    bytes: u64,
    latency_us: u64,
    usage: Option<Value>,
    request_id: Option<String>,
    cost: Option<String>,
    headers: BTreeMap<String, String>,
    trailers: BTreeMap<String, String>,
    comments: &'a [String],
}

/// The file that the lines go to.
pub struct Receipts(File);

// === impl Receipt ===

impl<'a> Receipt<'a> {
    pub fn new(plan: &'a Plan, seen: &'a Seen) -> Receipt<'a> {
        let headers = ours(&seen.headers);
        let trailers = seen.trailers.as_ref().map(ours).unwrap_or_default();
        let of = |name: &str| trailers.get(name).or_else(|| headers.get(name)).cloned();
        Receipt {
            id: &plan.id,
            kind: plan.kind,
            status: seen.status,
            outcome: seen.outcome,
            code: seen.code.as_deref(),
            streamed: seen.streamed,
            seen_end: seen.end,
            chunks: seen.chunks(plan),
            prompt: plan.prompt,
            completion: plan.completion,
            images: plan.images,
            bytes: seen.bytes,
            latency_us: seen.latency.as_micros() as u64,
            usage: seen.usage(),
            request_id: of("x-tollgate-request-id"),
            cost: of("x-tollgate-cost"),
            headers,
            trailers,
            comments: &seen.stream.comments,
        }
    }
}

fn ours(headers: &HeaderMap) -> BTreeMap<String, String> {
    let ours = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-tollgate-"));
    ours.map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    })
    .collect()
}

// === impl Receipts ===

impl Receipts {
    pub fn open(path: &Path) -> Result<Receipts, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(Receipts)
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// One write, unbuffered: a killed run leaves whole lines.
    pub fn write(&mut self, receipt: &Receipt<'_>) -> Result<(), String> {
        let mut line = serde_json::to_vec(receipt).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.0
            .write_all(&line)
            .map_err(|error| format!("receipts: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::super::plan::tests::chat;
    use super::*;

    #[test]
    fn trailers_have_the_last_word_on_the_cost() {
        let mut seen = Seen::default();
        seen.headers
            .insert("x-tollgate-request-id", HeaderValue::from_static("r1"));
        seen.headers
            .insert("x-tollgate-cost", HeaderValue::from_static("1"));
        seen.headers
            .insert("content-type", HeaderValue::from_static("text/plain"));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-tollgate-cost", HeaderValue::from_static("2"));
        seen.trailers = Some(trailers);
        let plan = chat("a-1");
        let receipt = Receipt::new(&plan, &seen);
        assert_eq!(
            (receipt.request_id.as_deref(), receipt.cost.as_deref()),
            (Some("r1"), Some("2"))
        );
        assert_eq!(receipt.headers.len(), 2);
    }
}
