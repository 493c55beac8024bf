//! Counters across windows: totals, periods, buckets, concurrency; limits of spend.

use tollgate::ledger::hold::{Charge, Quote, Refusal};
use tollgate::ledger::limit::{Ask, CounterAsk, CounterState, Window};
use tollgate::usage::Meter;

use crate::bench::{Bench, limited};
use crate::kit::*;

/// A refusal by the first counter, a bucket.
fn too_fast(need: u64, cap: u64, remaining: u64, full_at: u64, retry_ms: u64) -> Refusal {
    Refusal::Limit {
        index: 0,
        need,
        state: CounterState {
            cap,
            remaining,
            reset_at: Some(START.plus(full_at)),
        },
        held_by_others: false,
        retry_after_ms: Some(retry_ms),
    }
}

fn held_by_others(refusal: Refusal) -> Refusal {
    let Refusal::Limit {
        index,
        need,
        state,
        retry_after_ms,
        ..
    } = refusal
    else {
        return refusal;
    };
    Refusal::Limit {
        index,
        need,
        state,
        held_by_others: true,
        retry_after_ms,
    }
}

async fn a_cap_counts_what_is_used_what_is_held_and_what_is_asked(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let tokens = |number, ask| {
        counted(
            number,
            &[counter("k/tokens", Ask::Fixed(ask), 10, Window::Total)],
        )
    };
    bench.admit(tokens(1, 6)).await;
    assert_eq!(
        bench.hold(tokens(2, 5)).await,
        Err(limited(0, 5, (10, 4), true))
    );
    assert_eq!(
        bench.hold(tokens(3, 11)).await,
        Err(limited(0, 11, (10, 4), false))
    );
    let settled = bench.settled(1, counts(&[99])).await;
    assert_eq!(settled.counters[0].remaining, 4, "at most what was held");
    assert_eq!(bench.counter("k/tokens").await, Some((6, 0)));
    assert_eq!(
        bench.hold(tokens(4, 5)).await,
        Err(limited(0, 5, (10, 4), false))
    );
    assert_eq!(bench.admit(tokens(5, 4)).await.counters[0].remaining, 0);
}

async fn a_cap_follows_what_is_asked_last(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let tokens = |number, cap| {
        counted(
            number,
            &[counter("k/tokens", Ask::Fixed(4), cap, Window::Total)],
        )
    };
    bench.admit(tokens(1, 10)).await;
    bench.settled(1, counts(&[4])).await;
    assert_eq!(
        bench.hold(tokens(2, 3)).await,
        Err(limited(0, 4, (3, 0), false))
    );
    assert_eq!(bench.admit(tokens(3, 8)).await.counters[0].remaining, 0);
}

async fn caps_are_exact_to_the_end_of_64_bits(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for (place, edge) in [EXACT, 1 << 61, 1 << 63, u64::MAX - 1]
        .into_iter()
        .enumerate()
    {
        let name = format!("k/{place}");
        let ask = |number: u64, amount| {
            let ask = counter(&name, Ask::Fixed(amount), edge + 1, Window::Total);
            counted(10 * place as u64 + number, &[ask])
        };
        let number = 10 * place as u64;
        bench.admit(ask(1, edge)).await;
        let more = bench.hold(ask(2, 2)).await;
        assert_eq!(more, Err(limited(0, 2, (edge + 1, 1), true)));
        bench.settled(number + 1, counts(&[edge - 1])).await;
        assert_eq!(bench.counter(&name).await, Some((edge - 1, 0)));
        let more = bench.hold(ask(3, 3)).await;
        assert_eq!(more, Err(limited(0, 3, (edge + 1, 2), false)));
        assert_eq!(bench.admit(ask(4, 2)).await.counters[0].remaining, 0);
    }
}

async fn a_counter_that_is_named_twice_is_asked_twice(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let twice = |number, ask| {
        let ask = counter("k/tokens", Ask::Fixed(ask), 10, Window::Total);
        counted(number, &[ask.clone(), ask])
    };
    assert_eq!(
        bench.hold(twice(1, 6)).await,
        Err(limited(1, 6, (10, 4), false))
    );
    bench.admit(twice(2, 5)).await;
    assert_eq!(bench.counter("k/tokens").await, Some((0, 10)));
    bench.settled(2, counts(&[4, 3])).await;
    assert_eq!(bench.counter("k/tokens").await, Some((7, 0)));
}

async fn a_counter_of_another_window_is_another_counter(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let windows = [
        Window::Total,
        period(START, DAY_MS),
        MINUTE,
        Window::Concurrent,
    ];
    let all = windows.map(|window| counter("k/c", Ask::Fixed(5), 5, window));
    bench.admit(counted(1, &all)).await;
    assert_eq!(bench.view().await.counters.len(), 4);
}

async fn wallets_do_not_share_counters(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    let ask = [counter("same", Ask::Fixed(3), 5, Window::Total)];
    bench.admit(counted(1, &ask)).await;
    bench.admit(of("v", "j", counted(2, &ask))).await;
}

fn of_period(number: u64, window: Window, ask: u64) -> Quote {
    let Window::Period { start, .. } = window else {
        panic!("no period");
    };
    let name = format!("k/day/requests/{}", start.0);
    counted(number, &[counter(&name, Ask::Fixed(ask), 10, window)])
}

async fn a_period_is_in_force_from_its_first_millisecond_to_its_last(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let today = period(START, DAY_MS);
    let tomorrow = period(START.plus(DAY_MS), DAY_MS);
    let refused = |now| Err(Refusal::Period { now });
    assert_eq!(bench.hold(of_period(1, tomorrow, 1)).await, refused(START));
    bench.admit(of_period(2, today, 6)).await;
    bench.later(DAY_MS - 1);
    let state = CounterState {
        cap: 10,
        remaining: 10,
        reset_at: Some(START.plus(DAY_MS)),
    };
    let refusal = Refusal::Limit {
        index: 0,
        need: 11,
        state,
        held_by_others: false,
        retry_after_ms: None,
    };
    assert_eq!(bench.hold(of_period(3, today, 11)).await, Err(refusal));
    bench.later(1);
    assert_eq!(
        bench.hold(of_period(4, today, 1)).await,
        refused(START.plus(DAY_MS))
    );
    assert_eq!(
        bench.admit(of_period(5, tomorrow, 10)).await.counters[0].remaining,
        0
    );
}

async fn a_request_counts_in_the_period_of_its_hold(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let mut asked = of_period(1, period(START, DAY_MS), 6);
    asked.lease_ms = 2 * DAY_MS;
    bench.admit(asked).await;
    bench.later(DAY_MS);
    bench
        .admit(of_period(2, period(bench.now(), DAY_MS), 6))
        .await;
    let settled = bench.settled(1, counts(&[5])).await;
    assert_eq!(settled.counters[0].remaining, 5);
    assert_eq!(settled.counters[0].reset_at, Some(START.plus(DAY_MS)));
    let name = format!("k/day/requests/{}", START.0);
    assert_eq!(bench.counter(&name).await, Some((5, 0)));
}

async fn counters_of_periods_over_for_a_day_go_when_the_next_appears(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(of_period(1, period(START, HOUR_MS), 1)).await;
    bench.settled(1, counts(&[1])).await;
    bench.later(HOUR_MS + DAY_MS - 1);
    bench
        .admit(of_period(2, period(bench.now(), HOUR_MS), 1))
        .await;
    bench.settled(2, counts(&[1])).await;
    assert_eq!(bench.view().await.counters.len(), 2);
    bench.later(1);
    bench
        .admit(of_period(3, period(bench.now(), HOUR_MS), 1))
        .await;
    assert_eq!(bench.view().await.counters.len(), 2, "the oldest is gone");
}

/// A quote of a nano that asks this much of a bucket.
fn rate(number: u64, ask: u64, cap: u64) -> Quote {
    counted(number, &[rate_of(ask, cap)])
}

fn rate_of(ask: u64, cap: u64) -> CounterAsk {
    counter("k/rate", Ask::Fixed(ask), cap, MINUTE)
}

async fn a_bucket_refills_exactly_and_says_when_to_come_back(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(rate(1, 7, 7)).await;
    bench.settled(1, counts(&[7])).await;
    // 7 units a minute: a unit takes 8,571 and 3/7 ms.
    let refusal = too_fast(1, 7, 0, MINUTE_MS, 8_572);
    assert_eq!(bench.hold(rate(2, 1, 7)).await, Err(refusal));
    bench.later(8_571);
    let refusal = too_fast(1, 7, 0, MINUTE_MS, 1);
    assert_eq!(bench.hold(rate(3, 1, 7)).await, Err(refusal));
    bench.later(1);
    bench.admit(rate(4, 1, 7)).await;
    bench.settled(4, counts(&[1])).await;
    assert_eq!(
        bench.counter("k/rate").await,
        Some((7, 0)),
        "but for a fraction"
    );
    bench.later(MINUTE_MS);
    assert_eq!(bench.counter("k/rate").await, Some((0, 0)));
}

async fn a_bucket_takes_more_than_its_cap_when_full_and_falls_into_debt(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    assert_eq!(bench.admit(rate(1, 50, 6)).await.counters[0].remaining, 0);
    let settled = bench.settled(1, counts(&[9])).await;
    assert_eq!(settled.counters[0].remaining, 0);
    assert_eq!(settled.counters[0].reset_at, Some(START.plus(90_000)));
    // In debt by 3: 30 s to nothing, 10 s to a unit.
    let refusal = too_fast(1, 6, 0, 90_000, 40_000);
    assert_eq!(bench.hold(rate(2, 1, 6)).await, Err(refusal));
    assert_eq!(bench.counter("k/rate").await, Some((9, 0)));
    bench.later(40_000);
    bench.admit(rate(3, 1, 6)).await;
}

async fn a_bucket_gives_back_what_a_settle_did_not_need_and_all_of_a_void(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(rate(1, 6, 6)).await;
    let refusal = too_fast(2, 6, 0, MINUTE_MS, 20_000);
    assert_eq!(
        bench.hold(rate(2, 2, 6)).await,
        Err(held_by_others(refusal))
    );
    bench.settled(1, counts(&[2])).await;
    assert_eq!(bench.admit(rate(3, 4, 6)).await.counters[0].remaining, 0);
    bench.void(3).await.expect("it is live");
    assert_eq!(bench.counter("k/rate").await, Some((2, 0)));
}

async fn a_bucket_under_a_lower_cap_holds_no_more_than_that(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(rate(1, 1, 10)).await;
    bench.settled(1, counts(&[1])).await;
    assert_eq!(bench.admit(rate(2, 1, 4)).await.counters[0].remaining, 3);
    let hold = bench.admit(rate(3, 1, 10)).await;
    assert_eq!((hold.counters[0].cap, hold.counters[0].remaining), (10, 2));
}

async fn live_holds_have_no_more_than_64_bits_of_a_bucket(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(rate(1, u64::MAX - 3, u64::MAX)).await;
    bench.later(500);
    assert_eq!(
        bench.hold(rate(2, 4, u64::MAX)).await,
        Err(Refusal::TooLarge)
    );
    bench.admit(rate(3, 3, u64::MAX)).await;
}

async fn concurrency_counts_live_holds_and_keeps_nothing(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let parallel = |number| {
        let ask = counter("k/parallel", Ask::Fixed(1), 2, Window::Concurrent);
        counted(number, &[ask])
    };
    bench.admit(parallel(1)).await;
    bench.admit(parallel(2)).await;
    assert_eq!(
        bench.hold(parallel(3)).await,
        Err(limited(0, 1, (2, 0), true))
    );
    bench.settled(1, counts(&[1])).await;
    bench.admit(parallel(4)).await;
    bench.void(2).await.expect("it is live");
    bench.admit(parallel(5)).await;
    bench.later(LEASE_MS);
    bench.admit(parallel(6)).await;
    assert_eq!(bench.counter("k/parallel").await, Some((0, 1)));
}

async fn a_limit_of_spend_counts_money_only_and_a_free_request_passes_a_spent_one(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let spend = |number, price| {
        let mut asked = quote(number, &[segment(Meter::Output, 10, price)]);
        asked.counters = vec![counter("k/spend", Ask::Money, 30, Window::Total)];
        asked
    };
    bench.admit(spend(1, 3)).await;
    let refusal = limited(0, 10, (30, 0), true);
    assert_eq!(bench.hold(spend(2, 1)).await, Err(refusal));
    // What a charge says of a counter of money is not looked at.
    let charged = Charge {
        counters: vec![7],
        ..charge(29)
    };
    assert_eq!(bench.settled(1, charged).await.counters[0].remaining, 1);
    assert_eq!(
        bench.hold(spend(3, 1)).await,
        Err(limited(0, 10, (30, 1), false))
    );
    assert_eq!(bench.admit(spend(4, 0)).await.counters[0].remaining, 1);
}

async fn a_charge_that_names_no_amount_counts_what_was_held(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let asks = ["k/a", "k/b"].map(|name| counter(name, Ask::Fixed(4), 9, Window::Total));
    bench.admit(counted(1, &asks)).await;
    bench.settled(1, counts(&[1])).await;
    assert_eq!(bench.counter("k/a").await, Some((1, 0)));
    assert_eq!(bench.counter("k/b").await, Some((4, 0)));
}

crate::stores::on_every_store!(
    a_cap_counts_what_is_used_what_is_held_and_what_is_asked,
    a_cap_follows_what_is_asked_last,
    caps_are_exact_to_the_end_of_64_bits,
    a_counter_that_is_named_twice_is_asked_twice,
    a_counter_of_another_window_is_another_counter,
    wallets_do_not_share_counters,
    a_period_is_in_force_from_its_first_millisecond_to_its_last,
    a_request_counts_in_the_period_of_its_hold,
    counters_of_periods_over_for_a_day_go_when_the_next_appears,
    a_bucket_refills_exactly_and_says_when_to_come_back,
    a_bucket_takes_more_than_its_cap_when_full_and_falls_into_debt,
    a_bucket_gives_back_what_a_settle_did_not_need_and_all_of_a_void,
    a_bucket_under_a_lower_cap_holds_no_more_than_that,
    live_holds_have_no_more_than_64_bits_of_a_bucket,
    concurrency_counts_live_holds_and_keeps_nothing,
    a_limit_of_spend_counts_money_only_and_a_free_request_passes_a_spent_one,
    a_charge_that_names_no_amount_counts_what_was_held,
);
