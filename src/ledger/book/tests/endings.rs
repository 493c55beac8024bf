//! How holds end: settled, voided, lapsed, late.

use super::fixture::*;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::Change;
use crate::ledger::credit::EntryKind;
use crate::ledger::grant::GrantUnit;
use crate::ledger::hold::{Charge, FreeUnits, Quote, Refusal};
use crate::ledger::limit::{Ask, Window};
use crate::money::Nano;

#[test]
fn a_request_is_charged_once_however_often_it_is_settled() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 50)).expect("it fits");
    let first = bench.settle(1, charge(30)).expect("live");
    let rows = bench.changes.len();
    bench.later(10);
    let again = bench.settle(1, charge(45)).expect("settled");
    assert_eq!(
        (again.receipt, again.balance),
        (first.receipt, Nano::new(70))
    );
    assert_eq!(bench.changes.len(), rows, "nothing new to store");
}

#[test]
fn the_same_hold_again_is_answered_the_same_until_it_ends() {
    let mut bench = Bench::new(100, 0, vec![]);
    let first = bench.hold(costs(1, 60)).expect("it fits");
    assert_eq!(bench.hold(costs(1, 60)).expect("live"), first);
    assert_eq!(bench.view().held.get(), 60);
    bench.settle(1, charge(1)).expect("live");
    assert_eq!(bench.hold(costs(1, 60)), Err(Refusal::Ended));
}

#[test]
fn a_void_releases_everything_and_is_final() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 5)]);
    let mut asked = costs(1, 50);
    asked.counters = vec![counter("k/spend", Ask::Money, 45, Window::Total)];
    bench.hold(asked).expect("it fits");
    for _ in 0..2 {
        bench.void(1).expect("idempotent");
        assert_eq!((bench.view().held.get(), bench.balance()), (0, 100));
        assert_eq!(
            (bench.grant("g"), bench.counter("k/spend")),
            ((0, 0), Some((0, 0)))
        );
    }
    assert!(matches!(
        bench.settle(1, charge(9)),
        Err(LedgerError::Conflict(_))
    ));
    assert_eq!(bench.balance(), 100);
}

#[test]
fn a_void_before_the_hold_keeps_it_out() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.void(1).expect("a tombstone");
    assert_eq!(bench.hold(costs(1, 5)), Err(Refusal::Ended));
}

#[test]
fn what_was_charged_cannot_be_voided() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 5)).expect("it fits");
    bench.settle(1, charge(5)).expect("live");
    assert!(matches!(bench.void(1), Err(LedgerError::Conflict(_))));
    assert_eq!(bench.balance(), 95);
}

#[test]
fn a_settle_without_a_hold_is_not_found() {
    let mut bench = Bench::new(100, 0, vec![]);
    assert!(matches!(
        bench.settle(1, charge(5)),
        Err(LedgerError::NotFound(_))
    ));
}

#[test]
fn a_price_below_nothing_is_refused_and_the_hold_stays() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 5)).expect("it fits");
    assert!(matches!(
        bench.settle(1, charge(-5)),
        Err(LedgerError::Conflict(_))
    ));
    assert_eq!((bench.balance(), bench.view().held.get()), (100, 5));
}

#[test]
fn a_lease_that_ran_out_releases_and_charges_nothing() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 5)]);
    bench.hold(costs(1, 105)).expect("it fits");
    bench.later(LEASE_MS - 1);
    assert_eq!(short_of_funds(bench.hold(costs(2, 1))), (1, true));
    bench.later(1);
    bench.hold(costs(3, 105)).expect("all of it is there again");
    assert_eq!(bench.hold(costs(1, 105)), Err(Refusal::Ended));
    assert_eq!(bench.balance(), 100);
}

#[test]
fn a_renewed_lease_does_not_run_out() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 100)).expect("it fits");
    bench.later(LEASE_MS - 1);
    let named = bench.named(1);
    bench.book.renew(bench.now, &named, LEASE_MS);
    bench.book.renew(bench.now, &named, 1);
    bench.later(LEASE_MS - 1);
    assert_eq!(short_of_funds(bench.hold(costs(2, 1))), (1, true));
    let receipt = bench.settle(1, charge(100)).expect("live").receipt;
    assert!(!receipt.late);
}

#[test]
fn one_operation_ends_sixteen_leases_at_most() {
    let mut bench = Bench::new(100, 0, vec![]);
    for number in 0..20 {
        bench.hold(costs(number, 1)).expect("it fits");
    }
    bench.later(LEASE_MS);
    bench.hold(costs(100, 1)).expect("it fits");
    assert_eq!(bench.view().holds, 5);
    bench.hold(costs(101, 1)).expect("it fits");
    assert_eq!(bench.view().holds, 2);
}

#[test]
fn a_late_settle_is_charged_once_from_what_is_there() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 10)]);
    bench.hold(costs(1, 80)).expect("it fits");
    bench.later(LEASE_MS);
    // Others have taken 4 of the 10 free tokens, then 60 of the money.
    bench.hold(costs(2, 4)).expect("the lease is over");
    let burned = FreeUnits {
        tokens: 4,
        ..FreeUnits::default()
    };
    bench
        .settle(
            2,
            Charge {
                free: burned,
                ..charge(0)
            },
        )
        .expect("live");
    bench.hold(costs(3, 66)).expect("6 tokens and 60 nano");
    let free = FreeUnits {
        tokens: 10,
        ..FreeUnits::default()
    };
    let late = bench
        .settle(1, Charge { free, ..charge(70) })
        .expect("lapsed");
    let receipt = &late.receipt;
    assert!(receipt.late);
    assert_eq!(
        (
            receipt.free.tokens,
            receipt.charged.get(),
            receipt.shortfall.get()
        ),
        (0, 40, 30)
    );
    let again = bench.settle(1, charge(70)).expect("settled");
    assert_eq!(again.receipt, late.receipt);
    bench.settle(3, charge(60)).expect("live");
    assert_eq!((bench.balance(), bench.grant("g")), (0, (4, 0)));
}

#[test]
fn a_late_settle_passes_no_limit_on_spending() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, money| Quote {
        counters: vec![counter("k/spend", Ask::Money, 50, Window::Total)],
        ..costs(number, money)
    };
    bench.hold(asked(1, 40)).expect("it fits");
    bench.later(LEASE_MS);
    bench.hold(asked(2, 30)).expect("the lease is over");
    let receipt = bench.settle(1, charge(40)).expect("lapsed").receipt;
    assert_eq!((receipt.charged.get(), receipt.shortfall.get()), (20, 20));
    assert_eq!(bench.counter("k/spend"), Some((20, 30)));
}

#[test]
fn a_late_settle_charges_no_more_than_was_held() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 10)).expect("it fits");
    bench.later(LEASE_MS);
    bench.hold(costs(2, 1)).expect("this ends the lease");
    let receipt = bench.settle(1, charge(15)).expect("lapsed").receipt;
    assert_eq!((receipt.charged.get(), receipt.shortfall.get()), (10, 5));
}

#[test]
fn a_lapsed_request_that_is_voided_is_not_settled_any_more() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 10)).expect("it fits");
    bench.later(LEASE_MS);
    bench.hold(costs(2, 1)).expect("this ends the lease");
    bench.void(1).expect("forgotten");
    assert!(matches!(
        bench.settle(1, charge(10)),
        Err(LedgerError::Conflict(_))
    ));
}

#[test]
fn ended_requests_are_forgotten_by_age_and_live_ones_never() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 1)).expect("it fits");
    bench.hold(costs(2, 1)).expect("it fits");
    bench.settle(2, charge(1)).expect("live");
    bench.void(3).expect("a tombstone");
    bench.later(1);
    bench.hold(costs(4, 1)).expect("it fits");
    bench.settle(4, charge(1)).expect("live");
    bench.book.forget_ended(bench.now, bench.now);
    assert!(matches!(
        bench.settle(2, charge(1)),
        Err(LedgerError::NotFound(_))
    ));
    bench.hold(costs(3, 1)).expect("its tombstone is gone");
    bench
        .settle(4, charge(1))
        .expect("it ended too late to be forgotten");
    bench.settle(1, charge(1)).expect("live");
}

#[test]
fn a_late_settle_is_remembered_from_the_settle_on() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 10)).expect("it fits");
    bench.later(LEASE_MS);
    bench.hold(costs(2, 1)).expect("this ends the lease");
    bench.later(50);
    let first = bench.settle(1, charge(10)).expect("lapsed");
    bench.book.forget_ended(bench.now, bench.now);
    assert_eq!(
        bench.settle(1, charge(10)).expect("known").receipt,
        first.receipt
    );
}

#[test]
fn time_that_is_said_to_run_back_stands_still() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 10)).expect("it fits");
    bench.later(500);
    bench.hold(costs(2, 10)).expect("it fits");
    bench.now = UnixMs(0);
    let receipt = bench.settle(1, charge(10)).expect("live").receipt;
    assert_eq!(receipt.settled_at, UnixMs(1_000_500));
}

#[test]
fn units_that_were_taken_and_not_used_go_back() {
    let grants = vec![
        grant("a", GrantUnit::Tokens, 4),
        grant("b", GrantUnit::Tokens, 4),
    ];
    let mut bench = Bench::new(100, 0, grants);
    bench.hold(costs(1, 8)).expect("grants cover it");
    let free = FreeUnits {
        tokens: 5,
        ..FreeUnits::default()
    };
    let settled = bench.settle(1, Charge { free, ..charge(0) }).expect("live");
    assert_eq!(settled.grants.len(), 2);
    assert_eq!((bench.grant("a"), bench.grant("b")), ((4, 0), (1, 0)));
}

#[test]
fn a_settle_burns_no_more_units_than_the_hold_took() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 50)]);
    bench.hold(costs(1, 8)).expect("the grant covers it");
    let free = FreeUnits {
        tokens: 99,
        images: 3,
        requests: 1,
    };
    let receipt = bench
        .settle(1, Charge { free, ..charge(0) })
        .expect("live")
        .receipt;
    assert_eq!(
        receipt.free,
        FreeUnits {
            tokens: 8,
            ..FreeUnits::default()
        }
    );
    assert_eq!(bench.grant("g"), (8, 0));
}

#[test]
fn a_settle_hands_out_every_row_that_it_changed() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 5)]);
    let mut asked = costs(1, 10);
    asked.counters = vec![
        counter("k/spend", Ask::Money, 45, Window::Total),
        counter("k/parallel", Ask::Fixed(1), 2, Window::Concurrent),
    ];
    bench.hold(asked).expect("it fits");
    bench.changes.clear();
    let free = FreeUnits {
        tokens: 5,
        ..FreeUnits::default()
    };
    bench.settle(1, Charge { free, ..charge(5) }).expect("live");
    let kinds: Vec<&str> = bench.changes.iter().map(kind).collect();
    assert_eq!(kinds, ["receipt", "wallet", "grant", "counter"]);
}

fn kind(change: &Change) -> &'static str {
    match change {
        Change::Wallet(_) => "wallet",
        Change::Key { .. } => "key",
        Change::Entry(_) => "entry",
        Change::Grant { .. } => "grant",
        Change::Counter { .. } => "counter",
        Change::Receipt(_) => "receipt",
    }
}

#[test]
fn a_correction_below_what_is_held_leaves_live_requests_alone_and_stops_new_ones() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 60)).expect("it fits");
    bench
        .credit(entry("down", "w", EntryKind::Adjustment, -90))
        .expect("it may");
    assert_eq!(bench.view().available, Nano::ZERO);
    assert!(matches!(
        bench.hold(costs(2, 1)),
        Err(Refusal::Funds { .. })
    ));
    bench.settle(1, charge(60)).expect("live");
    assert_eq!(bench.balance(), -50);
}

#[test]
fn a_lapsed_hold_is_waited_for_longer_than_ended_requests_are_remembered() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 10)).expect("it fits");
    bench.later(LEASE_MS);
    assert_eq!(bench.book.lapses(), 0);
    bench.hold(costs(2, 1)).expect("this ends the lease");
    assert_eq!(bench.book.lapses(), 1);
    bench.settle(2, charge(1)).expect("live");
    let before = bench.now;
    bench.later(1);
    bench.book.forget_ended(bench.now, before);
    assert!(matches!(
        bench.settle(2, charge(1)),
        Err(LedgerError::NotFound(_))
    ));
    let late = bench.settle(1, charge(10)).expect("it lapsed a moment ago");
    assert!(late.receipt.late);
}

#[test]
fn a_request_of_an_earlier_process_is_charged_late_from_what_is_there() {
    let mut asked = costs(1, 50);
    asked.counters = vec![counter("k/spend", Ask::Money, 500, Window::Total)];
    let held = {
        let mut before = Bench::new(100, 0, vec![]);
        before.hold(asked.clone()).expect("it fits")
    };
    let mut bench = Bench::new(40, 0, vec![]);
    let mut other = costs(2, 1);
    other.counters = asked.counters.clone();
    bench.hold(other).expect("it fits");
    bench.settle(2, charge(1)).expect("live");
    for _ in 0..2 {
        let (now, held) = (bench.now, held.clone());
        bench.book.adopt(now, &asked, held, UnixMs(7));
    }
    assert_eq!(bench.hold(asked), Err(Refusal::Ended));
    assert_eq!((bench.view().held.get(), bench.balance()), (0, 39));
    let settled = bench.settle(1, charge(45)).expect("known");
    let receipt = settled.receipt;
    assert!(receipt.late);
    assert_eq!((receipt.charged.get(), receipt.shortfall.get()), (39, 6));
    assert_eq!(receipt.held_at, UnixMs(7));
    assert_eq!(bench.counter("k/spend"), Some((40, 0)));
}
