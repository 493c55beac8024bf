//! The metered body: an answer on its way to the client, whose end leaves only after it is charged.
//!
//! It passes bytes through a [`Tap`], which reads along and holds the end back. When the
//! upstream ends, the request is concluded, and the held end leaves with the receipt. Dropped
//! early (the client went), it goes on in a task until the hold has ended.

mod document;
mod events;
mod tap;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep};

use super::background;
use super::conclude::{Conclusion, End, conclude};
use super::job::Job;
use super::passage::BodyError;
use super::receipt;
use super::refusal::{Code, Refused};
use crate::ledger::key::OnDisconnect;
use crate::upstream::UpstreamBody;

pub use document::DocumentTap;
pub use events::EventTap;
pub use tap::{Progress, Tap};

/// How long usage may come after the end marker of a stream.
const LATE_USAGE: Duration = Duration::from_secs(1);

/// An answer under way.
pub struct MeteredBody {
    state: State,
    out: VecDeque<Bytes>,
}

enum State {
    Flowing(Box<Flow>),
    Concluding(BoxFuture<'static, Concluded>),
    Trailers(http::HeaderMap),
    /// What was written leaves first, then the body breaks off for this reason.
    Breaking {
        reason: &'static str,
        flushed: bool,
    },
    Ended,
}

struct Flow {
    upstream: UpstreamBody,
    tap: Tap,
    job: Job,
    timer: Pin<Box<Sleep>>,
    silent_since: Instant,
    late_usage: bool,
    /// Whether its first byte is still to come, and worth noting.
    silent: bool,
}

/// What is left to send.
struct Concluded {
    tail: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    /// Why the body must break off after the tail instead of ending.
    abort: Option<&'static str>,
}

impl MeteredBody {
    /// Meters `upstream`, whose first bytes `head` were read already.
    pub fn new(upstream: UpstreamBody, head: Bytes, mut tap: Tap, job: Job) -> Self {
        let mut out = VecDeque::new();
        if !head.is_empty() {
            tap.push(head, &mut out);
        }
        let flow = Flow {
            upstream,
            tap,
            timer: Box::pin(tokio::time::sleep(job.idle)),
            silent_since: Instant::now(),
            late_usage: false,
            silent: job.reservation.detail.streamed,
            job,
        };
        MeteredBody {
            state: State::Flowing(Box::new(flow)),
            out,
        }
    }

    /// Whether everything was sent.
    pub fn is_ended(&self) -> bool {
        self.out.is_empty() && matches!(self.state, State::Ended)
    }

    /// The next frame for the client.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &mut self.state {
                State::Flowing(flow) => {
                    let Some(end) = ready!(flow.poll(cx, &mut self.out)) else {
                        continue;
                    };
                    if let State::Flowing(flow) = std::mem::replace(&mut self.state, State::Ended) {
                        self.state = State::Concluding(Box::pin(flow.conclude(end, false)));
                    }
                }
                State::Concluding(_) => {
                    let concluded = ready!(self.poll_conclusion(cx));
                    self.out = concluded.tail;
                    if let Some(reason) = concluded.abort {
                        self.state = State::Breaking {
                            reason,
                            flushed: false,
                        };
                        continue;
                    }
                    if let Some(trailers) = concluded.trailers {
                        self.state = State::Trailers(trailers);
                    }
                }
                State::Trailers(trailers) => {
                    let trailers = std::mem::take(trailers);
                    self.state = State::Ended;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                State::Breaking { reason, flushed } => {
                    // An error drops what its connection has not written yet: that gets a turn before.
                    if !std::mem::replace(flushed, true) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let reason = *reason;
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(reason.into())));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Taken out while it runs: a conclusion that panics is not to be polled again by anyone.
    fn poll_conclusion(&mut self, cx: &mut Context<'_>) -> Poll<Concluded> {
        let State::Concluding(mut work) = std::mem::replace(&mut self.state, State::Ended) else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.state = State::Concluding(work);
        }
        polled
    }
}

impl Flow {
    /// Moves one chunk on. Ready with an end, or with `None` for more.
    fn poll(&mut self, cx: &mut Context<'_>, out: &mut VecDeque<Bytes>) -> Poll<Option<End>> {
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    self.silent_since = Instant::now();
                    if std::mem::take(&mut self.silent) {
                        self.job.reservation.record.streams();
                    }
                    self.tap.push(chunk, out);
                }
                match self.tap.progress() {
                    Progress::Flowing => Poll::Ready(None),
                    Progress::Ended => Poll::Ready(Some(End::Complete)),
                    Progress::EndedWithoutUsage => {
                        if !self.late_usage {
                            self.late_usage = true;
                            self.timer.as_mut().reset(Instant::now() + LATE_USAGE);
                        }
                        Poll::Ready(None)
                    }
                }
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(%error, request_id = %self.job.reservation.request(), "answer cut");
                Poll::Ready(Some(self.broken_off()))
            }
            Poll::Ready(None) => Poll::Ready(Some(End::Complete)),
            Poll::Pending => {
                ready!(self.poll_silence(cx));
                Poll::Ready(Some(self.broken_off()))
            }
        }
    }

    /// A stream whose end marker came is whole, whatever becomes of the connection.
    fn broken_off(&self) -> End {
        if self.late_usage {
            End::Complete
        } else {
            End::UpstreamCut
        }
    }

    /// Ready when the upstream was silent for too long. The timer is not reset for every
    /// chunk: when it fires, it is set to what is left.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let deadline = self.silent_since + self.job.idle;
            if self.late_usage || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Ends the hold and assembles what is left to send.
    async fn conclude(self: Box<Self>, end: End, client_gone: bool) -> Concluded {
        let Flow {
            mut tap,
            job,
            upstream,
            ..
        } = *self;
        let record = Arc::clone(&job.reservation.record);
        record.upstream_ended();
        tap.close();
        let end = tap.verdict(end);
        let mut facts = tap.facts();
        facts.client_gone = client_gone;
        let currency = Arc::clone(&job.reservation.gateway().currency);
        let trailers = job.trailers;
        let outcome = match conclude(job, facts, end).await {
            Ok(Conclusion::Later(job, written)) => background::follow(*job, &written.id)
                .await
                .map(|()| Conclusion::Free),
            outcome => outcome,
        };
        drop(upstream);
        let Ok(settled) = outcome.map(Conclusion::settled) else {
            record.broke(Code::LedgerUnavailable);
            return Concluded {
                tail: VecDeque::new(),
                trailers: None,
                abort: Some("the charge could not be booked, so the end is withheld"),
            };
        };
        let cut = (end == End::UpstreamCut && !tap.told_error()).then(|| {
            Refused::upstream_unavailable(
                http::StatusCode::BAD_GATEWAY,
                "The provider of this model broke off. Only what was delivered is charged.",
            )
        });
        if let Some(cut) = cut.as_ref().filter(|_| !client_gone) {
            record.broke(cut.code);
        }
        // A stream can say that it was cut; any other body can only break off.
        let breaks_off = cut.is_some() && matches!(tap, Tap::Document(_));
        Concluded {
            trailers: settled
                .as_deref()
                .filter(|_| trailers)
                .map(receipt::trailers),
            abort: breaks_off.then_some("the upstream broke off"),
            // What was charged is delivered as far as it came; the end of what costs nothing is not.
            tail: match breaks_off && settled.is_none() {
                true => VecDeque::new(),
                false => tap.tail(settled.as_deref(), &currency, cut.as_ref()),
            },
        }
    }

    /// The client is gone: reads on within bounds, or stops, as its key's policy says; then concludes.
    async fn finish_alone(mut self: Box<Self>) {
        let gateway = Arc::clone(self.job.reservation.gateway());
        let end = match self.job.on_disconnect {
            OnDisconnect::Cancel => End::ClientGone,
            OnDisconnect::Drain => {
                let limit = gateway.caps.drain_client;
                tokio::select! {
                    end = self.drain(gateway.caps.drain_client_bytes) => end,
                    () = tokio::time::sleep(limit) => End::ClientGone,
                    () = gateway.stop.raised() => End::ClientGone,
                }
            }
        };
        if end == End::ClientGone && gateway.stop.is_raised() {
            self.job.reservation.record.broke(Code::ShuttingDown);
        }
        self.conclude(end, true).await;
    }

    async fn drain(&mut self, bytes_max: u64) -> End {
        let mut discarded = VecDeque::new();
        let mut read: u64 = 0;
        loop {
            let ended = self.tap.progress() == Progress::EndedWithoutUsage;
            let patience = if ended { LATE_USAGE } else { self.job.idle };
            match tokio::time::timeout(patience, self.upstream.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(chunk) = frame.into_data() else {
                        continue;
                    };
                    read = read.saturating_add(chunk.len() as u64);
                    self.tap.push(chunk, &mut discarded);
                    discarded.clear();
                    if self.tap.progress() == Progress::Ended {
                        return End::Complete;
                    }
                    if read > bytes_max {
                        return End::ClientGone;
                    }
                }
                Ok(None) => return End::Complete,
                Ok(Some(Err(_))) | Err(_) if ended => return End::Complete,
                Ok(Some(Err(_))) | Err(_) => return End::UpstreamCut,
            }
        }
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        let work: BoxFuture<'static, ()> = match std::mem::replace(&mut self.state, State::Ended) {
            State::Flowing(flow) => Box::pin(flow.finish_alone()),
            State::Concluding(work) => Box::pin(async move { drop(work.await) }),
            State::Trailers(_) | State::Breaking { .. } | State::Ended => return,
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}
