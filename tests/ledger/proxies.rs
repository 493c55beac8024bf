//! Three proxies on one store, of two versions of the server-side code: one ledger, whichever is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Credited, Entry};
use tollgate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use tollgate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use tollgate::ledger::key::{Freshness, Key};
use tollgate::ledger::object::{Object, ObjectQuery, ObjectRef};
use tollgate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use tollgate::ledger::wallet::{NewWallet, WalletView};
use tollgate::ledger::{Answer, AuditReport, Description, Ledger, LedgerError, Stats};
use tollgate::money::Nano;

/// Asks each proxy in turn. What may be shown a second late is asked of the first, which also changes it.
pub struct Proxies {
    all: Vec<Arc<dyn Ledger>>,
    turn: AtomicUsize,
}

impl Proxies {
    pub fn new(all: Vec<Arc<dyn Ledger>>) -> Proxies {
        Proxies {
            all,
            turn: AtomicUsize::new(0),
        }
    }

    fn any(&self) -> &dyn Ledger {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // Not in a circle of the length of what a schedule repeats.
        &*self.all[(turn ^ (turn >> 3)) % self.all.len()]
    }

    fn first(&self) -> &dyn Ledger {
        &*self.all[0]
    }
}

impl Ledger for Proxies {
    fn now(&self) -> UnixMs {
        self.first().now()
    }

    fn ready(&self) -> Result<(), LedgerError> {
        self.all.iter().try_for_each(|ledger| ledger.ready())
    }

    fn stats(&self) -> Stats {
        let lapses = self.all.iter().map(|ledger| ledger.stats().lapses);
        Stats {
            lapses: lapses.sum(),
            ..self.first().stats()
        }
    }

    fn describe(&self) -> Description {
        self.first().describe()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn digest(&self, secret: &str) -> KeyDigest {
        self.any().digest(secret)
    }

    fn key(&self, digest: KeyDigest, freshness: Freshness) -> Answer<'_, Option<Arc<Key>>> {
        self.first().key(digest, freshness)
    }

    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>> {
        self.any().hold(quote)
    }

    fn adopt(&self, quote: Quote, held: Hold, held_at: UnixMs) -> Answer<'_, ()> {
        self.any().adopt(quote, held, held_at)
    }

    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled> {
        self.any().settle(hold, charge)
    }

    fn void(&self, hold: HoldRef) -> Answer<'_, ()> {
        self.any().void(hold)
    }

    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()> {
        self.any().renew(holds, lease_ms)
    }

    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool> {
        self.any().open_wallet(wallet)
    }

    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()> {
        self.any().set_credit_line(wallet, line)
    }

    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>> {
        self.first().put_key(key, digest)
    }

    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>> {
        self.first().edit_key(key)
    }

    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>> {
        self.first().revoke_key(key)
    }

    fn key_of(&self, wallet: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>> {
        self.any().key_of(wallet, key)
    }

    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>> {
        self.any().keys()
    }

    fn credit(&self, entry: Entry) -> Answer<'_, Credited> {
        self.any().credit(entry)
    }

    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>> {
        self.any().wallet(wallet)
    }

    fn wallets(&self) -> Answer<'_, Vec<WalletId>> {
        self.any().wallets()
    }

    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>> {
        self.any().receipt(request, wallet)
    }

    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>> {
        self.any().receipts(query)
    }

    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>> {
        self.any().usage(query)
    }

    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()> {
        self.any().put_object(object, at_most)
    }

    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>> {
        self.any().object(name)
    }

    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()> {
        self.any().drop_object(name)
    }

    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>> {
        self.any().objects(query)
    }

    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>> {
        self.any().pending_objects(after, limit)
    }

    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()> {
        self.any().keep_prices(version, content)
    }

    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64> {
        self.any().trim_receipts(before)
    }

    fn audit(&self) -> Answer<'_, AuditReport> {
        self.any().audit()
    }

    fn close(&self) -> Answer<'_, ()> {
        async move {
            for ledger in &self.all {
                ledger.close().await?;
            }
            Ok(())
        }
        .boxed()
    }
}
