//! A live hold in the hands of its request: however the request ends, the hold ends exactly once.

use std::sync::Arc;

use super::Gateway;
use super::catalog::{Catalog, Pinned};
use super::limits::Limits;
use super::observe::Record;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::grant::GrantUnit;
use crate::ledger::hold::{Charge, Hold, HoldRef, Settled};
use crate::ledger::id::RequestId;
use crate::ledger::limit::{Limit, Measure};
use crate::ledger::receipt::Detail;
use crate::price::{self, FreeUnits, ImageShape, Model, Priced, Segment, Terms};
use crate::usage::{Counted, Meter, Unit, Usage};

/// A hold, and what is needed to charge for it. Dropped before its end, it voids itself.
pub struct Reservation {
    gateway: Arc<Gateway>,
    /// Where the request's steps are noted.
    pub record: Arc<Record>,
    /// What the ledger reserved.
    pub hold: Hold,
    /// What was quoted, with the counts that were admitted.
    pub segments: Vec<Segment>,
    /// The limits of the quote's counters, in their order.
    pub limits: Limits,
    /// What was offered when it was held.
    pub catalog: Arc<Catalog>,
    /// The model that was asked for.
    pub model: Arc<Model>,
    /// What it is priced by.
    pub terms: Terms,
    /// What the answer states of its images' size and quality.
    pub stated: ImageShape,
    /// When it was held.
    pub held_at: UnixMs,
    /// What the receipt will say of the wire.
    pub detail: Detail,
    ended: bool,
}

/// What was consumed, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The meters.
    pub usage: Usage,
    /// Whose count.
    pub counted: Counted,
    /// What was odd.
    pub flags: Vec<&'static str>,
}

impl Reservation {
    /// Takes charge of a hold.
    pub fn new(
        gateway: Arc<Gateway>,
        record: Arc<Record>,
        hold: Hold,
        mut segments: Vec<Segment>,
        limits: impl Into<Limits>,
        pinned: Pinned,
        endpoint: &str,
    ) -> Self {
        for (segment, count) in segments.iter_mut().zip(&hold.counts) {
            segment.count = *count;
        }
        gateway.live.enter(&hold.id);
        record.held(&hold);
        Reservation {
            gateway,
            record,
            hold,
            segments,
            limits: limits.into(),
            catalog: pinned.catalog,
            model: pinned.model,
            terms: pinned.terms,
            stated: ImageShape::default(),
            held_at: pinned.held_at,
            detail: Detail {
                endpoint: endpoint.into(),
                ..Detail::default()
            },
            ended: false,
        }
    }

    /// The request's id.
    pub fn request(&self) -> RequestId {
        self.hold.id.request
    }

    /// The gateway that it runs in.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The most of one side (input or output) or of another unit that the hold covers.
    pub fn bound(&self, covers: impl Fn(Meter) -> bool) -> u64 {
        self.segments
            .iter()
            .filter(|segment| covers(segment.meter))
            .fold(0, |sum: u64, segment| sum.saturating_add(segment.count))
    }

    /// Charges what was consumed and gives the receipt.
    ///
    /// **Cancellation**: do not drop it; run it in a task that outlives the client.
    pub async fn settle(mut self, consumed: Consumed) -> Result<Settled, LedgerError> {
        let charge = self.charge(consumed);
        let settled = self
            .gateway
            .ledger
            .settle(self.hold.id.clone(), charge)
            .await;
        // Not before: where the ledger panics, the drop has to end what it left.
        self.ended = true;
        self.gateway.live.leave(self.request());
        match &settled {
            Ok(settled) => self.record.settled(settled),
            Err(error) => {
                tracing::error!(%error, request_id = %self.request(), "a charge was not booked");
            }
        }
        settled
    }

    /// Releases the hold of a request that is refused; nothing is charged.
    pub async fn void(mut self) {
        void(&self.gateway, self.hold.id.clone()).await;
        self.ended = true;
    }

    /// Leaves the hold to its lease: another process is to take it up.
    pub fn leave(mut self) {
        self.gateway.live.leave(self.request());
        self.ended = true;
    }

    /// Releases the hold of a request whose answer costs nothing.
    pub async fn void_answered(self) {
        self.record.uncharged();
        self.void().await;
    }

    fn charge(&mut self, consumed: Consumed) -> Charge {
        let Consumed {
            usage,
            counted,
            mut flags,
        } = consumed;
        if self.passes_bound(&usage) {
            flags.push("over_bound");
            tracing::error!(
                request_id = %self.request(), model = %self.model.id, %usage,
                "the upstream reports more than the model's row allows: mend its bounds"
            );
        }
        let (usage, priced) = self.priced(usage, &mut flags);
        let mut detail = std::mem::take(&mut self.detail);
        detail.flags = flags.into_iter().map(Arc::from).collect();
        detail.pricing = priced.applied;
        Charge {
            usage,
            counted,
            priced: priced.priced,
            free: priced.free,
            counters: self
                .limits
                .iter()
                .map(|limit| amount(limit, &usage))
                .collect(),
            detail,
        }
    }

    /// What a usage comes to. Where that cannot be told, it is all of the hold, which is the most that
    /// can be charged anyway.
    fn priced(&self, usage: Usage, flags: &mut Vec<&'static str>) -> (Usage, Priced) {
        let taken = self.taken();
        let charge = |usage: &Usage| self.terms.charge(usage, &taken, &self.stated);
        let (usage, mut priced) = match charge(&usage) {
            Some(priced) => (usage, priced),
            None => {
                flags.push("usage_unbelievable");
                let bounded = self.worst_usage();
                let priced = charge(&bounded).expect("what was quoted is within exact arithmetic");
                (bounded, priced)
            }
        };
        if priced.fell_back {
            flags.push("price_fallback");
        }
        if priced.dearer_image && !flags.contains(&"over_bound") {
            flags.push("over_bound");
            tracing::error!(
                request_id = %self.request(), model = %self.model.id, stated = ?self.stated,
                "the upstream made dearer images than were asked for: mend the defaults of the model's row"
            );
        }
        if let Some(meter) = priced.unpriced {
            flags.push("unpriced_meter");
            tracing::error!(
                request_id = %self.request(), model = %self.model.id, meter = meter.name(), %usage,
                "the upstream reports what the model's row has no price for: all that was held is charged"
            );
            (priced.priced, priced.free) = price::bound(&self.segments, &taken)
                .expect("what was quoted is within exact arithmetic");
        }
        (usage, priced)
    }

    fn passes_bound(&self, usage: &Usage) -> bool {
        let over = |covers: fn(Meter) -> bool| {
            let used = usage.iter().filter(|(meter, _)| covers(*meter));
            used.fold(0_u64, |sum, (_, count)| sum.saturating_add(count)) > self.bound(covers)
        };
        let over_one = |meter| usage.get(meter) > self.bound(|each| each == meter);
        over(is_input)
            || over(Meter::is_output)
            || [
                Meter::Images,
                Meter::Seconds,
                Meter::Characters,
                Meter::Requests,
            ]
            .into_iter()
            .any(over_one)
    }

    /// The usage that the hold was made for.
    fn worst_usage(&self) -> Usage {
        self.segments.iter().fold(Usage::NONE, |usage, segment| {
            usage.with(segment.meter, segment.count)
        })
    }

    /// Units that the hold took from grants.
    fn taken(&self) -> FreeUnits {
        let sum = |unit| {
            let takes = self.hold.taken.iter().filter(|take| take.unit == unit);
            takes.fold(0_u64, |sum, take| sum.saturating_add(take.units))
        };
        FreeUnits {
            tokens: sum(GrantUnit::Tokens),
            images: sum(GrantUnit::Images),
            requests: sum(GrantUnit::Requests),
        }
    }
}

/// Whether a meter counts tokens that the model read.
pub fn is_input(meter: Meter) -> bool {
    meter.unit() == Unit::Tokens && !meter.is_output()
}

/// What a request comes to for one limit.
fn amount(limit: &Limit, usage: &Usage) -> u64 {
    match limit.measure {
        // The ledger fills in the money that it charged.
        Measure::Spend => 0,
        Measure::Tokens => usage.total(Unit::Tokens),
        Measure::Images => usage.total(Unit::Images),
        Measure::Requests => 1,
        Measure::Concurrent => 0,
    }
}

async fn void(gateway: &Gateway, hold: HoldRef) {
    let request = hold.request;
    if let Err(error) = gateway.ledger.void(hold).await {
        tracing::warn!(%error, request_id = %request, "a hold was not voided; it lapses");
    }
    gateway.live.leave(request);
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Only a panic, or a bug, comes here: the ends of requests settle or void by name.
        tracing::error!(request_id = %self.request(), "a request ended without ending its hold");
        let (gateway, hold) = (Arc::clone(&self.gateway), self.hold.id.clone());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { void(&gateway, hold).await })),
            Err(_) => gateway.live.leave(hold.request),
        }
    }
}
