//! Keys: how they are found, changed, revoked, and what they may do.

use tollgate::clock::UnixMs;
use tollgate::ledger::hold::{Quote, Refusal};
use tollgate::ledger::key::Key;
use tollgate::ledger::limit::{Limit, Measure, Per};

use crate::bench::{Bench, conflicts, missing};
use crate::kit::*;

async fn a_key_is_found_by_its_secret_only(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let ledger = bench.ledger();
    let secret = ledger.digest("sk-one");
    assert_eq!(secret, ledger.digest("sk-one"));
    assert_ne!(secret, ledger.digest("sk-two"));
    assert_eq!(ledger.key(secret).await.expect("an answer"), None);
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
        ledger.key(secret).await.expect("an answer"),
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
    assert_eq!(ledger.key(digest(2)).await.expect("an answer"), None);
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
    assert_eq!(ledger.key(digest(1)).await.expect("an answer"), Some(kept));
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

crate::stores::on_every_store!(
    a_key_is_found_by_its_secret_only,
    ids_secrets_and_wallets_of_keys_belong_together,
    a_revision_grows_with_every_change_and_a_quote_from_an_old_one_is_turned_away,
    an_edit_of_what_was_changed_meanwhile_is_a_conflict,
    a_revoked_key_is_refused_at_once_and_stays_revoked,
    a_key_holds_on_its_own_wallet_until_it_expires_and_for_its_models,
);
