//! Short words for building quotes, charges and wallets in tests.

use std::sync::Arc;

use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::{Book, Change};
use crate::ledger::credit::{Credited, Entry, EntryKind};
use crate::ledger::grant::{Grant, GrantUnit, ModelSet};
use crate::ledger::hold::{
    Charge, FreeUnits, Hold, HoldRef, IdempotencyClaim, Quote, Refusal, Settled,
};
use crate::ledger::id::{KeyDigest, RequestId, WalletId};
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::ledger::receipt::Detail;
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::money::{Factor, Nano};
use crate::price::Segment;
use crate::usage::{Counted, Meter, Usage};

pub(super) const LEASE_MS: u64 = 1000;

pub(super) fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is an id"))
}

pub(super) fn request(number: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    RequestId::from_bytes(bytes)
}

pub(super) fn digest(number: u8) -> KeyDigest {
    KeyDigest([number; 32])
}

pub(super) fn models(names: &[&str]) -> ModelSet {
    if names.is_empty() {
        return ModelSet::All;
    }
    ModelSet::Only(names.iter().map(|name| Arc::from(*name)).collect())
}

pub(super) fn segment(meter: Meter, count: u64, unit_price: i64) -> Segment {
    Segment {
        meter,
        count,
        count_min: count,
        unit_price: Nano::new(unit_price),
    }
}

pub(super) fn grant(name: &str, unit: GrantUnit, amount: u64) -> Grant {
    Grant {
        name: id(name),
        unit,
        amount,
        models: ModelSet::All,
        expires_at: None,
    }
}

pub(super) fn key(name: &str, wallet: &str) -> Key {
    Key {
        id: id(name),
        wallet: id(wallet),
        name: name.to_owned(),
        revision: 0,
        enabled: true,
        expires_at: None,
        models: ModelSet::All,
        allowed_ips: Vec::new(),
        limits: Vec::new(),
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        offline_allowance: Nano::ZERO,
        multiplier: Factor::ONE,
        created_at: UnixMs(0),
    }
}

pub(super) fn entry(name: &str, wallet: &str, kind: EntryKind, amount: i64) -> Entry {
    Entry {
        id: id(name),
        wallet: id(wallet),
        kind,
        amount: Nano::new(amount),
        reason: "test".to_owned(),
        actor: "operator".to_owned(),
        at: UnixMs(0),
    }
}

pub(super) fn counter(key: &str, ask: Ask, cap: u64, window: Window) -> CounterAsk {
    CounterAsk {
        key: key.into(),
        ask,
        cap,
        window,
    }
}

pub(super) fn claim(token: &str, body: u8) -> Option<IdempotencyClaim> {
    Some(IdempotencyClaim {
        token: token.into(),
        body: [body; 32],
    })
}

/// A quote of request `number` on wallet `w` by key `k` for model `m`.
pub(super) fn quote(number: u64, segments: &[Segment]) -> Quote {
    Quote {
        request: request(number),
        wallet: id("w"),
        key: id("k"),
        key_revision: 1,
        model: "m".into(),
        aliases: [].into(),
        price_version: "v".into(),
        segments: segments.to_vec(),
        counters: Vec::new(),
        lease_ms: LEASE_MS,
        idempotency: None,
    }
}

/// A quote that costs `money` nano and nothing else.
pub(super) fn costs(number: u64, money: u64) -> Quote {
    quote(number, &[segment(Meter::Output, money, 1)])
}

pub(super) fn charge(priced: i64) -> Charge {
    Charge {
        usage: Usage::tokens(1, 2),
        counted: Counted::Exact,
        priced: Nano::new(priced),
        free: FreeUnits::default(),
        counters: Vec::new(),
        detail: Detail::default(),
    }
}

/// A book with one wallet `w` and one key `k`, and a hand-set clock.
pub(super) struct Bench {
    pub(super) book: Book,
    pub(super) now: UnixMs,
    pub(super) changes: Vec<Change>,
}

impl Bench {
    pub(super) fn new(balance: i64, credit_line: i64, grants: Vec<Grant>) -> Self {
        let mut bench = Bench {
            book: Book::new(),
            now: UnixMs(1_000_000),
            changes: Vec::new(),
        };
        let opening = (balance != 0).then(|| entry("config:w", "w", EntryKind::Opening, balance));
        let wallet = NewWallet {
            id: id("w"),
            credit_line: Nano::new(credit_line),
            opening,
            grants,
        };
        bench.open(wallet).expect("a fresh wallet opens");
        bench.put_key(key("k", "w"), 1).expect("a fresh key");
        bench
    }

    pub(super) fn open(&mut self, wallet: NewWallet) -> Result<bool, LedgerError> {
        self.book.open_wallet(self.now, wallet, &mut self.changes)
    }

    pub(super) fn put_key(&mut self, key: Key, number: u8) -> Result<Arc<Key>, LedgerError> {
        self.book.put_key(key, digest(number), &mut self.changes)
    }

    pub(super) fn hold(&mut self, quote: Quote) -> Result<Hold, Refusal> {
        let outcome = self.book.hold(self.now, quote);
        self.sound();
        outcome
    }

    pub(super) fn settle(&mut self, number: u64, charge: Charge) -> Result<Settled, LedgerError> {
        let id = self.named(number);
        let outcome = self.book.settle(self.now, &id, charge, &mut self.changes);
        self.sound();
        outcome
    }

    pub(super) fn void(&mut self, number: u64) -> Result<(), LedgerError> {
        let outcome = self.book.void(self.now, &self.named(number));
        self.sound();
        outcome
    }

    pub(super) fn credit(&mut self, entry: Entry) -> Result<Credited, LedgerError> {
        let outcome = self.book.credit(self.now, entry, &mut self.changes);
        self.sound();
        outcome
    }

    pub(super) fn named(&self, number: u64) -> HoldRef {
        HoldRef {
            wallet: id("w"),
            request: request(number),
        }
    }

    pub(super) fn later(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    pub(super) fn view(&self) -> WalletView {
        let wallet: WalletId = id("w");
        self.book.wallet(self.now, &wallet).expect("it is open")
    }

    pub(super) fn balance(&self) -> i64 {
        self.view().balance.get()
    }

    /// What is used and held of a grant.
    pub(super) fn grant(&self, name: &str) -> (u64, u64) {
        let view = self.view();
        let mut grants = view.grants.iter();
        let state = grants.find(|state| state.grant.name.as_str() == name);
        state
            .map(|state| (state.used, state.held))
            .expect("a grant")
    }

    /// What is used and held of a counter.
    pub(super) fn counter(&self, name: &str) -> Option<(u64, u64)> {
        let view = self.view();
        let found = view.counters.iter().find(|counter| counter.key == name);
        found.map(|counter| (counter.used, counter.held))
    }

    fn sound(&self) {
        let faults = self.book.check();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// A refusal for want of funds: what is needed, and whether others hold it.
pub(super) fn short_of_funds(outcome: Result<Hold, Refusal>) -> (i64, bool) {
    match outcome {
        Err(Refusal::Funds {
            need,
            held_by_others,
            ..
        }) => (need.get(), held_by_others),
        other => panic!("expected a refusal for want of funds, got {other:?}"),
    }
}

/// A refusal by a counter: which, whether others hold it, and when to come back.
pub(super) fn limited(outcome: Result<Hold, Refusal>) -> (usize, bool, Option<u64>) {
    match outcome {
        Err(Refusal::Limit {
            index,
            held_by_others,
            retry_after_ms,
            ..
        }) => (index, held_by_others, retry_after_ms),
        other => panic!("expected a refusal by a limit, got {other:?}"),
    }
}
