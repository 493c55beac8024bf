//! An order of documents at a price by the request, which some servers count in search units.

use super::Facts;
use crate::gateway::job::Job;
use crate::gateway::reservation::Consumed;
use crate::usage::{Counted, Meter};

/// Adds the search units where the model's row has a price for them, that of a request: as reported; all that were
/// held where the report cannot be believed, since only the upstream knows how it splits documents. Where nothing is
/// reported, it is one request.
pub(super) fn counted(job: &Job, facts: &Facts, mut consumed: Consumed) -> Consumed {
    let held = job.reservation.bound(|meter| meter == Meter::Requests);
    let Some(reported) = facts.search_units.filter(|_| held > 0) else {
        return consumed;
    };
    let units = reported.unwrap_or_else(|_| {
        if !consumed.flags.contains(&"usage_unbelievable") {
            consumed.flags.push("usage_unbelievable");
        }
        consumed.counted = consumed.counted.max(Counted::Estimated);
        held
    });
    consumed.usage = consumed.usage.with(Meter::Requests, units);
    consumed
}
