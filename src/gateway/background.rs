//! Answers that are written after their request was answered: followed until they can be charged.
//!
//! The hold stays leased while a task looks at the upstream from time to time. What the task has to know is kept with
//! the object in the ledger, so that another process goes on where this one ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::kept::stored;
use crate::clock::UnixMs;
use crate::gateway::Gateway;
use crate::gateway::conclude::{Conclusion, End, Facts, conclude};
use crate::gateway::facts::facts;
use crate::gateway::job::Job;
use crate::gateway::service::Service;
use crate::ledger::LedgerError;
use crate::ledger::grant::GrantTake;
use crate::ledger::id::RequestId;
use crate::ledger::limit::Limit;
use crate::ledger::object::{OBJECTS_MAX, Object, ObjectId, Pending};
use crate::money::Factor;
use crate::price::Segment;
use crate::upstream::Call;
use crate::usage::answer::read_answer;

mod resume;

pub use resume::resume;

/// How often the upstream is asked, at first and at last.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LAST: Duration = Duration::from_secs(15);
/// How soon what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long an answer may be written; after that nobody waits for it, and it costs nothing.
const WRITTEN_MAX_MS: u64 = 86_400_000;
/// After so many looks at what is not there, it is gone.
const GONE_LOOKS: u32 = 8;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The answers that this process follows.
#[derive(Debug, Default)]
pub struct Followed(Mutex<HashMap<RequestId, Arc<Notify>>>);

impl Followed {
    /// Claims the answer of a request for one task; `None` where another one follows it. The task is to release it.
    fn claim(&self, request: RequestId) -> Option<Arc<Notify>> {
        match self.0.lock().entry(request) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => Some(Arc::clone(free.insert(Arc::default()))),
        }
    }

    fn release(&self, request: RequestId) {
        self.0.lock().remove(&request);
    }
}

/// What is needed to go on after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    segments: Vec<Segment>,
    input_tokens: u64,
    output_tokens: u64,
    held_at: UnixMs,
    price_version: Arc<str>,
    multiplier: Factor,
    taken: Vec<GrantTake>,
    limits: Vec<Limit>,
}

/// Whether an answer says that it is still being written.
pub fn is_unfinished(body: &[u8]) -> bool {
    let status = read_answer(body).ok().and_then(|answer| answer.status);
    matches!(status, Some("queued" | "in_progress"))
}

/// Looks at an answer at once, instead of after a while.
pub fn look(gateway: &Gateway, object: &Object) {
    let Some(pending) = &object.pending else {
        return;
    };
    if let Some(wake) = gateway.followed.0.lock().get(&pending.request) {
        wake.notify_one();
    }
}

/// Follows an answer with this id until it is charged. It is noted first, so that nothing is forgotten.
///
/// # Errors
/// Where it cannot be noted: nobody follows it then, and the job's hold is voided.
pub async fn follow(job: Job, id: &str) -> Result<(), LedgerError> {
    let gateway = Arc::clone(job.reservation.gateway());
    let request = job.reservation.request();
    // Before it is noted: whoever finds the note is not to follow it as well.
    let wake = gateway.followed.claim(request).unwrap_or_default();
    let noted = match id.parse::<ObjectId>() {
        Ok(id) => {
            let object = pending(&job, id);
            let put = gateway.ledger.put_object(object.clone(), OBJECTS_MAX);
            put.await.map(|()| object)
        }
        Err(error) => Err(LedgerError::Conflict(error.to_string())),
    };
    match noted {
        Ok(object) => {
            tokio::spawn(run(gateway, light(job), object, wake));
            Ok(())
        }
        Err(error) => {
            tracing::error!(%error, request_id = %request, "an answer in the background cannot be followed");
            gateway.followed.release(request);
            job.reservation.void().await;
            Err(error)
        }
    }
}

/// The job without the request's body, which may be large: it is not needed to read what the upstream reports.
fn light(mut job: Job) -> Job {
    job.request_body = Bytes::new();
    job.request_memory = None;
    job
}

fn pending(job: &Job, id: ObjectId) -> Object {
    let reservation = &job.reservation;
    let worst = reservation.terms.worst_case();
    let state = State {
        segments: reservation.segments.clone(),
        input_tokens: worst.input_tokens,
        output_tokens: worst.output_tokens,
        held_at: reservation.held_at,
        price_version: Arc::clone(reservation.catalog.prices.version()),
        multiplier: reservation.terms.multiplier(),
        taken: reservation.hold.taken.clone(),
        limits: reservation.limits.clone(),
    };
    let state = serde_json::to_string(&state).unwrap_or_default();
    Object {
        pending: Some(Pending {
            request: reservation.request(),
            state,
        }),
        ..stored(job, id)
    }
}

/// What a look showed.
enum Look {
    /// It is still being written.
    Unfinished,
    /// It is done, for better or worse.
    Done(Bytes),
    /// The upstream has no such answer.
    Gone,
}

/// Follows an answer that was claimed, and releases it. Boxed: where its charge fails, all that is noted is taken up
/// again, which ends here.
fn run(
    gateway: Arc<Gateway>,
    job: Job,
    object: Object,
    wake: Arc<Notify>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let request = job.reservation.request();
        let done = tokio::select! {
            done = until_done(&gateway, &object, &wake) => Some(done),
            () = gateway.stop.raised() => None,
        };
        let is_booked = end(&gateway, job, &object, done).await;
        gateway.followed.release(request);
        if !is_booked {
            tokio::spawn(async move {
                sleep(AGAIN).await;
                resume(gateway).await;
            });
        }
    })
}

/// Ends the hold by the answer; `None` where the process ends before. Answers whether all of it is in the ledger.
async fn end(gateway: &Gateway, job: Job, object: &Object, done: Option<Option<Bytes>>) -> bool {
    match done {
        // The next process goes on.
        None => {
            job.reservation.leave();
            true
        }
        Some(Some(body)) => {
            let mut facts = facts(&body, Service::Responses);
            facts.object = None;
            let has_ended = matches!(
                written_status(&body).as_deref(),
                Some("completed" | "incomplete")
            );
            let end = match has_ended || facts.usage.is_some() {
                true => End::Complete,
                false => End::UpstreamCut,
            };
            settle(gateway, job, facts, end, object).await
        }
        Some(None) => {
            tracing::error!(
                request_id = %job.reservation.request(), object = %object.id,
                "an answer in the background is gone at its upstream: nothing is charged"
            );
            job.reservation.void_answered().await;
            drop_object(gateway, object).await;
            true
        }
    }
}

async fn settle(gateway: &Gateway, job: Job, facts: Facts, end: End, object: &Object) -> bool {
    match conclude(job, facts, end).await {
        // The settle has ended what was pending.
        Ok(Conclusion::Charged(_)) => true,
        // What is done is never followed again: its facts name no object.
        // What was not charged is not given away: it cannot be reached any more.
        Ok(Conclusion::Free | Conclusion::Later(..)) => {
            drop_object(gateway, object).await;
            true
        }
        Err(error) => {
            tracing::error!(%error, object = %object.id, "an answer in the background was not charged: that is tried again");
            false
        }
    }
}

/// The object is out of reach.
async fn drop_object(gateway: &Gateway, object: &Object) {
    if let Err(error) = gateway.ledger.drop_object(object.name()).await {
        tracing::error!(%error, object = %object.id, "what was not charged is still noted");
    }
}

/// The finished answer; `None` where it is gone, or takes too long.
async fn until_done(gateway: &Gateway, object: &Object, wake: &Notify) -> Option<Bytes> {
    let mut pause = LOOK_FIRST;
    let (mut failing, mut gone) = (false, 0);
    loop {
        tokio::select! {
            () = sleep(pause) => pause = (pause * 3 / 2).min(LOOK_LAST),
            () = wake.notified() => {}
        }
        match ask(gateway, object).await {
            Ok(Look::Done(body)) => return Some(body),
            // One server of several may not have it yet.
            Ok(Look::Gone) if gone < GONE_LOOKS => gone += 1,
            Ok(Look::Gone) => return None,
            Ok(Look::Unfinished) => {
                (failing, gone) = (false, 0);
                let age = gateway.ledger.now().since(object.created_at);
                if age > WRITTEN_MAX_MS {
                    tracing::error!(object = %object.id, "an answer in the background takes longer than a day");
                    return None;
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(object = %object.id, %why, "an answer in the background cannot be looked at; that is tried again");
                }
            }
        }
    }
}

async fn ask(gateway: &Gateway, object: &Object) -> Result<Look, String> {
    let catalog = gateway.catalog();
    let endpoint = catalog
        .upstreams
        .at(&object.upstream)
        .ok_or_else(|| "its upstream is not configured".to_owned())?;
    let path = format!("/responses/{}", object.id);
    let call = Call {
        method: Method::GET,
        path: &path,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let sent = catalog.upstreams.send(&endpoint, call).await;
    let response = sent.map_err(|error| error.to_string())?;
    let status = response.status();
    if matches!(status.as_u16(), 404 | 410) {
        return Ok(Look::Gone);
    }
    if !status.is_success() {
        return Err(format!("the upstream answers {status}"));
    }
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    let body = timeout(endpoint.idle_timeout(), body)
        .await
        .map_err(|_| "the upstream fell silent".to_owned())?
        .map_err(|error| error.to_string())?;
    let body = body.to_bytes();
    match written_status(&body).as_deref() {
        Some("queued" | "in_progress") => Ok(Look::Unfinished),
        Some(_) => Ok(Look::Done(body)),
        None => Err("the upstream's answer has no status".to_owned()),
    }
}

fn written_status(body: &[u8]) -> Option<String> {
    let answer = read_answer(body).ok()?;
    answer.status.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::Followed;
    use crate::ledger::id::RequestId;

    #[test]
    fn an_answer_is_followed_by_one_task_at_a_time() {
        let (followed, request) = (Followed::default(), RequestId::new());
        assert!(followed.claim(request).is_some());
        assert!(followed.claim(request).is_none());
        assert!(followed.claim(RequestId::new()).is_some());
        followed.release(request);
        assert!(followed.claim(request).is_some());
    }
}
