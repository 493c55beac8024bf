//! Counters: totals, periods, buckets, concurrency.

use super::fixture::*;
use crate::clock::UnixMs;
use crate::ledger::hold::{Charge, Quote, Refusal};
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

const MINUTE: Window = Window::Bucket { refill_ms: 60_000 };

fn counted(number: u64, counters: Vec<CounterAsk>) -> Quote {
    Quote {
        counters,
        ..costs(number, 1)
    }
}

fn actual(counts: &[u64]) -> Charge {
    Charge {
        counters: counts.to_vec(),
        ..charge(1)
    }
}

fn day(number: i64) -> Window {
    let start = UnixMs(number * 1_000_000);
    Window::Period {
        start,
        end: start.plus(1_000_000),
    }
}

#[test]
fn a_cap_counts_what_is_used_what_is_held_and_what_is_asked() {
    let mut bench = Bench::new(100, 0, vec![]);
    let tokens = |ask| vec![counter("k/tokens", Ask::Fixed(ask), 10, Window::Total)];
    bench.hold(counted(1, tokens(6))).expect("it fits");
    assert_eq!(limited(bench.hold(counted(2, tokens(5)))), (0, true, None));
    assert_eq!(
        limited(bench.hold(counted(3, tokens(11)))),
        (0, false, None)
    );
    bench.settle(1, actual(&[99])).expect("live");
    assert_eq!(
        bench.counter("k/tokens"),
        Some((6, 0)),
        "at most what was held"
    );
    assert_eq!(limited(bench.hold(counted(4, tokens(5)))), (0, false, None));
    let hold = bench.hold(counted(5, tokens(4))).expect("exactly the rest");
    assert_eq!(hold.counters[0].remaining, 0);
}

#[test]
fn a_bucket_that_refills_in_more_than_two_and_a_half_hours_is_too_large() {
    let mut bench = Bench::new(100, 0, vec![]);
    let slow = |refill_ms| {
        let window = Window::Bucket { refill_ms };
        vec![counter("k/tokens", Ask::Fixed(1), 10, window)]
    };
    let most = Window::REFILL_MS_MAX;
    assert_eq!(
        bench.hold(counted(1, slow(most + 1))),
        Err(Refusal::TooLarge)
    );
    bench.hold(counted(2, slow(most))).expect("it fits");
}

#[test]
fn a_counter_that_is_named_twice_is_asked_twice() {
    let mut bench = Bench::new(100, 0, vec![]);
    let twice = |ask| vec![counter("k/tokens", Ask::Fixed(ask), 10, Window::Total); 2];
    assert_eq!(limited(bench.hold(counted(1, twice(6)))), (1, false, None));
    bench.hold(counted(2, twice(5))).expect("it fits");
    assert_eq!(bench.counter("k/tokens"), Some((0, 10)));
    bench.settle(2, actual(&[3, 4])).expect("live");
    assert_eq!(bench.counter("k/tokens"), Some((7, 0)));
}

/// Rivals: litellm #25495 #20688: budgets were not reset, because the job that does it had failed. Here the period
/// is a part of the name.
#[test]
fn a_period_that_is_not_now_asks_for_another_quote() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.now = UnixMs(1_999_999);
    let asked =
        |number, window| counted(number, vec![counter("k/day/1", Ask::Fixed(1), 9, window)]);
    bench.hold(asked(1, day(1))).expect("its last millisecond");
    bench.later(1);
    let moved = Err(Refusal::Period { now: bench.now });
    assert_eq!(bench.hold(asked(2, day(1))), moved);
    assert_eq!(bench.hold(asked(3, day(3))), moved);
    bench.settle(1, actual(&[1])).expect("live");
    assert_eq!(
        bench.counter("k/day/1"),
        Some((1, 0)),
        "it counts where it was held"
    );
}

#[test]
fn counters_of_periods_long_over_go_when_the_next_appears() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, limit: &str, day_number: i64| {
        let name = format!("k/{limit}/{day_number}");
        counted(
            number,
            vec![counter(&name, Ask::Fixed(1), 9, day(day_number))],
        )
    };
    bench.hold(asked(1, "a", 1)).expect("it fits");
    bench.hold(asked(2, "b", 1)).expect("it fits");
    bench.void(1).expect("live");
    bench.void(2).expect("live");
    bench.now = UnixMs(100_000_000);
    bench.hold(asked(3, "a", 100)).expect("it fits");
    let left: Vec<String> = bench
        .view()
        .counters
        .into_iter()
        .map(|one| one.key)
        .collect();
    assert_eq!(left, ["k/a/100", "k/b/1"]);
}

#[test]
fn a_bucket_refills_exactly_and_says_when_to_come_back() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, ask| counted(number, vec![counter("k/rpm", Ask::Fixed(ask), 7, MINUTE)]);
    bench.hold(asked(1, 7)).expect("it is full");
    bench.settle(1, actual(&[7])).expect("live");
    let (_, _, retry) = limited(bench.hold(asked(2, 1)));
    assert_eq!(retry, Some(8572), "60,000 / 7, rounded up");
    bench.later(8571);
    assert_eq!(limited(bench.hold(asked(3, 1))), (0, false, Some(1)));
    bench.later(1);
    let hold = bench.hold(asked(4, 1)).expect("now");
    assert_eq!(hold.counters[0].remaining, 0);
    bench.later(1_000_000);
    assert_eq!(
        limited(bench.hold(counted(5, vec![counter("k/rpm", Ask::Fixed(1), 0, MINUTE)]))),
        (0, false, None)
    );
    let hold = bench.hold(asked(6, 3)).expect("full, and no fuller");
    assert_eq!(hold.counters[0].remaining, 4);
}

#[test]
fn a_bucket_takes_a_request_beyond_its_cap_when_full_and_falls_into_debt() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, ask| counted(number, vec![counter("k/tpm", Ask::Fixed(ask), 10, MINUTE)]);
    bench.hold(asked(1, 25)).expect("it is full");
    assert_eq!(bench.counter("k/tpm"), Some((0, 10)), "the cap is debited");
    let settled = bench.settle(1, actual(&[25])).expect("live");
    assert_eq!(settled.counters[0].remaining, 0);
    assert_eq!(settled.counters[0].reset_at, Some(bench.now.plus(150_000)));
    assert_eq!(
        limited(bench.hold(asked(2, 1))).2,
        Some(96_000),
        "15 of debt and 1"
    );
}

#[test]
fn a_bucket_gives_back_what_a_settle_did_not_need_and_all_of_a_void() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, ask| counted(number, vec![counter("k/tpm", Ask::Fixed(ask), 10, MINUTE)]);
    bench.hold(asked(1, 8)).expect("it is full");
    assert!(limited(bench.hold(asked(2, 3))).1, "only held");
    let settled = bench.settle(1, actual(&[2])).expect("live");
    assert_eq!(settled.counters[0].remaining, 8);
    bench.hold(asked(3, 8)).expect("it fits");
    bench.later(6_000);
    bench.void(3).expect("live");
    assert_eq!(bench.counter("k/tpm"), Some((1, 0)));
    bench.later(60_000);
    bench.hold(asked(4, 10)).expect("full, not fuller");
    assert!(limited(bench.hold(asked(5, 1))).1);
}

#[test]
fn a_bucket_that_filled_up_while_a_hold_was_live_is_not_charged_twice() {
    let mut bench = Bench::new(100, 0, vec![]);
    let mut asked = counted(1, vec![counter("k/tpm", Ask::Fixed(10), 10, MINUTE)]);
    asked.lease_ms = 600_000;
    bench.hold(asked).expect("it is full");
    bench.later(60_000);
    let settled = bench.settle(1, actual(&[10])).expect("live");
    assert_eq!(settled.counters[0].remaining, 10);
}

#[test]
fn a_bucket_under_a_lower_cap_holds_no_more_than_that() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked =
        |number, ask, cap| counted(number, vec![counter("k/tpm", Ask::Fixed(ask), cap, MINUTE)]);
    bench.hold(asked(1, 1, 100)).expect("it is full");
    let hold = bench.hold(asked(2, 1, 5)).expect("it fits");
    assert_eq!(hold.counters[0].remaining, 4);
    let hold = bench.hold(asked(3, 1, 100)).expect("it fits");
    assert_eq!(
        hold.counters[0].remaining, 3,
        "a higher cap fills by and by"
    );
}

#[test]
fn concurrency_counts_live_holds_and_keeps_nothing() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number| {
        counted(
            number,
            vec![counter("k/parallel", Ask::Fixed(1), 2, Window::Concurrent)],
        )
    };
    bench.hold(asked(1)).expect("the first");
    bench.hold(asked(2)).expect("the second");
    assert_eq!(limited(bench.hold(asked(3))), (0, true, None));
    bench.settle(1, actual(&[1])).expect("live");
    bench.hold(asked(4)).expect("a place is free");
    bench.void(2).expect("live");
    bench.void(4).expect("live");
    assert_eq!(bench.counter("k/parallel"), Some((0, 0)));
}

#[test]
fn a_free_request_passes_a_spent_limit_on_spending() {
    let mut bench = Bench::new(100, 0, vec![]);
    let spend = || vec![counter("k/spend", Ask::Money, 5, Window::Total)];
    let asked = |number, money| Quote {
        counters: spend(),
        ..costs(number, money)
    };
    bench.hold(asked(1, 5)).expect("it fits");
    bench.settle(1, charge(5)).expect("live");
    assert_eq!(limited(bench.hold(asked(2, 1))), (0, false, None));
    bench.hold(asked(3, 0)).expect("it asks for no money");
}

#[test]
fn a_counter_of_another_window_is_another_counter() {
    let mut bench = Bench::new(100, 0, vec![]);
    let asked = |number, window| counted(number, vec![counter("k/x", Ask::Fixed(2), 2, window)]);
    for (number, window) in [(1, Window::Total), (2, MINUTE), (3, Window::Concurrent)] {
        bench
            .hold(asked(number, window))
            .expect("a counter of its own");
    }
    for number in [1, 2, 3] {
        bench.settle(number, actual(&[2])).expect("live");
    }
    assert!(!limited(bench.hold(asked(4, Window::Total))).1);
    bench
        .hold(asked(5, Window::Concurrent))
        .expect("nothing is kept");
}

#[test]
fn counters_of_huge_caps_and_amounts_do_not_overflow() {
    let mut bench = Bench::new(100, 0, vec![]);
    let huge = |number, window| {
        counted(
            number,
            vec![counter("k/x", Ask::Fixed(u64::MAX), u64::MAX, window)],
        )
    };
    for (number, window) in [(1, Window::Total), (2, MINUTE), (3, Window::Concurrent)] {
        bench.hold(huge(number, window)).expect("the cap admits it");
        assert!(matches!(
            bench.hold(huge(number + 10, window)),
            Err(Refusal::Limit { .. })
        ));
        bench.settle(number, actual(&[u64::MAX])).expect("live");
        bench.later(1_000);
    }
}

#[test]
fn live_holds_have_no_more_than_64_bits_of_a_bucket() {
    let mut bench = Bench::new(100, 0, vec![]);
    let rate = |ask| vec![counter("k/rate", Ask::Fixed(ask), u64::MAX, MINUTE)];
    bench.hold(counted(1, rate(u64::MAX - 3))).expect("full");
    bench.later(500);
    assert_eq!(bench.hold(counted(2, rate(4))), Err(Refusal::TooLarge));
    bench.hold(counted(3, rate(3))).expect("exactly the range");
    bench.void(1).expect("live");
    bench
        .hold(counted(4, rate(4)))
        .expect("there is room again");
}

#[test]
fn wallets_do_not_share_counters() {
    let mut bench = Bench::new(100, 0, vec![]);
    let other = NewWallet {
        id: id("v"),
        credit_line: Nano::new(100),
        opening: None,
        grants: vec![],
    };
    bench.open(other).expect("fresh");
    bench.put_key(key("l", "v"), 2).expect("fresh");
    let asked = |number| counted(number, vec![counter("x", Ask::Fixed(1), 1, Window::Total)]);
    bench.hold(asked(1)).expect("it fits");
    let mut elsewhere = asked(2);
    (elsewhere.wallet, elsewhere.key) = (id("v"), id("l"));
    bench.hold(elsewhere).expect("a counter of its own");
}
