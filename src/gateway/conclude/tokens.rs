//! What is charged by its tokens: as reported where that can be believed, else as counted here.

use super::{End, Facts, is_stopping, nothing};
use crate::gateway::job::Job;
use crate::gateway::reservation::{Consumed, is_input};
use crate::gateway::service::{Counts, Service};
use crate::usage::tokenizer::{Tokenizer, pooled};
use crate::usage::{Counted, Meter, Unit, Usage};

pub(super) async fn tokens(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    let mut flags = Vec::new();
    // Nothing was delivered, and where nobody says what it cost, that is not the customer's. A client that went is: the
    // upstream read its input.
    let is_free = is_empty(job, facts, end) && (end != End::ClientGone || is_stopping(job));
    if facts.usage.is_none() && has_nothing_to_count(job) {
        return (!is_free).then(nothing);
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
    if is_free {
        return None;
    }
    let usage = estimate(job, facts, &mut flags).await;
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
        _ => facts.text.is_empty() && job.so_far.is_none_or(|so_far| so_far.output_tokens == 0),
    }
}

/// Our own count, never above what was held. A side that the upstream did report stays as reported.
async fn estimate(job: &Job, facts: &Facts, flags: &mut Vec<&'static str>) -> Usage {
    let output = output_tokens(job, facts).await;
    let reported = facts.usage.and_then(Result::ok);
    if let Some(reported) = reported.filter(|reported| reported.has_input) {
        return reported.usage.with(Meter::Output, output);
    }
    if job.names_objects {
        flags.push("input_unseen");
    }
    let input = input_tokens(job).await;
    match reported {
        Some(reported) if reported.has_output => reported.usage.with(Meter::Input, input),
        _ => Usage::tokens(input, output),
    }
}

/// The tokens of the request, counted here; the bound of the hold where they cannot be.
pub(super) async fn input_tokens(job: &Job) -> u64 {
    if let Some(so_far) = &job.so_far {
        return so_far.input_tokens;
    }
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
pub(super) async fn output_tokens(job: &Job, facts: &Facts) -> u64 {
    let (tokenizer, text) = (job.reservation.model.tokenizer.clone(), facts.text.clone());
    let bound = job.reservation.bound(Meter::is_output);
    let completion = (job.service == Service::Completions).then(|| job.request_body.clone());
    let counted = pooled(move || match completion {
        Some(body) => tokenizer.count_completions(&body, &text),
        None => text.tokens(&tokenizer),
    })
    .await;
    // What was shown once may be missing in the answer as it ended.
    let shown = job.so_far.map_or(0, |so_far| so_far.output_tokens);
    counted.map_or(bound, |tokens| tokens.max(shown).min(bound))
}
