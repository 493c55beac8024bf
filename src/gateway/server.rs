//! The public listener: connections in, responses out, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Gateway;
use super::client_body::ClientBody;
use super::io::ClientSocket;
use super::refusal::Refused;
use super::request_body::{RequestBody, Unread};
use super::{live, route};

/// How long the holds of connections that were closed by force may take to end.
const LAST_HOLDS: Duration = Duration::from_secs(30);
/// A pause after `accept` failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves clients until `shutdown` resolves; then lets what is under way finish within
/// `drain`, ends the rest, and returns when every hold has ended.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    drain: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let renewing = tokio::spawn(live::renew(
        Arc::clone(&gateway.live),
        Arc::clone(&gateway.ledger),
        gateway.lease_ms,
    ));
    let (close, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&gateway.places).acquire_owned() => place,
            () = &mut shutdown => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (gateway, closing) = (Arc::clone(&gateway), closing.clone());
                connections.spawn(async move {
                    connection(gateway, stream, peer, closing).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    gateway.draining.raise();
    drop(listener);
    close.send_replace(());
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, finished).await.is_err() {
        tracing::warn!(open = connections.len(), "connections are closed by force");
    }
    gateway.stop.raise();
    connections.shutdown().await;
    let ended = async {
        while gateway.live.count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(LAST_HOLDS, ended).await.is_err() {
        tracing::error!(holds = gateway.live.count(), "holds are left to lapse");
    }
    renewing.abort();
}

async fn connection(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    mut closing: watch::Receiver<()>,
) {
    // Nagle's algorithm and delayed acknowledgements would hold small chunks back for 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "the connection was closed at once");
        return;
    }
    let caps = &gateway.caps;
    let unread = Unread::default();
    let socket = ClientSocket::new(stream, caps.client_stall, unread.clone());
    let io = TokioIo::new(Box::pin(socket));
    let service = service_fn(|request: Request<Incoming>| {
        let body = |inner| RequestBody::new(inner, unread.clone());
        answer(
            Arc::clone(&gateway),
            peer,
            request.map(body),
            unread.clone(),
        )
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(caps.header_timeout)
        .max_headers(caps.header_count)
        .max_buf_size(caps.header_bytes)
        .half_close(false);
    let mut serving = pin!(builder.serve_connection(io, service));
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        _ = closing.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, %peer, "the connection ended early");
    }
}

async fn answer(
    gateway: Arc<Gateway>,
    peer: SocketAddr,
    request: Request<RequestBody>,
    unread: Unread,
) -> Result<Response<ClientBody>, Infallible> {
    let routed = AssertUnwindSafe(route::route(gateway, peer.ip(), request));
    let mut response = routed.catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%peer, "a handler panicked; its hold has been ended");
        Refused::internal().into_response().map(ClientBody::Full)
    });
    if unread.is_set() {
        // Another request on this connection would be lost behind the rest of this one.
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
