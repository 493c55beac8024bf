//! How a request is admitted: everything is decided on copies, then written at once.

use std::sync::Arc;

use super::counter::Counter;
use super::funds::{self, NoSplit, Split};
use super::memory::Memory;
use super::quota::as_nano;
use super::wallet::{CounterKey, Part, Record, Request, Wallet};
use crate::clock::UnixMs;
use crate::ledger::hold::{Hold, HoldRef, Quote, Refusal};
use crate::ledger::key::Key;
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::money::Nano;

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
        if !quote.counters.iter().all(|ask| ask.window.is_exact()) {
            return Err(Refusal::TooLarge);
        }
        let plan = self.plan(now, quote, Others::Counted);
        let plan = plan.map_err(|short| self.explain(now, quote, short))?;
        // Everything is decided: from here on nothing can fail.
        Ok(self.admit(now, quote, plan))
    }

    /// Remembers a request as if its hold had been made at `held_at` and lapsed. Of the quote's counters, those that
    /// are there count its charge.
    pub(super) fn adopt(
        &mut self,
        now: UnixMs,
        quote: &Quote,
        held: Hold,
        held_at: UnixMs,
        memory: &mut Memory,
    ) {
        self.reap(now, memory);
        if self.request(&quote.request).is_some() {
            return;
        }
        let part = |ask: &CounterAsk| Part {
            counter: (ask.key.clone(), ask.window),
            money: ask.ask == Ask::Money,
            held: match ask.ask {
                Ask::Money => u64::try_from(held.money.get()).unwrap_or(0),
                Ask::Fixed(amount) => amount,
            },
        };
        let parts = quote.counters.iter().map(part);
        let record = Record {
            parts: parts.collect(),
            key: quote.key.clone(),
            model: quote.model.clone(),
            price_version: quote.price_version.clone(),
            held_at,
            idempotency: quote.idempotency.clone(),
            hold: held,
        };
        memory.request_lapsed(now, &record.hold.id);
        let activity = self.activity.get_or_insert_default();
        let request = Request::Lapsed(now, Box::new(record));
        activity.requests.insert(quote.request, request);
    }

    /// Why grants, money and counters do not admit a request; `None` where they do.
    pub(super) fn refusal(&self, now: UnixMs, quote: &Quote) -> Option<Refusal> {
        let plan = self.plan(now, quote, Others::Counted);
        plan.err().map(|short| self.explain(now, quote, short))
    }

    /// Tells what is spent from what others' holds merely occupy.
    fn explain(&self, now: UnixMs, quote: &Quote, short: Short) -> Refusal {
        let alone = self.plan(now, quote, Others::Released);
        let enough = alone.map_or_else(|alone| alone.stage > short.stage, |_| true);
        short.refusal.with_held_by_others(enough)
    }

    fn check_claim(&self, quote: &Quote, now: UnixMs) -> Result<(), Refusal> {
        let Some((claim, activity)) = quote.idempotency.as_ref().zip(self.activity.as_ref()) else {
            return Ok(());
        };
        activity.claims.check(now, &quote.key, claim)
    }

    /// What the hold would come to: grants, then money, then counters.
    fn plan(&self, now: UnixMs, quote: &Quote, others: Others) -> Result<Plan, Short> {
        let released = others == Others::Released;
        let held = if released {
            Nano::ZERO
        } else {
            self.money.held
        };
        let free = self.quotas.free(quote, now, released);
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
                    available: as_nano(available),
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
            let held = counter.hold(need).ok_or(Short {
                stage: index + 1,
                refusal: Refusal::TooLarge,
            })?;
            parts.push(Part {
                counter: key,
                money: ask.ask == Ask::Money,
                held,
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
        let Some(known) = self.counters.get(&key) else {
            return Counter::new(ask.window, ask.cap, now);
        };
        let known = known.at(now);
        match others {
            Others::Counted => known.capped(ask.cap),
            Others::Released => known.released().capped(ask.cap),
        }
    }

    fn admit(&mut self, now: UnixMs, quote: &Quote, plan: Plan) -> Hold {
        let Plan {
            split,
            counters,
            parts,
        } = plan;
        let taken = self.quotas.hold(quote, now, &split);
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

    /// When a period's counter appears, the same limit's counters of periods long over go.
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
    if !quote.is_in(&key.models) {
        return Err(Refusal::Model);
    }
    Ok(())
}
