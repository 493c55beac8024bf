//! Opening wallets and booking credits.

use super::fixture::*;
use crate::ledger::LedgerError;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::grant::GrantUnit;
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

fn conflicts<T: std::fmt::Debug>(outcome: Result<T, LedgerError>) {
    assert!(
        matches!(outcome, Err(LedgerError::Conflict(_))),
        "{outcome:?}"
    );
}

fn wallet(name: &str, opening: Option<Entry>) -> NewWallet {
    NewWallet {
        id: id(name),
        credit_line: Nano::ZERO,
        opening,
        grants: vec![],
    }
}

#[test]
fn a_credit_is_booked_once_per_id() {
    let mut bench = Bench::new(100, 0, vec![]);
    let topup = || entry("t", "w", EntryKind::Topup, 50);
    let first = bench.credit(topup()).expect("new");
    bench.later(1000);
    let again = bench.credit(topup()).expect("known");
    assert!(first.applied && !again.applied);
    assert_eq!((&again.entry, again.balance.get()), (&first.entry, 150));
    conflicts(bench.credit(entry("t", "w", EntryKind::Topup, 51)));
    let reason = "another".to_owned();
    conflicts(bench.credit(Entry { reason, ..topup() }));
    assert_eq!(bench.balance(), 150);
}

#[test]
fn an_entry_id_belongs_to_one_wallet() {
    let mut bench = Bench::new(100, 0, vec![]);
    bench.open(wallet("v", None)).expect("fresh");
    bench
        .credit(entry("t", "w", EntryKind::Topup, 50))
        .expect("new");
    conflicts(bench.credit(entry("t", "v", EntryKind::Topup, 50)));
    let stolen = entry("t", "x", EntryKind::Opening, 50);
    conflicts(bench.open(wallet("x", Some(stolen))));
    assert_eq!(bench.book.wallets(), [id("v"), id("w")]);
}

#[test]
fn only_adjustments_may_be_negative() {
    let mut bench = Bench::new(100, 0, vec![]);
    for kind in [EntryKind::Opening, EntryKind::Topup, EntryKind::Refund] {
        conflicts(bench.credit(entry("x", "w", kind, 0)));
        conflicts(bench.credit(entry("x", "w", kind, -1)));
    }
    bench
        .credit(entry("x", "w", EntryKind::Adjustment, -300))
        .expect("it may");
    assert_eq!(bench.balance(), -200);
}

#[test]
fn money_stays_within_its_range() {
    let mut bench = Bench::new(0, 0, vec![]);
    conflicts(bench.credit(entry("a", "w", EntryKind::Topup, i64::MAX)));
    bench
        .credit(entry("b", "w", EntryKind::Topup, 1 << 61))
        .expect("the most");
    conflicts(bench.credit(entry("c", "w", EntryKind::Topup, 1)));
    conflicts(bench.open(NewWallet {
        credit_line: Nano::new(-1),
        ..wallet("v", None)
    }));
}

#[test]
fn a_credit_to_an_unknown_wallet_is_not_found() {
    let mut bench = Bench::new(0, 0, vec![]);
    let outcome = bench.credit(entry("a", "nobody", EntryKind::Topup, 1));
    assert!(matches!(outcome, Err(LedgerError::NotFound(_))));
}

#[test]
fn an_open_wallet_gets_new_grants_only_and_no_second_opening() {
    let given = grant("g", GrantUnit::Tokens, 5);
    let mut bench = Bench::new(100, 0, vec![given]);
    bench.changes.clear();
    let again = NewWallet {
        opening: Some(entry("config:w", "w", EntryKind::Opening, 999)),
        grants: vec![
            grant("g", GrantUnit::Tokens, 77),
            grant("h", GrantUnit::Images, 2),
        ],
        ..wallet("w", None)
    };
    assert!(!bench.open(again.clone()).expect("it is open"));
    assert_eq!(bench.balance(), 100);
    assert_eq!(bench.changes.len(), 1, "the new grant");
    assert!(!bench.open(again).expect("it is open"));
    assert_eq!(bench.changes.len(), 1);
    let amounts: Vec<u64> = bench
        .view()
        .grants
        .iter()
        .map(|one| one.grant.amount)
        .collect();
    assert_eq!(amounts, [5, 2]);
}

#[test]
fn an_opening_that_was_never_booked_is_booked_on_an_open_wallet() {
    let mut bench = Bench::new(100, 0, vec![]);
    let second = entry("config:second-key", "w", EntryKind::Opening, 40);
    assert!(!bench.open(wallet("w", Some(second))).expect("it is open"));
    assert_eq!(bench.balance(), 140);
}
