//! Keys: who may hold at all.

use super::fixture::*;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::hold::{Quote, Refusal};
use crate::ledger::key::Key;
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

fn revised(number: u64, key_revision: u64) -> Quote {
    Quote {
        key_revision,
        ..costs(number, 1)
    }
}

#[test]
fn a_quote_from_an_old_record_is_turned_away() {
    let mut bench = Bench::new(100, 0, vec![]);
    let name = "renamed".to_owned();
    let kept = bench
        .put_key(
            Key {
                name,
                ..key("k", "w")
            },
            1,
        )
        .expect("known");
    assert_eq!(kept.revision, 2);
    assert_eq!(bench.hold(revised(1, 1)), Err(Refusal::KeyChanged));
    bench.hold(revised(2, 2)).expect("the record of now");
}

#[test]
fn a_record_that_is_put_unchanged_keeps_its_revision() {
    let mut bench = Bench::new(100, 0, vec![]);
    let rows = bench.changes.len();
    let later = Key {
        revision: 9,
        created_at: UnixMs(5),
        ..key("k", "w")
    };
    let kept = bench.put_key(later, 1).expect("known");
    assert_eq!((kept.revision, kept.created_at), (1, UnixMs(0)));
    assert_eq!(bench.changes.len(), rows);
}

#[test]
fn a_revoked_key_is_refused_at_once_and_stays_revoked() {
    let mut bench = Bench::new(100, 0, vec![]);
    for _ in 0..2 {
        let key = bench
            .book
            .revoke_key(&id("k"), &mut bench.changes)
            .expect("known");
        assert_eq!((key.enabled, key.revision), (false, 2));
    }
    assert_eq!(bench.hold(revised(1, 2)), Err(Refusal::Key));
    let kept = bench.put_key(key("k", "w"), 1).expect("known");
    assert!(!kept.enabled);
    assert_eq!(bench.book.key(&digest(1)), Some(&kept));
    let unknown = bench.book.revoke_key(&id("nobody"), &mut bench.changes);
    assert!(matches!(unknown, Err(LedgerError::NotFound(_))));
}

#[test]
fn a_key_holds_on_its_own_wallet_until_it_expires_and_for_its_models() {
    let mut bench = Bench::new(100, 0, vec![]);
    let record = Key {
        expires_at: Some(UnixMs(1_000_100)),
        models: models(&["m"]),
        ..key("k", "w")
    };
    bench.put_key(record, 1).expect("known");
    let other = Quote {
        model: "n".into(),
        ..revised(1, 2)
    };
    assert_eq!(bench.hold(other), Err(Refusal::Model));
    bench.later(99);
    bench.hold(revised(2, 2)).expect("one millisecond is left");
    bench.later(1);
    assert_eq!(bench.hold(revised(3, 2)), Err(Refusal::Key));
    let nobody = Quote {
        key: id("nobody"),
        ..costs(4, 1)
    };
    assert_eq!(bench.hold(nobody), Err(Refusal::Key));
    let elsewhere = Quote {
        wallet: id("nowhere"),
        ..costs(5, 1)
    };
    assert_eq!(bench.hold(elsewhere), Err(Refusal::Key));
}

#[test]
fn ids_secrets_and_wallets_of_keys_belong_together() {
    let mut bench = Bench::new(100, 0, vec![]);
    let new = NewWallet {
        id: id("v"),
        credit_line: Nano::ZERO,
        opening: None,
        grants: vec![],
    };
    bench.open(new).expect("fresh");
    for (record, number) in [(key("k", "w"), 2), (key("l", "w"), 1), (key("k", "v"), 1)] {
        let outcome = bench.put_key(record, number);
        assert!(
            matches!(outcome, Err(LedgerError::Conflict(_))),
            "{outcome:?}"
        );
    }
    let nowhere = bench.put_key(key("l", "nowhere"), 2);
    assert!(matches!(nowhere, Err(LedgerError::NotFound(_))));
    bench.put_key(key("a", "v"), 3).expect("fresh");
    let ids: Vec<String> = bench
        .book
        .keys()
        .iter()
        .map(|key| key.id.to_string())
        .collect();
    assert_eq!(ids, ["a", "k"]);
}
