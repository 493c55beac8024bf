//! One wallet: its money, grants, counters and requests, and how a request is admitted.
//!
//! A wallet is a state machine of its own: every operation reads and writes one wallet only, so
//! that a distributed store can keep each in one place. How holds end is in `ending`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::change::WalletRow;
use super::counter::Counter;
use super::funds::{self, NoSplit, Split};
use super::idempotency::{ClaimKey, Claims};
use super::memory::Memory;
use super::planted::planted;
use super::quota::Quotas;
use crate::clock::UnixMs;
use crate::ledger::hold::{Hold, HoldRef, IdempotencyClaim, Quote, Refusal};
use crate::ledger::id::{KeyId, RequestId, WalletId};
use crate::ledger::key::Key;
use crate::ledger::limit::{Ask, CounterAsk, CounterState, Window};
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::{CounterView, WalletView};
use crate::money::Nano;

/// No wallet owns, owes or is credited more than this, so that no sum of two leaves 64 bits.
pub(super) const MONEY_MAX: i64 = 1 << 61;

/// A counter is known by its key and its window.
pub(super) type CounterKey = (Arc<str>, Window);

/// An account, with everything that its requests may touch.
#[derive(Debug, Default)]
pub(super) struct Wallet {
    pub(super) money: Money,
    pub(super) quotas: Quotas,
    pub(super) counters: BTreeMap<CounterKey, Counter>,
    /// Most wallets are idle most of the time: what only requests need is kept apart.
    pub(super) activity: Option<Box<Activity>>,
}

/// What a wallet owns and owes. `credited - charged = balance`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Money {
    pub(super) balance: Nano,
    pub(super) credit_line: Nano,
    /// In live holds.
    pub(super) held: Nano,
    pub(super) credited: Nano,
    pub(super) charged: Nano,
    pub(super) shortfall: Nano,
}

/// The requests of a wallet that are in flight, or that ended not long ago.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// One entry per request, so that a request can end once only.
    pub(super) requests: HashMap<RequestId, Request>,
    /// The live holds, by the end of their leases.
    pub(super) leases: BTreeSet<(UnixMs, RequestId)>,
    pub(super) claims: Claims,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum Request {
    /// Its worst case is reserved.
    Live(Box<Record>),
    /// Its lease ran out and nothing is reserved any more; a settle may still come.
    Lapsed(Box<Record>),
    /// It was charged.
    Settled(Box<Outcome>),
    /// It was voided, before or after its hold.
    Voided,
}

/// A hold, as it was admitted.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) hold: Hold,
    pub(super) key: KeyId,
    pub(super) model: Arc<str>,
    pub(super) price_version: Arc<str>,
    pub(super) held_at: UnixMs,
    pub(super) parts: Vec<Part>,
    pub(super) idempotency: Option<IdempotencyClaim>,
}

/// What a hold occupies of one counter.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) counter: CounterKey,
    /// Whether it counts the money charged.
    pub(super) money: bool,
    pub(super) held: u64,
}

/// A settled request: enough to give the same answer again.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) receipt: Arc<Receipt>,
    pub(super) counters: Vec<CounterKey>,
    pub(super) grants: Vec<crate::ledger::id::GrantId>,
}

/// Whether the holds of other requests count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Counted,
    Released,
}

/// Everything that a hold will write.
struct Plan {
    split: Split,
    /// The counters of the quote, as the hold leaves them.
    counters: Vec<Counter>,
    parts: Vec<Part>,
}

/// Why there is no plan.
struct Short {
    /// 0 for funds, then the counters in the quote's order.
    stage: usize,
    refusal: Refusal,
}

impl Money {
    /// What a hold may take: `balance + credit_line - held`, not below zero.
    pub(super) fn available(&self) -> u64 {
        self.beyond(self.held)
    }

    fn beyond(&self, held: Nano) -> u64 {
        let line = planted!(self.credit_line, CreditLineForgotten => Nano::ZERO);
        let floor = planted!(-i128::from(line.get()), FloorOffByOne => -i128::from(line.get()) - 1);
        let held = i128::from(planted!(held, HoldIgnoresHeld => Nano::ZERO).get());
        let room = i128::from(self.balance.get()) - held - floor;
        u64::try_from(room.max(0)).unwrap_or(u64::MAX)
    }
}

impl Wallet {
    /// Admits a request, or says why not. A refusal changes nothing, but that lapsed leases end.
    pub(super) fn hold(
        &mut self,
        now: UnixMs,
        key: Option<&Key>,
        quote: &Quote,
        memory: &mut Memory,
    ) -> Result<Hold, Refusal> {
        self.reap(now, memory);
        if let Some(request) = self.request(&quote.request) {
            return match request {
                Request::Live(record) => Ok(record.hold.clone()),
                _ => Err(Refusal::Ended),
            };
        }
        check_key(key, quote, now)?;
        self.check_claim(quote, now)?;
        let current = |ask: &CounterAsk| match ask.window {
            Window::Period { start, end } => start <= now && now < end,
            _ => true,
        };
        if !quote.counters.iter().all(current) {
            return Err(Refusal::Period { now });
        }
        let plan = self.plan(now, quote, Others::Counted).map_err(|short| {
            let alone = self.plan(now, quote, Others::Released);
            let enough = alone.map_or_else(|alone| alone.stage > short.stage, |_| true);
            short.refusal.with_held_by_others(enough)
        })?;
        // Everything is decided: from here on nothing can fail.
        Ok(self.admit(now, quote, plan))
    }

    fn check_claim(&self, quote: &Quote, now: UnixMs) -> Result<(), Refusal> {
        let Some((claim, activity)) = quote.idempotency.as_ref().zip(self.activity.as_ref()) else {
            return Ok(());
        };
        let key: ClaimKey = (quote.key.clone(), claim.token.clone());
        activity.claims.check(now, &key, &claim.body)
    }

    /// What the hold would come to: grants, then money, then counters.
    fn plan(&self, now: UnixMs, quote: &Quote, others: Others) -> Result<Plan, Short> {
        let released = others == Others::Released;
        let held = if released {
            Nano::ZERO
        } else {
            self.money.held
        };
        let free = self.quotas.free(&quote.model, now, released);
        let available = self.money.beyond(held);
        let spend = quote.counters.iter().filter(|ask| ask.ask == Ask::Money);
        let spend_room = spend
            .map(|ask| self.counter(now, ask, others).room())
            .min()
            .unwrap_or(u64::MAX);
        let split = funds::split(&quote.segments, free, available, spend_room);
        let split = split.and_then(|split| {
            let fits = self.money.held.checked_add(split.money);
            fits.map(|_| split).ok_or(NoSplit::TooLarge)
        });
        let split = split.map_err(|why| Short {
            stage: 0,
            refusal: match why {
                NoSplit::TooLarge => Refusal::TooLarge,
                NoSplit::Short(need) => Refusal::Funds {
                    need,
                    available: super::quota::as_nano(available),
                    held_by_others: false,
                },
            },
        })?;
        self.plan_counters(now, quote, others, split)
    }

    fn plan_counters(
        &self,
        now: UnixMs,
        quote: &Quote,
        others: Others,
        split: Split,
    ) -> Result<Plan, Short> {
        let mut counters: Vec<Counter> = Vec::with_capacity(quote.counters.len());
        let mut parts: Vec<Part> = Vec::with_capacity(quote.counters.len());
        for (index, ask) in quote.counters.iter().enumerate() {
            let key = (ask.key.clone(), ask.window);
            // A counter that is named twice is asked twice.
            let again = parts.iter().rposition(|part| part.counter == key);
            let mut counter = again.map_or_else(
                || self.counter(now, ask, others),
                |place| counters[place].capped(ask.cap),
            );
            let need = match ask.ask {
                Ask::Money => u64::try_from(split.money.get()).unwrap_or(u64::MAX),
                Ask::Fixed(amount) => amount,
            };
            if need > counter.room() {
                let refusal = Refusal::Limit {
                    index,
                    need,
                    state: counter.state(),
                    held_by_others: false,
                    retry_after_ms: counter.retry_after_ms(need),
                };
                let stage = index + 1;
                return Err(Short { stage, refusal });
            }
            parts.push(Part {
                counter: key,
                money: ask.ask == Ask::Money,
                held: counter.hold(need),
            });
            counters.push(counter);
        }
        Ok(Plan {
            split,
            counters,
            parts,
        })
    }

    /// The counter asked for, as it stands now.
    fn counter(&self, now: UnixMs, ask: &CounterAsk, others: Others) -> Counter {
        let key = (ask.key.clone(), ask.window);
        let counter = self.counters.get(&key).map_or_else(
            || Counter::new(ask.window, ask.cap, now),
            |counter| counter.at(now).capped(ask.cap),
        );
        match others {
            Others::Counted => counter,
            Others::Released => counter.released(),
        }
    }

    fn admit(&mut self, now: UnixMs, quote: &Quote, plan: Plan) -> Hold {
        let Plan {
            split,
            counters,
            parts,
        } = plan;
        let taken = self.quotas.hold(&quote.model, now, &split);
        self.money.held = self
            .money
            .held
            .checked_add(split.money)
            .expect("the plan has added them before");
        let states = counters.iter().map(Counter::state).collect();
        for (part, counter) in parts.iter().zip(counters) {
            self.drop_earlier_periods(now, &part.counter);
            self.counters.insert(part.counter.clone(), counter);
        }
        let hold = Hold {
            id: HoldRef {
                wallet: quote.wallet.clone(),
                request: quote.request,
            },
            money: split.money,
            taken,
            counts: split.counts,
            balance: self.money.balance,
            counters: states,
            lease_until: now.plus(quote.lease_ms),
        };
        let activity = self.activity.get_or_insert_default();
        activity.leases.insert((hold.lease_until, quote.request));
        if let Some(claim) = &quote.idempotency {
            activity.claims.begin(now, &quote.key, claim, quote.request);
        }
        let record = Record {
            hold: hold.clone(),
            key: quote.key.clone(),
            model: quote.model.clone(),
            price_version: quote.price_version.clone(),
            held_at: now,
            parts,
            idempotency: quote.idempotency.clone(),
        };
        let request = Request::Live(Box::new(record));
        activity.requests.insert(quote.request, request);
        hold
    }

    /// When a period's counter appears, the same limit's counters of ended periods go.
    pub(super) fn drop_earlier_periods(&mut self, now: UnixMs, key: &CounterKey) {
        let (name, window) = key;
        let is_new = matches!(window, Window::Period { .. }) && !self.counters.contains_key(key);
        let Some(slash) = name.rfind('/').filter(|_| is_new) else {
            return;
        };
        let prefix = &name[..=slash];
        let first = (Arc::from(prefix), Window::Total);
        let over: Vec<CounterKey> = self
            .counters
            .range(first..)
            .take_while(|((name, _), _)| name.starts_with(prefix))
            .filter(|(_, counter)| counter.is_over(now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.counters.remove(&key);
        }
    }

    /// A request of this wallet, if it is remembered.
    pub(super) fn request(&self, id: &RequestId) -> Option<&Request> {
        self.activity.as_ref()?.requests.get(id)
    }
}

impl Refusal {
    fn with_held_by_others(mut self, enough: bool) -> Refusal {
        if let Refusal::Funds { held_by_others, .. } | Refusal::Limit { held_by_others, .. } =
            &mut self
        {
            *held_by_others = enough;
        }
        self
    }
}

fn check_key(key: Option<&Key>, quote: &Quote, now: UnixMs) -> Result<(), Refusal> {
    let key = key
        .filter(|key| key.wallet == quote.wallet)
        .filter(|key| key.enabled && key.expires_at.is_none_or(|end| now < end))
        .ok_or(Refusal::Key)?;
    if key.revision != quote.key_revision {
        return Err(Refusal::KeyChanged);
    }
    if !key.models.has(&quote.model) {
        return Err(Refusal::Model);
    }
    Ok(())
}

impl Wallet {
    /// The durable part of its money.
    pub(super) fn row(&self, id: &WalletId) -> WalletRow {
        WalletRow {
            id: id.clone(),
            balance: self.money.balance,
            credit_line: self.money.credit_line,
            credited: self.money.credited,
            charged: self.money.charged,
            shortfall: self.money.shortfall,
        }
    }

    /// The wallet as it stands.
    pub(super) fn view(&self, id: &WalletId, now: UnixMs) -> WalletView {
        let view = |((key, _), counter): (&CounterKey, &Counter)| {
            let counter = counter.at(now);
            CounterView {
                key: key.to_string(),
                used: counter.used(),
                held: counter.held(),
            }
        };
        WalletView {
            id: id.clone(),
            balance: self.money.balance,
            credit_line: self.money.credit_line,
            held: self.money.held,
            available: super::quota::as_nano(self.money.available()),
            grants: self.quotas.iter().map(super::quota::Quota::state).collect(),
            credited: self.money.credited,
            charged: self.money.charged,
            shortfall: self.money.shortfall,
            holds: self.live_holds(),
            counters: self.counters.iter().map(view).collect(),
        }
    }

    /// The states of some counters now; one that is gone is left out.
    pub(super) fn states(&self, now: UnixMs, keys: &[CounterKey]) -> Vec<CounterState> {
        let of = |key| {
            self.counters
                .get(key)
                .map(|counter| counter.at(now).state())
        };
        keys.iter().filter_map(of).collect()
    }

    /// How many holds are live.
    pub(super) fn live_holds(&self) -> u64 {
        let count = self
            .activity
            .as_ref()
            .map_or(0, |activity| activity.leases.len());
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
