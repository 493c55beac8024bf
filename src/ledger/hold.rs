//! The life of a hold: quote, hold or refusal, charge, settlement.

use std::sync::Arc;

use super::grant::{GrantState, GrantTake, GrantUnit, ModelSet};
use super::id::{KeyId, RequestId, WalletId};
use super::limit::{CounterAsk, CounterState};
pub use super::receipt::IdempotencyClaim;
use super::receipt::{Detail, Receipt};
use crate::clock::UnixMs;
use crate::money::Nano;
pub use crate::price::FreeUnits;
use crate::price::Segment;
use crate::usage::{Counted, Usage};

/// The worst case of one request, and everything a ledger needs to admit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The request; its hold and receipt carry the same id.
    pub request: RequestId,
    /// Who pays.
    pub wallet: WalletId,
    /// By which key.
    pub key: KeyId,
    /// The revision of the key's record that this was quoted from.
    pub key_revision: u64,
    /// The model, by canonical id.
    pub model: Arc<str>,
    /// Its other names: whatever is allowed or given for one of them is so for the model.
    pub aliases: Arc<[Arc<str>]>,
    /// The price book version that everything here comes from.
    pub price_version: Arc<str>,
    /// The priced parts, in burn order.
    pub segments: Vec<Segment>,
    /// The counters of the limits that apply.
    pub counters: Vec<CounterAsk>,
    /// How long the hold lives without renewal, in milliseconds.
    pub lease_ms: u64,
    /// The client's idempotency claim, if it made one.
    pub idempotency: Option<IdempotencyClaim>,
}

impl Quote {
    /// Whether a set has the model, under any of its names.
    pub fn is_in(&self, models: &ModelSet) -> bool {
        models.has_any(&self.model, &self.aliases)
    }
}

/// Names a hold: its request, in the wallet whose partition keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HoldRef {
    /// The wallet.
    pub wallet: WalletId,
    /// The request.
    pub request: RequestId,
}

/// What was reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub id: HoldRef,
    /// Money reserved from the balance (grants of money not included).
    pub money: Nano,
    /// Units reserved from grants, in the order in which they will be burned.
    pub taken: Vec<GrantTake>,
    /// The count of each segment as admitted, in the quote's order; lower than asked where clamped.
    pub counts: Vec<u64>,
    /// The wallet's balance at the hold. Other requests' holds are not taken off it.
    pub balance: Nano,
    /// The counters after the hold, in the quote's order.
    pub counters: Vec<CounterState>,
    /// When the lease runs out.
    pub lease_until: UnixMs,
}

impl Hold {
    /// Units reserved from grants, summed by unit. Grants of money are not units.
    pub fn taken_units(&self) -> FreeUnits {
        let sum = |unit| {
            let takes = self.taken.iter().filter(|take| take.unit == unit);
            takes.fold(0_u64, |sum, take| sum.saturating_add(take.units))
        };
        FreeUnits {
            tokens: sum(GrantUnit::Tokens),
            images: sum(GrantUnit::Images),
            requests: sum(GrantUnit::Requests),
        }
    }
}

/// Why a quote was not admitted. Nothing was changed (expired leases may have been reaped).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such key on this wallet, or it is revoked or expired.
    Key,
    /// The key's record is newer than the quote: look it up and quote again.
    KeyChanged,
    /// The key may not use this model.
    Model,
    /// A calendar period of the quote is not the store's current one: quote again from this time.
    Period {
        /// The store's time.
        now: UnixMs,
    },
    /// The quote leaves the range of exact arithmetic: its segments come to 2^53 nano or more, one
    /// costs less than nothing or counts beyond 63 bits, a bucket of it refills in more than
    /// [`Window::REFILL_MS_MAX`], or live holds would have more than 64 bits of a bucket.
    ///
    /// [`Window::REFILL_MS_MAX`]: super::limit::Window::REFILL_MS_MAX
    TooLarge,
    /// Grants and balance do not cover the worst case.
    Funds {
        /// Money needed beyond grants.
        need: Nano,
        /// `balance + credit line - held`, not below zero.
        available: Nano,
        /// True where it would be enough if no other request held any of it.
        held_by_others: bool,
    },
    /// A counter's cap does not admit it.
    Limit {
        /// Which one, in the quote's order.
        index: usize,
        /// How much was asked.
        need: u64,
        /// How it stands.
        state: CounterState,
        /// True where it would be enough if no other request held any of it.
        held_by_others: bool,
        /// For a bucket: milliseconds until the same request would be admitted.
        retry_after_ms: Option<u64>,
    },
    /// The request was voided or ended before its hold came.
    Ended,
    /// A request with the same idempotency key is in flight.
    InFlight,
    /// A request with the same idempotency key was charged: this is its receipt.
    AlreadyCharged(Arc<Receipt>),
    /// The idempotency key was used with another body.
    OtherBody,
}

/// What a request really came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What was consumed.
    pub usage: Usage,
    /// By whose count.
    pub counted: Counted,
    /// The exact value of everything that units of grants did not cover.
    pub priced: Nano,
    /// Units of grants that it burned; never more than the hold took.
    pub free: FreeUnits,
    /// The real amount for each counter, in the quote's order; ignored where the quote asked [`super::limit::Ask::Money`].
    pub counters: Vec<u64>,
    /// The rest of the receipt.
    pub detail: Detail,
}

/// What a settle came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The receipt.
    pub receipt: Arc<Receipt>,
    /// The wallet's balance after it.
    pub balance: Nano,
    /// The counters after it, in the quote's order.
    pub counters: Vec<CounterState>,
    /// The grants that it burned from, after it.
    pub grants: Vec<GrantState>,
}
