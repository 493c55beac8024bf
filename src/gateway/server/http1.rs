//! A connection that speaks HTTP/1.1: one request after the other.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use http::Request;
use http::header::{self, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::answer;
use crate::gateway::Gateway;
use crate::gateway::request_body::{RequestBody, Unread};

/// Serves a connection to its end; after `closing` changed, until the request under way is answered.
pub(super) async fn serve(
    gateway: &Arc<Gateway>,
    peer: IpAddr,
    io: impl AsyncRead + AsyncWrite + Unpin,
    unread: &Unread,
    mut closing: watch::Receiver<()>,
) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let request = request.map(|inner| RequestBody::in_line(inner, unread.clone()));
        let answer = answer(Arc::clone(gateway), peer, request);
        // Boxed: a connection has room for it only while it is being answered, and streams take long after that.
        Box::pin(async {
            let mut response = answer.await;
            if unread.is_set() {
                // Another request on this connection would be lost behind the rest of this one.
                let headers = response.headers_mut();
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        })
    });
    let caps = &gateway.caps;
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(caps.header_timeout)
        .max_headers(caps.header_count)
        .max_buf_size(caps.header_bytes)
        .half_close(false);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        biased;
        outcome = &mut serving => outcome,
        _ = closing.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}
