//! Idempotency keys of clients: at most one charge for 24 hours.

use super::fixture::*;
use crate::ledger::book::idempotency::RELEASED_MAX;
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

/// What the store does every second.
fn sweep(bench: &mut Bench) {
    bench.book.tick(bench.now);
    bench.book.forget_ended(bench.now, bench.now);
}

#[test]
fn requests_that_fail_under_ever_new_claims_do_not_fill_the_memory() {
    let mut bench = Bench::new(100, 0, vec![]);
    let under = |number: u64, token: &str, body| Quote {
        idempotency: claim(token, body),
        ..costs(number, 10)
    };
    let max = RELEASED_MAX as u64;
    for n in 0..max + 50 {
        bench.hold(under(n, &n.to_string(), 1)).expect("it fits");
        bench.void(n).expect("live");
    }
    assert_eq!(bench.book.memory.claims(), RELEASED_MAX);
    assert_eq!(
        bench.hold(under(max + 100, "0", 2)),
        Err(Refusal::OtherBody),
        "the first are kept"
    );
    let last = (max + 49).to_string();
    bench
        .hold(under(max + 101, &last, 2))
        .expect("the last were forgotten: nothing was charged");
    bench.void(max + 101).expect("live");

    // A charge is kept whatever else there is, and makes room where its claim was released before.
    bench.hold(under(max + 102, "0", 1)).expect("anew");
    let receipt = bench.settle(max + 102, charge(10)).expect("live").receipt;
    assert_eq!(
        bench.hold(under(max + 103, "0", 1)),
        Err(Refusal::AlreadyCharged(receipt))
    );
    bench.hold(under(max + 104, &last, 2)).expect("anew");
    bench.void(max + 104).expect("live");
    assert_eq!(
        bench.hold(under(max + 105, &last, 1)),
        Err(Refusal::OtherBody),
        "there was room for one"
    );

    bench.later(DAY_MS);
    sweep(&mut bench);
    assert_eq!(bench.book.memory.claims(), 0);
    for n in 0..max {
        let number = 2 * max + n;
        bench.hold(under(number, &n.to_string(), 2)).expect("free");
        bench.void(number).expect("live");
    }
    assert_eq!(
        bench.book.memory.claims(),
        RELEASED_MAX,
        "room for all again"
    );
}

#[test]
fn one_claim_that_fails_again_and_again_is_waited_for_once() {
    let mut bench = Bench::new(100, 0, vec![]);
    for n in 0..100 {
        bench.hold(claiming(n, 1)).expect("anew");
        bench.void(n).expect("live");
        bench.later(DAY_MS / 50);
        sweep(&mut bench);
        assert_eq!(bench.book.memory.claims(), 1);
    }
    assert_eq!(bench.hold(claiming(200, 2)), Err(Refusal::OtherBody));
    bench.later(2 * DAY_MS);
    sweep(&mut bench);
    assert_eq!(bench.book.memory.claims(), 0);
    bench.hold(claiming(201, 2)).expect("the day is over");
    bench.later(2 * DAY_MS);
    sweep(&mut bench);
    bench.void(201).expect("live or lapsed");
    assert_eq!(bench.book.memory.claims(), 1);
}
