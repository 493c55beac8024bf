//! What operators do to wallets: open them, book credits, set credit lines.
//!
//! An entry's id is claimed in the directory before it is booked, so that it is booked on one wallet only.
//! Everything is idempotent: what a crash left half done, the same call finishes.

use super::fields::{expiry, unit_letter};
use super::hold::{Args, Call, from_json, nano};
use super::layout::Partition;
use super::reply::{Reply, malformed};
use super::{Mutated, Redis};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::no_wallet;
use crate::ledger::book::opening::{
    booked_elsewhere, check_amount, check_line, not_of, owes, repeated, too_large,
};
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::id::{EntryId, WalletId};
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

impl Redis {
    pub(super) async fn open_or_add(&self, new: NewWallet) -> Result<bool, LedgerError> {
        check_line(&new.id, new.credit_line)?;
        let opening = match &new.opening {
            Some(entry) => self.claim_opening(&new.id, entry).await?,
            None => None,
        };
        let partition = Partition::of(&new.id);
        let mut args = Args::default();
        args.text(new.id.as_str());
        args.number(new.credit_line.get());
        match opening {
            Some(entry) => {
                args.text(entry.id.as_str());
                args.number(entry.amount.get());
                args.json(entry)?;
            }
            None => (0..3).for_each(|_| args.text("")),
        }
        args.number(new.grants.len());
        for grant in &new.grants {
            args.text(grant.name.as_str());
            args.text(unit_letter(grant.unit));
            args.number(grant.amount);
            args.text(&expiry(grant.expires_at));
            args.json(grant)?;
        }
        let call = Call {
            keys: vec![
                self.layout.meta(partition),
                self.layout.wallet(partition, &new.id),
                self.layout.wallets(partition),
                self.layout.entries(partition, &new.id),
                self.layout.grants(partition, &new.id),
            ],
            args: args.0,
        };
        let reply = self.told(partition, &self.scripts.open, call).await?;
        match (reply.word(), opening) {
            ("ok", _) => Ok(reply.number::<u64>(1)? == 1),
            ("too much", Some(entry)) => Err(too_large(entry)),
            _ => Err(malformed()),
        }
    }

    pub(super) async fn book(&self, entry: Entry) -> Result<Credited, LedgerError> {
        let partition = Partition::of(&entry.wallet);
        self.wallet_exists(&entry.wallet).await?;
        if let Some(other) = self.claim_entry(&entry).await? {
            // It was booked on another wallet: with other content, whatever it was.
            return Err(repeated(entry, &other).err().unwrap_or_else(malformed));
        }
        let known = self.entry(&entry.wallet, &entry.id).await?;
        if known.is_none() {
            check_amount(&entry)?;
        }
        let mut args = Args::default();
        args.text(entry.id.as_str());
        args.number(entry.amount.get());
        args.json(&entry)?;
        let call = Call {
            keys: vec![
                self.layout.meta(partition),
                self.layout.wallet(partition, &entry.wallet),
                self.layout.entries(partition, &entry.wallet),
            ],
            args: args.0,
        };
        let reply = self.told(partition, &self.scripts.credit, call).await?;
        match reply.word() {
            "ok" => {
                let booked = entry_of(reply.text(2)?)?;
                Ok(Credited {
                    entry: repeated(entry, &booked)?,
                    balance: nano(reply.text(3)?)?,
                    applied: reply.number::<u64>(1)? == 1,
                })
            }
            "no wallet" => Err(no_wallet(&entry.wallet)),
            "too much" => Err(too_large(&entry)),
            _ => Err(malformed()),
        }
    }

    pub(super) async fn set_line(&self, wallet: WalletId, line: Nano) -> Result<(), LedgerError> {
        self.wallet_exists(&wallet).await?;
        check_line(&wallet, line)?;
        let partition = Partition::of(&wallet);
        let mut args = Args::default();
        args.number(line.get());
        args.number(self.clock.now().0);
        let call = Call {
            keys: vec![
                self.layout.meta(partition),
                self.layout.wallet(partition, &wallet),
            ],
            args: args.0,
        };
        let reply = self.told(partition, &self.scripts.line, call).await?;
        match reply.word() {
            "ok" | "done" => Ok(()),
            "owes" => Err(owes(&wallet, nano(reply.text(1)?)?)),
            "no wallet" => Err(no_wallet(&wallet)),
            _ => Err(malformed()),
        }
    }

    /// Carries out a mutation whose caller wants to know how it came out.
    pub(super) async fn told(
        &self,
        partition: Partition,
        script: &'static super::scripts::Script,
        call: Call,
    ) -> Result<Reply, LedgerError> {
        match self.mutate(partition, script, call, true).await? {
            Mutated::Answered(reply) => Ok(reply),
            Mutated::Kept => Err(LedgerError::Unavailable(
                "the store is away; it will be booked when it is back, and the same call finds out"
                    .to_owned(),
            )),
        }
    }

    pub(super) async fn wallet_exists(&self, wallet: &WalletId) -> Result<(), LedgerError> {
        let partition = Partition::of(wallet);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(self.layout.wallet(partition, wallet));
        match self.ask_one(exists).await? {
            redis::Value::Int(1..) => Ok(()),
            _ => Err(no_wallet(wallet)),
        }
    }

    /// A booked entry of a wallet.
    async fn entry(&self, wallet: &WalletId, id: &EntryId) -> Result<Option<Entry>, LedgerError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.layout.entries(Partition::of(wallet), wallet));
        get.arg(id.as_str());
        match self.ask_text(get).await? {
            Some(text) => entry_of(&text).map(Some),
            None => Ok(None),
        }
    }

    /// The opening credit, unless its id was booked on this wallet before.
    async fn claim_opening<'a>(
        &self,
        wallet: &WalletId,
        entry: &'a Entry,
    ) -> Result<Option<&'a Entry>, LedgerError> {
        if self.entry(wallet, &entry.id).await?.is_some() {
            return Ok(None);
        }
        if entry.wallet != *wallet {
            return Err(not_of(entry, wallet));
        }
        if self.claim_entry(entry).await?.is_some() {
            return Err(booked_elsewhere(entry));
        }
        check_amount(entry)?;
        Ok(Some(entry))
    }

    /// Claims an entry's id for its wallet. Answers the entry where it was booked on another wallet.
    ///
    /// # Errors
    /// `Conflict` where another wallet has claimed it and not booked it yet.
    async fn claim_entry(&self, entry: &Entry) -> Result<Option<Entry>, LedgerError> {
        let mut claim = redis::cmd("SET");
        claim.arg(self.layout.entry(&entry.id));
        claim.arg(entry.wallet.as_str()).arg("NX").arg("GET");
        let owner = match self.ask_text(claim).await? {
            Some(owner) if owner != entry.wallet.as_str() => owner,
            _ => return Ok(None),
        };
        let owner: WalletId = owner.parse().map_err(|_| malformed())?;
        match self.entry(&owner, &entry.id).await? {
            Some(booked) => Ok(Some(booked)),
            // It may be on its way: two wallets must not both book it.
            None => Err(LedgerError::Conflict(format!(
                "entry {} is claimed by wallet {owner}: take another id",
                entry.id
            ))),
        }
    }
}

/// An entry as it is kept: when it was booked, and its record.
pub(super) fn entry_of(text: &str) -> Result<Entry, LedgerError> {
    let (at, record) = text.split_once(' ').ok_or_else(malformed)?;
    let at = UnixMs(at.parse().map_err(|_| malformed())?);
    let entry: Entry = from_json(record)?;
    Ok(Entry { at, ..entry })
}
