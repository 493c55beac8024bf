//! The public listener: connections in, responses out, and an orderly end.

pub(super) mod fault;
mod http1;
mod http2;
mod stall;
pub mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Gateway;
use super::background;
use super::client_address::client_address;
use super::client_body::ClientBody;
use super::io::ClientSocket;
use super::refusal::Refused;
use super::request_body::{RequestBody, Unread};
use super::{live, route};
use crate::workers::Workers;
use fault::Fault;
use tls::Certificates;

/// How long the holds of connections that were closed by force may take to end.
const LAST_HOLDS: Duration = Duration::from_secs(30);
/// How long those who were waited for no longer may take to read that.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// A pause after `accept` failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves clients until `shutdown` resolves; then lets what is under way finish within
/// `drain`, ends the rest, and returns when every hold has ended.
///
/// With `certificates`, the port speaks TLS only.
///
/// # Errors
/// Where the threads that serve cannot be started.
pub async fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    drain: Duration,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let workers = Workers::start()?;
    let mut shutdown = pin!(shutdown);
    let renewing = tokio::spawn(live::renew(
        Arc::clone(&gateway.live),
        Arc::clone(&gateway.ledger),
        gateway.lease_ms,
    ));
    let resuming = tokio::spawn(background::keep_following(Arc::clone(&gateway)));
    let tls = certificates.as_ref().map(tls::acceptor);
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
                let (gateway, tls) = (Arc::clone(&gateway), tls.clone());
                let counted = Arc::clone(&gateway.open);
                let worker = workers.place();
                let runtime = worker.runtime.clone();
                let connection = connection(gateway, tls, stream, peer, closing.clone());
                let served = async move {
                    connection.await;
                    drop((place, counted, worker));
                };
                connections.spawn_on(served, &runtime);
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
    let finished = timeout(drain, all_ended(&mut connections)).await;
    gateway.stop.raise();
    // Who has no answer yet is told now; streams are cut.
    if finished.is_err()
        && timeout(LAST_ANSWERS, all_ended(&mut connections))
            .await
            .is_err()
    {
        tracing::warn!(open = connections.len(), "connections are closed by force");
    }
    connections.shutdown().await;
    let ended = async {
        while gateway.live.count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(LAST_HOLDS, ended).await.is_err() {
        tracing::error!(holds = gateway.live.count(), "holds are left to lapse");
    }
    resuming.abort();
    renewing.abort();
    tokio::task::spawn_blocking(|| workers.end()).await?;
    Ok(())
}

/// Waits for the end of every connection.
async fn all_ended(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// One connection, from its first byte to its last.
async fn connection(
    gateway: Arc<Gateway>,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: SocketAddr,
    closing: watch::Receiver<()>,
) {
    // It was accepted on another thread; from here on, this one hears of it.
    let stream = match stream.into_std().and_then(TcpStream::from_std) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!(%error, %peer, "a connection cannot be taken over");
            return;
        }
    };
    if let Err(error) = converse(&gateway, tls, stream, peer.ip(), closing).await {
        gateway.metrics.connection_broke(Fault::of(&*error));
        tracing::debug!(%error, %peer, "the connection ended early");
    }
}

/// Finds out what the client speaks, and speaks it. Each way is boxed, so that a connection takes the room of one.
async fn converse(
    gateway: &Arc<Gateway>,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    peer: IpAddr,
    mut closing: watch::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Nagle's algorithm and delayed acknowledgements would hold small chunks back for 40 ms.
    stream.set_nodelay(true)?;
    let patience = gateway.caps.header_timeout;
    let unread = Unread::default();
    let socket = |stream| {
        Box::pin(ClientSocket::new(
            stream,
            gateway.caps.client_stall,
            unread.clone(),
        ))
    };
    match tls {
        None if first(patience, &mut closing, http2::is_spoken(&stream)).await? => {
            Box::pin(http2::serve(gateway, peer, socket(stream), closing)).await?;
        }
        None => {
            Box::pin(http1::serve(
                gateway,
                peer,
                socket(stream),
                &unread,
                closing,
            ))
            .await?
        }
        Some(tls) => {
            let handshake = Box::pin(tls.accept(socket(stream)));
            let stream = first(patience, &mut closing, handshake).await?;
            if stream.get_ref().1.alpn_protocol() == Some(tls::H2) {
                Box::pin(http2::serve(gateway, peer, stream, closing)).await?;
            } else {
                Box::pin(http1::serve(gateway, peer, stream, &unread, closing)).await?;
            }
        }
    }
    Ok(())
}

/// What comes before the first request. The client may take as long as for a head, and is left
/// where the process ends meanwhile.
async fn first<T>(
    patience: Duration,
    closing: &mut watch::Receiver<()>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::select! {
        biased;
        done = timeout(patience, work) => done?,
        _ = closing.changed() => Err(io::Error::other("the process ends")),
    }
}

/// Answers one request, whatever becomes of it.
async fn answer(
    gateway: Arc<Gateway>,
    peer: IpAddr,
    request: Request<RequestBody>,
) -> Response<ClientBody> {
    let visit = gateway.cors.visit(&request);
    let mut response = match visit.preflight() {
        Some(response) => response,
        None => {
            let client = client_address(&gateway.trusted_proxies, peer, request.headers());
            let routed = AssertUnwindSafe(route::route(gateway, client, request));
            routed.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(%client, "a handler panicked; its hold has been ended");
                Refused::internal().into_response().map(ClientBody::Full)
            })
        }
    };
    visit.mark(response.headers_mut());
    response
}

#[cfg(test)]
mod tests;
