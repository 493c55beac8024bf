//! What operators do: wallets, credit lines, credits, keys.

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit};
use tollgate::ledger::hold::{Quote, Refusal};
use tollgate::ledger::id::WalletId;
use tollgate::ledger::key::{Freshness, Key};
use tollgate::ledger::limit::{Limit, Measure, Per};

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

async fn a_key_is_found_by_its_secret_only(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let ledger = bench.ledger();
    let secret = ledger.digest("sk-one");
    assert_eq!(secret, ledger.digest("sk-one"));
    assert_ne!(secret, ledger.digest("sk-two"));
    assert_eq!(
        ledger
            .key(secret, Freshness::Shown)
            .await
            .expect("an answer"),
        None
    );
    let record = Key {
        name: "of \"\u{e9}\" {tag}".to_owned(),
        models: models(&["m", "n"]),
        allowed_ips: vec!["10.0.0.0/8".parse().expect("a net")],
        limits: vec![Limit {
            name: id("day"),
            measure: Measure::Spend,
            cap: EXACT - 1,
            per: Per::Day,
            models: models(&["m"]),
        }],
        expires_at: Some(START.plus(DAY_MS)),
        ..key("one", "w")
    };
    let kept = ledger
        .put_key(record.clone(), secret)
        .await
        .expect("a new key");
    assert_eq!(*kept, record);
    assert_eq!(
        ledger
            .key(secret, Freshness::Shown)
            .await
            .expect("an answer"),
        Some(kept.clone())
    );
    let keys = ledger.keys().await.expect("an answer");
    let names: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(names, ["k", "one"]);
    assert_eq!(keys[1], kept);
}

async fn ids_secrets_and_wallets_of_keys_belong_together(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    let ledger = bench.ledger();
    ledger
        .put_key(key("one", "w"), digest(1))
        .await
        .expect("a new key");
    missing(ledger.put_key(key("two", "nobody"), digest(2)).await);
    conflicts(ledger.put_key(key("one", "w"), digest(2)).await);
    conflicts(ledger.put_key(key("one", "v"), digest(1)).await);
    conflicts(ledger.put_key(key("two", "w"), digest(1)).await);
    conflicts(ledger.put_key(key("two", "v"), digest(1)).await);
    conflicts(ledger.edit_key(key("one", "v")).await);
    assert_eq!(
        ledger
            .key(digest(2), Freshness::Shown)
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(ledger.keys().await.expect("an answer").len(), 3);
}

async fn a_revision_grows_with_every_change_and_a_quote_from_an_old_one_is_turned_away(
    bench: &Bench,
) {
    bench.furnish(100, 0, &[]).await;
    let ledger = bench.ledger();
    let record = key("one", "w");
    let put = async |record: &Key| ledger.put_key(record.clone(), digest(1)).await;
    assert_eq!(put(&record).await.expect("a new key").revision, 1);
    assert_eq!(put(&record).await.expect("the same").revision, 1);
    let renamed = Key {
        name: "other".to_owned(),
        created_at: UnixMs(5),
        revision: 99,
        ..record.clone()
    };
    let kept = put(&renamed).await.expect("another");
    assert_eq!((kept.revision, kept.created_at), (2, record.created_at));
    let by = |number, key_revision| Quote {
        key_revision,
        ..of("w", "one", costs(number, 1))
    };
    for (number, revision) in [(1, 1), (2, 3)] {
        assert_eq!(
            bench.hold(by(number, revision)).await,
            Err(Refusal::KeyChanged)
        );
    }
    bench.admit(by(3, 2)).await;
}

async fn an_edit_of_what_was_changed_meanwhile_is_a_conflict(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let ledger = bench.ledger();
    let read = ledger
        .put_key(key("one", "w"), digest(1))
        .await
        .expect("a new key");
    let renamed = |name: &str, revision| Key {
        name: name.to_owned(),
        revision,
        created_at: UnixMs(5),
        ..Key::clone(&read)
    };
    let kept = ledger
        .edit_key(renamed("a", 1))
        .await
        .expect("it is current");
    assert_eq!((kept.revision, kept.created_at), (2, read.created_at));
    conflicts(ledger.edit_key(renamed("b", 1)).await);
    let same = ledger
        .edit_key(renamed("a", 2))
        .await
        .expect("nothing to do");
    assert_eq!(same.revision, 2);
    missing(ledger.edit_key(key("nobody", "w")).await);
    assert_eq!(
        ledger
            .key(digest(1), Freshness::Shown)
            .await
            .expect("an answer"),
        Some(kept)
    );
}

async fn a_revoked_key_is_refused_at_once_and_stays_revoked(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let ledger = bench.ledger();
    let record = key("one", "w");
    ledger
        .put_key(record.clone(), digest(1))
        .await
        .expect("a new key");
    bench.admit(of("w", "one", costs(1, 10))).await;
    let revoked = ledger.revoke_key(id("one")).await.expect("it is known");
    assert_eq!((revoked.enabled, revoked.revision), (false, 2));
    let again = ledger.revoke_key(id("one")).await.expect("it is known");
    assert_eq!(again, revoked);
    missing(ledger.revoke_key(id("nobody")).await);
    let mut asked = of("w", "one", costs(2, 10));
    asked.key_revision = 2;
    assert_eq!(bench.hold(asked).await, Err(Refusal::Key));
    conflicts(ledger.edit_key(Key::clone(&revoked)).await);
    let renamed = Key {
        name: "other".to_owned(),
        ..record
    };
    let put = ledger
        .put_key(renamed, digest(1))
        .await
        .expect("a record may be put");
    assert_eq!((put.enabled, put.revision), (false, 3));
    // What it had begun ends as it would have.
    bench.settled(1, charge(10)).await;
}

async fn a_key_holds_on_its_own_wallet_until_it_expires_and_for_its_models(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    let record = Key {
        models: models(&["m"]),
        expires_at: Some(bench.now().plus(500)),
        ..key("one", "w")
    };
    bench.put(record).await;
    let by = |number, model: &str| Quote {
        model: model.into(),
        ..of("w", "one", costs(number, 1))
    };
    assert_eq!(
        bench.hold(of("v", "one", costs(1, 1))).await,
        Err(Refusal::Key)
    );
    assert_eq!(
        bench.hold(of("w", "nobody", costs(2, 1))).await,
        Err(Refusal::Key)
    );
    assert_eq!(bench.hold(by(3, "n")).await, Err(Refusal::Model));
    let mut renamed = by(4, "n");
    renamed.aliases = ["m".into()].into();
    bench.admit(renamed).await;
    bench.later(499);
    bench.admit(by(5, "m")).await;
    bench.later(1);
    assert_eq!(bench.hold(by(6, "m")).await, Err(Refusal::Key));
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
    a_key_is_found_by_its_secret_only,
    ids_secrets_and_wallets_of_keys_belong_together,
    a_revision_grows_with_every_change_and_a_quote_from_an_old_one_is_turned_away,
    an_edit_of_what_was_changed_meanwhile_is_a_conflict,
    a_revoked_key_is_refused_at_once_and_stays_revoked,
    a_key_holds_on_its_own_wallet_until_it_expires_and_for_its_models,
    prices_are_kept_again_and_again,
);
