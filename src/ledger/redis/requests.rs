//! The life of a request in the store: held, settled, voided.

use std::sync::Arc;

use super::cache::Grants;
use super::error::LinkError;
use super::hold::{Holding, Outcome};
use super::layout::Partition;
use super::outbox::Sent;
use super::record::Record;
use super::reply::{Reply, malformed};
use super::{Mutated, Redis, settle};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::ending::{passes_range, unknown, was_charged, was_voided};
use crate::ledger::book::no_wallet;
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::WalletId;
use crate::ledger::receipt::Receipt;
use crate::money::Nano;

/// How often a hold is sent anew because what was remembered had changed.
const TRIES: usize = 4;
/// How long the store surely knows a request that has ended: an hour less than its scripts keep it.
const KNOWN_MS: u64 = 24 * 60 * 60 * 1000;

impl Redis {
    /// Holds within the time that an operation may take.
    pub(super) async fn reserve(&self, quote: Quote) -> Result<Result<Hold, Refusal>, LedgerError> {
        // What is admitted has to be charged: without a journal, a lost write would lose the charge.
        self.outbox.writes()?;
        let id = HoldRef {
            wallet: quote.wallet.clone(),
            request: quote.request,
        };
        if self.settled_long_ago(&id).await?.is_some() {
            return Ok(Err(Refusal::Ended));
        }
        let deadline = self.link.options().deadline();
        match tokio::time::timeout(deadline, self.reserve_at_last(quote)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.release_unseen(Partition::of(&id.wallet), id);
                Err(LedgerError::Unavailable(format!(
                    "Redis did not answer within {} ms",
                    deadline.as_millis()
                )))
            }
        }
    }

    /// The receipt of a request that the store's own memory of ended requests may not reach back to. Only one that
    /// began long ago, as its id tells, is looked for.
    async fn settled_long_ago(&self, id: &HoldRef) -> Result<Option<Arc<Receipt>>, LedgerError> {
        let known_since = UnixMs(self.clock.now().0.saturating_sub_unsigned(KNOWN_MS));
        match id.request.began() {
            Some(began) if began < known_since => {
                self.find_receipt(id.request, Some(id.wallet.clone())).await
            }
            _ => Ok(None),
        }
    }

    async fn reserve_at_last(&self, quote: Quote) -> Result<Result<Hold, Refusal>, LedgerError> {
        let partition = Partition::of(&quote.wallet);
        let key = self.quoted_key(&quote.wallet, &quote.key, quote.key_revision);
        // Where the record is not of this revision, the store says what is wrong with it.
        let key = key.await?;
        let may_use = key.as_ref().is_none_or(|key| quote.is_in(&key.models));
        let mut grants = self.grants(&quote.wallet, false).await?;
        for _ in 0..TRIES {
            let holding = Holding::new(&quote, &grants);
            let call = holding.call(&self.layout, &grants.version, may_use)?;
            let reply = match self.call(partition, &self.scripts.hold, call).await {
                Ok(reply) => reply,
                Err(error) => {
                    // What was held all the same ends with the settle, or with the void.
                    if matches!(error, LinkError::Away(_) | LinkError::NotNow(_))
                        && let Some(hold) = self.admit_offline(&quote, &error)
                    {
                        return Ok(Ok(hold));
                    }
                    if matches!(error, LinkError::Away(_)) {
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
                Outcome::Recovering => return Err(self.recovering(partition)),
            }
        }
        Err(LedgerError::Unavailable(format!(
            "the grants of wallet {} change all the time",
            quote.wallet
        )))
    }

    pub(super) async fn charge(&self, id: HoldRef, charge: Charge) -> Result<Settled, LedgerError> {
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
        self.live.lock().remove(&id.request);
        match mutated? {
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
        }
    }

    pub(super) async fn release(&self, id: HoldRef) -> Result<(), LedgerError> {
        let call = settle::void(&self.layout, &id);
        let partition = Partition::of(&id.wallet);
        let mutated = self.mutate(partition, &self.scripts.void, call, false);
        let mutated = mutated.await;
        self.offline.ended(id.request, Nano::ZERO);
        self.live.lock().remove(&id.request);
        let Mutated::Answered(reply) = mutated? else {
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
            _ => self.charged_long_ago(id).await,
        }
    }

    /// The answer to a settle that the store has forgotten. Counters and grants are left out: as they stood then is
    /// known no more.
    async fn charged_long_ago(&self, id: &HoldRef) -> Result<Settled, LedgerError> {
        let receipt = self.settled_long_ago(id).await?;
        let receipt = receipt.ok_or_else(|| unknown(id))?;
        let wallet = self.view(id.wallet.clone()).await?;
        let wallet = wallet.ok_or_else(|| no_wallet(&id.wallet))?;
        Ok(Settled {
            receipt,
            balance: wallet.balance,
            counters: Vec::new(),
            grants: Vec::new(),
        })
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
