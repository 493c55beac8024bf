//! From what came back to what is charged: the upstream's word where it can be believed, else our own count.

use super::job::{Job, Product};
use super::reservation::{Consumed, is_input};
use crate::ledger::LedgerError;
use crate::ledger::hold::Settled;
use crate::usage::report::{Reported, Unbelievable};
use crate::usage::tokenizer::pooled;
use crate::usage::transcript::Transcript;
use crate::usage::{Counted, Meter, Usage};

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
    /// Images delivered.
    pub images: u64,
    /// Whether the answer could be read at all.
    pub readable: bool,
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
    let consumed = match job.product {
        Product::Images => images(&job, &facts, end),
        Product::Text => text(&job, &facts, end).await,
    };
    let Some(mut consumed) = consumed else {
        job.reservation.void().await;
        return Ok(None);
    };
    if end == End::UpstreamCut {
        consumed.flags.push("upstream_cut");
    }
    if facts.client_gone {
        consumed.flags.push("client_gone");
    }
    job.reservation.settle(consumed).await.map(Some)
}

/// Ends a hold whose client went before any of its answer came, and whose upstream is stopped:
/// the input is charged, since the upstream has read it. Images that nobody got are not.
pub async fn abandon(job: Job) {
    if job.product == Product::Images {
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

/// Images are counted as they are delivered, so a count is exact. Where an answer that has left
/// cannot be read, what was asked for is taken to be in it: nothing passes unpriced.
fn images(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    if !facts.readable && end == End::Complete {
        return Some(Consumed {
            usage: Usage::images(job.reservation.bound(|meter| meter == Meter::Images)),
            counted: Counted::Estimated,
            flags: vec!["usage_missing"],
        });
    }
    (facts.images > 0).then(|| Consumed {
        usage: Usage::images(facts.images),
        counted: match end {
            End::Complete => Counted::Exact,
            End::UpstreamCut | End::ClientGone => Counted::Partial,
        },
        flags: Vec::new(),
    })
}

async fn text(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
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
    if facts.text.is_empty() && end != End::ClientGone {
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
    let (tokenizer, body) = (job.reservation.model.tokenizer, job.request_body.clone());
    let bound = job.reservation.bound(is_input);
    let counted = pooled(move || tokenizer.count_chat(&body)).await;
    counted.flatten().map_or(bound, |tokens| tokens.min(bound))
}

/// The tokens of what was delivered, counted here; the bound of the hold where they cannot be.
async fn output_tokens(job: &Job, facts: &Facts) -> u64 {
    let (tokenizer, text) = (job.reservation.model.tokenizer, facts.text.clone());
    let bound = job.reservation.bound(Meter::is_output);
    let counted = pooled(move || text.tokens(tokenizer)).await;
    counted.map_or(bound, |tokens| tokens.min(bound))
}
