//! What operators do to wallets: open them, set credit lines, book credits.

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit};
use tollgate::ledger::id::WalletId;

use crate::bench::{Bench, conflicts, funds, missing};
use crate::kit::*;

const MONEY_MAX: i64 = 1 << 61;

async fn a_wallet_opens_once_with_its_credit_and_its_grants(bench: &Bench) {
    let grants = [grant("gift", GrantUnit::Tokens, 5)];
    let opening = entry("config:w", "w", EntryKind::Opening, 100);
    let new = wallet("w", 7, Some(opening.clone()), &grants);
    assert!(
        bench
            .ledger()
            .open_wallet(new.clone())
            .await
            .expect("it opens")
    );
    assert!(!bench.ledger().open_wallet(new).await.expect("it is open"));
    let view = bench.view().await;
    assert_eq!((view.balance, view.credited), (nano(100), nano(100)));
    assert_eq!((view.credit_line, view.available), (nano(7), nano(107)));
    assert_eq!(view.grants[0].grant, grants[0]);
    let report = bench.ledger().audit().await.expect("the store answers");
    assert_eq!((report.wallets, report.credits), (1, 1));
}

async fn an_open_wallet_gets_new_grants_only_and_no_second_opening(bench: &Bench) {
    bench
        .furnish(100, 7, &[grant("old", GrantUnit::Tokens, 5)])
        .await;
    let changed = grant("old", GrantUnit::Images, 50);
    let added = grant("new", GrantUnit::Money, 3);
    let opening = entry("config:w", "w", EntryKind::Opening, 999);
    let again = wallet("w", 0, Some(opening), &[changed, added.clone()]);
    assert!(!bench.ledger().open_wallet(again).await.expect("it is open"));
    let view = bench.view().await;
    assert_eq!((view.balance, view.credit_line), (nano(100), nano(7)));
    let grants: Vec<&Grant> = view.grants.iter().map(|state| &state.grant).collect();
    assert_eq!(grants, [&added, &grant("old", GrantUnit::Tokens, 5)]);
    // One that was never booked is booked now.
    let late = entry("config:late", "w", EntryKind::Opening, 11);
    let again = wallet("w", 0, Some(late), &[]);
    assert!(!bench.ledger().open_wallet(again).await.expect("it is open"));
    assert_eq!(bench.view().await.balance, nano(111));
    bench.admit(costs(1, 5)).await;
}

async fn a_wallet_that_cannot_open_is_not_there(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let opening = |name: &str, of: &str, amount| entry(name, of, EntryKind::Opening, amount);
    let wrong = [
        wallet("v", -1, None, &[]),
        wallet("v", MONEY_MAX + 1, None, &[]),
        wallet("v", 0, Some(opening("e", "w", 5)), &[]),
        wallet("v", 0, Some(opening("config:w", "v", 5)), &[]),
        wallet("v", 0, Some(opening("e", "v", 0)), &[]),
        wallet("v", 0, Some(opening("e", "v", MONEY_MAX + 1)), &[]),
    ];
    for new in wrong {
        conflicts(bench.ledger().open_wallet(new).await);
    }
    let wallets = bench.ledger().wallets().await.expect("the store answers");
    assert_eq!(wallets, [id::<WalletId>("w")]);
    let most = wallet("v", MONEY_MAX, Some(opening("e", "v", MONEY_MAX)), &[]);
    assert!(bench.ledger().open_wallet(most).await.expect("it opens"));
    let view = bench.view_of("v").await;
    assert_eq!(view.available, nano(1 << 62));
}

async fn wallets_are_listed_in_order(bench: &Bench) {
    let names = ["b", "a:1", "a.2", "B", "a", "0"];
    for name in names {
        let new = wallet(name, 0, None, &[]);
        assert!(bench.ledger().open_wallet(new).await.expect("it opens"));
    }
    let wallets = bench.ledger().wallets().await.expect("the store answers");
    let listed: Vec<&str> = wallets.iter().map(WalletId::as_str).collect();
    assert_eq!(listed, ["0", "B", "a", "a.2", "a:1", "b"]);
}

async fn a_credit_line_goes_no_lower_than_what_is_owed_and_held(bench: &Bench) {
    bench.furnish(10, 0, &[]).await;
    let set = async |line| bench.ledger().set_credit_line(id("w"), nano(line)).await;
    set(50).await.expect("upwards");
    bench.admit(costs(1, 60)).await;
    conflicts(set(49).await);
    conflicts(set(-1).await);
    conflicts(set(MONEY_MAX + 1).await);
    bench.settled(1, charge(40)).await;
    conflicts(set(29).await);
    set(30).await.expect("exactly what is owed");
    assert_eq!(bench.hold(costs(2, 1)).await, Err(funds(1, 0, false)));
    bench.adjust("down", -100).await;
    set(31).await.expect("a higher line is never too low");
    set(MONEY_MAX).await.expect("the most");
}

async fn a_credit_is_booked_once_per_id(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.later(5);
    let topup = entry("t-1", "w", EntryKind::Topup, 50);
    let first = bench.credit(topup.clone()).await.expect("it is booked");
    assert!(first.applied);
    assert_eq!((first.balance, first.entry.at), (nano(150), START.plus(5)));
    bench.later(5);
    let at = UnixMs(77);
    let again = bench
        .credit(Entry {
            at,
            ..topup.clone()
        })
        .await;
    let again = again.expect("the same again");
    assert_eq!((again.applied, again.balance), (false, nano(150)));
    assert_eq!(again.entry, first.entry);
    let others = [
        Entry {
            amount: nano(51),
            ..topup.clone()
        },
        Entry {
            reason: "other".to_owned(),
            ..topup.clone()
        },
        Entry {
            actor: "other".to_owned(),
            ..topup.clone()
        },
        Entry {
            kind: EntryKind::Refund,
            ..topup
        },
    ];
    for other in others {
        conflicts(bench.credit(other).await);
    }
    assert_eq!(bench.view().await.credited, nano(150));
}

async fn an_entry_id_belongs_to_one_wallet(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    let topup = entry("t-1", "w", EntryKind::Topup, 50);
    bench.credit(topup.clone()).await.expect("it is booked");
    conflicts(
        bench
            .credit(Entry {
                wallet: id("v"),
                ..topup
            })
            .await,
    );
    assert_eq!(bench.view_of("v").await.balance, nano(100));
    missing(
        bench
            .credit(entry("t-2", "nobody", EntryKind::Topup, 5))
            .await,
    );
    // What was not booked has no id taken.
    let second = bench.credit(entry("t-2", "v", EntryKind::Topup, 5)).await;
    assert!(second.expect("it is booked").applied);
}

async fn only_adjustments_may_be_negative(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for kind in [EntryKind::Opening, EntryKind::Topup, EntryKind::Refund] {
        for amount in [0, -1, i64::MIN] {
            conflicts(bench.credit(entry("e", "w", kind, amount)).await);
        }
    }
    bench.adjust("nothing", 0).await;
    bench.adjust("down", -150).await;
    assert_eq!(bench.money().await, (-50, 0, 0));
}

async fn money_stays_within_its_range(bench: &Bench) {
    bench.furnish(0, 0, &[]).await;
    bench.adjust("most", MONEY_MAX).await;
    let one = |name: &str, amount| entry(name, "w", EntryKind::Adjustment, amount);
    for (number, amount) in [1, i64::MAX, i64::MIN].into_iter().enumerate() {
        conflicts(bench.credit(one(&format!("e{number}"), amount)).await);
    }
    bench.adjust("a", -MONEY_MAX).await;
    bench.adjust("b", -MONEY_MAX).await;
    conflicts(bench.credit(one("c", -1)).await);
    assert_eq!(bench.money().await, (-MONEY_MAX, 0, 0));
}

async fn prices_are_kept_again_and_again(bench: &Bench) {
    for _ in 0..2 {
        let kept = bench
            .ledger()
            .keep_prices("0123".to_owned(), "{}".to_owned())
            .await;
        kept.expect("it is kept");
    }
    bench.ledger().ready().expect("it takes operations");
    assert_eq!(bench.ledger().now(), bench.now());
}

crate::stores::on_every_store!(
    a_wallet_opens_once_with_its_credit_and_its_grants,
    an_open_wallet_gets_new_grants_only_and_no_second_opening,
    a_wallet_that_cannot_open_is_not_there,
    wallets_are_listed_in_order,
    a_credit_line_goes_no_lower_than_what_is_owed_and_held,
    a_credit_is_booked_once_per_id,
    an_entry_id_belongs_to_one_wallet,
    only_adjustments_may_be_negative,
    money_stays_within_its_range,
    prices_are_kept_again_and_again,
);
