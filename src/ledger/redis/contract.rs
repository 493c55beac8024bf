//! The contract, operation by operation.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::join_all;
use hmac::Mac;

use super::cache::Grants;
use super::error::{LinkError, LinkState};
use super::hold::{Holding, Outcome};
use super::layout::Partition;
use super::outbox::Sent;
use super::record::Record;
use super::reply::{Reply, malformed};
use super::{Mutated, Redis, settle};
use crate::clock::UnixMs;
use crate::ledger::book::ending::{passes_range, unknown, was_charged, was_voided};
use crate::ledger::book::no_wallet;
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::key::{Freshness, Key};
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::ledger::{Answer, AuditReport, Description, JournalStats, Ledger, LedgerError, Stats};
use crate::money::Nano;

/// How often a hold is sent anew because what was remembered had changed.
const TRIES: usize = 4;
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

impl Redis {
    async fn reserve(&self, quote: Quote) -> Result<Result<Hold, Refusal>, LedgerError> {
        let partition = Partition::of(&quote.wallet);
        let key = self.quoted_key(&quote.wallet, &quote.key, quote.key_revision);
        // Where the record is not of this revision, the store says what is wrong with it.
        let key = key.await?;
        let may_use = key.as_ref().is_none_or(|key| quote.is_in(&key.models));
        let mut grants = self.grants(&quote.wallet, false).await?;
        for _ in 0..TRIES {
            let holding = Holding::new(&quote, &grants);
            let call = holding.call(&self.layout, &grants.version, may_use)?;
            let up = self.link.state() == LinkState::Up;
            let reply = match self.call(partition, &self.scripts.hold, call).await {
                Ok(reply) => reply,
                Err(error) => {
                    // What was held all the same ends with the settle, or with the void.
                    if matches!(error, LinkError::Away(_))
                        && let Some(hold) = self.admit_offline(&quote, &error)
                    {
                        return Ok(Ok(hold));
                    }
                    if up {
                        // It may have been held all the same: nobody will use it.
                        self.release_unseen(partition, holding.id());
                    }
                    return Err(error.into());
                }
            };
            self.count_lapses(&reply);
            match holding.outcome(&reply)? {
                Outcome::Held(record) => {
                    let hold = record.request.hold.clone();
                    if key.is_some_and(|key| !key.offline_allowance.is_zero()) {
                        self.cache.keep_balance(&quote.wallet, hold.balance);
                    }
                    self.live.lock().insert(quote.request, Arc::from(record));
                    return Ok(Ok(hold));
                }
                Outcome::Refused(refusal) => {
                    if matches!(refusal, Refusal::Key | Refusal::KeyChanged) {
                        self.cache.drop_key(&quote.key);
                    }
                    return Ok(Err(refusal));
                }
                Outcome::Charged(request) => {
                    let receipt = self
                        .find_receipt(request, Some(quote.wallet.clone()))
                        .await?;
                    let receipt = receipt.ok_or_else(malformed)?;
                    return Ok(Err(Refusal::AlreadyCharged(receipt)));
                }
                Outcome::GrantsChanged => grants = self.grants(&quote.wallet, true).await?,
                Outcome::Recovering => {
                    self.outbox.is_recovering(partition);
                    return Err(LedgerError::Unavailable(
                        "the store has lost writes, and waits for the proxies to send them again"
                            .to_owned(),
                    ));
                }
            }
        }
        Err(LedgerError::Unavailable(format!(
            "the grants of wallet {} change all the time",
            quote.wallet
        )))
    }

    async fn charge(&self, id: HoldRef, charge: Charge) -> Result<Settled, LedgerError> {
        let partition = Partition::of(&id.wallet);
        let Some(record) = self.record(&id).await? else {
            return self.charged_before(&id).await;
        };
        let ahead_ms = self.ahead_ms();
        let made = settle::settle(&self.layout, &record, charge, ahead_ms, self.share);
        let (call, receipt) = match made {
            Ok(made) => made,
            // It is no charge; but another proxy may have settled the request before.
            Err(error) => return self.charged_before(&id).await.or(Err(error)),
        };
        let mutated = self.mutate(partition, &self.scripts.settle, call, false);
        let mutated = mutated.await;
        self.offline.ended(id.request, receipt.charged);
        let settled = match mutated? {
            Mutated::Answered(reply) => {
                self.count_lapses(&reply);
                match reply.word() {
                    "ok" => {
                        let grants = self.burned(&id.wallet, &reply).await;
                        settle::settled(&reply, Some(receipt), &grants.list)
                    }
                    "done" => Ok(self.settled_here(&record, receipt)),
                    "voided" => Err(was_voided(&id)),
                    "folded" => Err(folded(&id)),
                    "no hold" => Err(unknown(&id)),
                    "no wallet" => Err(no_wallet(&id.wallet)),
                    "too much" => Err(passes_range(&id)),
                    _ => Err(malformed()),
                }
            }
            Mutated::Kept => Ok(self.settled_here(&record, receipt)),
        };
        self.live.lock().remove(&id.request);
        settled
    }

    async fn release(&self, id: HoldRef) -> Result<(), LedgerError> {
        let call = settle::void(&self.layout, &id);
        let partition = Partition::of(&id.wallet);
        let mutated = self.mutate(partition, &self.scripts.void, call, false);
        let mutated = mutated.await;
        self.offline.ended(id.request, Nano::ZERO);
        let mutated = mutated?;
        self.live.lock().remove(&id.request);
        let Mutated::Answered(reply) = mutated else {
            return Ok(());
        };
        self.count_lapses(&reply);
        match reply.word() {
            "ok" | "done" => Ok(()),
            "settled" => Err(was_charged(&id)),
            "no wallet" => Err(no_wallet(&id.wallet)),
            _ => Err(malformed()),
        }
    }

    /// Releases a hold whose answer never came, without keeping anybody waiting.
    fn release_unseen(&self, partition: Partition, id: HoldRef) {
        let call = settle::void(&self.layout, &id);
        let mutation = super::mutation(partition, &self.scripts.void, call, false);
        let outbox = Arc::clone(&self.outbox);
        tokio::spawn(async move {
            if let Sent::Lost(error) = outbox.send(mutation).await {
                tracing::warn!(request = %id.request, %error, "a hold may stand until its lease runs out");
            }
        });
    }

    /// A settle of what is no hold any more: it is answered again, or there never was one.
    async fn charged_before(&self, id: &HoldRef) -> Result<Settled, LedgerError> {
        self.wallet_exists(&id.wallet).await?;
        let call = settle::again(&self.layout, id);
        let partition = Partition::of(&id.wallet);
        let reply = self.call(partition, &self.scripts.settle, call).await?;
        match reply.word() {
            "ok" => {
                let grants = self.burned(&id.wallet, &reply).await;
                settle::settled(&reply, None, &grants.list)
            }
            "voided" => Err(was_voided(id)),
            "folded" => Err(folded(id)),
            _ => Err(unknown(id)),
        }
    }

    /// The grants of a wallet, with all that a settle burned from: another proxy may have given them. Where they
    /// cannot be read now, the settle stands all the same: they are left out of what is told.
    async fn burned(&self, wallet: &WalletId, reply: &Reply) -> Arc<Grants> {
        let known = self.grants(wallet, false).await;
        if let Ok(known) = &known
            && !settle::names_only(reply, &known.list).unwrap_or(false)
            && let Ok(read) = self.grants(wallet, true).await
        {
            return read;
        }
        known.unwrap_or_default()
    }

    /// What a charge comes to while the store is away: a hold in time is all it needs.
    fn settled_here(&self, record: &Record, receipt: Receipt) -> Settled {
        let hold = &record.request.hold;
        let balance = hold.balance.checked_sub(receipt.charged);
        let receipt = Receipt {
            settled_at: self.clock.now().max(receipt.held_at),
            ..receipt
        };
        Settled {
            balance: balance.unwrap_or(hold.balance),
            receipt: Arc::new(receipt),
            counters: hold.counters.clone(),
            grants: Vec::new(),
        }
    }

    /// How far local days are ahead of UTC, in milliseconds.
    fn ahead_ms(&self) -> i64 {
        let offset = self.zone.to_offset(self.clock.now().timestamp());
        i64::from(offset.seconds()) * 1000
    }
}

fn folded(id: &HoldRef) -> LedgerError {
    LedgerError::Conflict(format!(
        "request {} was settled, and its receipt has been folded since",
        id.request
    ))
}
