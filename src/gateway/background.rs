//! Answers that are written after their request was answered: followed until they can be charged.
//!
//! The hold stays leased while a task looks at the upstream from time to time. What the task has to know is kept with
//! the object in the ledger, so that another process goes on where this one ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::followed::Claim;
use super::kept;
use super::refusal::Refused;
use crate::gateway::Gateway;
use crate::gateway::conclude::{End, conclude};
use crate::gateway::facts::facts;
use crate::gateway::job::{Job, SoFar};
use crate::gateway::service::Service;
use crate::ledger::LedgerError;
use crate::ledger::object::{OBJECTS_MAX, Object, ObjectId};
use crate::usage::answer::read_answer;
use crate::usage::tokenizer::pooled;
use ask::{is_unfinished, until_done, written_status};
use state::{state, unfinished};

mod ask;
mod resume;
mod state;

pub use resume::resume;

/// How soon what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Notes an answer of a job that has only begun to come, so that it is found by whoever is there when it ends.
/// Answers the claim for the job; `None` where the id cannot be noted.
pub fn note(job: &Job, id: &str) -> Option<BoxFuture<'static, Claim>> {
    let gateway = Arc::clone(job.reservation.gateway());
    let object = unfinished(job, id.parse().ok()?);
    let claim = gateway.followed.claim(object)?;
    let noting = async move {
        if let Err(error) = put(&gateway, &claim.object).await {
            tracing::warn!(%error, object = %claim.object.id, "an answer in the background is not noted yet");
        }
        claim
    };
    Some(noting.boxed())
}

async fn put(gateway: &Gateway, object: &Object) -> Result<(), LedgerError> {
    let put = gateway.ledger.put_object(object.clone(), OBJECTS_MAX);
    put.await
}

/// Follows an answer with this id until it is charged. It is noted first, so that nothing is forgotten.
///
/// # Errors
/// Where it cannot be noted: nobody follows it then, and the job's hold is voided.
pub async fn follow(mut job: Job, id: &str) -> Result<(), LedgerError> {
    let gateway = Arc::clone(job.reservation.gateway());
    let error = match id.parse::<ObjectId>() {
        Ok(id) => {
            let object = unfinished(&job, id);
            let noted = put(&gateway, &object).await;
            // Where it was noted before, that is enough.
            if noted.is_ok() || job.claim.is_some() {
                match &mut job.claim {
                    Some(claim) => claim.object = object,
                    None => job.claim = gateway.followed.claim(object),
                }
                match job.claim.is_some() {
                    true => drop(tokio::spawn(run(gateway, light(job)))),
                    // Whoever found the note follows it.
                    false => job.reservation.leave(),
                }
                return Ok(());
            }
            noted.expect_err("it was not noted")
        }
        Err(error) => LedgerError::Conflict(error.to_string()),
    };
    tracing::error!(
        %error, request_id = %job.reservation.request(),
        "an answer in the background cannot be followed"
    );
    job.reservation.void().await;
    Err(error)
}

/// The job without the request's body, which may be large: what is to be counted of it is counted.
fn light(mut job: Job) -> Job {
    job.request_body = Bytes::new();
    job.request_memory = None;
    job
}

/// Notes what a customer is shown of an unfinished answer, so that it is charged even where the answer is cancelled.
/// Answers whether the answer is done; then it is charged soon.
///
/// # Errors
/// Where it cannot be noted.
pub async fn show(gateway: &Gateway, object: &Object, body: &[u8]) -> Result<bool, Refused> {
    let answer = read_answer(body).ok();
    let unfinished = answer.filter(|answer| answer.status.is_some_and(is_unfinished));
    let Some(unfinished) = unfinished else {
        gateway.followed.wake(object);
        return Ok(true);
    };
    let text = unfinished.transcript();
    let model = gateway.catalog().find_model(&object.model);
    let (false, Some(mut state), Some(model)) = (text.is_empty(), state(object), model) else {
        return Ok(false);
    };
    let tokenizer = model.tokenizer.clone();
    let shown = pooled(move || text.tokens(&tokenizer)).await;
    // What cannot be counted is taken to be all of it.
    let shown = shown.unwrap_or(u64::MAX);
    let before = state.so_far.unwrap_or(SoFar {
        input_tokens: state.input_bound(),
        output_tokens: 0,
    });
    if shown > before.output_tokens {
        state.so_far = Some(SoFar {
            output_tokens: shown,
            ..before
        });
        let object = state.of(object.clone());
        put(gateway, &object).await.map_err(|error| {
            tracing::error!(%error, object = %object.id, "what is shown cannot be noted");
            Refused::ledger_unavailable()
        })?;
    }
    Ok(false)
}

/// Follows the answer that a job has claimed. Boxed: where its charge fails, all that is noted is taken up again,
/// which ends here.
fn run(gateway: Arc<Gateway>, job: Job) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(claim) = &job.claim else { return };
        let (object, wake) = (claim.object.clone(), Arc::clone(&claim.wake));
        let done = tokio::select! {
            done = until_done(&gateway, &object, &wake) => done,
            // The next process goes on.
            () = gateway.stop.raised() => return job.reservation.leave(),
        };
        if let Err(error) = end(&gateway, job, &object, done).await {
            tracing::error!(
                %error, object = %object.id,
                "an answer in the background was not charged: that is tried again"
            );
            again(gateway);
        }
    })
}

/// Takes up all that is noted, after a while.
pub fn again(gateway: Arc<Gateway>) {
    tokio::spawn(async move {
        sleep(AGAIN).await;
        resume(gateway).await;
    });
}

/// Ends the hold by the answer; by `None` where it is gone.
async fn end(
    gateway: &Gateway,
    mut job: Job,
    object: &Object,
    done: Option<Bytes>,
) -> Result<(), LedgerError> {
    let Some(body) = done else {
        tracing::error!(
            request_id = %job.reservation.request(), object = %object.id,
            "an answer in the background is gone at its upstream: nothing is charged"
        );
        job.reservation.void_answered().await;
        // What was not charged is not given away, should it come back.
        kept::forget(&*gateway.ledger, object).await;
        return Ok(());
    };
    // Another process may have shown more of it.
    let noted = gateway.ledger.object(object.name()).await?;
    let noted = noted.as_ref().and_then(state);
    job.so_far = noted.and_then(|state| state.so_far).or(job.so_far);
    let mut facts = facts(&body, Service::Responses);
    // It is not followed again.
    facts.object = None;
    let status = written_status(&body);
    let has_ended = matches!(status.as_deref(), Some("completed" | "incomplete"));
    let end = match has_ended || facts.usage.is_some() {
        true => End::Complete,
        false => End::UpstreamCut,
    };
    // The settle ends what was pending.
    match conclude(job, facts, end).await {
        // It would not go better another time: whoever had the hold has released it.
        Err(LedgerError::Conflict(why)) => {
            tracing::error!(%why, object = %object.id, "an answer in the background cannot be charged");
            kept::finish(&*gateway.ledger, object.clone()).await;
            Ok(())
        }
        concluded => concluded.map(drop),
    }
}
