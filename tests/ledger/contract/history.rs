//! Receipts, totals, trimming, audits.

use std::sync::Arc;

use tollgate::clock::UnixMs;
use tollgate::ledger::grant::GrantUnit;
use tollgate::ledger::hold::{Charge, Quote};
use tollgate::ledger::limit::{Ask, Window};
use tollgate::ledger::receipt::{Receipt, ReceiptQuery};
use tollgate::usage::{Meter, Usage};

use crate::bench::Bench;
use crate::kit::*;

/// Holds and settles a request for 10 nano.
async fn serve(bench: &Bench, quote: Quote, charge: Charge) -> Arc<Receipt> {
    let hold = bench.admit(quote).await;
    let settled = bench.ledger().settle(hold.id, charge).await;
    settled.expect("it is settled").receipt
}

async fn found(bench: &Bench, query: ReceiptQuery) -> Vec<Arc<Receipt>> {
    bench
        .ledger()
        .receipts(query)
        .await
        .expect("the store answers")
}

fn of_wallet(wallet: &str) -> ReceiptQuery {
    ReceiptQuery {
        wallet: Some(id(wallet)),
        ..ReceiptQuery::default()
    }
}

async fn receipts_are_found_by_wallet_key_and_time_newest_first(bench: &Bench) {
    bench.furnish(1_000, 0, &[]).await;
    bench.furnish_as("v", "j", 1_000, 0, &[]).await;
    bench.put(key("k2", "w")).await;
    let mut all = Vec::new();
    for number in 0..12 {
        let asked = match number % 3 {
            0 => costs(number, 10),
            1 => of("w", "k2", costs(number, 10)),
            _ => of("v", "j", costs(number, 10)),
        };
        all.insert(0, serve(bench, asked, charge(10)).await);
        bench.later(HOUR_MS);
    }
    assert_eq!(found(bench, ReceiptQuery::default()).await, all);
    let only = |keep: &dyn Fn(&Receipt) -> bool| -> Vec<Arc<Receipt>> {
        all.iter()
            .filter(|receipt| keep(receipt))
            .cloned()
            .collect()
    };
    let w = only(&|receipt| receipt.wallet.as_str() == "w");
    assert_eq!(found(bench, of_wallet("w")).await, w);
    assert_eq!(found(bench, of_wallet("nobody")).await, []);
    let k2 = ReceiptQuery {
        key: Some(id("k2")),
        ..of_wallet("w")
    };
    let expected = only(&|receipt| receipt.key.as_str() == "k2");
    assert_eq!(found(bench, k2.clone()).await, expected);
    let of_no_wallet = ReceiptQuery { wallet: None, ..k2 };
    assert_eq!(found(bench, of_no_wallet).await, expected);
    // From is in, to is not.
    let (from, to) = (all[8].settled_at, all[2].settled_at);
    let between = ReceiptQuery {
        from: Some(from),
        to: Some(to),
        ..ReceiptQuery::default()
    };
    assert_eq!(found(bench, between.clone()).await, all[3..=8]);
    let newest = ReceiptQuery {
        limit: Some(2),
        wallet: Some(id("w")),
        ..between
    };
    let expected = only(&|at| at.wallet.as_str() == "w" && (from..to).contains(&at.settled_at));
    assert_eq!(found(bench, newest).await, expected[..2]);
    let none = ReceiptQuery {
        limit: Some(0),
        ..ReceiptQuery::default()
    };
    assert_eq!(found(bench, none).await, []);
}

async fn a_receipt_of_a_repeated_settle_is_there_once(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let receipt = serve(bench, costs(1, 10), charge(10)).await;
    bench.settled(1, charge(9)).await;
    bench.admit(costs(2, 10)).await;
    bench.void(2).await.expect("it is live");
    assert_eq!(found(bench, of_wallet("w")).await, [receipt]);
}

async fn usage_is_summed_by_local_day_and_model(bench: &Bench) {
    bench
        .furnish(1_000, 0, &[grant("gift", GrantUnit::Tokens, 6)])
        .await;
    bench.furnish_as("v", "j", 1_000, 0, &[]).await;
    bench.later(15 * HOUR_MS);
    // Two a day for three hours around local midnight in Shanghai, 16:00 UTC.
    for number in 0..4 {
        let asked = Quote {
            model: if number % 2 == 0 { "m" } else { "a-model" }.into(),
            ..costs(number, 10)
        };
        let free = free_tokens(if number == 0 { 6 } else { 0 });
        let usage = Usage::tokens(3, 7).with(Meter::CachedInput, 1);
        let charged = Charge {
            usage,
            free,
            ..charge(if number == 3 { 15 } else { 4 })
        };
        serve(bench, asked, charged).await;
        bench.later(HOUR_MS / 2);
    }
    serve(bench, of("v", "j", costs(9, 10)), charge(10)).await;
    let usage = async |minutes| {
        let query = ReceiptQuery {
            utc_offset_minutes: minutes,
            ..of_wallet("w")
        };
        bench
            .ledger()
            .usage(query)
            .await
            .expect("the store answers")
    };
    let rows = usage(0).await;
    let short: Vec<(&str, &str, u64)> = rows
        .iter()
        .map(|row| (row.day.as_str(), &*row.model, row.requests))
        .collect();
    assert_eq!(
        short,
        [("2026-01-05", "a-model", 2), ("2026-01-05", "m", 2)]
    );
    assert_eq!(
        rows[1].usage,
        Usage::tokens(6, 14).with(Meter::CachedInput, 2)
    );
    assert_eq!((rows[1].free, rows[1].charged), (free_tokens(6), nano(8)));
    assert_eq!((rows[0].charged, rows[0].shortfall), (nano(14), nano(5)));
    let rows = usage(480).await;
    let short: Vec<(&str, &str, u64)> = rows
        .iter()
        .map(|row| (row.day.as_str(), &*row.model, row.requests))
        .collect();
    let expected = [
        ("2026-01-05", "a-model", 1),
        ("2026-01-05", "m", 1),
        ("2026-01-06", "a-model", 1),
        ("2026-01-06", "m", 1),
    ];
    assert_eq!(short, expected);
}

async fn usage_is_asked_by_days_and_by_key(bench: &Bench) {
    bench.furnish(1_000, 0, &[]).await;
    bench.put(key("k2", "w")).await;
    for number in 0..6 {
        let by = if number % 2 == 0 { "k" } else { "k2" };
        serve(bench, of("w", by, costs(number, 10)), charge(10)).await;
        bench.later(DAY_MS / 2);
    }
    let day = |number: u64| Some(START.plus(number * DAY_MS));
    let query = ReceiptQuery {
        from: day(1),
        to: day(3),
        key: Some(id("k2")),
        ..of_wallet("w")
    };
    let rows = bench
        .ledger()
        .usage(query)
        .await
        .expect("the store answers");
    let days: Vec<&str> = rows.iter().map(|row| row.day.as_str()).collect();
    assert_eq!(days, ["2026-01-06", "2026-01-07"]);
    assert!(rows.iter().all(|row| row.requests == 1));
}

async fn absurd_counts_are_kept_bit_for_bit_and_do_not_break_totals(bench: &Bench) {
    bench.furnish(1_000, 0, &[]).await;
    let absurd = Usage::tokens(u64::MAX, (1 << 53) + 1);
    for number in 1..=2 {
        let usage = absurd;
        let receipt = serve(
            bench,
            costs(number, 10),
            Charge {
                usage,
                ..charge(10)
            },
        )
        .await;
        assert_eq!(receipt.usage, absurd);
    }
    let receipts = found(bench, of_wallet("w")).await;
    assert!(receipts.iter().all(|receipt| receipt.usage == absurd));
    let rows = bench
        .ledger()
        .usage(of_wallet("w"))
        .await
        .expect("an answer");
    assert_eq!(rows[0].usage, Usage::tokens(u64::MAX, (1 << 54) + 2));
}

async fn trimming_folds_receipts_and_keeps_the_audit_clean(bench: &Bench) {
    let grants = [
        grant("gift", GrantUnit::Tokens, 12),
        grant("money", GrantUnit::Money, 9),
    ];
    bench.furnish(1_000, 0, &grants).await;
    bench.furnish_as("v", "j", 1_000, 0, &[]).await;
    for number in 0..10 {
        let asked = match number % 4 {
            3 => of("v", "j", costs(number, 10)),
            _ => costs(number, 10),
        };
        let hold = bench.admit(asked).await;
        let free = hold.taken_units();
        let priced = signed(10 - free.tokens) + 1;
        let settled = bench
            .ledger()
            .settle(
                hold.id,
                Charge {
                    free,
                    ..charge(priced)
                },
            )
            .await;
        settled.expect("it is settled");
        bench.later(HOUR_MS);
    }
    let before = (bench.view().await, bench.view_of("v").await);
    let trim = async |at: UnixMs| bench.ledger().trim_receipts(at).await.expect("it trims");
    assert_eq!(trim(START).await, 0);
    let cut = START.plus(6 * HOUR_MS);
    assert_eq!(trim(cut).await, 6);
    assert_eq!(trim(cut).await, 0);
    bench.assert_clean().await;
    let receipts = found(bench, ReceiptQuery::default()).await;
    assert_eq!(receipts.len(), 4);
    assert!(receipts.iter().all(|receipt| receipt.settled_at >= cut));
    assert_eq!(
        bench
            .ledger()
            .receipt(request(1), None)
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(trim(bench.now().plus(1)).await, 4);
    assert_eq!((bench.view().await, bench.view_of("v").await), before);
    let report = bench.ledger().audit().await.expect("an answer");
    assert_eq!((report.receipts, report.credits, report.wallets), (0, 2, 2));
    // Life goes on from the checkpoint.
    serve(bench, costs(50, 10), charge(10)).await;
}

async fn what_answers_a_repeated_claim_is_not_trimmed(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let asked = Quote {
        idempotency: claim("token", 1),
        ..costs(1, 10)
    };
    serve(bench, asked, charge(10)).await;
    bench.later(DAY_MS);
    let now = bench.now();
    let trim = async |at: UnixMs| bench.ledger().trim_receipts(at).await.expect("it trims");
    assert_eq!(trim(now.plus(1)).await, 0);
    bench.later(1);
    assert_eq!(trim(now.plus(1)).await, 1);
}

async fn an_audit_of_a_busy_ledger_is_clean(bench: &Bench) {
    bench
        .furnish(1_000, 0, &[grant("gift", GrantUnit::Tokens, 50)])
        .await;
    let asked = |number| {
        let mut asked = costs(number, 10);
        asked.counters = vec![
            counter("k/spend", Ask::Money, 900, Window::Total),
            counter("k/parallel", Ask::Fixed(1), 50, Window::Concurrent),
        ];
        asked
    };
    for number in 0..10 {
        bench.admit(asked(number)).await;
    }
    let work = async {
        for number in 10..60 {
            let hold = bench.admit(asked(number)).await;
            let free = hold.taken_units();
            let settled = bench.settle(
                number,
                Charge {
                    free,
                    ..charge(hold.money.get())
                },
            );
            settled.await.expect("it is settled");
            if number % 10 == 0 {
                bench.void(number - 10).await.ok();
            }
        }
    };
    let audits = async {
        for _ in 0..10 {
            bench.assert_clean().await;
        }
    };
    futures_util::future::join(work, audits).await;
    let report = bench.ledger().audit().await.expect("an answer");
    assert_eq!((report.receipts, report.live_holds), (50, 9));
}

crate::stores::on_every_store!(
    receipts_are_found_by_wallet_key_and_time_newest_first,
    a_receipt_of_a_repeated_settle_is_there_once,
    usage_is_summed_by_local_day_and_model,
    usage_is_asked_by_days_and_by_key,
    absurd_counts_are_kept_bit_for_bit_and_do_not_break_totals,
    trimming_folds_receipts_and_keeps_the_audit_clean,
    what_answers_a_repeated_claim_is_not_trimmed,
    an_audit_of_a_busy_ledger_is_clean,
);
