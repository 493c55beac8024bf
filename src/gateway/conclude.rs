//! From what came back to what is charged: the upstream's word where it can be believed, else our own count.

mod audio;

use super::job::Job;
use super::kept;
use super::reservation::{Consumed, is_input};
use super::service::{Counts, Service};
use crate::ledger::LedgerError;
use crate::ledger::hold::Settled;
use crate::price::ImageShape;
use crate::usage::choices::Choices;
use crate::usage::report::{Reported, Unbelievable};
use crate::usage::tokenizer::{Tokenizer, pooled};
use crate::usage::transcript::Transcript;
use crate::usage::{Counted, Meter, Unit, Usage};
use audio::{characters, seconds};

/// Every word on what was odd that a receipt can have.
pub const FLAGS: [&str; 8] = [
    "upstream_cut",
    "client_gone",
    "shutting_down",
    "usage_missing",
    "usage_unbelievable",
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
    /// Its answer is still being written: it is to be followed.
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
pub async fn conclude(mut job: Job, facts: Facts, end: End) -> Result<Conclusion, LedgerError> {
    if let Some(written) = facts.object.as_ref().filter(|_| job.stored) {
        if job.background && (written.is_unfinished || end != End::Complete) {
            let written = written.clone();
            return Ok(Conclusion::Later(Box::new(job), written));
        }
        kept::note(&job, &written.id).await;
    }
    job.reservation.stated = facts.image.clone();
    let consumed = match job.service.counts() {
        Counts::Images => images(&job, &facts, end).await,
        Counts::Characters => characters(&job, &facts, end).await,
        Counts::Seconds => seconds(&job, &facts, end).await,
        Counts::Text | Counts::Input => tokens(&job, &facts, end).await,
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
        job.reservation.void_answered().await;
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
pub async fn abandon(job: Job) {
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

/// Images are counted as they are delivered, so a count is exact. Where an answer that has left
/// cannot be read, what was asked for is taken to be in it: nothing passes unpriced. That it cannot
/// be read may be the client's doing, which left before the end; an upstream's cut never is.
async fn images(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
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
    Some(with_tokens(job, facts, consumed).await)
}

/// Adds the tokens of what is priced by tokens beside, or instead: as reported, else as far as they can be counted here.
async fn with_tokens(job: &Job, facts: &Facts, mut consumed: Consumed) -> Consumed {
    let input = job.reservation.bound(is_input);
    let output = job.reservation.bound(Meter::is_output);
    if input == 0 && output == 0 {
        return consumed;
    }
    let own = consumed.usage;
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
            untold(job, facts).await
        }
    };
    for (meter, count) in own.iter() {
        consumed.usage = consumed.usage.with(meter, count);
    }
    consumed
}

/// The tokens that nobody tells of what is not text on both sides: those of its texts, counted here; of images and
/// sound all that was held, since nobody but the upstream can count them.
async fn untold(job: &Job, facts: &Facts) -> Usage {
    let counts = job.service.counts();
    let input = match counts {
        Counts::Characters => input_tokens(job).await,
        _ => job.reservation.bound(is_input),
    };
    let output = match counts {
        // Other transcripts have their text twice, or in no JSON.
        Counts::Seconds if job.reservation.detail.streamed => output_tokens(job, facts).await,
        _ => job.reservation.bound(Meter::is_output),
    };
    Usage::tokens(input, output)
}

async fn tokens(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    let mut flags = Vec::new();
    if facts.usage.is_none() && has_nothing_to_count(job) {
        return Some(nothing());
    }
    let is_of_one = is_of_one_choice(job, facts).await;
    match &facts.usage {
        Some(Ok(_)) if is_of_one => flags.push("usage_unbelievable"),
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

/// Whether it makes no difference how much was read: an order of documents at a price by request, a free moderation.
fn has_nothing_to_count(job: &Job) -> bool {
    let mut segments = job.reservation.segments.iter();
    matches!(job.service, Service::Rerank | Service::Moderations)
        && segments.all(|it| it.meter.unit() != Unit::Tokens || it.unit_price.is_zero())
}

/// Whether the report tells of one choice only where there are several.
async fn is_of_one_choice(job: &Job, facts: &Facts) -> bool {
    let (Some(Ok(reported)), Some(choices)) = (&facts.usage, &facts.choices) else {
        return false;
    };
    let output = [Meter::Output, Meter::Reasoning, Meter::AudioOutput];
    let output = output.into_iter().map(|meter| reported.usage.get(meter));
    let (output, choices) = (output.sum(), choices.clone());
    let tokenizer = job.reservation.model.tokenizer.clone();
    let fits = pooled(move || choices.can_be_all(output, &tokenizer)).await;
    !fits.unwrap_or(true)
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
        Service::Embeddings | Service::Moderations => Tokenizer::count_inputs,
        Service::Responses => Tokenizer::count_responses,
        Service::Messages => Tokenizer::count_messages,
        Service::Rerank => Tokenizer::count_rerank,
        Service::Speech => Tokenizer::count_speech,
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
