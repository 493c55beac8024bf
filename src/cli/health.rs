//! `tollgate health`: is a running server ready? An image that holds nothing but Tollgate needs
//! no other program for its health check.

mod any_certificate;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::table::printable;
use super::{Globals, block_on, from_here};
use crate::config::Config;

/// For connection and answer together. Whoever checks health allows 5 seconds or more.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
const ANSWER_BYTES_MAX: usize = 4096;
/// What the shipped config, the image and the unit take `server.listen` from.
const LISTEN_ENV: &str = "TOLLGATE_LISTEN";
const USUAL_PORT: u16 = 8080;

const EXAMPLES: &str = "Examples:
  tollgate health
  tollgate health --url http://10.0.0.7:8080

Asks GET /readyz, by default of the server that the config describes, on this machine. A running server
keeps its address when the config is edited: name it with --url where that should not matter. Where the
config's `server` section cannot be read, it is asked at TOLLGATE_LISTEN, or else at 127.0.0.1:8080.
A certificate is not verified, since nothing secret is sent.
Exits with 0 where the server is ready, with 1 where it answers that it is not, and with 69 where
no Tollgate answers within 4 seconds.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthArgs {
    /// The server to ask, instead of the config's `server.listen`
    #[arg(long, env = "TOLLGATE_HEALTH_URL", value_name = "URL")]
    url: Option<String>,
}

/// What is printed of a server that is ready.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Its URL.
    ready: &'a str,
}

pub(super) fn run(globals: &Globals, args: &HealthArgs) -> Result<Exit, Failure> {
    let url = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => match Config::load_server(globals.config()) {
            Ok(server) => own(server.listen, server.tls.is_some())?,
            Err(error) => {
                // It may be in the middle of an edit, and says nothing of the server that runs.
                let url = own(usual(), false)?;
                eprintln!("{error}\ntollgate: asking {url} instead; --url names another server");
                url
            }
        },
    };
    let (code, body) = block_on(ask(&url))?;
    let shown = printable(&url);
    match code {
        StatusCode::OK => {
            globals.print(&Report { ready: &url }, |_| format!("{shown} is ready"))?;
            Ok(Exit::Fine)
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            let why = String::from_utf8_lossy(&body);
            let why = printable(why.trim());
            Err(Failure::new(
                Exit::Failed,
                format!("{shown} is not ready: {why}"),
            ))
        }
        code => Err(unreachable(
            &url,
            &format!("what listens there does not answer like Tollgate: {code} to GET /readyz"),
        )),
    }
}

/// Where a server listens of whose config nothing is known.
fn usual() -> SocketAddr {
    let named = std::env::var(LISTEN_ENV).ok();
    named
        .and_then(|address| address.parse().ok())
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT)))
}

/// The URL by which a server is reached from its own machine.
fn own(listen: SocketAddr, tls: bool) -> Result<String, Failure> {
    if listen.port() == 0 {
        return Err(Failure::new(
            Exit::Usage,
            "server.listen has port 0, which is another free port at each start: name the server with --url",
        ));
    }
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{}", from_here(listen)))
}

/// Asks whether a server is ready, within a limit of time.
async fn ask(url: &str) -> Result<(StatusCode, Bytes), Failure> {
    let uri: Uri = format!("{url}/readyz")
        .parse()
        .ok()
        .filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            let url = printable(url);
            Failure::new(
                Exit::Usage,
                format!("--url `{url}` is no URL such as http://127.0.0.1:8080"),
            )
        })?;
    match tokio::time::timeout(ANSWER_TIME_MAX, get(uri)).await {
        Ok(answer) => answer.map_err(|why| unreachable(url, &why)),
        Err(_) => Err(unreachable(url, "it does not answer within 4 seconds")),
    }
}

async fn get(uri: Uri) -> Result<(StatusCode, Bytes), String> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(any_certificate::tls())
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let answer = client.get(uri).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        format!("no answer: {cause}")
    })?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| format!("its answer broke off: {error}"))?;
    Ok((code, body.to_bytes()))
}

fn unreachable(url: &str, why: &str) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!("cannot ask the server at {}: {why}", printable(url)),
    )
}
