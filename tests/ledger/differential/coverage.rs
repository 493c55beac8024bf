//! What random schedules came upon: proof that they go everywhere they are meant to go.

use std::collections::BTreeMap;

use tollgate::ledger::hold::{Hold, Refusal, Settled};

use super::op::{Failed, Op, Said};
use crate::kit::EXACT;

/// How often each kind of answer was given.
#[derive(Default)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// What a run of many schedules has to come upon.
const WANTED: [&str; 49] = [
    "admitted",
    "admitted, clamped",
    "admitted, for free",
    "admitted, from grants",
    "admitted, from several grants",
    "admitted, of 2^52 nano or more",
    "admitted, on a balance beyond 2^53",
    "already charged",
    "ended",
    "funds",
    "funds, held by others",
    "in flight",
    "key",
    "key changed",
    "limit",
    "limit, held by others",
    "limit, of a bucket",
    "limit, of a cap beyond 2^53",
    "limit, of a period",
    "model",
    "other body",
    "period",
    "too large",
    "settled",
    "settled late",
    "settled long ago",
    "settled, counted by a cap beyond 2^53",
    "settled, from grants",
    "settled, with shortfall",
    "settle in conflict",
    "settle of nothing",
    "voided",
    "void in conflict",
    "void of nothing",
    "credited",
    "credited before",
    "credit in conflict",
    "credit line in conflict",
    "key kept",
    "key in conflict",
    "key of nothing",
    "wallet in conflict",
    "object kept",
    "object in conflict",
    "object found",
    "object found, pending",
    "object not there",
    "objects listed",
    "list after nothing",
];

impl Coverage {
    pub fn note(&mut self, op: &Op, said: &Said) {
        let mut note = |kind| *self.0.entry(kind).or_default() += 1;
        match (op, said) {
            (Op::Hold(quote), Said::Held(Ok(Ok(hold)))) => {
                note("admitted");
                let asked = quote.segments.iter().map(|segment| segment.count);
                let clamped = asked.zip(&hold.counts).any(|(asked, count)| asked > *count);
                admitted(hold, clamped).into_iter().for_each(note);
            }
            (_, Said::Held(Ok(Err(refusal)))) => refused(refusal).into_iter().for_each(note),
            (_, Said::Settled(Ok(answer))) => settled(answer).into_iter().for_each(note),
            (_, Said::Settled(Err(Failed::Conflict))) => note("settle in conflict"),
            (_, Said::Settled(Err(Failed::NotFound))) => note("settle of nothing"),
            (_, Said::SettledLate(Ok(_))) => note("settled long ago"),
            (Op::Void(_), Said::Done(Ok(()))) => note("voided"),
            (Op::Void(_), Said::Done(Err(Failed::Conflict))) => note("void in conflict"),
            (Op::Void(_), Said::Done(Err(Failed::NotFound))) => note("void of nothing"),
            (Op::CreditLine(..), Said::Done(Err(Failed::Conflict))) => {
                note("credit line in conflict");
            }
            (_, Said::Credited(Ok(credited))) if credited.applied => note("credited"),
            (_, Said::Credited(Ok(_))) => note("credited before"),
            (_, Said::Credited(Err(Failed::Conflict))) => note("credit in conflict"),
            (_, Said::Key(Ok(_))) => note("key kept"),
            (_, Said::Key(Err(Failed::Conflict))) => note("key in conflict"),
            (_, Said::Key(Err(Failed::NotFound))) => note("key of nothing"),
            (Op::PutObject(..), Said::Done(Ok(()))) => note("object kept"),
            (Op::PutObject(..), Said::Done(Err(Failed::Conflict))) => note("object in conflict"),
            (_, Said::Object(Ok(None))) => note("object not there"),
            (_, Said::Object(Ok(Some(object)))) => match object.pending {
                Some(_) => note("object found, pending"),
                None => note("object found"),
            },
            (_, Said::Objects(Ok(objects))) if !objects.is_empty() => note("objects listed"),
            (_, Said::Objects(Err(Failed::NotFound))) => note("list after nothing"),
            (_, Said::Opened(Err(Failed::Conflict))) => note("wallet in conflict"),
            _ => {}
        }
    }

    /// What it never came upon.
    pub fn missed(&self) -> Vec<&'static str> {
        let mut missed = WANTED.to_vec();
        missed.retain(|kind| !self.0.contains_key(kind));
        missed
    }
}

fn admitted(hold: &Hold, clamped: bool) -> Vec<&'static str> {
    let money = hold.money.get().unsigned_abs();
    let kinds = [
        ("admitted, clamped", clamped),
        ("admitted, for free", money == 0),
        ("admitted, from grants", !hold.taken.is_empty()),
        ("admitted, from several grants", hold.taken.len() > 1),
        ("admitted, of 2^52 nano or more", money >= EXACT / 2),
        (
            "admitted, on a balance beyond 2^53",
            hold.balance.get().unsigned_abs() > EXACT,
        ),
    ];
    that_are(&kinds)
}

fn refused(refusal: &Refusal) -> Vec<&'static str> {
    match refusal {
        Refusal::Key => vec!["key"],
        Refusal::KeyChanged => vec!["key changed"],
        Refusal::Model => vec!["model"],
        Refusal::Period { .. } => vec!["period"],
        Refusal::TooLarge => vec!["too large"],
        Refusal::Ended => vec!["ended"],
        Refusal::InFlight => vec!["in flight"],
        Refusal::AlreadyCharged(_) => vec!["already charged"],
        Refusal::OtherBody => vec!["other body"],
        Refusal::Funds { held_by_others, .. } => {
            that_are(&[("funds", true), ("funds, held by others", *held_by_others)])
        }
        Refusal::Limit {
            state,
            held_by_others,
            retry_after_ms,
            ..
        } => that_are(&[
            ("limit", true),
            ("limit, held by others", *held_by_others),
            ("limit, of a bucket", retry_after_ms.is_some()),
            ("limit, of a cap beyond 2^53", state.cap > EXACT),
            (
                "limit, of a period",
                state.reset_at.is_some() && retry_after_ms.is_none(),
            ),
        ]),
    }
}

fn settled(answer: &Settled) -> Vec<&'static str> {
    that_are(&[
        ("settled", true),
        ("settled late", answer.receipt.late),
        ("settled, from grants", !answer.grants.is_empty()),
        (
            "settled, with shortfall",
            !answer.receipt.shortfall.is_zero(),
        ),
        (
            "settled, counted by a cap beyond 2^53",
            answer.counters.iter().any(|state| state.cap > EXACT),
        ),
    ])
}

fn that_are(kinds: &[(&'static str, bool)]) -> Vec<&'static str> {
    let kinds = kinds.iter().filter(|(_, is)| *is);
    kinds.map(|(kind, _)| *kind).collect()
}
