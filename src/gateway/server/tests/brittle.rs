//! A real ledger with planted faults: a panic at a chosen moment of a request's life, records of keys that are old,
//! renewals that fail.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::clock::UnixMs;
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::embedded::Embedded;
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::key::{Freshness, Key};
use crate::ledger::object::{Object, ObjectQuery, ObjectRef};
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::ledger::{Answer, AuditReport, Description, JournalStats, Ledger, LedgerError, Stats};
use crate::money::Nano;

/// When to panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the hold: when the worst case is priced.
    Quoting,
    /// After the hold: when the head of the answer is made.
    Held,
    /// When the charge is to be booked.
    Settling,
    /// When the charge was booked.
    Settled,
}

/// Passes everything on to a real ledger, but for what is planted.
pub struct Brittle {
    pub inner: Embedded,
    pub panics: Mutex<Option<Moment>>,
    is_held: Mutex<bool>,
    /// The records that a look-up of any age finds; `None` where there was no key then.
    pub old: Mutex<HashMap<KeyDigest, Option<Arc<Key>>>>,
    /// How many renewals fail from now on.
    pub fails_to_renew: AtomicUsize,
    /// What it tells of a journal.
    pub journal: Mutex<Option<JournalStats>>,
}

impl Brittle {
    pub fn new(inner: Embedded) -> Self {
        Brittle {
            inner,
            panics: Mutex::default(),
            is_held: Mutex::default(),
            old: Mutex::default(),
            fails_to_renew: AtomicUsize::default(),
            journal: Mutex::default(),
        }
    }

    /// From now on, a look-up of any age finds the record that there is now.
    pub async fn remember(&self, digest: KeyDigest) {
        let found = self.inner.key(digest, Freshness::Shown).await;
        let found = found.expect("an answer");
        self.old.lock().insert(digest, found);
    }

    /// Arms the panic for the next request.
    pub fn arm(&self, moment: Option<Moment>) {
        *self.panics.lock() = moment;
        *self.is_held.lock() = false;
    }

    fn reach(&self, moment: Moment) {
        let due = self.panics.lock().take_if(|due| *due == moment).is_some();
        assert!(!due, "planted: {moment:?}");
    }
}

impl Ledger for Brittle {
    fn now(&self) -> UnixMs {
        let moment = match *self.is_held.lock() {
            true => Moment::Held,
            false => Moment::Quoting,
        };
        self.reach(moment);
        self.inner.now()
    }

    fn ready(&self) -> Result<(), LedgerError> {
        self.inner.ready()
    }

    fn stats(&self) -> Stats {
        Stats {
            journal: *self.journal.lock(),
            ..self.inner.stats()
        }
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn digest(&self, secret: &str) -> KeyDigest {
        self.inner.digest(secret)
    }

    fn key(&self, digest: KeyDigest, freshness: Freshness) -> Answer<'_, Option<Arc<Key>>> {
        let old = match freshness {
            Freshness::Any => self.old.lock().get(&digest).cloned(),
            Freshness::Shown => None,
        };
        match old {
            Some(found) => ready(Ok(found)).boxed(),
            None => self.inner.key(digest, freshness),
        }
    }

    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>> {
        *self.is_held.lock() = true;
        self.inner.hold(quote)
    }

    fn adopt(&self, quote: Quote, held: Hold, held_at: UnixMs) -> Answer<'_, ()> {
        self.inner.adopt(quote, held, held_at)
    }

    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled> {
        async move {
            self.reach(Moment::Settling);
            let settled = self.inner.settle(hold, charge).await;
            self.reach(Moment::Settled);
            settled
        }
        .boxed()
    }

    fn void(&self, hold: HoldRef) -> Answer<'_, ()> {
        self.inner.void(hold)
    }

    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.fails_to_renew.fetch_update(Relaxed, Relaxed, one_less) {
            Ok(_) => ready(Err(LedgerError::Unavailable("planted".to_owned()))).boxed(),
            Err(_) => self.inner.renew(holds, lease_ms),
        }
    }

    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool> {
        self.inner.open_wallet(wallet)
    }

    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()> {
        self.inner.set_credit_line(wallet, line)
    }

    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>> {
        self.inner.put_key(key, digest)
    }

    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>> {
        self.inner.edit_key(key)
    }

    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>> {
        self.inner.revoke_key(key)
    }

    fn key_of(&self, wallet: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>> {
        self.inner.key_of(wallet, key)
    }

    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>> {
        self.inner.keys()
    }

    fn credit(&self, entry: Entry) -> Answer<'_, Credited> {
        self.inner.credit(entry)
    }

    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>> {
        self.inner.wallet(wallet)
    }

    fn wallets(&self) -> Answer<'_, Vec<WalletId>> {
        self.inner.wallets()
    }

    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>> {
        self.inner.receipt(request, wallet)
    }

    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>> {
        self.inner.receipts(query)
    }

    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>> {
        self.inner.usage(query)
    }

    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()> {
        self.inner.put_object(object, at_most)
    }

    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>> {
        self.inner.object(name)
    }

    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()> {
        self.inner.drop_object(name)
    }

    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>> {
        self.inner.objects(query)
    }

    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>> {
        self.inner.pending_objects(after, limit)
    }

    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()> {
        self.inner.keep_prices(version, content)
    }

    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64> {
        self.inner.trim_receipts(before)
    }

    fn audit(&self) -> Answer<'_, AuditReport> {
        self.inner.audit()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
