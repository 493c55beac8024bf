//! The command line, and the bounds that keep any run short of a nuisance.

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

const SECONDS_MAX: u64 = 600;
const REQUESTS_MAX: u64 = 2_000_000;
const CONCURRENCY_MAX: usize = 20_000;

/// What to send, how fast, and what to write down.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "loadgen", about, version)]
pub struct Options {
    /// Where the server is: http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// The path to post to [default: by kind, below /v1]
    #[arg(long)]
    pub path: Option<String>,
    /// Get that path instead, without a body
    #[arg(long, requires = "path", conflicts_with_all = ["stream", "images", "mix"])]
    pub get: bool,
    /// Bearer key; of several, with commas between them, each request takes the next
    #[arg(
        long = "key",
        env = "LOADGEN_KEY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub keys: Vec<String>,
    #[arg(long, default_value = "mock-model")]
    pub model: String,
    /// The model of image requests [default: --model]
    #[arg(long)]
    pub image_model: Option<String>,
    /// Workers, each with one connection and one request in flight
    #[arg(long, default_value_t = 32)]
    pub concurrency: usize,
    /// Stop after this many requests
    #[arg(long)]
    pub requests: Option<u64>,
    /// Stop sending after this long
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Requests per second over all workers; latency then counts from the due time
    #[arg(long)]
    pub rate: Option<u64>,
    /// A new connection for each request; its latency counts from before the connection
    #[arg(long)]
    pub fresh: bool,
    /// Bytes of text in each prompt
    #[arg(long, default_value_t = 256)]
    pub prompt_bytes: usize,
    /// Ask for streams
    #[arg(long)]
    pub stream: bool,
    /// Ask for usage in streams
    #[arg(long)]
    pub include_usage: bool,
    /// Content chunks of each stream
    #[arg(long)]
    pub chunks: Option<u64>,
    /// Milliseconds between the mock's writes
    #[arg(long)]
    pub chunk_ms: Option<u64>,
    /// Chunks in each of the mock's writes
    #[arg(long)]
    pub burst: Option<u64>,
    /// Ask for this many images instead of a chat
    #[arg(long)]
    pub images: Option<u64>,
    /// Completion tokens of each answer
    #[arg(long)]
    pub completion: Option<u64>,
    /// A seeded mixture of all kinds: chats, streams, images, disconnects, cuts, errors, missing usage
    #[arg(long)]
    pub mix: bool,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Prefix of the mock ids of this run [default: random]
    #[arg(long)]
    pub run_id: Option<String>,
    /// Append one JSON line for each request, as soon as its end was seen
    #[arg(long)]
    pub receipts: Option<PathBuf>,
    /// Another request header, NAME=VALUE; repeatable
    #[arg(long = "header", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Give up on a request after this long
    #[arg(long, default_value_t = 60)]
    pub timeout: u64,
    /// Report the CPU time that process PID spends meanwhile; repeatable
    #[arg(long = "watch", value_name = "NAME=PID", value_parser = watched)]
    pub watched: Vec<(String, u32)>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

// === impl Options ===

impl Options {
    /// Refuses a run without end, or beyond reason.
    pub fn check(&self) -> Result<(), String> {
        if self.requests.is_none() && self.seconds.is_none() {
            return Err("say when to stop: --requests N or --seconds S".to_owned());
        }
        let bounds = [
            ("--seconds", self.seconds.unwrap_or(1), SECONDS_MAX),
            ("--requests", self.requests.unwrap_or(1), REQUESTS_MAX),
            (
                "--concurrency",
                self.concurrency as u64,
                CONCURRENCY_MAX as u64,
            ),
            ("--rate", self.rate.unwrap_or(1), 1_000_000),
            ("--timeout", self.timeout, SECONDS_MAX),
        ];
        for (name, value, max) in bounds {
            if value == 0 || value > max {
                return Err(format!("{name} {value}: from 1 to {max}"));
            }
        }
        Ok(())
    }

    /// Nothing new is sent after this long, whatever happens.
    pub fn sending_max(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(SECONDS_MAX))
    }

    /// `host:port` of `--url`.
    pub fn authority(&self) -> Result<&str, String> {
        let rest = self
            .url
            .strip_prefix("http://")
            .ok_or("--url must begin with http://")?;
        let authority = rest.trim_end_matches('/');
        if authority.contains('/') || !authority.contains(':') {
            return Err(format!(
                "--url {}: http://HOST:PORT, the rest goes into --path",
                self.url
            ));
        }
        Ok(authority)
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE")?;
    let name = name
        .parse()
        .map_err(|_| format!("{name:?} is no header name"))?;
    let value = value
        .parse()
        .map_err(|_| format!("{value:?} is no header value"))?;
    Ok((name, value))
}

fn watched(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("NAME=PID")?;
    Ok((
        name.to_owned(),
        pid.parse()
            .map_err(|_| format!("{pid:?} is no process id"))?,
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn options(more: &[&str]) -> Options {
        let base = ["loadgen", "--url", "http://127.0.0.1:1"];
        Options::parse_from(base.iter().chain(more))
    }

    #[test]
    fn a_run_must_be_bounded() {
        assert!(options(&[]).check().is_err());
        assert!(options(&["--seconds", "601"]).check().is_err());
        assert!(options(&["--requests", "2000001"]).check().is_err());
        assert!(
            options(&["--requests", "1", "--concurrency", "0"])
                .check()
                .is_err()
        );
        assert!(options(&["--seconds", "600"]).check().is_ok());
    }

    #[test]
    fn headers_may_hold_equal_signs() {
        let options = options(&["--header", "x-mock-fault=status=500"]);
        assert_eq!(options.headers[0].0, "x-mock-fault");
        assert_eq!(options.headers[0].1, "status=500");
    }

    #[test]
    fn the_url_is_an_authority() {
        assert_eq!(options(&[]).authority(), Ok("127.0.0.1:1"));
        let mut other = options(&[]);
        other.url = "http://127.0.0.1:1/v1".to_owned();
        assert!(other.authority().is_err());
    }
}
