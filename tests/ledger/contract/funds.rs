//! Who pays for a worst case: grants, then money; floors, clamps, and refusals with all their fields.

use futures_util::future::join_all;
use tollgate::ledger::grant::{Grant, GrantUnit};
use tollgate::ledger::hold::{Charge, FreeUnits, Hold, Quote, Refusal};
use tollgate::ledger::limit::{Ask, Window};
use tollgate::usage::Meter;

use crate::bench::{Bench, funds, limited};
use crate::kit::*;

fn takes(hold: &Hold) -> Vec<(&str, GrantUnit, u64)> {
    let takes = hold.taken.iter();
    let takes = takes.map(|take| (take.grant.as_str(), take.unit, take.units));
    takes.collect()
}

async fn a_hold_answers_all_that_it_reserved(bench: &Bench) {
    let grants = [grant("gift", GrantUnit::Tokens, 4)];
    bench.furnish(100, 0, &grants).await;
    let mut asked = quote(
        1,
        &[segment(Meter::Input, 10, 2), segment(Meter::Output, 5, 3)],
    );
    asked.counters = vec![counter("k/spend", Ask::Money, 50, Window::Total)];
    let hold = bench.admit(asked).await;
    assert_eq!(hold.id, hold_ref("w", 1));
    assert_eq!(hold.money, nano(27));
    assert_eq!(takes(&hold), [("gift", GrantUnit::Tokens, 4)]);
    assert_eq!(hold.counts, [10, 5]);
    assert_eq!(hold.balance, nano(100));
    assert_eq!((hold.counters[0].cap, hold.counters[0].remaining), (50, 23));
    assert_eq!(hold.lease_until, bench.now().plus(LEASE_MS));
    let view = bench.view().await;
    assert_eq!((view.balance, view.held), (nano(100), nano(27)));
    assert_eq!((view.available, view.holds), (nano(73), 1));
}

async fn exactly_the_floor_is_admitted_and_one_nano_more_is_not(bench: &Bench) {
    for (place, (balance, line)) in [(100, 0), (100, 50), (0, 50)].into_iter().enumerate() {
        let (wallet, key) = (format!("w{place}"), format!("k{place}"));
        bench.furnish_as(&wallet, &key, balance, line, &[]).await;
        let most = (balance + line).unsigned_abs();
        let number = 10 * place as u64;
        let ask = |number, money| of(&wallet, &key, costs(number, money));
        let more = bench.hold(ask(number, most + 1)).await;
        assert_eq!(more, Err(funds(most + 1, signed(most), false)));
        assert_eq!(
            bench.admit(ask(number + 1, most)).await.money,
            nano(signed(most))
        );
        let next = bench.hold(ask(number + 2, 1)).await;
        assert_eq!(next, Err(funds(1, 0, true)));
    }
}

async fn a_floor_is_exact_where_doubles_are_not(bench: &Bench) {
    // What is there are 9 nano, as the difference of two amounts near 2^61.
    bench.furnish(0, 1 << 61, &[]).await;
    bench.adjust("down", 9 - (1 << 61)).await;
    assert_eq!(bench.money().await, (9 - (1 << 61), 0, 9));
    assert_eq!(bench.hold(costs(1, 10)).await, Err(funds(10, 9, false)));
    assert_eq!(bench.admit(costs(2, 9)).await.balance, nano(9 - (1 << 61)));
    let settled = bench.settled(2, charge(8)).await;
    assert_eq!(settled.balance, nano(1 - (1 << 61)));
    assert_eq!(bench.hold(costs(3, 2)).await, Err(funds(2, 1, false)));
    bench.admit(costs(4, 1)).await;
}

async fn what_others_hold_is_told_apart_from_what_is_spent(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 80)).await;
    assert_eq!(bench.hold(costs(2, 50)).await, Err(funds(50, 20, true)));
    assert_eq!(bench.hold(costs(3, 101)).await, Err(funds(101, 20, false)));
    bench.settled(1, charge(80)).await;
    assert_eq!(bench.hold(costs(4, 50)).await, Err(funds(50, 20, false)));
}

async fn what_others_hold_of_a_grant_counts_as_held(bench: &Bench) {
    bench
        .furnish(0, 0, &[grant("gift", GrantUnit::Tokens, 10)])
        .await;
    bench.admit(costs(1, 8)).await;
    assert_eq!(bench.hold(costs(2, 5)).await, Err(funds(3, 0, true)));
    assert_eq!(bench.hold(costs(3, 11)).await, Err(funds(9, 0, false)));
    let free = free_tokens(8);
    bench.settled(1, Charge { free, ..charge(0) }).await;
    assert_eq!(bench.hold(costs(4, 5)).await, Err(funds(3, 0, false)));
}

async fn funds_are_refused_before_limits_and_limits_in_their_order(bench: &Bench) {
    bench.furnish(10, 0, &[]).await;
    let limits = [
        counter("k/a", Ask::Fixed(1), 5, Window::Total),
        counter("k/b", Ask::Fixed(7), 6, Window::Total),
        counter("k/c", Ask::Fixed(9), 6, Window::Total),
    ];
    let asked = |money| Quote {
        counters: limits.to_vec(),
        ..costs(1, money)
    };
    assert_eq!(bench.hold(asked(11)).await, Err(funds(11, 10, false)));
    let refusal = limited(1, 7, (6, 6), false);
    assert_eq!(bench.hold(asked(10)).await, Err(refusal));
}

async fn a_refusal_changes_nothing(bench: &Bench) {
    let grants = [
        grant("gift", GrantUnit::Tokens, 5),
        grant("money", GrantUnit::Money, 5),
    ];
    bench.furnish(100, 0, &grants).await;
    let before = bench.view().await;
    let mut asked = costs(1, 50);
    asked.idempotency = claim("token", 1);
    asked.counters = vec![
        counter("k/spend", Ask::Money, 90, Window::Total),
        counter("k/rate", Ask::Fixed(1), 5, MINUTE),
        counter("k/count", Ask::Fixed(2), 1, Window::Total),
    ];
    assert_eq!(
        bench.hold(asked.clone()).await,
        Err(limited(2, 2, (1, 1), false))
    );
    assert_eq!(bench.view().await, before);
    asked.request = request(2);
    asked.counters.pop();
    bench.admit(asked).await;
}

async fn concurrent_holds_never_pass_what_is_there(bench: &Bench) {
    let grants = [grant("gift", GrantUnit::Tokens, 7)];
    bench.furnish(100, 13, &grants).await;
    let parallel = counter("k/parallel", Ask::Fixed(1), 10, Window::Concurrent);
    let asks = (1..=60).map(|number| {
        let mut asked = costs(number, 8);
        asked.counters = vec![counter("k/spend", Ask::Money, 90, Window::Total)];
        if number % 3 == 0 {
            asked.counters.push(parallel.clone());
        }
        bench.hold(asked)
    });
    let answers = join_all(asks).await;
    let admitted: Vec<Hold> = answers.into_iter().flatten().collect();
    // 7 of the first 8 tokens are free; a cap of 90 leaves room for 11 more at 8 each.
    assert_eq!(admitted.len(), 12);
    let money: i64 = admitted.iter().map(|hold| hold.money.get()).sum();
    assert_eq!((money, bench.grant("gift").await), (89, (0, 7)));
    assert_eq!(bench.money().await, (100, 89, 24));
    let numbers = admitted.iter().map(|hold| {
        let bytes = hold.id.request.as_bytes();
        u64::from(bytes[15])
    });
    let settles = numbers.map(|number| bench.settle(number, charge(0)));
    assert!(join_all(settles).await.iter().all(Result::is_ok));
    assert_eq!(bench.money().await, (100, 0, 113));
}

async fn the_same_hold_sent_many_times_at_once_is_one_hold(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let answers = join_all((0..20).map(|_| bench.hold(costs(1, 60)))).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == answers[0] && answer.is_ok())
    );
    assert_eq!(bench.money().await, (100, 60, 40));
}

async fn a_free_request_passes_a_wallet_below_zero_and_burns_no_grant(bench: &Bench) {
    bench
        .furnish(10, 0, &[grant("gift", GrantUnit::Tokens, 5)])
        .await;
    bench.adjust("down", -50).await;
    let segments = [segment(Meter::Input, 9, 0), segment(Meter::Output, 9, 0)];
    let hold = bench.admit(quote(1, &segments)).await;
    assert_eq!((takes(&hold), hold.money), (vec![], nano(0)));
    assert_eq!(bench.grant("gift").await, (0, 0));
    assert_eq!(bench.hold(costs(2, 6)).await, Err(funds(1, 0, false)));
}

async fn grants_burn_soonest_expiry_first_then_narrowest_then_by_name(bench: &Bench) {
    let end = |ms| Some(bench.now().plus(ms));
    let given = |name: &str, expires_at, only: &[&str]| Grant {
        expires_at,
        models: models(only),
        ..grant(name, GrantUnit::Tokens, 1)
    };
    let grants = [
        given("never", None, &["m"]),
        given("wide", end(9), &[]),
        given("two", end(9), &["m", "n"]),
        given("one-b", end(9), &["m"]),
        given("one-a", end(9), &["m"]),
        given("soon", end(1), &[]),
        given("other", end(1), &["n"]),
    ];
    bench.furnish(0, 0, &grants).await;
    let order = ["other", "soon", "one-a", "one-b", "two", "wide", "never"];
    let view = bench.view().await;
    let names: Vec<&str> = view
        .grants
        .iter()
        .map(|state| state.grant.name.as_str())
        .collect();
    assert_eq!(names, order, "as shown");
    let hold = bench.admit(costs(1, 6)).await;
    let names: Vec<&str> = takes(&hold).iter().map(|take| take.0).collect();
    assert_eq!(names, order[1..], "as taken");
}

async fn a_grant_ends_with_the_instant_of_its_expiry_but_a_hold_keeps_its_units(bench: &Bench) {
    let given = Grant {
        expires_at: Some(bench.now().plus(500)),
        ..grant("gift", GrantUnit::Tokens, 10)
    };
    bench.furnish(0, 0, &[given]).await;
    bench.later(499);
    bench.admit(costs(1, 6)).await;
    bench.later(1);
    assert_eq!(bench.hold(costs(2, 1)).await, Err(funds(1, 0, false)));
    let free = free_tokens(6);
    let settled = bench.settled(1, Charge { free, ..charge(0) }).await;
    assert_eq!(settled.receipt.free.tokens, 6);
    assert_eq!((settled.grants[0].used, settled.grants[0].held), (6, 0));
}

async fn a_grant_for_an_alias_of_the_model_is_for_the_model(bench: &Bench) {
    let old = Grant {
        models: models(&["old"]),
        ..grant("gift", GrantUnit::Tokens, 5)
    };
    bench.furnish(0, 0, &[old]).await;
    assert_eq!(bench.hold(costs(1, 5)).await, Err(funds(5, 0, false)));
    let mut renamed = costs(2, 5);
    renamed.aliases = ["older".into(), "old".into()].into();
    assert_eq!(takes(&bench.admit(renamed).await).len(), 1);
}

async fn a_grant_of_requests_frees_a_whole_request_and_takes_nothing_else(bench: &Bench) {
    let grants = [
        grant("tokens", GrantUnit::Tokens, 5),
        grant("whole", GrantUnit::Requests, 1),
    ];
    bench.furnish(100, 0, &grants).await;
    let hold = bench.admit(costs(1, 5_000)).await;
    assert_eq!(takes(&hold), [("whole", GrantUnit::Requests, 1)]);
    assert_eq!((hold.money, &hold.counts[..]), (nano(0), &[5_000][..]));
    let free = FreeUnits {
        requests: 1,
        ..FreeUnits::default()
    };
    let settled = bench.settled(1, Charge { free, ..charge(0) }).await;
    assert_eq!(
        (settled.receipt.charged, settled.receipt.free.requests),
        (nano(0), 1)
    );
    assert_eq!(
        bench.hold(costs(2, 5_000)).await,
        Err(funds(4_995, 100, false))
    );
}

async fn images_and_tokens_come_from_grants_of_their_own(bench: &Bench) {
    let grants = [
        grant("images", GrantUnit::Images, 3),
        grant("tokens", GrantUnit::Tokens, 4),
    ];
    bench.furnish(100, 0, &grants).await;
    let segments = [
        segment(Meter::Input, 5, 1),
        segment(Meter::Images, 5, 10),
        segment(Meter::Seconds, 1, 7),
    ];
    let hold = bench.admit(quote(1, &segments)).await;
    let expected = [
        ("tokens", GrantUnit::Tokens, 4),
        ("images", GrantUnit::Images, 3),
    ];
    assert_eq!(
        (takes(&hold), hold.money),
        (expected.to_vec(), nano(1 + 20 + 7))
    );
}

async fn grants_of_money_pay_before_the_balance_and_are_no_spending(bench: &Bench) {
    bench
        .furnish(100, 0, &[grant("gift", GrantUnit::Money, 30)])
        .await;
    let mut asked = costs(1, 50);
    asked.counters = vec![counter("k/spend", Ask::Money, 20, Window::Total)];
    let hold = bench.admit(asked).await;
    assert_eq!(takes(&hold), [("gift", GrantUnit::Money, 30)]);
    assert_eq!((hold.money, hold.counters[0].remaining), (nano(20), 0));
    let receipt = bench.settled(1, charge(40)).await.receipt;
    assert_eq!((receipt.free_money, receipt.charged), (nano(30), nano(10)));
    assert_eq!(bench.counter("k/spend").await, Some((10, 0)));
    assert_eq!(bench.grant("gift").await, (30, 0));
}

async fn clamping_lowers_to_the_largest_count_that_is_affordable(bench: &Bench) {
    bench
        .furnish(100, 0, &[grant("gift", GrantUnit::Tokens, 5)])
        .await;
    let hold = bench.admit(quote(1, &[clampable(90, 10, 7)])).await;
    assert_eq!((&hold.counts[..], hold.money), (&[19][..], nano(98)));
    let short = bench.hold(quote(2, &[clampable(90, 10, 7)])).await;
    assert_eq!(short, Err(funds(70, 2, true)));
}

async fn clamping_counts_limits_of_spend_in(bench: &Bench) {
    bench.furnish(1_000, 0, &[]).await;
    let mut asked = quote(1, &[segment(Meter::Input, 10, 2), clampable(90, 10, 7)]);
    asked.counters = vec![counter("k/spend", Ask::Money, 120, Window::Total)];
    let hold = bench.admit(asked).await;
    assert_eq!((&hold.counts[..], hold.money), (&[10, 14][..], nano(118)));
}

async fn quotes_beyond_the_exact_range_are_refused_before_anything_is_written(bench: &Bench) {
    bench
        .furnish(1 << 60, 0, &[grant("gift", GrantUnit::Images, 1)])
        .await;
    let before = bench.view().await;
    let slow = Window::Bucket {
        refill_ms: Window::REFILL_MS_MAX + 1,
    };
    let too_large = [
        costs(1, EXACT),
        quote(2, &[segment(Meter::Output, 1 << 27, 1 << 26)]),
        quote(3, &[segment(Meter::Output, u64::MAX, i64::MAX)]),
        quote(4, &[segment(Meter::Output, 1, -1)]),
        quote(5, &[segment(Meter::Output, EXACT / 2, 1); 2]),
        quote(6, &[segment(Meter::Output, 1 << 63, 0)]),
        counted(7, &[counter("k/slow", Ask::Fixed(1), 9, slow)]),
    ];
    for asked in too_large {
        assert_eq!(bench.hold(asked).await, Err(Refusal::TooLarge));
    }
    assert_eq!(bench.view().await, before);
    assert_eq!(
        bench.admit(costs(8, EXACT - 1)).await.money,
        nano(signed(EXACT - 1))
    );
}

crate::stores::on_every_store!(
    a_hold_answers_all_that_it_reserved,
    exactly_the_floor_is_admitted_and_one_nano_more_is_not,
    a_floor_is_exact_where_doubles_are_not,
    what_others_hold_is_told_apart_from_what_is_spent,
    what_others_hold_of_a_grant_counts_as_held,
    funds_are_refused_before_limits_and_limits_in_their_order,
    a_refusal_changes_nothing,
    concurrent_holds_never_pass_what_is_there,
    the_same_hold_sent_many_times_at_once_is_one_hold,
    a_free_request_passes_a_wallet_below_zero_and_burns_no_grant,
    grants_burn_soonest_expiry_first_then_narrowest_then_by_name,
    a_grant_ends_with_the_instant_of_its_expiry_but_a_hold_keeps_its_units,
    a_grant_for_an_alias_of_the_model_is_for_the_model,
    a_grant_of_requests_frees_a_whole_request_and_takes_nothing_else,
    images_and_tokens_come_from_grants_of_their_own,
    grants_of_money_pay_before_the_balance_and_are_no_spending,
    clamping_lowers_to_the_largest_count_that_is_affordable,
    clamping_counts_limits_of_spend_in,
    quotes_beyond_the_exact_range_are_refused_before_anything_is_written,
);
