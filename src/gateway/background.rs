//! Answers that are written after their request was answered: followed until they can be charged.
//!
//! The hold stays leased while a task looks at the upstream from time to time. What the task has to know is kept with
//! the object in the ledger, so that another process goes on where this one ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::time::sleep;

use super::followed::Claim;
use super::kept;
use super::refusal::Refused;
use crate::gateway::Gateway;
use crate::gateway::conclude::{Conclusion, End, conclude};
use crate::gateway::facts::facts;
use crate::gateway::job::{Job, SoFar};
use crate::gateway::service::Service;
use crate::ledger::LedgerError;
use crate::ledger::object::{OBJECTS_MAX, Object, ObjectId, ObjectIdError};
use crate::usage::answer::{AnswerFacts, read_answer};
use crate::usage::tokenizer::pooled;
use ask::{is_old, until_done};
use resume::{resume, take_up};
use state::{state, unfinished};

mod ask;
mod resume;
mod state;

/// How soon what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// How often it is looked for answers that nobody follows: those of a process that ended, where several share a ledger.
const LOOKED_FOR: Duration = Duration::from_secs(60);
/// How long the process that began an answer may take to charge what it alone has seen of it.
const GRACE: Duration = Duration::from_secs(60);

/// Takes up, for ever, what is noted as unfinished and nobody here follows. Cancel it by dropping it.
pub async fn keep_following(gateway: Arc<Gateway>) {
    loop {
        resume(&gateway).await;
        sleep(LOOKED_FOR).await;
    }
}

/// Takes up all that is noted, after a while.
pub fn again(gateway: Arc<Gateway>) {
    tokio::spawn(async move {
        sleep(AGAIN).await;
        resume(&gateway).await;
    });
}

/// Notes an answer of a job that has only begun to come, so that it is found by whoever is there when it ends.
/// Answers the claim for the job; `None` where the id cannot be noted.
pub fn note(job: &Job, id: &str) -> Option<BoxFuture<'static, Claim>> {
    let gateway = Arc::clone(job.reservation.gateway());
    let object = unfinished(job, id.parse().ok()?);
    let mut claim = gateway.followed.claim(object)?;
    let noting = async move {
        match put(&gateway, &claim.object).await {
            Ok(()) => claim.is_noted = true,
            Err(error) => {
                tracing::warn!(%error, object = %claim.object.id, "an answer in the background is not noted yet");
            }
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
pub async fn follow(mut job: Box<Job>, id: &str) -> Result<(), LedgerError> {
    let gateway = Arc::clone(job.reservation.gateway());
    match claim(&gateway, &mut job, id).await {
        Ok(Some(claim)) => {
            job.claim = Some(claim);
            tokio::spawn(run(gateway, light(job)));
            Ok(())
        }
        // Another task took it up.
        Ok(None) => {
            job.reservation.leave();
            Ok(())
        }
        Err(error) => {
            tracing::error!(
                %error, request_id = %job.reservation.request(),
                "an answer in the background cannot be followed"
            );
            job.reservation.void().await;
            Err(error)
        }
    }
}

/// Claims a job's answer, and notes it with all that is known of it by now.
async fn claim(gateway: &Gateway, job: &mut Job, id: &str) -> Result<Option<Claim>, LedgerError> {
    let id: ObjectId = id
        .parse()
        .map_err(|error: ObjectIdError| LedgerError::Conflict(error.to_string()))?;
    let Some(mut claim) = job.claim.take() else {
        let Some(mut claim) = gateway.followed.claim(unfinished(job, id)) else {
            return Ok(None);
        };
        put(gateway, &claim.object).await?;
        claim.is_noted = true;
        return Ok(Some(claim));
    };
    // It was noted when it began; meanwhile more of it may have been shown.
    let gate = claim.gate().await;
    let noted = match shown(gateway, &claim.object).await {
        Ok(shown) => {
            job.so_far = most(job.so_far, shown);
            claim.object = unfinished(job, id);
            put(gateway, &claim.object).await
        }
        // Nothing that is noted is to be lowered.
        Err(error) => Err(error),
    };
    drop(gate);
    match noted {
        Err(error) if !claim.is_noted => return Err(error),
        Err(error) => {
            tracing::warn!(%error, object = %claim.object.id, "what came of an answer is not noted");
        }
        Ok(()) => claim.is_noted = true,
    }
    Ok(Some(claim))
}

/// What is noted of an answer as counted.
async fn shown(gateway: &Gateway, object: &Object) -> Result<Option<SoFar>, LedgerError> {
    let noted = gateway.ledger.object(object.name()).await?;
    let state = noted.as_ref().and_then(state);
    Ok(state.and_then(|state| state.so_far))
}

fn most(one: Option<SoFar>, other: Option<SoFar>) -> Option<SoFar> {
    let (Some(one), Some(other)) = (one, other) else {
        return one.or(other);
    };
    Some(SoFar {
        output_tokens: one.output_tokens.max(other.output_tokens),
        ..one
    })
}

/// The job without the request's body, which may be large: what is to be counted of it is counted.
fn light(mut job: Box<Job>) -> Box<Job> {
    job.request_body = Bytes::new();
    job.request_memory = None;
    job
}

/// Notes what a customer is shown of an unfinished answer, so that it is charged even where the answer is cancelled.
/// Answers whether the answer is done; then it is charged soon.
///
/// # Errors
/// Where it cannot be noted.
pub async fn show(gateway: &Arc<Gateway>, object: &Object, body: &[u8]) -> Result<bool, Refused> {
    if !gateway.followed.wake(object) {
        tokio::spawn(take_up(Arc::clone(gateway), object.clone()));
    }
    let answer = read_answer(body).ok();
    let Some(unfinished) = answer.filter(AnswerFacts::is_unfinished) else {
        return Ok(true);
    };
    let text = unfinished.transcript();
    if text.is_empty() {
        return Ok(false);
    }
    let model = gateway.catalog().find_model(&object.model);
    let tokenizer = model.map(|model| model.tokenizer.clone());
    // What cannot be counted is taken to be all of it.
    let tokens = match tokenizer {
        Some(tokenizer) => pooled(move || text.tokens(&tokenizer)).await,
        None => None,
    };
    let output_tokens = tokens.unwrap_or(u64::MAX);
    let noted = note_shown(gateway, object, output_tokens).await;
    noted.map_err(|error| {
        tracing::error!(%error, object = %object.id, "what is shown cannot be noted");
        Refused::ledger_unavailable()
    })?;
    Ok(false)
}

async fn note_shown(
    gateway: &Gateway,
    object: &Object,
    output_tokens: u64,
) -> Result<(), LedgerError> {
    let _gate = gateway.followed.gate(object).await;
    // Others may have been shown more meanwhile.
    let noted = gateway.ledger.object(object.name()).await?;
    let Some(noted) = noted.filter(|noted| noted.pending.is_some()) else {
        return charged(gateway, object).await;
    };
    let unreadable = || LedgerError::Conflict("its state cannot be read".to_owned());
    let mut state = state(&noted).ok_or_else(unreadable)?;
    let before = state.so_far.unwrap_or(SoFar {
        input_tokens: state.input_bound(),
        output_tokens: 0,
    });
    if output_tokens <= before.output_tokens {
        return Ok(());
    }
    state.so_far = Some(SoFar {
        output_tokens,
        ..before
    });
    put(gateway, &state.of(noted)).await
}

/// An answer that ended while it was on its way to a customer: what was not charged then is not given away now.
async fn charged(gateway: &Gateway, object: &Object) -> Result<(), LedgerError> {
    let uncharged = || LedgerError::Conflict("it ended without a charge".to_owned());
    let pending = object.pending.as_ref().ok_or_else(uncharged)?;
    let wallet = Some(object.wallet.clone());
    let receipt = gateway.ledger.receipt(pending.request, wallet).await?;
    receipt.map(drop).ok_or_else(uncharged)
}

/// Follows the answer that a job has claimed. Boxed: where its charge fails, all that is noted is taken up again,
/// which ends here.
fn run(gateway: Arc<Gateway>, job: Box<Job>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Some(claim) = &job.claim else { return };
        let (object, wake) = (claim.object.clone(), claim.wake());
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

/// Ends the hold by the answer; by `None` where it is gone, or not awaited any longer.
async fn end(
    gateway: &Gateway,
    mut job: Box<Job>,
    object: &Object,
    done: Option<Bytes>,
) -> Result<(), LedgerError> {
    let is_gone = done.is_none();
    let body = done.unwrap_or_default();
    let mut facts = facts(&body, Service::Responses);
    // It is not followed again.
    facts.object = None;
    let is_told = matches!(facts.usage, Some(Ok(_)));
    let is_shared = job.claim.as_ref().is_some_and(|claim| claim.is_shared);
    if is_shared && !is_told {
        // It is not renewed from here: where nobody else does that, it lapses.
        gateway.live.leave(job.reservation.request());
        let is_anothers = is_gone && !is_old(gateway, object);
        if is_anothers || was_ended_by_another(gateway, object).await {
            job.reservation.leave();
            return Ok(());
        }
    }
    let gate = job.claim.as_ref().map(Claim::gate);
    let _gate = OptionFuture::from(gate).await;
    match shown(gateway, object).await {
        Ok(shown) => job.so_far = most(job.so_far, shown),
        // What is noted there is known nowhere else.
        Err(error) => {
            job.reservation.leave();
            return Err(error);
        }
    }
    let status = read_answer(&body)
        .ok()
        .and_then(|answer| answer.status.map(str::to_owned));
    let status = status.as_deref();
    let has_ended = matches!(status, Some("completed" | "incomplete"));
    let end = match has_ended || is_told {
        true => End::Complete,
        false => End::UpstreamCut,
    };
    if is_gone {
        tracing::error!(
            request_id = %job.reservation.request(), object = %object.id,
            "an answer in the background is gone at its upstream: what was shown of it is charged"
        );
    }
    // The settle ends what was pending.
    let over = match conclude(job, facts, end).await {
        Ok(Conclusion::Free) => true,
        Ok(Conclusion::Charged(_) | Conclusion::Later(..)) => is_gone,
        // It would not go better another time.
        Err(error @ (LedgerError::Conflict(_) | LedgerError::NotFound(_))) => {
            tracing::error!(%error, object = %object.id, "an answer in the background cannot be charged");
            kept::forget(&*gateway.ledger, object).await;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if over {
        close(
            gateway,
            object,
            matches!(status, Some("failed" | "cancelled")),
        )
        .await;
    }
    Ok(())
}

/// Whether an answer that this process took up is settled by the one that began it, which may know more of it.
async fn was_ended_by_another(gateway: &Gateway, object: &Object) -> bool {
    tokio::select! {
        () = sleep(GRACE) => {}
        // The next process looks again.
        () = gateway.stop.raised() => return true,
    }
    let noted = gateway.ledger.object(object.name()).await;
    // Where that cannot be told, it is looked at again.
    noted.map_or(true, |noted| {
        noted.is_none_or(|noted| noted.pending.is_none())
    })
}

/// Ends what is noted of an answer that was not charged. One that came to nothing stays, since it says why; any other is not
/// given away, and can be reached by nobody.
pub async fn close(gateway: &Gateway, object: &Object, came_to_nothing: bool) {
    match came_to_nothing {
        true => kept::finish(&*gateway.ledger, object.clone()).await,
        false => kept::forget(&*gateway.ledger, object).await,
    }
}
