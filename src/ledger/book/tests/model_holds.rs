//! What a hold comes to in the model: whether it is admitted, and at what.

use super::model::{DAY_MS, Model, Past, Phase, blank};
use super::model_funds::{Left, Worst, clamped, worst};
use crate::clock::UnixMs;
use crate::ledger::grant::Grant;
use crate::ledger::hold::Quote;
use crate::ledger::id::RequestId;
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::price::Segment;

/// What a hold comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted(Worst),
    Again,
    Ended,
    Key,
    KeyChanged,
    Model,
    Period,
    TooLarge,
    OtherBody,
    InFlight,
    Charged(RequestId),
    Funds {
        need: u64,
        others: bool,
    },
    Limit {
        index: usize,
        need: u64,
        others: bool,
        retry_after_ms: Option<u64>,
    },
}

impl Model {
    fn left(&self) -> Vec<Left> {
        let rest = |grant: &Grant| {
            let (used, held) = self.grant(grant.name.as_str());
            grant.amount - used - held
        };
        let left = |grant: &Grant| Left {
            grant: grant.clone(),
            rest: rest(grant),
        };
        self.grants.iter().map(left).collect()
    }

    pub(super) fn hold(&mut self, now: UnixMs, quote: &Quote) -> Verdict {
        self.reap(now);
        if let Some(place) = self.find(quote.request) {
            return match self.requests[place].phase {
                Phase::Live => Verdict::Again,
                _ => Verdict::Ended,
            };
        }
        if let Some(verdict) = self
            .key_verdict(now, quote)
            .or_else(|| self.claim_verdict(now, quote))
        {
            return verdict;
        }
        for counter in &quote.counters {
            if let Window::Period { start, end } = counter.window
                && !(start.0..end.0).contains(&now.0)
            {
                return Verdict::Period;
            }
        }
        if is_too_large(quote) {
            return Verdict::TooLarge;
        }
        let (stage, worst, retry_after_ms) = self.stage(now, quote);
        let Some(stage) = stage else {
            self.admit(now, quote, &worst);
            return Verdict::Admitted(worst);
        };
        let mut alone = self.clone();
        for id in self.live().map(|ask| ask.quote.request) {
            alone.release(now, id, Phase::Voided);
        }
        let others = alone.stage(now, quote).0.is_none_or(|later| later > stage);
        if stage == 0 {
            let need = worst.money;
            return Verdict::Funds { need, others };
        }
        let need = asked(quote, stage - 1, worst.money);
        Verdict::Limit {
            index: stage - 1,
            need,
            others,
            retry_after_ms,
        }
    }

    fn key_verdict(&self, now: UnixMs, quote: &Quote) -> Option<Verdict> {
        let Some(key) = self.keys.get(quote.key.as_str()) else {
            return Some(Verdict::Key);
        };
        if !key.enabled || key.expires_at.is_some_and(|end| end <= now) {
            Some(Verdict::Key)
        } else if key.revision != quote.key_revision {
            Some(Verdict::KeyChanged)
        } else if key
            .only_model
            .as_ref()
            .is_some_and(|only| names(quote).all(|name| name != only))
        {
            Some(Verdict::Model)
        } else {
            None
        }
    }

    /// Requests under the same claim that count still.
    pub(super) fn claimants(&self, now: UnixMs, quote: &Quote) -> Vec<&Past> {
        let token = quote.idempotency.as_ref().map(|claim| &claim.token);
        let same = |ask: &&Past| {
            let other = ask.quote.idempotency.as_ref().map(|claim| &claim.token);
            let kept = ask.phase == Phase::Live || now.since(ask.claim_at) < DAY_MS;
            ask.claims && kept && token.is_some() && other == token && ask.quote.key == quote.key
        };
        self.requests.iter().filter(same).collect()
    }

    fn claim_verdict(&self, now: UnixMs, quote: &Quote) -> Option<Verdict> {
        let claimants = self.claimants(now, quote);
        let body = quote.idempotency.as_ref().map(|claim| claim.body);
        let body_of = |ask: &Past| ask.quote.idempotency.as_ref().map(|claim| claim.body);
        if claimants.iter().any(|ask| body_of(ask) != body) {
            return Some(Verdict::OtherBody);
        }
        let charged = claimants.iter().filter(|ask| ask.phase == Phase::Settled);
        if charged.clone().count() > 0 {
            // Which of several receipts is told is no promise; the latest is.
            let latest = charged.max_by_key(|ask| ask.claim_order);
            return latest.map(|ask| Verdict::Charged(ask.quote.request));
        }
        let live = claimants.iter().any(|ask| ask.phase == Phase::Live);
        live.then_some(Verdict::InFlight)
    }

    /// Where the quote fails (0 for funds, then the counters), what it comes to, and when to come back.
    fn stage(&self, now: UnixMs, quote: &Quote) -> (Option<usize>, Worst, Option<u64>) {
        let left = self.left();
        let names: Vec<&str> = names(quote).collect();
        let come_to = |counts: &[u64]| worst(&quote.segments, counts, &left, &names, now);
        let cost = |counts: &[u64]| come_to(counts).money;
        let full: Vec<u64> = quote.segments.iter().map(|segment| segment.count).collect();
        let counts = clamped(&quote.segments, &full, cost, self.available());
        let worst = come_to(&counts);
        if worst.money > self.available() {
            return (Some(0), worst, None);
        }
        let spend = quote.counters.iter().filter(|ask| ask.ask == Ask::Money);
        let room = spend
            .map(|ask| {
                (0..=worst.money)
                    .rev()
                    .find(|money| self.admits(now, ask.window, &ask.key, ask.cap, *money))
            })
            .map(|money| money.unwrap_or(0))
            .min();
        let counts = clamped(&quote.segments, &counts, cost, room.unwrap_or(u64::MAX));
        let worst = come_to(&counts);
        for (index, ask) in quote.counters.iter().enumerate() {
            let amount = asked(quote, index, worst.money);
            if !self.admits(now, ask.window, &ask.key, ask.cap, amount) {
                let wait = self.wait(now, ask.window, &ask.key, ask.cap, amount);
                return (Some(index + 1), worst, wait);
            }
        }
        (None, worst, None)
    }

    fn admit(&mut self, now: UnixMs, quote: &Quote, worst: &Worst) {
        let mut amounts = Vec::new();
        for (index, ask) in quote.counters.iter().enumerate() {
            let mut amount = asked(quote, index, worst.money);
            self.appear(now, ask.window, &ask.key);
            if let Window::Bucket { .. } = ask.window {
                let mut bucket = self.bucket(now, ask.window, &ask.key, ask.cap);
                amount = amount.min(ask.cap);
                bucket.add(-i128::from(amount));
                self.buckets.insert(ask.key.to_string(), bucket);
            }
            amounts.push(amount);
        }
        let mut ask = blank(quote.clone(), Phase::Live, now);
        ask.lease_until = now.plus(quote.lease_ms);
        ask.worst = worst.clone();
        ask.asked = amounts;
        self.requests.push(ask);
    }
}

fn asked(quote: &Quote, index: usize, money: u64) -> u64 {
    match quote.counters[index].ask {
        Ask::Money => money,
        Ask::Fixed(amount) => amount,
    }
}

/// Whether the quote leaves the range in which every store computes exactly.
fn is_too_large(quote: &Quote) -> bool {
    let costs =
        |segment: &Segment| i128::from(segment.unit_price.get()) * i128::from(segment.count);
    let sum: i128 = quote.segments.iter().map(costs).sum();
    let slow = |ask: &CounterAsk| matches!(ask.window, Window::Bucket { refill_ms } if refill_ms > 9_000_000);
    sum >= 1 << 53 || quote.counters.iter().any(slow)
}

/// Every name of a quote's model.
fn names(quote: &Quote) -> impl Iterator<Item = &str> {
    std::iter::once(&*quote.model).chain(quote.aliases.iter().map(|alias| &**alias))
}
