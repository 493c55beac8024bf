//! The connections to one upstream, and those that are kept for the next request.
//!
//! No connection has a task of its own: whoever waits for an answer, or reads it, does the connection's work. So what
//! an upstream sends goes to its client in one step. While nobody does, a connection rests in the pool. That its server
//! has closed it meanwhile is found out before the next request is written, which then takes another.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use parking_lot::Mutex;
use tokio::time::Instant;
use tower_service::Service;

use super::connect::Connector;
use super::relay::Relay;

/// Many servers keep an idle connection for a minute or more; what others have closed costs a look before it is dropped.
const IDLE: Duration = Duration::from_secs(30);
/// More idle connections than this are closed; open ones are not limited.
const IDLE_MAX: usize = 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = <Connector as Service<Uri>>::Response;

/// Opens connections to one upstream, and keeps them.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    destination: Uri,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one that rests for the shortest time is the last.
    idle: VecDeque<(Instant, Connection)>,
    /// Whether somebody closes those that rest for too long.
    reaped: bool,
}

/// A connection, which does its work only while it is polled.
#[derive(Debug)]
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    work: Work,
    relay: Relay,
}

/// What a connection has to do; `None` once it has ended. It is dropped at once then: what it had not begun to send
/// goes back to whoever wants it sent.
#[derive(Debug)]
struct Work(Option<Box<http1::Connection<Stream, Full<Bytes>>>>);

/// Why no head of an answer came.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection.
    Connect(BoxError),
    /// The connection ended before it took the first byte of the request.
    Unsent(hyper::Error),
    /// It ended later, or said something that is no answer.
    Broken(hyper::Error),
}

/// An answer's body, with the connection that it comes by.
#[derive(Debug)]
pub(super) struct PooledBody {
    /// `None` once nobody reads it any longer.
    incoming: Option<Incoming>,
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Pool {
    /// An empty pool of connections to the server that a URL names.
    pub(super) fn new(connector: Connector, destination: Uri) -> Self {
        Pool {
            connector,
            destination,
            kept: Mutex::default(),
        }
    }

    /// Sends a request, and waits for the head of its answer. A request of which a kept connection took no byte is
    /// sent by another.
    ///
    /// **Cancellation**: dropping it closes the connection.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<PooledBody>, Failure> {
        loop {
            let kept = self.take();
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let mut error = match connection.exchange(request).await {
                Ok(response) => {
                    return Ok(response.map(|incoming| PooledBody {
                        incoming: Some(incoming),
                        connection: Some(connection),
                        pool: Arc::clone(self),
                    }));
                }
                Err(error) => error,
            };
            request = match error.take_message() {
                Some(unsent) if is_kept => unsent,
                Some(_) => return Err(Failure::Unsent(error.into_error())),
                None => return Err(Failure::Broken(error.into_error())),
            };
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let mut connector = self.connector.clone();
        let opened = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(self.destination.clone()).await
        };
        let stream = opened.await.map_err(Failure::Connect)?;
        let (sender, work) = http1::handshake(stream).await.map_err(Failure::Unsent)?;
        Ok(Connection {
            sender,
            work: Work(Some(Box::new(work))),
            relay: Relay::new(),
        })
    }

    /// The connection that was used last, unless even that rests for too long.
    fn take(&self) -> Option<Connection> {
        let mut kept = self.kept.lock();
        let (since, connection) = kept.idle.pop_back()?;
        if since.elapsed() < IDLE {
            return Some(connection);
        }
        kept.idle.clear();
        None
    }

    fn put(self: &Arc<Self>, connection: Connection) {
        let mut kept = self.kept.lock();
        if kept.idle.len() >= IDLE_MAX {
            return;
        }
        kept.idle.push_back((Instant::now(), connection));
        if !kept.reaped
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            kept.reaped = true;
            runtime.spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Closes what rests for too long; answers until when the next may rest.
    fn prune(&self) -> Option<Instant> {
        let mut kept = self.kept.lock();
        while let Some((since, _)) = kept.idle.front() {
            if since.elapsed() < IDLE {
                return Some(*since + IDLE);
            }
            kept.idle.pop_front();
        }
        kept.reaped = false;
        None
    }
}

/// Closes connections that rest for too long, until there is none left, or the pool is gone.
async fn reap(pool: Weak<Pool>) {
    let mut next = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(next).await;
        match pool.upgrade().and_then(|pool| pool.prune()) {
            Some(later) => next = later,
            None => return,
        }
    }
}

impl Connection {
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Full<Bytes>>>> {
        let Connection {
            sender,
            work,
            relay,
        } = self;
        let mut answer = pin!(sender.try_send_request(request));
        poll_fn(|cx| {
            relay.poll(cx, |cx| {
                work.poll(cx);
                answer.as_mut().poll(cx)
            })
        })
        .await
    }

    /// Whether it can take another request. Nobody is told when something comes from then on.
    fn rests(&mut self) -> bool {
        self.work.poll(&mut Context::from_waker(Waker::noop()));
        self.relay.forget();
        self.work.0.is_some() && self.sender.is_ready()
    }
}

impl Work {
    /// Does what there is to do now. How it ends is told to whoever waits for an answer, or for the rest of one.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(&mut **connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}

impl PooledBody {
    /// Nobody reads on: the connection is free for the next request where the answer has ended, or its end is here and
    /// only was not read. Else it is closed.
    fn release(&mut self) {
        // Before its connection looks for what is left of it.
        self.incoming = None;
        if let Some(mut connection) = self.connection.take()
            && connection.rests()
        {
            self.pool.put(connection);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let mut incoming = Pin::new(incoming);
        let next = match &mut this.connection {
            // What an ended connection left is read all the same.
            Some(Connection { work, relay, .. }) => relay.poll(cx, |cx| {
                work.poll(cx);
                incoming.as_mut().poll_frame(cx)
            }),
            None => incoming.poll_frame(cx),
        };
        let next = ready!(next);
        if next.is_none() {
            this.release();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.incoming.as_ref();
        incoming.map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        self.release();
    }
}
