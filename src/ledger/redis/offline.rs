//! Requests while the store is away: a key may have an allowance, which each proxy may spend by it in each outage.
//!
//! What is admitted so is held here alone, for its full worst case: grants and limits are the store's to know, and
//! the allowance is all that caps it. Its settle waits in the journal; the store, once it is back, charges it late,
//! from what is there, and the rest is shortfall.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Redis;
use super::error::LinkError;
use super::fields::counter_field;
use super::outbox::Outbox;
use super::record::{Fixed, Record};
use crate::clock::UnixMs;
use crate::ledger::book::snapshot::is_exact;
use crate::ledger::hold::{Hold, HoldRef, Quote};
use crate::ledger::id::{KeyId, RequestId};
use crate::ledger::key::Key;
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::money::Nano;
use crate::price::Segment;

/// How often it is looked whether the outage is over.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many requests of all keys are admitted in an outage: what they came to waits in memory, too.
const ADMITTED_MAX: u64 = 50_000;

/// What was admitted since the outage began.
#[derive(Default)]
pub struct Offline {
    outage: Mutex<Outage>,
    /// Whether there is anything in it: holds of other times end without a look.
    any: AtomicBool,
    /// Since the process started.
    admitted: AtomicU64,
}

#[derive(Default)]
struct Outage {
    keys: HashMap<KeyId, Used>,
    holds: HashMap<RequestId, (KeyId, Nano)>,
    admitted: u64,
    /// When the last of the holds ended: its charge was then on its way to the store.
    last_ended: Option<Instant>,
}

#[derive(Default)]
struct Used {
    held: Nano,
    charged: Nano,
}

impl Offline {
    /// How many requests were admitted since the process started.
    pub fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::Relaxed)
    }

    /// A hold has ended, and its charge or its void is on its way.
    pub fn ended(&self, request: RequestId, charged: Nano) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut outage = self.outage.lock();
        let Some((key, held)) = outage.holds.remove(&request) else {
            return;
        };
        outage.last_ended = Some(Instant::now());
        if let Some(used) = outage.keys.get_mut(&key) {
            used.held = used.held.checked_sub(held).unwrap_or_default();
            used.charged = used.charged.checked_add(charged).unwrap_or(Nano::MAX);
        }
    }

    /// Takes a worst case off a key's allowance, where it fits.
    fn admit(&self, key: &Key, request: RequestId, worst: Nano) -> Option<Admitted> {
        let mut outage = self.outage.lock();
        let used = outage.keys.get(&key.id);
        let before = used.map_or(Some(Nano::ZERO), |used| used.held.checked_add(used.charged))?;
        let fits = before.checked_add(worst)? <= key.offline_allowance;
        if !fits || outage.admitted >= ADMITTED_MAX {
            return None;
        }
        let admitted = Admitted {
            first: outage.keys.is_empty(),
            first_of_key: !outage.keys.contains_key(&key.id),
        };
        let used = outage.keys.entry(key.id.clone()).or_default();
        used.held = used.held.checked_add(worst)?;
        outage.holds.insert(request, (key.id.clone(), worst));
        outage.admitted += 1;
        self.any.store(true, Ordering::Release);
        self.admitted.fetch_add(1, Ordering::Relaxed);
        Some(admitted)
    }

    /// Forgets what the store has been told, if it has been told of all; answers whether nothing is left.
    fn forget(&self, outbox: &Outbox) -> bool {
        let mut outage = self.outage.lock();
        let figures = outbox.figures();
        // What was sent to the store after that is none of this outage's.
        let younger = outage.last_ended.is_none_or(|ended| {
            u128::from(figures.oldest_waiting_ms) < ended.elapsed().as_millis()
        });
        if figures.waiting > 0 && !younger {
            return false;
        }
        outage.keys.retain(|_, used| {
            used.charged = Nano::ZERO;
            !used.held.is_zero()
        });
        outage.admitted = outage.holds.len() as u64;
        let over = outage.holds.is_empty();
        if over {
            *outage = Outage::default();
            self.any.store(false, Ordering::Release);
        }
        over
    }
}

struct Admitted {
    /// In this outage.
    first: bool,
    first_of_key: bool,
}

impl Redis {
    /// Admits a request that the store did not answer, within its key's allowance.
    pub(super) fn admit_offline(&self, quote: &Quote, why: &LinkError) -> Option<Hold> {
        let key = self.cache.record(&quote.key)?;
        let now = self.clock.now();
        let sound = !key.offline_allowance.is_zero()
            && key.revision == quote.key_revision
            && key.wallet == quote.wallet
            && key.enabled
            && key.expires_at.is_none_or(|end| now < end)
            && quote.is_in(&key.models)
            && quote.idempotency.is_none()
            && is_exact(quote)
            && self.outbox.keeps().is_ok();
        if !sound {
            return None;
        }
        let worst = worst_case(&quote.segments)?;
        let balance = self.cache.balance(&quote.wallet).unwrap_or_default();
        let record = record(quote, worst, balance, now)?;
        let admitted = self.offline.admit(&key, quote.request, worst)?;
        if admitted.first {
            let (offline, outbox) = (Arc::downgrade(&self.offline), Arc::downgrade(&self.outbox));
            tokio::spawn(forget(offline, outbox));
        }
        if admitted.first_of_key {
            tracing::warn!(
                key = %key.id,
                allowance = %key.offline_allowance,
                "the ledger is away, and this key's requests are admitted within its offline allowance: {why}"
            );
        }
        let hold = record.request.hold.clone();
        self.live.lock().insert(quote.request, Arc::new(record));
        Some(hold)
    }
}

/// Waits for the end of an outage, and forgets what was used in it.
async fn forget(offline: Weak<Offline>, outbox: Weak<Outbox>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let (Some(offline), Some(outbox)) = (offline.upgrade(), outbox.upgrade()) else {
            return;
        };
        if outbox.is_up() && offline.forget(&outbox) {
            tracing::info!("the ledger is back, and offline allowances are whole again");
            return;
        }
    }
}

/// Everything at its bound, and paid with money.
fn worst_case(segments: &[Segment]) -> Option<Nano> {
    segments.iter().try_fold(Nano::ZERO, |sum, segment| {
        sum.checked_add(segment.unit_price.checked_mul(segment.count)?)
    })
}

/// The record of such a hold, as the store would have written it; nothing is known of how its counters stand.
fn record(quote: &Quote, worst: Nano, balance: Nano, now: UnixMs) -> Option<Record> {
    let place = |ask: &CounterAsk| {
        let (money, part) = match ask.ask {
            Ask::Money => (1, u64::try_from(worst.get()).ok()?),
            Ask::Fixed(amount) => (0, amount),
        };
        let part = match ask.window {
            Window::Bucket { .. } => part.min(ask.cap),
            _ => part,
        };
        let field = counter_field(&ask.key, ask.window);
        Some(format!("{field} {money} {part}"))
    };
    let places: Option<Vec<String>> = quote.counters.iter().map(place).collect();
    let counts = quote.segments.iter().map(|it| it.count.to_string());
    let counts: Vec<String> = counts.collect();
    let fixed = serde_json::to_string(&Fixed::of(quote)).ok()?;
    let text = format!(
        "L\n{worst} {now}\n\n{places}\n\n{balance};{counts};\n{fixed}",
        worst = worst.get(),
        now = now.0,
        places = places?.join(" "),
        balance = balance.get(),
        counts = counts.join(" "),
    );
    let id = HoldRef {
        wallet: quote.wallet.clone(),
        request: quote.request,
    };
    Record::read(id, text, now.plus(quote.lease_ms))
}
