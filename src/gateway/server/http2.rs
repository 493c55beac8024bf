//! A connection that speaks HTTP/2: many requests at once, each a stream of its own.
//!
//! What h2 itself sees to: header blocks that never end, resets in a flood, peers that answer no
//! ping. Streams whose client opens no window are [`super::stall`]'s. Here: connections on which nothing is asked for.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answer;
use super::stall::{StreamBody, Streams};
use crate::gateway::request_body::RequestBody;
use crate::gateway::{Caps, Gateway};

/// What a client begins with that knows without asking that it may speak HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between the first two looks at a preface that comes in pieces, which hardly ever happens; then
/// twice as long each time, so that many who never finish theirs cost little.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// What a client may send of one body before it is read.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What it may send of all of them.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// What is taken of one answer before the socket takes it.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How often a silent client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// Streams that were reset before they were looked at; more of them are a flood, and end the connection.
const RESETS_PENDING_MAX: usize = 20;
/// Streams that were reset here for what the client did wrong; more of them end the connection, too.
const RESETS_OWN_MAX: usize = 256;

/// Whether a fresh connection begins with HTTP/2's preface. Takes no byte of it.
pub(super) async fn is_spoken(stream: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    let mut pause = PREFACE_PAUSE;
    loop {
        let length = stream.peek(&mut seen).await?;
        if length == 0 || seen[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Serves a connection to its end; after `closing` changed, until the requests under way are answered.
///
/// Where no request is open and none comes for as long as a head may take, the client is told to
/// open another connection if it needs one.
pub(super) async fn serve(
    gateway: &Arc<Gateway>,
    peer: IpAddr,
    io: impl AsyncRead + AsyncWrite + Unpin,
    mut closing: watch::Receiver<()>,
) -> hyper::Result<()> {
    let caps = &gateway.caps;
    let streams = Streams::new(caps.client_stall);
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(Arc::clone(gateway), peer, request.map(RequestBody::alone));
        async { Ok::<_, Infallible>(answer.await.map(StreamBody::new)) }
    });
    let serving = builder(caps, streams.clone()).serve_connection(TokioIo::new(io), service);
    let mut serving = pin!(serving);
    tokio::select! {
        outcome = &mut serving => return outcome,
        _ = closing.changed() => {}
        () = streams.idle(caps.header_timeout) => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        outcome = &mut serving => outcome,
        // All is answered, but the client neither takes the last of it nor closes.
        () = streams.idle(caps.client_stall) => Ok(()),
    }
}

fn builder(caps: &Caps, streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(caps.h2_streams)
        .max_header_list_size(u32::try_from(caps.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_OWN_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_PATIENCE);
    builder
}
