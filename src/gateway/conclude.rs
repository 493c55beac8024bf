//! From what came back to what is charged: the upstream's word where it can be believed, else our own count.

use super::job::Job;
use super::reservation::{Consumed, is_input};
use super::service::{Counts, Service};
use crate::ledger::LedgerError;
use crate::ledger::hold::Settled;
use crate::usage::report::{Reported, Unbelievable};
use crate::usage::tokenizer::{Tokenizer, pooled};
use crate::usage::transcript::Transcript;
use crate::usage::{Counted, Meter, Usage};

/// Every word on what was odd that a receipt can have.
pub const FLAGS: [&str; 6] = [
    "upstream_cut",
    "client_gone",
    "shutting_down",
    "usage_missing",
    "usage_unbelievable",
    "over_bound",
];

/// How an answer came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it came.
    Complete,
    /// The upstream broke off, fell silent, or said that it failed.
    UpstreamCut,
    /// The client went, and the upstream was not read to its end.
    ClientGone,
}

/// What is known of an answer.
#[derive(Debug)]
pub struct Facts {
    /// What the upstream reported.
    pub usage: Option<Result<Reported, Unbelievable>>,
    /// Images or embeddings delivered; `None` where the answer cannot be read, or is of no shape that is known.
    pub items: Option<u64>,
    /// The text that was delivered, to be counted where no report can be believed.
    pub text: Transcript,
    /// Whether the client had gone by then.
    pub client_gone: bool,
}

/// Ends a hold by what is known of the answer: a charge with its receipt, or nothing where
/// nothing was delivered.
///
/// **Cancellation**: do not drop it; run it in a task that outlives the client.
pub async fn conclude(job: Job, facts: Facts, end: End) -> Result<Option<Settled>, LedgerError> {
    let consumed = match job.service.counts() {
        Counts::Images => images(&job, &facts, end),
        Counts::Text | Counts::Input => tokens(&job, &facts, end).await,
        Counts::Nothing => Some(nothing()),
    };
    let Some(mut consumed) = consumed else {
        job.reservation.void_answered().await;
        return Ok(None);
    };
    if end == End::UpstreamCut {
        consumed.flags.push("upstream_cut");
    }
    if facts.client_gone {
        consumed.flags.push(match is_stopping(&job) {
            true => "shutting_down",
            false => "client_gone",
        });
    }
    job.reservation.settle(consumed).await.map(Some)
}

/// Ends a hold whose client went before any of its answer came, and whose upstream is stopped:
/// the input is charged, since the upstream has read it. Images that nobody got are not; nor is
/// anything where the proxy ends, and sends those away who would have waited.
pub async fn abandon(job: Job) {
    if matches!(job.service.counts(), Counts::Images | Counts::Nothing) || is_stopping(&job) {
        return job.reservation.void().await;
    }
    let input = input_tokens(&job).await;
    let consumed = Consumed {
        usage: Usage::tokens(input, 0),
        counted: Counted::Partial,
        flags: vec!["client_gone"],
    };
    if let Err(error) = job.reservation.settle(consumed).await {
        tracing::error!(%error, "the charge of a client that went was not booked");
    }
}

/// Whether the process ends: who went then was likely sent away.
fn is_stopping(job: &Job) -> bool {
    job.reservation.gateway().stop.is_raised()
}

/// What is free comes to nothing, whatever was answered.
fn nothing() -> Consumed {
    Consumed {
        usage: Usage::NONE,
        counted: Counted::Exact,
        flags: Vec::new(),
    }
}

/// Images are counted as they are delivered, so a count is exact. Where an answer that has left
/// cannot be read, what was asked for is taken to be in it: nothing passes unpriced. That it cannot
/// be read may be the client's doing, which left before the end; an upstream's cut never is.
fn images(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    let asked = || job.reservation.bound(|meter| meter == Meter::Images);
    let (images, counted, flags) = match (facts.items, end) {
        (Some(0), _) | (None, End::UpstreamCut) => return None,
        (Some(images), End::Complete) => (images, Counted::Exact, vec![]),
        (Some(images), _) => (images, Counted::Partial, vec![]),
        (None, End::Complete) => (asked(), Counted::Estimated, vec!["usage_missing"]),
        (None, End::ClientGone) => (asked(), Counted::Partial, vec!["usage_missing"]),
    };
    let consumed = Consumed {
        usage: Usage::images(images),
        counted,
        flags,
    };
    Some(with_tokens(job, facts, consumed))
}

/// Adds the tokens of images whose model is priced by tokens: as reported, else all that was held,
/// since nobody but the upstream can count them.
fn with_tokens(job: &Job, facts: &Facts, mut consumed: Consumed) -> Consumed {
    let input = job.reservation.bound(is_input);
    let output = job.reservation.bound(Meter::is_output);
    if input == 0 && output == 0 {
        return consumed;
    }
    let images = consumed.usage.get(Meter::Images);
    consumed.usage = match &facts.usage {
        Some(Ok(reported)) if reported.has_input && reported.has_output => reported.usage,
        report => {
            let flag = match report {
                Some(Err(_)) => "usage_unbelievable",
                _ => "usage_missing",
            };
            if !consumed.flags.contains(&flag) {
                consumed.flags.push(flag);
            }
            consumed.counted = consumed.counted.max(Counted::Estimated);
            Usage::tokens(input, output)
        }
    }
    .with(Meter::Images, images);
    consumed
}

async fn tokens(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    let mut flags = Vec::new();
    match &facts.usage {
        Some(Ok(reported)) if reported.has_input && reported.has_output => {
            let counted = match end {
                End::Complete => Counted::Exact,
                End::UpstreamCut | End::ClientGone => Counted::Partial,
            };
            return Some(Consumed {
                usage: reported.usage,
                counted,
                flags,
            });
        }
        Some(Ok(_)) | None => flags.push("usage_missing"),
        Some(Err(_)) => flags.push("usage_unbelievable"),
    }
    if is_empty(job, facts, end) && (end != End::ClientGone || is_stopping(job)) {
        // Nothing was delivered, and nobody says what it cost: that is not the customer's.
        // A client that went is: the upstream read its input.
        return None;
    }
    let usage = estimate(job, facts).await;
    let counted = match end {
        End::Complete => Counted::Estimated,
        End::UpstreamCut | End::ClientGone => Counted::Partial,
    };
    Some(Consumed {
        usage,
        counted,
        flags,
    })
}

/// Whether nothing was delivered. Embeddings of no known shape count as delivered, unless the upstream cut them.
fn is_empty(job: &Job, facts: &Facts, end: End) -> bool {
    match job.service.counts() {
        Counts::Input => match facts.items {
            Some(items) => items == 0,
            None => end == End::UpstreamCut,
        },
        _ => facts.text.is_empty(),
    }
}

/// Our own count, never above what was held. A side that the upstream did report stays as reported.
async fn estimate(job: &Job, facts: &Facts) -> Usage {
    let output = output_tokens(job, facts).await;
    match &facts.usage {
        Some(Ok(reported)) if reported.has_input => reported.usage.with(Meter::Output, output),
        Some(Ok(reported)) if reported.has_output => {
            reported.usage.with(Meter::Input, input_tokens(job).await)
        }
        _ => Usage::tokens(input_tokens(job).await, output),
    }
}

/// The tokens of the request, counted here; the bound of the hold where they cannot be.
async fn input_tokens(job: &Job) -> u64 {
    let (tokenizer, body) = (
        job.reservation.model.tokenizer.clone(),
        job.request_body.clone(),
    );
    let bound = job.reservation.bound(is_input);
    let count = match job.service {
        Service::Completions => Tokenizer::count_prompts,
        Service::Embeddings => Tokenizer::count_inputs,
        _ => Tokenizer::count_chat,
    };
    let counted = pooled(move || count(&tokenizer, &body)).await;
    counted.flatten().map_or(bound, |tokens| tokens.min(bound))
}

/// The tokens of what was delivered, counted here; the bound of the hold where they cannot be.
async fn output_tokens(job: &Job, facts: &Facts) -> u64 {
    let (tokenizer, text) = (job.reservation.model.tokenizer.clone(), facts.text.clone());
    let bound = job.reservation.bound(Meter::is_output);
    let completion = (job.service == Service::Completions).then(|| job.request_body.clone());
    let counted = pooled(move || match completion {
        Some(body) => tokenizer.count_completions(&body, &text),
        None => text.tokens(&tokenizer),
    })
    .await;
    counted.map_or(bound, |tokens| tokens.min(bound))
}
