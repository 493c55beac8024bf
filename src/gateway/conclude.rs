//! From what came back to what is charged: the upstream's word where it can be believed, else our own count.

mod audio;
mod images;
mod searches;
mod tokens;

use super::job::{Job, SoFar};
use super::kept;
use super::reservation::Consumed;
use super::service::Counts;
use crate::ledger::LedgerError;
use crate::ledger::hold::Settled;
use crate::price::ImageShape;
use crate::usage::choices::Choices;
use crate::usage::report::{Reported, Unbelievable};
use crate::usage::transcript::Transcript;
use crate::usage::{Counted, Usage};
use audio::{characters, seconds};
use images::images;
use tokens::{input_tokens, output_tokens, tokens};

/// Every word on what was odd that a receipt can have.
pub const FLAGS: [&str; 9] = [
    "upstream_cut",
    "client_gone",
    "shutting_down",
    "usage_missing",
    "usage_unbelievable",
    "input_unseen",
    "over_bound",
    "price_fallback",
    "unpriced_meter",
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
    /// Images or embeddings delivered, or nothing of anything else; `None` where the answer cannot be read, or is of no shape that is known.
    pub items: Option<u64>,
    /// The text that was delivered, to be counted where no report can be believed.
    pub text: Transcript,
    /// The texts of its choices, where several were asked for.
    pub choices: Option<Choices>,
    /// Seconds of the recording, where the answer tells them.
    pub seconds: Option<u64>,
    /// Search units of an order of documents, where the answer tells them.
    pub search_units: Option<Result<u64, Unbelievable>>,
    /// What is stored of it at the upstream, where it says so.
    pub object: Option<Written>,
    /// The images' size and quality, as far as the answer states them.
    pub image: ImageShape,
    /// Whether the client had gone by then.
    pub client_gone: bool,
}

/// An answer that its upstream stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its id there.
    pub id: String,
    /// Whether more of it is to come.
    pub is_unfinished: bool,
}

/// What came of a request that was answered.
pub enum Conclusion {
    /// It was charged.
    Charged(Box<Settled>),
    /// It costs nothing.
    Free,
    /// Its answer is still being written: it is to be followed. What has shown so far is counted.
    Later(Box<Job>, Written),
}

impl Conclusion {
    /// The charge, where there is one already.
    pub fn settled(self) -> Option<Box<Settled>> {
        match self {
            Conclusion::Charged(settled) => Some(settled),
            Conclusion::Free | Conclusion::Later(..) => None,
        }
    }
}

/// Ends a hold by what is known of the answer: a charge with its receipt, or nothing where
/// nothing was delivered.
///
/// **Cancellation**: do not drop it; run it in a task that outlives the client.
pub async fn conclude(
    mut job: Box<Job>,
    facts: Facts,
    end: End,
) -> Result<Conclusion, LedgerError> {
    if let Some(written) = facts.object.as_ref().filter(|_| job.stored) {
        if job.background && (written.is_unfinished || end != End::Complete) {
            let written = written.clone();
            job.so_far = Some(SoFar {
                input_tokens: input_tokens(&job).await,
                output_tokens: output_tokens(&job, &facts).await,
            });
            return Ok(Conclusion::Later(job, written));
        }
        if job.claim.as_ref().is_none_or(|claim| !claim.is_noted) {
            kept::note(&job, &written.id).await;
        }
    }
    job.reservation.stated = facts.image.clone();
    let consumed = match job.service.counts() {
        Counts::Images => images(&job, &facts, end).await,
        Counts::Characters => characters(&job, &facts, end).await,
        Counts::Seconds => seconds(&job, &facts, end).await,
        Counts::Text | Counts::Input => {
            let consumed = tokens(&job, &facts, end).await;
            consumed.map(|consumed| searches::counted(&job, &facts, consumed))
        }
        Counts::Nothing => Some(nothing()),
        // Whatever came of it: it is one request.
        Counts::Requests => Some(Consumed {
            counted: match end {
                End::Complete => Counted::Exact,
                End::UpstreamCut | End::ClientGone => Counted::Partial,
            },
            ..nothing()
        }),
    };
    let Some(mut consumed) = consumed else {
        match job.claim.as_ref().is_some_and(|claim| claim.is_shared) {
            // Whoever else follows it may have seen more: where nobody does, the hold lapses.
            true => job.reservation.leave(),
            false => job.reservation.void_answered().await,
        }
        return Ok(Conclusion::Free);
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
    let settled = job.reservation.settle(consumed).await?;
    Ok(Conclusion::Charged(Box::new(settled)))
}

/// Ends a hold whose client went before any of its answer came, and whose upstream is stopped:
/// the input is charged, since the upstream has read it. Images that nobody got are not; nor is
/// anything where the proxy ends, and sends those away who would have waited.
pub async fn abandon(job: Box<Job>) {
    if is_stopping(&job) {
        return job.reservation.void().await;
    }
    let usage = match job.service.counts() {
        Counts::Text | Counts::Input => Usage::tokens(input_tokens(&job).await, 0),
        Counts::Seconds => audio::abandoned(&job).await,
        Counts::Images | Counts::Characters | Counts::Requests | Counts::Nothing => {
            return job.reservation.void().await;
        }
    };
    let consumed = Consumed {
        usage,
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
