//! Planted bugs: proof that the schedules can fail. Each is a mistake on the way from a call to the store.

use std::sync::Arc;

use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::hold::IdempotencyClaim;
use tollgate::ledger::limit::{Ask, CounterAsk, Window};
use tollgate::money::Nano;

use super::coverage::Coverage;
use super::op::Op;
use super::{Pair, SHARING};
use crate::kit::{START, nano};
use crate::reference::Reference;

type Mistake = fn(&mut Op);

/// Each has to be found within so many schedules.
const SCHEDULES: u64 = 10 * SHARING;

const PLANTED: [(&str, Mistake); 29] = [
    ("a void is lost", |op| {
        if let Op::Void(_) = op {
            *op = Op::Wait(0);
        }
    }),
    ("a renewal is lost", |op| {
        if let Op::Renew(holds, _) = op {
            holds.clear();
        }
    }),
    ("a lease is renewed for a millisecond less", |op| {
        if let Op::Renew(_, lease_ms) = op {
            *lease_ms = lease_ms.saturating_sub(1);
        }
    }),
    ("a settle voids", |op| {
        if let Op::Settle(hold, _) = op {
            *op = Op::Void(hold.clone());
        }
    }),
    ("a settle counts nothing", |op| {
        if let Op::Settle(_, charge) = op {
            charge.counters.fill(0);
        }
    }),
    ("a settle counts what was held", |op| {
        if let Op::Settle(_, charge) = op {
            charge.counters.clear();
        }
    }),
    ("a settle burns no units", |op| {
        if let Op::Settle(_, charge) = op {
            charge.free = Default::default();
        }
    }),
    ("a price passes through a double", |op| {
        if let Op::Settle(_, charge) = op {
            through_double(&mut charge.priced);
        }
    }),
    ("a credit passes through a double", |op| {
        if let Op::Credit(entry) = op {
            through_double(&mut entry.amount);
        }
    }),
    ("a credit line passes through a double", |op| {
        if let Op::CreditLine(_, line) = op {
            through_double(line);
        }
    }),
    ("a cap passes through a double", |op| {
        for ask in counters(op) {
            ask.cap = ask.cap as f64 as u64;
        }
    }),
    ("an amount for a counter passes through a double", |op| {
        for ask in counters(op) {
            if let Ask::Fixed(amount) = &mut ask.ask {
                *amount = *amount as f64 as u64;
            }
        }
    }),
    ("a cap is signed", |op| {
        for ask in counters(op) {
            ask.cap = ask.cap.min(i64::MAX.unsigned_abs());
        }
    }),
    ("a counter of money is forgotten", |op| {
        if let Op::Hold(quote) = op {
            quote.counters.retain(|ask| ask.ask != Ask::Money);
        }
    }),
    ("a period ends a millisecond late", |op| {
        for ask in counters(op) {
            if let Window::Period { end, .. } = &mut ask.window {
                *end = UnixMs(end.0 + 1);
            }
        }
    }),
    ("a period is for ever", |op| {
        for ask in counters(op) {
            if let Window::Period { .. } = ask.window {
                ask.window = Window::Total;
            }
        }
    }),
    ("a bucket refills a little faster", |op| {
        for ask in counters(op) {
            if let Window::Bucket { refill_ms } = &mut ask.window {
                *refill_ms = refill_ms.saturating_sub(1);
            }
        }
    }),
    ("a claim is forgotten", |op| {
        if let Op::Hold(quote) = op {
            quote.idempotency = None;
        }
    }),
    ("a claim forgets its body", |op| {
        if let Op::Hold(quote) = op
            && let Some(IdempotencyClaim { body, .. }) = &mut quote.idempotency
        {
            *body = [0; 32];
        }
    }),
    ("aliases are forgotten", |op| {
        if let Op::Hold(quote) = op {
            quote.aliases = Arc::from([]);
        }
    }),
    ("the revision of a key is not looked at", |op| {
        if let Op::Hold(quote) = op {
            quote.key_revision = 1;
        }
    }),
    ("a grant never expires", |op| {
        if let Op::OpenWallet(new) = op {
            new.grants
                .iter_mut()
                .for_each(|grant| grant.expires_at = None);
        }
    }),
    ("segments are clamped no further than by half", |op| {
        if let Op::Hold(quote) = op {
            for segment in &mut quote.segments {
                segment.count_min = segment.count_min.max(segment.count / 2);
            }
        }
    }),
    ("an object ends a millisecond late", |op| {
        if let Op::PutObject(object, _) = op {
            object.expires_at = object.expires_at.plus(1);
        }
    }),
    ("an object is of another time", |op| {
        if let Op::PutObject(object, _) = op {
            object.created_at = UnixMs(object.created_at.0 / 1_000 * 1_000);
        }
    }),
    ("what is pending is forgotten", |op| {
        if let Op::PutObject(object, _) = op {
            object.pending = None;
        }
    }),
    ("a wallet may have an object more", |op| {
        if let Op::PutObject(_, at_most) = op {
            *at_most = at_most.saturating_add(1);
        }
    }),
    ("an object that is dropped stays", |op| {
        if let Op::DropObject(_) = op {
            *op = Op::Renew(Vec::new(), 1);
        }
    }),
    ("an edit of a key overwrites what it did not see", |op| {
        if let Op::EditKey(key) = op {
            key.revision = 2;
        }
    }),
];

fn counters(op: &mut Op) -> &mut [CounterAsk] {
    match op {
        Op::Hold(quote) => &mut quote.counters,
        _ => &mut [],
    }
}

fn through_double(amount: &mut Nano) {
    *amount = nano(amount.get() as f64 as i64);
}

async fn is_found(mistake: Mistake) -> bool {
    let mut coverage = Coverage::default();
    for first in (0..SCHEDULES).step_by(usize::try_from(SHARING).expect("few")) {
        let clock = Clock::manual(START);
        let ledger = Reference::new(clock.clone());
        let mut pair = Pair::new(&ledger, clock, &mut coverage).mistaken(mistake);
        if pair.run(first + 1, SHARING).await.is_err() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn random_schedules_find_every_planted_bug() {
    let mut missed = Vec::new();
    for (name, mistake) in PLANTED {
        if !is_found(mistake).await {
            missed.push(name);
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "not found");
    assert!(!is_found(|_| {}).await, "found what is not there");
}
