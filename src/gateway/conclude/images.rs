//! Images, and the tokens of what is not text on both sides.

use super::tokens::{input_tokens, output_tokens};
use super::{End, Facts};
use crate::gateway::job::Job;
use crate::gateway::reservation::{Consumed, is_input};
use crate::gateway::service::Counts;
use crate::usage::{Counted, Meter, Usage};

/// Images are counted as they are delivered, so a count is exact. Where an answer that has left
/// cannot be read, what was asked for is taken to be in it: nothing passes unpriced. That it cannot
/// be read may be the client's doing, which left before the end; an upstream's cut never is.
pub(super) async fn images(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
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
pub(super) async fn with_tokens(job: &Job, facts: &Facts, mut consumed: Consumed) -> Consumed {
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
