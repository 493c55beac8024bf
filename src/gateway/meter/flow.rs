//! An answer under way: chunk by chunk to the end, with a client or without, and then its charge.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep};

use super::{Concluded, Progress, Tap};
use crate::gateway::background;
use crate::gateway::conclude::{Conclusion, End, conclude};
use crate::gateway::followed::Claim;
use crate::gateway::job::Job;
use crate::gateway::receipt;
use crate::gateway::refusal::{Code, Refused};
use crate::ledger::key::OnDisconnect;
use crate::upstream::UpstreamBody;

/// How long usage may come after the end marker of a stream.
const LATE_USAGE: Duration = Duration::from_secs(1);

/// An answer under way.
pub(super) struct Flow {
    upstream: UpstreamBody,
    tap: Tap,
    job: Box<Job>,
    timer: Pin<Box<Sleep>>,
    silent_since: Instant,
    /// The end has come, and the usage may follow it.
    late_usage: bool,
    /// An answer in the background is noted before its beginning leaves.
    noting: Option<BoxFuture<'static, Claim>>,
    /// Whether its first byte is still to come, and worth noting.
    silent: bool,
}

impl Flow {
    pub(super) fn new(upstream: UpstreamBody, tap: Tap, job: Box<Job>) -> Self {
        Flow {
            upstream,
            tap,
            timer: Box::pin(tokio::time::sleep(job.idle)),
            silent_since: Instant::now(),
            late_usage: false,
            noting: None,
            silent: job.reservation.detail.streamed,
            job,
        }
    }

    /// Ready when the answer is noted, as far as it has to be.
    pub(super) fn poll_noting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(noting) = &mut self.noting {
            self.job.claim = Some(ready!(noting.as_mut().poll(cx)));
            self.noting = None;
        }
        Poll::Ready(())
    }

    /// Notes an answer in the background as soon as its id is known.
    fn note(&mut self) {
        let Flow { job, tap, .. } = self;
        if job.background && job.stored && job.claim.is_none() && self.noting.is_none() {
            self.noting = tap.response().and_then(|id| background::note(job, id));
        }
    }

    async fn noted(&mut self) {
        if let Some(noting) = self.noting.take() {
            self.job.claim = Some(noting.await);
        }
    }

    /// Moves one chunk on. Ready with an end, or with `None` for more.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Poll<Option<End>> {
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    self.silent_since = Instant::now();
                    if std::mem::take(&mut self.silent) {
                        self.job.reservation.record.streams();
                    }
                    self.tap.push(chunk, out);
                    self.note();
                }
                match self.tap.progress() {
                    Progress::Flowing => {
                        self.late_usage = false;
                        Poll::Ready(None)
                    }
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
    pub(super) async fn conclude(self: Box<Self>, end: End, client_gone: bool) -> Concluded {
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
        let has_failed = tap.has_failed();
        let mut facts = tap.facts();
        facts.client_gone = client_gone;
        let trailers = job.trailers;
        let noted = job.claim.as_ref().map(|claim| claim.object.clone());
        let gateway = Arc::clone(job.reservation.gateway());
        let outcome = match conclude(job, facts, end).await {
            Ok(Conclusion::Later(job, written)) => background::follow(job, &written.id)
                .await
                .map(|()| Conclusion::Free),
            Ok(Conclusion::Free) => {
                if let Some(noted) = &noted {
                    background::close(&gateway, noted, has_failed).await;
                }
                Ok(Conclusion::Free)
            }
            outcome => outcome,
        };
        drop(upstream);
        let Ok(settled) = outcome.map(Conclusion::settled) else {
            if noted.is_some() {
                background::again(gateway);
            }
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
                false => tap.tail(settled.as_deref(), &gateway.currency, cut.as_ref()),
            },
        }
    }

    /// The client is gone: reads on within bounds, or stops, as its key's policy says; then concludes.
    pub(super) async fn finish_alone(mut self: Box<Self>) {
        self.noted().await;
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
                    self.note();
                    self.noted().await;
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
