//! Idempotency keys of clients: at most one charge for 24 hours.

use super::fixture::*;
use crate::ledger::hold::{Quote, Refusal};

const DAY_MS: u64 = 86_400_000;

fn claiming(number: u64, body: u8) -> Quote {
    Quote {
        idempotency: claim("token", body),
        ..costs(number, 10)
    }
}

#[test]
fn a_repeat_is_refused_in_flight_and_told_the_receipt_afterwards() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(claiming(1, 1)).expect("it fits");
    assert_eq!(bench.hold(claiming(2, 1)), Err(Refusal::InFlight));
    assert_eq!(bench.hold(claiming(3, 2)), Err(Refusal::OtherBody));
    let receipt = bench.settle(1, charge(10)).expect("live").receipt;
    assert_eq!(
        bench.hold(claiming(4, 1)),
        Err(Refusal::AlreadyCharged(receipt))
    );
    assert_eq!(bench.hold(claiming(5, 2)), Err(Refusal::OtherBody));
}

#[test]
fn a_claim_is_kept_for_a_day_after_the_settle() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(claiming(1, 1)).expect("it fits");
    bench.settle(1, charge(10)).expect("live");
    bench.later(DAY_MS - 1);
    bench.book.forget_ended(bench.now, bench.now);
    assert!(matches!(
        bench.hold(claiming(2, 1)),
        Err(Refusal::AlreadyCharged(_))
    ));
    bench.later(1);
    bench.hold(claiming(3, 2)).expect("the day is over");
}

#[test]
fn a_voided_or_lapsed_claim_runs_anew_with_the_same_body_only() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(claiming(1, 1)).expect("it fits");
    bench.void(1).expect("live");
    assert_eq!(bench.hold(claiming(2, 2)), Err(Refusal::OtherBody));
    bench.hold(claiming(3, 1)).expect("anew");
    bench.later(LEASE_MS);
    bench.hold(claiming(4, 1)).expect("anew again");
}

#[test]
fn a_late_settle_is_told_to_repeats_even_while_another_is_in_flight() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(claiming(1, 1)).expect("it fits");
    bench.later(LEASE_MS);
    bench.hold(claiming(2, 1)).expect("the first lapsed");
    let receipt = bench.settle(1, charge(10)).expect("lapsed").receipt;
    bench.void(2).expect("live");
    assert_eq!(
        bench.hold(claiming(3, 1)),
        Err(Refusal::AlreadyCharged(receipt))
    );
}

#[test]
fn claims_are_scoped_to_the_key_and_a_refused_hold_claims_nothing() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.put_key(key("l", "w"), 2).expect("fresh");
    bench.hold(claiming(1, 1)).expect("it fits");
    let mut other = claiming(2, 2);
    other.key = id("l");
    bench.hold(other).expect("a scope of its own");
    let dear = Quote {
        idempotency: claim("dear", 1),
        ..costs(3, 1000)
    };
    assert!(matches!(bench.hold(dear), Err(Refusal::Funds { .. })));
    let cheap = Quote {
        idempotency: claim("dear", 2),
        ..costs(4, 1)
    };
    bench.hold(cheap).expect("the token is free");
}
