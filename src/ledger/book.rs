//! The ledger as a pure state machine: the specification of what money, grants and limits do.
//!
//! A book does no I/O, has no clock and cannot fail halfway: an operation either answers an error and
//! changes nothing, or does all it does. What has to survive a restart is handed out as [`Change`]s.
//! Stores run it (embedded) or are shown equal to it (distributed).

mod admission;
mod audit;
mod bill;
pub mod change;
mod counter;
pub(in crate::ledger) mod directory;
pub(in crate::ledger) mod ending;
mod funds;
mod idempotency;
mod memory;
pub(in crate::ledger) mod opening;
mod planted;
mod quota;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod wallet;

use std::collections::HashMap;
use std::sync::Arc;

pub use audit::Credits;
pub use change::{Change, CounterRow, Tally, WalletRow};

use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::credit::Entry;
use crate::ledger::grant::Grant;
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::{EntryId, GrantId, WalletId};
use crate::ledger::wallet::WalletView;
use directory::Directory;
use idempotency::CLAIM_KEPT_MS;
use memory::Memory;
use wallet::{Request, Wallet};

/// All wallets and keys of one ledger.
///
/// Operations take the time; one that runs back is taken as standing still. Each touches one wallet,
/// in time that depends neither on how many wallets there are nor on how many holds.
#[derive(Debug, Default)]
pub struct Book {
    now: UnixMs,
    wallets: HashMap<WalletId, Wallet>,
    keys: Directory,
    /// Every credit ever booked, so that none is booked twice.
    entries: HashMap<EntryId, Entry>,
    /// The grant last given under each name: wallets that get the same one share it.
    given: HashMap<GrantId, Arc<Grant>>,
    memory: Memory,
}

impl Book {
    /// An empty book.
    pub fn new() -> Self {
        Book::default()
    }

    /// The latest time that the book has seen.
    pub fn now(&self) -> UnixMs {
        self.now
    }

    /// Reserves a worst case, all or nothing. The same request again is answered the same, while it is live.
    ///
    /// In this order: leases that ran out end (at most 16); an ended request is kept out; the key's
    /// record; the idempotency claim; whether the quote is of this period and within the range of
    /// exact arithmetic; grants; money; counters. Nothing is written before all of it is decided.
    pub fn hold(&mut self, now: UnixMs, quote: Quote) -> Result<Hold, Refusal> {
        let now = self.tick(now);
        let wallet = self.wallets.get_mut(&quote.wallet).ok_or(Refusal::Key)?;
        let key = self.keys.get(&quote.key).map(Arc::as_ref);
        wallet.hold(now, key, &quote, &mut self.memory)
    }

    /// Has a request known that an earlier process held, as one whose lease ran out: its settle is a late one. One that
    /// is known already, and one of a wallet that is not there, is left as it is.
    pub fn adopt(&mut self, now: UnixMs, quote: &Quote, held: Hold, held_at: UnixMs) {
        let now = self.tick(now);
        if let Some(wallet) = self.wallets.get_mut(&quote.wallet) {
            wallet.adopt(now, quote, held, held_at, &mut self.memory);
        }
    }

    /// Replaces a hold by its charge, once; a hold that lapsed is charged from what is there.
    ///
    /// The same request again is answered with the same receipt (and no changes), until
    /// [`forget_ended`](Book::forget_ended). Where `charge.counters` names no amount for a counter, what was held counts.
    ///
    /// # Errors
    /// `NotFound` for a request without a hold; `Conflict` for one that was voided, for a negative price, and
    /// where a sum leaves 64 bits. Nothing is changed then.
    pub fn settle(
        &mut self,
        now: UnixMs,
        id: &HoldRef,
        charge: Charge,
        changes: &mut Vec<Change>,
    ) -> Result<Settled, LedgerError> {
        let now = self.tick(now);
        let wallet = self.wallets.get_mut(&id.wallet);
        let wallet = wallet.ok_or_else(|| no_wallet(&id.wallet))?;
        wallet.settle(now, id, charge, &mut self.memory, changes)
    }

    /// Releases a hold without a charge. An unknown request is kept out from now on; a lapsed one
    /// is not settled any more; a voided one is left as it is.
    ///
    /// # Errors
    /// `Conflict` for a request that was charged, `NotFound` for an unknown wallet.
    pub fn void(&mut self, now: UnixMs, id: &HoldRef) -> Result<(), LedgerError> {
        let now = self.tick(now);
        let wallet = self.wallets.get_mut(&id.wallet);
        let wallet = wallet.ok_or_else(|| no_wallet(&id.wallet))?;
        wallet.void(now, id, &mut self.memory)
    }

    /// Extends the lease of a live hold to `lease_ms` from now, if that is later; passes over any other.
    pub fn renew(&mut self, now: UnixMs, id: &HoldRef, lease_ms: u64) {
        let now = self.tick(now);
        if let Some(wallet) = self.wallets.get_mut(&id.wallet) {
            wallet.renew(now, &id.request, lease_ms, &mut self.memory);
        }
    }

    /// One wallet as it stands. Holds whose lease ran out count until the wallet's next operation ends them.
    pub fn wallet(&self, now: UnixMs, id: &WalletId) -> Option<WalletView> {
        let now = self.now.max(now);
        self.wallets.get(id).map(|wallet| wallet.view(id, now))
    }

    /// The ids of all wallets, in order.
    pub fn wallets(&self) -> Vec<WalletId> {
        let mut ids: Vec<WalletId> = self.wallets.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// How many holds are live, over all wallets. Looks at every wallet: for audits.
    pub fn live_holds(&self) -> u64 {
        self.wallets.values().map(Wallet::live_holds).sum()
    }

    /// How many holds have lapsed so far.
    pub fn lapses(&self) -> u64 {
        self.memory.lapses()
    }

    /// Forgets requests that were settled or voided before `ended`, those that lapsed before `lapsed`, and
    /// idempotency claims after their 24 hours, so that memory stays bounded. Takes time only for what it forgets.
    ///
    /// A forgotten request cannot be told from one that never was.
    pub fn forget_ended(&mut self, ended: UnixMs, lapsed: UnixMs) {
        self.forget_some(ended, lapsed, usize::MAX);
    }

    /// The same for so many requests and so many claims at most, the oldest first.
    pub fn forget_some(&mut self, ended: UnixMs, lapsed: UnixMs, at_most: usize) {
        for _ in 0..at_most {
            let Some(id) = self.memory.next_request(ended, lapsed) else {
                break;
            };
            self.forget(&id.wallet, |activity| {
                // One that lapsed and was settled later is remembered from the settle on.
                let over = match activity.requests.get(&id.request) {
                    None | Some(Request::Live(_)) => false,
                    Some(Request::Lapsed(at, _)) => *at < lapsed,
                    Some(Request::Voided(at)) => *at < ended,
                    Some(Request::Settled(outcome)) => outcome.receipt.settled_at < ended,
                };
                if over {
                    activity.requests.remove(&id.request);
                }
            });
        }
        let now = self.now;
        let until = UnixMs(now.0.saturating_sub_unsigned(CLAIM_KEPT_MS));
        for _ in 0..at_most {
            let Some((wallet, key)) = self.memory.next_claim(until) else {
                break;
            };
            let mut again = None;
            self.forget(&wallet, |activity| {
                again = activity.claims.forget(now, &key)
            });
            if let Some(at) = again {
                self.memory.claim_kept(at, wallet, key);
            }
        }
    }

    fn forget(&mut self, wallet: &WalletId, from: impl FnOnce(&mut wallet::Activity)) {
        let Some(wallet) = self.wallets.get_mut(wallet) else {
            return;
        };
        if let Some(activity) = &mut wallet.activity {
            from(activity);
            if activity.requests.is_empty() && activity.claims.is_empty() {
                wallet.activity = None;
            }
        }
    }

    /// Time, which never runs back.
    fn tick(&mut self, now: UnixMs) -> UnixMs {
        self.now = self.now.max(now);
        self.now
    }
}

/// There is no such wallet.
pub(in crate::ledger) fn no_wallet(id: &WalletId) -> LedgerError {
    LedgerError::NotFound(format!("there is no wallet {id}"))
}
