//! Speech, by the characters that were to be spoken; recordings, by their seconds.

use super::images::with_tokens;
use super::{End, Facts};
use crate::gateway::job::Job;
use crate::gateway::reservation::Consumed;
use crate::usage::recording;
use crate::usage::tokenizer::pooled;
use crate::usage::{Counted, Meter, Usage};

/// Speech is charged by what was to be spoken, once any of it came.
pub(super) async fn characters(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    // What cannot be read counts as delivered, unless the upstream broke it off.
    let nothing_came = match facts.items {
        Some(items) => items == 0,
        None => end == End::UpstreamCut,
    };
    if nothing_came && end != End::ClientGone {
        return None;
    }
    let characters = job.reservation.bound(|meter| meter == Meter::Characters);
    let consumed = Consumed {
        usage: Usage::NONE.with(Meter::Characters, characters),
        counted: match end {
            End::Complete => Counted::Exact,
            End::UpstreamCut | End::ClientGone => Counted::Partial,
        },
        flags: Vec::new(),
    };
    Some(with_tokens(job, facts, consumed).await)
}

/// A recording is charged by its length: as the answer tells it, else as its own bytes do. Where nobody tells it, it is
/// the longest that the model takes.
pub(super) async fn seconds(job: &Job, facts: &Facts, end: End) -> Option<Consumed> {
    // A recording without a word in it was read as well; an error in the place of an answer says that it was not.
    let nothing_came = facts.text.is_empty()
        && match end {
            End::Complete => facts.items == Some(0),
            End::UpstreamCut => facts.seconds.is_none(),
            End::ClientGone => false,
        };
    if nothing_came {
        return None;
    }
    let bound = job.reservation.bound(|meter| meter == Meter::Seconds);
    let mut consumed = Consumed {
        usage: Usage::NONE,
        counted: match end {
            End::Complete => Counted::Exact,
            End::UpstreamCut | End::ClientGone => Counted::Partial,
        },
        flags: Vec::new(),
    };
    // Zero where the model has no price by the second: its tokens are charged.
    if bound > 0 {
        let seconds = match facts.seconds {
            Some(seconds) => seconds,
            None => {
                consumed.counted = consumed.counted.max(Counted::Estimated);
                consumed.flags.push("usage_missing");
                length(job)
                    .await
                    .map_or(bound, |seconds| seconds.min(bound))
            }
        };
        consumed.usage = consumed.usage.with(Meter::Seconds, seconds);
    }
    Some(with_tokens(job, facts, consumed).await)
}

/// What a recording comes to whose client went before the answer came.
pub(super) async fn abandoned(job: &Job) -> Usage {
    let bound = job.reservation.bound(|meter| meter == Meter::Seconds);
    if bound == 0 {
        return Usage::tokens(
            job.reservation.bound(crate::gateway::reservation::is_input),
            0,
        );
    }
    let seconds = length(job)
        .await
        .map_or(bound, |seconds| seconds.min(bound));
    Usage::NONE.with(Meter::Seconds, seconds)
}

/// The length of the recording, in seconds, as its own bytes tell it.
async fn length(job: &Job) -> Option<u64> {
    let recording = job.recording?;
    let body = job.request_body.slice(recording.start..recording.end);
    pooled(move || recording::seconds(&body)).await.flatten()
}
