//! Who pays: grants, then money; floors, clamps and refusals.

use super::fixture::*;
use crate::clock::UnixMs;
use crate::ledger::grant::{Grant, GrantUnit};
use crate::ledger::hold::{Charge, FreeUnits, Hold, Refusal};
use crate::ledger::limit::{Ask, Window};
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::Meter;

fn takes(hold: &Hold) -> Vec<(&str, u64)> {
    let takes = hold.taken.iter();
    takes
        .map(|take| (take.grant.as_str(), take.units))
        .collect()
}

fn clampable(count: u64, count_min: u64, unit_price: i64) -> Segment {
    Segment {
        count_min,
        ..segment(Meter::Output, count, unit_price)
    }
}

#[test]
fn exactly_the_floor_is_admitted_and_one_nano_more_is_not() {
    for (balance, line, most) in [(100, 0, 100), (100, 50, 150), (0, 50, 50)] {
        let mut bench = Bench::new(balance, line, vec![]);
        assert!(!short_of_funds(bench.hold(costs(1, most + 1))).1);
        assert_eq!(
            bench.hold(costs(2, most)).expect("it fits").money.get(),
            most as i64
        );
        assert_eq!(short_of_funds(bench.hold(costs(3, 1))), (1, true));
    }
}

#[test]
fn what_others_hold_is_told_apart_from_what_is_spent() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.hold(costs(1, 80)).expect("it fits");
    assert_eq!(short_of_funds(bench.hold(costs(2, 50))), (50, true));
    assert_eq!(short_of_funds(bench.hold(costs(3, 101))), (101, false));
    bench.settle(1, charge(80)).expect("it is live");
    assert_eq!(short_of_funds(bench.hold(costs(4, 50))), (50, false));
}

#[test]
fn a_free_request_passes_a_wallet_below_zero_and_burns_no_grant() {
    let mut bench = Bench::new(10, 0, vec![grant("g", GrantUnit::Tokens, 5)]);
    let down = crate::ledger::credit::EntryKind::Adjustment;
    bench
        .credit(entry("down", "w", down, -50))
        .expect("adjustments may");
    assert_eq!(bench.balance(), -40);
    let free = quote(
        1,
        &[segment(Meter::Input, 9, 0), segment(Meter::Output, 9, 0)],
    );
    assert_eq!(bench.hold(free).expect("it is free").taken, []);
    assert_eq!(bench.grant("g"), (0, 0));
    assert_eq!(short_of_funds(bench.hold(costs(2, 6))), (1, false));
}

#[test]
fn a_request_astride_a_free_quota_pays_for_the_rest_only() {
    let mut bench = Bench::new(1000, 0, vec![grant("g", GrantUnit::Tokens, 15)]);
    let asked = [segment(Meter::Input, 10, 2), segment(Meter::Output, 20, 3)];
    let hold = bench.hold(quote(1, &asked)).expect("it fits");
    assert_eq!((takes(&hold), hold.money.get()), (vec![("g", 15)], 45));
    let free = FreeUnits {
        tokens: 12,
        ..FreeUnits::default()
    };
    let settled = bench.settle(1, Charge { free, ..charge(0) }).expect("live");
    assert_eq!(
        (settled.receipt.free.tokens, settled.balance.get()),
        (12, 1000)
    );
    assert_eq!(bench.grant("g"), (12, 0));
}

#[test]
fn grants_burn_soonest_expiry_first_then_narrowest_then_by_name() {
    let end = |ms: i64| Some(UnixMs(2_000_000 + ms));
    let given = |name: &str, expires_at, only: &[&str]| Grant {
        expires_at,
        models: models(only),
        ..grant(name, GrantUnit::Tokens, 1)
    };
    let grants = vec![
        given("never", None, &["m"]),
        given("wide", end(9), &[]),
        given("two", end(9), &["m", "n"]),
        given("one-b", end(9), &["m"]),
        given("one-a", end(9), &["m"]),
        given("soon", end(1), &[]),
        given("other", end(0), &["n"]),
    ];
    let mut bench = Bench::new(0, 0, grants);
    let hold = bench.hold(costs(1, 6)).expect("grants cover it");
    let names: Vec<&str> = takes(&hold).into_iter().map(|take| take.0).collect();
    assert_eq!(names, ["soon", "one-a", "one-b", "two", "wide", "never"]);
    assert_eq!(short_of_funds(bench.hold(costs(2, 1))), (1, true));
}

#[test]
fn a_grant_ends_with_the_instant_of_its_expiry_but_a_hold_keeps_its_units() {
    let given = Grant {
        expires_at: Some(UnixMs(1_000_100)),
        ..grant("g", GrantUnit::Tokens, 10)
    };
    let mut bench = Bench::new(0, 0, vec![given]);
    bench.later(99);
    bench.hold(costs(1, 5)).expect("one millisecond is left");
    bench.later(1);
    assert_eq!(short_of_funds(bench.hold(costs(2, 1))), (1, false));
    let free = FreeUnits {
        tokens: 5,
        ..FreeUnits::default()
    };
    bench.settle(1, Charge { free, ..charge(0) }).expect("live");
    assert_eq!(bench.grant("g"), (5, 0));
}

#[test]
fn a_grant_of_requests_frees_a_whole_request_and_takes_nothing_else() {
    let grants = vec![
        grant("first", GrantUnit::Requests, 1),
        grant("tokens", GrantUnit::Tokens, 100),
    ];
    let mut bench = Bench::new(0, 0, grants);
    let free = quote(1, &[segment(Meter::Output, 10, 0)]);
    assert_eq!(takes(&bench.hold(free).expect("free")), []);
    let hold = bench.hold(costs(2, 1_000_000)).expect("it is freed");
    assert_eq!((takes(&hold), hold.money), (vec![("first", 1)], Nano::ZERO));
    assert_eq!(
        takes(&bench.hold(costs(3, 5)).expect("tokens")),
        [("tokens", 5)]
    );
    bench.void(2).expect("live");
    assert_eq!(bench.grant("first"), (0, 0));
}

#[test]
fn images_and_tokens_come_from_grants_of_their_own() {
    let grants = vec![
        grant("images", GrantUnit::Images, 3),
        grant("tokens", GrantUnit::Tokens, 4),
    ];
    let mut bench = Bench::new(100, 0, grants);
    let asked = [
        segment(Meter::Input, 5, 1),
        segment(Meter::Images, 4, 10),
        segment(Meter::Seconds, 2, 7),
    ];
    let hold = bench.hold(quote(1, &asked)).expect("it fits");
    assert_eq!(takes(&hold), [("tokens", 4), ("images", 3)]);
    assert_eq!(hold.money.get(), 1 + 10 + 14);
}

#[test]
fn grants_of_money_pay_before_the_balance_and_are_no_spending() {
    let mut bench = Bench::new(100, 0, vec![grant("gift", GrantUnit::Money, 30)]);
    let spend = || counter("k/spend", Ask::Money, 20, Window::Total);
    let mut asked = costs(1, 50);
    asked.counters.push(spend());
    let hold = bench.hold(asked).expect("it fits");
    assert_eq!((takes(&hold), hold.money.get()), (vec![("gift", 30)], 20));
    let receipt = bench.settle(1, charge(40)).expect("live").receipt;
    assert_eq!((receipt.free_money.get(), receipt.charged.get()), (30, 10));
    assert_eq!(bench.counter("k/spend"), Some((10, 0)));
    assert_eq!((bench.balance(), bench.grant("gift")), (90, (30, 0)));
}

#[test]
fn what_was_priced_beyond_the_hold_is_the_operators_and_stands_in_the_receipt() {
    let mut bench = Bench::new(1000, 0, vec![grant("gift", GrantUnit::Money, 10)]);
    bench.hold(costs(1, 50)).expect("it fits");
    let receipt = bench.settle(1, charge(75)).expect("live").receipt;
    assert_eq!((receipt.free_money.get(), receipt.charged.get()), (10, 40));
    assert_eq!((receipt.shortfall.get(), receipt.held.get()), (25, 40));
    assert_eq!(bench.view().shortfall.get(), 25);
}

#[test]
fn clamping_lowers_to_the_largest_count_that_is_affordable() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = [segment(Meter::Input, 10, 1), clampable(1_000_000, 5, 7)];
    let hold = bench.hold(quote(1, &asked)).expect("it is clamped");
    assert_eq!((hold.counts, hold.money.get()), (vec![10, 12], 94));
    bench.void(1).expect("live");
    let asked = [segment(Meter::Input, 10, 1), clampable(50, 13, 7)];
    assert_eq!(short_of_funds(bench.hold(quote(2, &asked))), (101, false));
}

#[test]
fn clamping_counts_grants_and_limits_of_spend_in() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 12)]);
    let mut asked = quote(1, &[segment(Meter::Input, 10, 1), clampable(1000, 1, 7)]);
    asked.counters = vec![counter("k/spend", Ask::Money, 30, Window::Total)];
    let hold = bench.hold(asked).expect("it is clamped");
    assert_eq!((hold.counts, hold.money.get()), (vec![10, 6], 28));
    assert_eq!(bench.grant("g"), (0, 12));
}

#[test]
fn clamping_an_early_part_hands_its_free_units_to_a_later_one() {
    let mut bench = Bench::new(20, 0, vec![grant("g", GrantUnit::Tokens, 10)]);
    let early = Segment {
        meter: Meter::Input,
        ..clampable(10, 2, 1)
    };
    let hold = bench.hold(quote(1, &[early, segment(Meter::Output, 10, 5)]));
    let hold = hold.expect("six free units move on");
    assert_eq!((hold.counts, hold.money.get()), (vec![4, 10], 20));
    assert_eq!(takes(&hold_of(&mut bench, 1)), [("g", 10)]);
}

fn hold_of(bench: &mut Bench, number: u64) -> Hold {
    bench
        .hold(costs(number, 1))
        .expect("a live hold is answered again")
}

#[test]
fn a_quote_of_two_to_the_53_nano_is_too_large() {
    let mut bench = Bench::new(1 << 60, 0, vec![]);
    let edge = 1_u64 << 53;
    assert_eq!(bench.hold(costs(1, edge)), Err(Refusal::TooLarge));
    let product = quote(2, &[segment(Meter::Output, 1 << 27, 1 << 26)]);
    assert_eq!(bench.hold(product), Err(Refusal::TooLarge));
    let overflow = quote(3, &[segment(Meter::Output, u64::MAX, i64::MAX)]);
    assert_eq!(bench.hold(overflow), Err(Refusal::TooLarge));
    let negative = quote(4, &[segment(Meter::Output, 1, -1)]);
    assert_eq!(bench.hold(negative), Err(Refusal::TooLarge));
    let halves = |first| {
        let second = segment(Meter::Output, edge / 2, 1);
        [segment(Meter::Input, first, 1), second]
    };
    assert_eq!(
        bench.hold(quote(5, &halves(edge / 2))),
        Err(Refusal::TooLarge)
    );
    let count = quote(6, &[segment(Meter::Output, 1 << 63, 0)]);
    assert_eq!(bench.hold(count), Err(Refusal::TooLarge));
    for (number, fits) in [
        (7, quote(7, &halves(edge / 2 - 1))),
        (8, costs(8, edge - 1)),
    ] {
        let hold = bench.hold(fits).expect("one nano less is fine");
        assert_eq!(hold.money.get().unsigned_abs(), edge - 1, "{number}");
    }
}

#[test]
fn a_refusal_changes_nothing() {
    let mut bench = Bench::new(100, 0, vec![grant("g", GrantUnit::Tokens, 5)]);
    let mut asked = costs(1, 50);
    asked.counters = vec![
        counter("k/spend", Ask::Money, 90, Window::Total),
        counter("k/count", Ask::Fixed(2), 1, Window::Total),
    ];
    let before = bench.view();
    assert_eq!(limited(bench.hold(asked)).0, 1);
    assert_eq!(bench.view(), before);
}
