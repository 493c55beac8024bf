//! The limits that count for a request, with the names of their headers.

mod known;

use std::ops::Deref;
use std::sync::Arc;

use http::header::HeaderName;

use crate::ledger::limit::Limit;

pub use known::KnownLimits;

/// Limits of a key, shared by the requests that they count for.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Named>);

#[derive(Debug)]
struct Named {
    limits: Vec<Limit>,
    headers: Vec<Option<HeaderName>>,
}

impl Limits {
    /// The name of each limit's header, in their order; `None` where there cannot be one.
    pub fn headers(&self) -> &[Option<HeaderName>] {
        &self.0.headers
    }
}

impl From<Vec<Limit>> for Limits {
    fn from(limits: Vec<Limit>) -> Self {
        let headers = limits.iter().map(header).collect();
        Limits(Arc::new(Named { limits, headers }))
    }
}

impl Deref for Limits {
    type Target = [Limit];

    fn deref(&self) -> &[Limit] {
        &self.0.limits
    }
}

/// A colon is fine in a limit's name, but not in a header's.
fn header(limit: &Limit) -> Option<HeaderName> {
    let name = format!("x-tollgate-limit-{}", limit.name).replace(':', "-");
    HeaderName::try_from(name).ok()
}
