//! Idempotency claims: in flight, charged, voided, other body, after a day.

use std::sync::Arc;

use tollgate::ledger::hold::{Quote, Refusal};
use tollgate::ledger::receipt::Receipt;

use crate::bench::{Bench, funds};
use crate::kit::*;

fn claiming(number: u64, body: u8) -> Quote {
    Quote {
        idempotency: claim("token", body),
        ..costs(number, 10)
    }
}

fn charged(receipt: &Arc<Receipt>) -> Refusal {
    Refusal::AlreadyCharged(receipt.clone())
}

async fn a_repeat_is_refused_in_flight_and_told_the_receipt_afterwards(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let first = bench.admit(claiming(1, 1)).await;
    assert_eq!(bench.hold(claiming(2, 1)).await, Err(Refusal::InFlight));
    assert_eq!(bench.hold(claiming(3, 2)).await, Err(Refusal::OtherBody));
    assert_eq!(
        bench.admit(claiming(1, 1)).await,
        first,
        "the request itself"
    );
    let receipt = bench.settled(1, charge(7)).await.receipt;
    assert_eq!(bench.hold(claiming(4, 1)).await, Err(charged(&receipt)));
    assert_eq!(bench.hold(claiming(5, 2)).await, Err(Refusal::OtherBody));
    assert_eq!(bench.money().await, (93, 0, 93));
}

async fn a_claim_is_kept_for_a_day_after_the_settle(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(claiming(1, 1)).await;
    let receipt = bench.settled(1, charge(7)).await.receipt;
    bench.later(DAY_MS - 1);
    assert_eq!(bench.hold(claiming(2, 1)).await, Err(charged(&receipt)));
    assert_eq!(bench.hold(claiming(3, 2)).await, Err(Refusal::OtherBody));
    bench.later(1);
    bench.admit(claiming(4, 2)).await;
}

async fn a_voided_or_lapsed_claim_runs_anew_with_the_same_body_only(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(claiming(1, 1)).await;
    bench.void(1).await.expect("it is live");
    assert_eq!(bench.hold(claiming(2, 2)).await, Err(Refusal::OtherBody));
    bench.admit(claiming(3, 1)).await;
    bench.later(LEASE_MS);
    assert_eq!(bench.hold(claiming(4, 2)).await, Err(Refusal::OtherBody));
    bench.admit(claiming(5, 1)).await;
    bench.void(5).await.expect("it is live");
    bench.later(DAY_MS);
    bench.admit(claiming(6, 2)).await;
}

async fn a_late_settle_is_told_to_repeats_even_while_another_is_in_flight(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(claiming(1, 1)).await;
    bench.later(LEASE_MS);
    bench.admit(claiming(2, 1)).await;
    let receipt = bench.settled(1, charge(10)).await.receipt;
    assert!(receipt.late);
    assert_eq!(bench.hold(claiming(3, 1)).await, Err(charged(&receipt)));
    bench.void(2).await.expect("it is live");
    assert_eq!(bench.hold(claiming(4, 1)).await, Err(charged(&receipt)));
}

async fn claims_are_scoped_to_the_key(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.put(key("other", "w")).await;
    bench.admit(claiming(1, 1)).await;
    bench.admit(of("w", "other", claiming(2, 2))).await;
}

async fn a_refused_hold_claims_nothing(bench: &Bench) {
    bench.furnish(5, 0, &[]).await;
    assert_eq!(bench.hold(claiming(1, 1)).await, Err(funds(10, 5, false)));
    bench.adjust("up", 5).await;
    bench.admit(claiming(2, 2)).await;
}

async fn a_token_may_say_anything(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let long = "x".repeat(4_000);
    for (number, token) in ["", " ", "{w}:|", "a\0b\r\n", "\u{1f600}", &long]
        .into_iter()
        .enumerate()
    {
        let number = 2 * number as u64;
        let asked = |number| Quote {
            idempotency: claim(token, 1),
            ..costs(number, 1)
        };
        bench.admit(asked(number)).await;
        assert_eq!(bench.hold(asked(number + 1)).await, Err(Refusal::InFlight));
        let receipt = bench.settled(number, charge(1)).await.receipt;
        assert_eq!(bench.hold(asked(number + 1)).await, Err(charged(&receipt)));
    }
}

crate::stores::on_every_store!(
    a_repeat_is_refused_in_flight_and_told_the_receipt_afterwards,
    a_claim_is_kept_for_a_day_after_the_settle,
    a_voided_or_lapsed_claim_runs_anew_with_the_same_body_only,
    a_late_settle_is_told_to_repeats_even_while_another_is_in_flight,
    claims_are_scoped_to_the_key,
    a_refused_hold_claims_nothing,
    a_token_may_say_anything,
);
