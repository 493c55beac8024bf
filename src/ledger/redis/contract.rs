//! The contract, operation by operation.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::join_all;
use hmac::Mac;

use super::error::LinkState;
use super::layout::Partition;
use super::{Redis, settle};
use crate::clock::UnixMs;
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::key::{Freshness, Key};
use crate::ledger::object::{Object, ObjectQuery, ObjectRef};
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::ledger::{Answer, AuditReport, Description, JournalStats, Ledger, LedgerError, Stats};
use crate::money::Nano;

/// How many leases are extended in one call.
const RENEWED_MAX: usize = 500;

impl Ledger for Redis {
    fn now(&self) -> UnixMs {
        self.clock.now()
    }

    fn ready(&self) -> Result<(), LedgerError> {
        match self.link.state() {
            LinkState::Up => self.outbox.check(),
            LinkState::Away(why) => Err(LedgerError::Unavailable(why)),
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            lapses: self.lapses.load(Ordering::Relaxed),
            commits: 0,
            journal: Some(JournalStats {
                offline: self.offline.admitted(),
                ..self.outbox.figures()
            }),
        }
    }

    fn describe(&self) -> Description {
        Description {
            kind: "redis",
            address: self.address.clone(),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn digest(&self, secret: &str) -> KeyDigest {
        let mut digester = self.digester.clone();
        digester.update(secret.as_bytes());
        KeyDigest(digester.finalize().into_bytes().into())
    }

    fn key(&self, digest: KeyDigest, freshness: Freshness) -> Answer<'_, Option<Arc<Key>>> {
        self.find_key(digest, freshness).boxed()
    }

    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>> {
        self.reserve(quote).boxed()
    }

    /// Holds outlive the proxies that made them.
    fn adopt(&self, _: Quote, _: Hold, _: UnixMs) -> Answer<'_, ()> {
        std::future::ready(Ok(())).boxed()
    }

    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled> {
        self.charge(hold, charge).boxed()
    }

    fn void(&self, hold: HoldRef) -> Answer<'_, ()> {
        self.release(hold).boxed()
    }

    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()> {
        async move {
            let mut wallets: HashMap<WalletId, Vec<HoldRef>> = HashMap::new();
            for hold in holds {
                wallets.entry(hold.wallet.clone()).or_default().push(hold);
            }
            let some = wallets.iter().flat_map(|(wallet, holds)| {
                holds.chunks(RENEWED_MAX).map(move |some| (wallet, some))
            });
            let calls = some.filter_map(|(wallet, holds)| {
                let call = settle::renew(&self.layout, holds, lease_ms)?;
                Some(self.call(Partition::of(wallet), &self.scripts.renew, call))
            });
            for reply in join_all(calls).await {
                self.count_lapses(&reply?);
            }
            Ok(())
        }
        .boxed()
    }

    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool> {
        self.open_or_add(wallet).boxed()
    }

    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()> {
        self.set_line(wallet, line).boxed()
    }

    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>> {
        self.put(key, digest).boxed()
    }

    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>> {
        self.edit(key).boxed()
    }

    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>> {
        self.revoke(key).boxed()
    }

    fn key_of(&self, wallet: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>> {
        async move {
            let found = self.record_of(&wallet, &key).await?;
            Ok(found.map(|(key, _)| Arc::new(key)))
        }
        .boxed()
    }

    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>> {
        self.all_keys().boxed()
    }

    fn credit(&self, entry: Entry) -> Answer<'_, Credited> {
        self.book(entry).boxed()
    }

    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>> {
        self.view(wallet).boxed()
    }

    fn wallets(&self) -> Answer<'_, Vec<WalletId>> {
        self.all_wallets().boxed()
    }

    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>> {
        self.find_receipt(request, wallet).boxed()
    }

    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>> {
        self.list_receipts(query).boxed()
    }

    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>> {
        self.totals(query).boxed()
    }

    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()> {
        self.keep_object(object, at_most).boxed()
    }

    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>> {
        self.find_object(name).boxed()
    }

    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()> {
        self.forget_object(name).boxed()
    }

    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>> {
        self.list_objects(query).boxed()
    }

    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>> {
        self.list_pending(after, limit).boxed()
    }

    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()> {
        async move {
            let mut set = ::redis::cmd("SET");
            set.arg(self.layout.prices(&version)).arg(content).arg("NX");
            self.ask_one(set).await.map(drop)
        }
        .boxed()
    }

    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64> {
        self.fold_receipts(before).boxed()
    }

    fn audit(&self) -> Answer<'_, AuditReport> {
        self.check().boxed()
    }

    fn close(&self) -> Answer<'_, ()> {
        async move { self.outbox.close().await }.boxed()
    }
}
