//! How a hold ends: settled, voided, lapsed, late.

use tollgate::ledger::credit::EntryKind;
use tollgate::ledger::grant::GrantUnit;
use tollgate::ledger::hold::{Charge, Refusal};
use tollgate::ledger::limit::{Ask, Window};
use tollgate::usage::{Counted, Usage};

use crate::bench::{Bench, conflicts, funds, missing};
use crate::kit::*;

async fn a_settle_writes_the_whole_receipt(bench: &Bench) {
    bench
        .furnish(100, 0, &[grant("gift", GrantUnit::Tokens, 4)])
        .await;
    let mut asked = costs(1, 30);
    asked.idempotency = claim("token \"\u{e9}\"", 3);
    let hold = bench.admit(asked).await;
    bench.later(7);
    let charged = Charge {
        usage: Usage::tokens(3, 20).with(tollgate::usage::Meter::CachedInput, 1),
        counted: Counted::Partial,
        free: free_tokens(4),
        ..charge(16)
    };
    let settled = bench.settled(1, charged.clone()).await;
    let receipt = &settled.receipt;
    assert_eq!(receipt.request_id, request(1));
    assert_eq!((receipt.wallet.as_str(), receipt.key.as_str()), ("w", "k"));
    assert_eq!(
        (&*receipt.model, &*receipt.price_version),
        ("m", "0123456789ab")
    );
    assert_eq!(
        (receipt.usage, receipt.counted),
        (charged.usage, Counted::Partial)
    );
    assert_eq!((receipt.priced, receipt.free), (nano(16), free_tokens(4)));
    assert_eq!((receipt.free_money, receipt.charged), (nano(0), nano(16)));
    assert_eq!((receipt.shortfall, receipt.held), (nano(0), hold.money));
    assert!(!receipt.late);
    assert_eq!(
        (receipt.held_at, receipt.settled_at),
        (START, START.plus(7))
    );
    assert_eq!(receipt.idempotency, claim("token \"\u{e9}\"", 3));
    assert_eq!(receipt.detail, charged.detail);
    assert_eq!(settled.balance, nano(84));
    assert_eq!((settled.grants[0].used, settled.grants[0].held), (4, 0));
    let read = bench.ledger().receipt(request(1), None).await;
    assert_eq!(read.expect("the store answers").as_ref(), Some(receipt));
}

async fn a_request_is_charged_once_however_often_it_is_settled(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    let first = bench.settled(1, charge(30)).await;
    bench.later(5);
    // What a later call says instead is not looked at.
    assert_eq!(bench.settled(1, charge(45)).await, first);
    assert_eq!(bench.money().await, (70, 0, 70));
    bench.later(3 * DAY_MS);
    bench.adjust("up", 5).await;
    let again = bench.settled(1, charge(45)).await;
    assert_eq!((again.receipt, again.balance), (first.receipt, nano(75)));
}

async fn settles_sent_at_once_charge_once(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    let settles = (0..20).map(|_| bench.settle(1, charge(30)));
    let answers = futures_util::future::join_all(settles).await;
    let first = answers[0].as_ref().expect("it is settled");
    for answer in &answers {
        assert_eq!(answer.as_ref().expect("it is settled"), first);
    }
    assert_eq!(bench.money().await, (70, 0, 70));
}

async fn the_same_hold_again_is_answered_the_same_until_it_ends(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let rate = [counter("k/rate", Ask::Fixed(2), 10, MINUTE)];
    let first = bench.admit(counted(1, &rate)).await;
    bench.later(9);
    assert_eq!(bench.admit(counted(1, &rate)).await, first);
    assert_eq!(bench.money().await, (100, 1, 99));
    bench.settled(1, charge(1)).await;
    assert_eq!(bench.hold(counted(1, &rate)).await, Err(Refusal::Ended));
}

async fn a_void_releases_everything_and_is_final(bench: &Bench) {
    bench
        .furnish(100, 0, &[grant("gift", GrantUnit::Tokens, 5)])
        .await;
    let before = bench.view().await;
    let mut asked = costs(1, 50);
    asked.counters = vec![
        counter("k/spend", Ask::Money, 90, Window::Total),
        counter("k/parallel", Ask::Fixed(1), 1, Window::Concurrent),
        counter("k/rate", Ask::Fixed(7), 9, MINUTE),
    ];
    bench.admit(asked.clone()).await;
    for _ in 0..2 {
        bench.void(1).await.expect("again and again");
    }
    let after = bench.view().await;
    assert_eq!(
        (after.balance, after.held, after.holds),
        (nano(100), nano(0), 0)
    );
    assert_eq!(after.grants, before.grants);
    assert!(
        after
            .counters
            .iter()
            .all(|counter| (counter.used, counter.held) == (0, 0))
    );
    conflicts(bench.settle(1, charge(1)).await);
    assert_eq!(bench.hold(asked).await, Err(Refusal::Ended));
}

async fn a_void_before_the_hold_keeps_it_out(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.void(1).await.expect("it is noted");
    assert_eq!(bench.hold(costs(1, 1)).await, Err(Refusal::Ended));
    conflicts(bench.settle(1, charge(1)).await);
    assert_eq!(bench.money().await, (100, 0, 100));
}

async fn what_was_charged_cannot_be_voided(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    bench.settled(1, charge(30)).await;
    conflicts(bench.void(1).await);
    assert_eq!(bench.money().await, (70, 0, 70));
}

async fn what_has_no_hold_or_no_wallet_is_not_found(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    missing(bench.settle(1, charge(1)).await);
    missing(
        bench
            .ledger()
            .settle(hold_ref("nobody", 1), charge(1))
            .await,
    );
    missing(bench.ledger().void(hold_ref("nobody", 1)).await);
    missing(bench.ledger().set_credit_line(id("nobody"), nano(1)).await);
    assert_eq!(
        bench.hold(of("nobody", "k", costs(1, 1))).await,
        Err(Refusal::Key)
    );
    assert_eq!(
        bench
            .ledger()
            .wallet(id("nobody"))
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(
        bench
            .ledger()
            .receipt(request(1), None)
            .await
            .expect("an answer"),
        None
    );
    // None of this was a void: the request may come.
    bench.admit(costs(1, 1)).await;
}

async fn a_price_below_nothing_is_refused_and_the_hold_stays(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    conflicts(bench.settle(1, charge(-1)).await);
    assert_eq!(bench.money().await, (100, 50, 50));
    bench.settled(1, charge(50)).await;
}

async fn a_settle_charges_at_most_what_was_held_and_the_rest_is_shortfall(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 30)).await;
    let receipt = bench.settled(1, charge(45)).await.receipt;
    assert_eq!((receipt.charged, receipt.shortfall), (nano(30), nano(15)));
    let view = bench.view().await;
    assert_eq!((view.charged, view.shortfall), (nano(30), nano(15)));
}

async fn a_shortfall_is_exact_to_the_end_of_64_bits_and_refused_beyond(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for number in 1..=3 {
        bench.admit(costs(number, 10)).await;
    }
    let receipt = bench.settled(1, charge(i64::MAX)).await.receipt;
    assert_eq!(receipt.shortfall, nano(i64::MAX - 10));
    conflicts(bench.settle(2, charge(21)).await);
    bench.settled(2, charge(20)).await;
    assert_eq!(bench.view().await.shortfall, nano(i64::MAX));
    bench.settled(3, charge(10)).await;
    assert_eq!(bench.money().await, (70, 0, 70));
}

async fn units_that_were_taken_and_not_used_go_back(bench: &Bench) {
    let grants = [
        grant("a", GrantUnit::Tokens, 5),
        grant("b", GrantUnit::Tokens, 5),
    ];
    bench.furnish(100, 0, &grants).await;
    bench.admit(costs(1, 20)).await;
    assert_eq!(
        (bench.grant("a").await, bench.grant("b").await),
        ((0, 5), (0, 5))
    );
    let free = free_tokens(7);
    let settled = bench.settled(1, Charge { free, ..charge(0) }).await;
    let used: Vec<u64> = settled.grants.iter().map(|state| state.used).collect();
    assert_eq!(used, [5, 2]);
    assert_eq!(
        (bench.grant("a").await, bench.grant("b").await),
        ((5, 0), (2, 0))
    );
}

async fn a_lease_that_ran_out_releases_and_charges_nothing(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 80)).await;
    bench.later(LEASE_MS - 1);
    assert_eq!(bench.hold(costs(2, 80)).await, Err(funds(80, 20, true)));
    bench.later(1);
    bench.admit(costs(3, 80)).await;
    assert_eq!(bench.ledger().stats().lapses, 1);
    assert_eq!(bench.hold(costs(1, 1)).await, Err(Refusal::Ended));
    assert_eq!(bench.money().await, (100, 80, 20));
}

async fn a_renewed_lease_does_not_run_out_and_never_gets_shorter(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 80)).await;
    bench.renew(1, 5 * LEASE_MS).await;
    bench.renew(1, 1).await;
    bench.later(5 * LEASE_MS - 1);
    assert_eq!(bench.hold(costs(2, 80)).await, Err(funds(80, 20, true)));
    let hold = bench.admit(costs(1, 80)).await;
    assert_eq!(hold.lease_until, START.plus(5 * LEASE_MS));
    bench.later(1);
    bench.admit(costs(3, 80)).await;
}

async fn renewals_of_many_wallets_pass_over_what_ended_and_what_never_was(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    bench.admit(costs(1, 80)).await;
    bench.admit(of("v", "j", costs(2, 80))).await;
    bench.admit(costs(3, 5)).await;
    bench.settled(3, charge(5)).await;
    let holds = [("w", 3), ("w", 9), ("nobody", 1), ("v", 2), ("w", 1)];
    let holds = holds
        .map(|(wallet, number)| hold_ref(wallet, number))
        .to_vec();
    let renewed = bench.ledger().renew(holds, 5 * LEASE_MS).await;
    renewed.expect("what is unknown is passed over");
    bench.later(2 * LEASE_MS);
    assert_eq!(bench.hold(costs(4, 80)).await, Err(funds(80, 15, true)));
    let other = bench.hold(of("v", "j", costs(5, 80))).await;
    assert_eq!(other, Err(funds(80, 20, true)));
}

async fn one_operation_ends_sixteen_leases_at_most(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for number in 1..=20 {
        bench.admit(costs(number, 1)).await;
    }
    bench.later(LEASE_MS);
    bench.renew(99, 1).await;
    assert_eq!(bench.view().await.holds, 4);
    bench.renew(99, 1).await;
    assert_eq!(bench.view().await.holds, 0);
    assert_eq!(bench.ledger().stats().lapses, 20);
}

async fn a_late_settle_is_charged_once_from_what_is_there(bench: &Bench) {
    bench
        .furnish(100, 0, &[grant("gift", GrantUnit::Tokens, 10)])
        .await;
    bench.admit(costs(1, 90)).await;
    bench.later(LEASE_MS);
    // Others take 4 of the 10 units, and 46 of the 100 nano beyond the rest.
    let free = free_tokens(4);
    bench.admit(costs(2, 4)).await;
    bench.settled(2, Charge { free, ..charge(0) }).await;
    bench.admit(costs(3, 52)).await;
    let late = Charge {
        free: free_tokens(10),
        ..charge(80)
    };
    let settled = bench.settled(1, late.clone()).await;
    let receipt = &settled.receipt;
    assert!(receipt.late);
    assert_eq!((receipt.free.tokens, receipt.charged), (0, nano(54)));
    assert_eq!((receipt.shortfall, receipt.held), (nano(26), nano(80)));
    assert_eq!(bench.settled(1, late).await, settled);
    assert_eq!(bench.money().await, (46, 46, 0));
}

async fn a_late_settle_passes_no_limit_on_spending(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let spend = |number, money| {
        let mut asked = costs(number, money);
        asked.counters = vec![counter("k/spend", Ask::Money, 60, Window::Total)];
        asked
    };
    bench.admit(spend(1, 50)).await;
    bench.later(LEASE_MS);
    bench.admit(spend(2, 35)).await;
    let receipt = bench.settled(1, charge(50)).await.receipt;
    assert_eq!((receipt.charged, receipt.shortfall), (nano(25), nano(25)));
    bench.settled(2, charge(35)).await;
    assert_eq!(bench.counter("k/spend").await, Some((60, 0)));
}

async fn a_settle_may_come_a_day_after_the_lapse(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    bench.later(LEASE_MS);
    bench.renew(99, 1).await;
    bench.later(DAY_MS - 1);
    let receipt = bench.settled(1, charge(40)).await.receipt;
    assert_eq!((receipt.late, receipt.charged), (true, nano(40)));
}

async fn a_lapsed_request_that_is_voided_is_not_settled_any_more(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    bench.later(LEASE_MS);
    bench.admit(costs(2, 80)).await;
    bench.void(1).await.expect("nothing is released twice");
    conflicts(bench.settle(1, charge(1)).await);
    assert_eq!(bench.money().await, (100, 80, 20));
}

async fn a_correction_below_what_is_held_leaves_live_requests_alone(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    let down = entry("down", "w", EntryKind::Adjustment, -80);
    assert_eq!(bench.credit(down).await.expect("it may").balance, nano(20));
    assert_eq!(bench.money().await, (20, 50, 0));
    assert_eq!(bench.hold(costs(2, 1)).await, Err(funds(1, 0, true)));
    assert_eq!(bench.settled(1, charge(50)).await.balance, nano(-30));
    assert_eq!(bench.hold(costs(3, 1)).await, Err(funds(1, 0, false)));
}

crate::stores::on_every_store!(
    a_settle_writes_the_whole_receipt,
    a_request_is_charged_once_however_often_it_is_settled,
    settles_sent_at_once_charge_once,
    the_same_hold_again_is_answered_the_same_until_it_ends,
    a_void_releases_everything_and_is_final,
    a_void_before_the_hold_keeps_it_out,
    what_was_charged_cannot_be_voided,
    what_has_no_hold_or_no_wallet_is_not_found,
    a_price_below_nothing_is_refused_and_the_hold_stays,
    a_settle_charges_at_most_what_was_held_and_the_rest_is_shortfall,
    a_shortfall_is_exact_to_the_end_of_64_bits_and_refused_beyond,
    units_that_were_taken_and_not_used_go_back,
    a_lease_that_ran_out_releases_and_charges_nothing,
    a_renewed_lease_does_not_run_out_and_never_gets_shorter,
    renewals_of_many_wallets_pass_over_what_ended_and_what_never_was,
    one_operation_ends_sixteen_leases_at_most,
    a_late_settle_is_charged_once_from_what_is_there,
    a_late_settle_passes_no_limit_on_spending,
    a_settle_may_come_a_day_after_the_lapse,
    a_lapsed_request_that_is_voided_is_not_settled_any_more,
    a_correction_below_what_is_held_leaves_live_requests_alone,
);
