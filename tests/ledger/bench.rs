//! One store under test, its hand-set clock, and short words for what is done to it.

use std::sync::Arc;

use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::credit::{Credited, Entry, EntryKind};
use tollgate::ledger::grant::Grant;
use tollgate::ledger::hold::{Charge, Hold, Quote, Refusal, Settled};
use tollgate::ledger::key::Key;
use tollgate::ledger::limit::CounterState;
use tollgate::ledger::object::{OBJECTS_MAX, Object, ObjectKind, ObjectQuery};
use tollgate::ledger::wallet::WalletView;
use tollgate::ledger::{Ledger, LedgerError};
use tollgate::money::Nano;

use crate::kit::{START, digest, entry, hold_ref, id, key, object_ref, wallet};
use crate::stores::{Opened, Store};

pub struct Bench {
    store: Opened,
    pub clock: Clock,
}

impl Bench {
    pub async fn open(store: Store) -> Bench {
        let clock = Clock::manual(START);
        Bench {
            store: store.open(&clock).await,
            clock,
        }
    }

    /// The same store, as a process would find it that was started anew.
    pub async fn again(self) -> Bench {
        Bench {
            store: self.store.again(&self.clock).await,
            clock: self.clock,
        }
    }

    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.store.ledger
    }

    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    pub fn later(&self, ms: u64) {
        self.clock.advance(ms);
    }

    /// Opens wallet `w` with key `k`.
    pub async fn furnish(&self, balance: i64, line: i64, grants: &[Grant]) {
        self.furnish_as("w", "k", balance, line, grants).await;
    }

    /// Opens a wallet with a key.
    pub async fn furnish_as(
        &self,
        name: &str,
        by: &str,
        balance: i64,
        line: i64,
        grants: &[Grant],
    ) {
        let opening = entry(&format!("config:{name}"), name, EntryKind::Opening, balance);
        let new = wallet(name, line, Some(opening).filter(|_| balance != 0), grants);
        let opened = self.ledger().open_wallet(new).await;
        assert!(opened.expect("a fresh wallet opens"));
        self.put(key(by, name)).await;
    }

    /// Puts a key whose digest follows from its id.
    pub async fn put(&self, key: Key) -> Arc<Key> {
        let number = key.id.as_str().bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(257).wrapping_add(byte.into())
        });
        let put = self.ledger().put_key(key, digest(number)).await;
        put.expect("a fresh key")
    }

    pub async fn hold(&self, quote: Quote) -> Result<Hold, Refusal> {
        self.ledger().hold(quote).await.expect("the store answers")
    }

    /// A hold that has to be admitted.
    pub async fn admit(&self, quote: Quote) -> Hold {
        let text = format!("{quote:?}");
        let hold = self.hold(quote).await;
        hold.unwrap_or_else(|refusal| panic!("{refusal:?} to {text}"))
    }

    pub async fn settle(&self, number: u64, charge: Charge) -> Result<Settled, LedgerError> {
        self.ledger().settle(hold_ref("w", number), charge).await
    }

    /// A settle that has to be done.
    pub async fn settled(&self, number: u64, charge: Charge) -> Settled {
        self.settle(number, charge).await.expect("it is settled")
    }

    pub async fn void(&self, number: u64) -> Result<(), LedgerError> {
        self.ledger().void(hold_ref("w", number)).await
    }

    pub async fn renew(&self, number: u64, lease_ms: u64) {
        let holds = vec![hold_ref("w", number)];
        let renewed = self.ledger().renew(holds, lease_ms).await;
        renewed.expect("renewals pass over what they do not know");
    }

    pub async fn credit(&self, entry: Entry) -> Result<Credited, LedgerError> {
        self.ledger().credit(entry).await
    }

    /// Moves the balance of `w` by so much.
    pub async fn adjust(&self, name: &str, amount: i64) {
        let entry = entry(name, "w", EntryKind::Adjustment, amount);
        self.credit(entry).await.expect("adjustments may");
    }

    pub async fn view_of(&self, wallet: &str) -> WalletView {
        let view = self.ledger().wallet(id(wallet)).await;
        view.expect("the store answers").expect("it is open")
    }

    pub async fn view(&self) -> WalletView {
        self.view_of("w").await
    }

    /// Balance, held and available of `w`.
    pub async fn money(&self) -> (i64, i64, i64) {
        let view = self.view().await;
        (view.balance.get(), view.held.get(), view.available.get())
    }

    /// What is used and held of a grant of `w`.
    pub async fn grant(&self, name: &str) -> (u64, u64) {
        let view = self.view().await;
        let mut grants = view.grants.iter();
        let state = grants.find(|state| state.grant.name.as_str() == name);
        let state = state.expect("a grant");
        (state.used, state.held)
    }

    /// What is used and held of a counter of `w`.
    pub async fn counter(&self, name: &str) -> Option<(u64, u64)> {
        let view = self.view().await;
        let found = view.counters.iter().find(|counter| counter.key == name);
        found.map(|counter| (counter.used, counter.held))
    }

    /// Keeps an object of a wallet that may have as many as it likes.
    pub async fn keep(&self, object: Object) {
        let kept = self.ledger().put_object(object, OBJECTS_MAX).await;
        kept.expect("it is kept");
    }

    pub async fn object(&self, name: &str, wallet: &str) -> Option<Object> {
        let found = self.ledger().object(object_ref(name, wallet)).await;
        found.expect("the store answers")
    }

    /// The ids of the objects of `w` of one kind, newest first.
    pub async fn listed(&self, kind: ObjectKind, after: Option<&str>, limit: u32) -> Vec<String> {
        let query = ObjectQuery {
            wallet: id("w"),
            kind,
            after: after.map(id),
            limit,
        };
        let objects = self.ledger().objects(query).await.expect("a list");
        objects.iter().map(|object| object.id.to_string()).collect()
    }

    pub async fn pending(&self) -> Vec<Object> {
        let pending = self.ledger().pending_objects(None, 1_000).await;
        pending.expect("the store answers")
    }

    pub async fn assert_clean(&self) {
        let report = self.ledger().audit().await.expect("the store answers");
        assert_eq!(report.findings, Vec::<String>::new());
    }
}

/// A refusal for want of funds.
pub fn funds(need: u64, available: i64, held_by_others: bool) -> Refusal {
    Refusal::Funds {
        need: Nano::new(i64::try_from(need).expect("an amount")),
        available: Nano::new(available),
        held_by_others,
    }
}

/// A refusal by the counter at `index`, which has no reset.
pub fn limited(index: usize, need: u64, state: (u64, u64), held_by_others: bool) -> Refusal {
    let (cap, remaining) = state;
    let state = CounterState {
        cap,
        remaining,
        reset_at: None,
    };
    Refusal::Limit {
        index,
        need,
        state,
        held_by_others,
        retry_after_ms: None,
    }
}

/// What an answer has to be: a conflict.
pub fn conflicts<T: std::fmt::Debug>(answer: Result<T, LedgerError>) {
    assert!(
        matches!(answer, Err(LedgerError::Conflict(_))),
        "{answer:?}"
    );
}

/// What an answer has to be: a thing that is not there.
pub fn missing<T: std::fmt::Debug>(answer: Result<T, LedgerError>) {
    assert!(
        matches!(answer, Err(LedgerError::NotFound(_))),
        "{answer:?}"
    );
}
