//! Keys: their records lie with their wallets, where holds check them; the directory that finds a key by its
//! secret's digest lies elsewhere, and is written second.

use std::sync::Arc;
use std::time::Instant;

use super::Redis;
use super::fields::expiry;
use super::hold::{Args, Call, from_json};
use super::layout::{Partition, hex, unhex};
use super::reply::malformed;
use crate::ledger::LedgerError;
use crate::ledger::book::directory::{
    Put, edit_over, no_key, other_wallet, put_over, revoked, same_secret,
};
use crate::ledger::book::no_wallet;
use crate::ledger::id::{KeyDigest, KeyId, WalletId};
use crate::ledger::key::{Freshness, Key};

/// How often a change is made anew because another was faster.
const TRIES: usize = 16;

impl Redis {
    pub(super) async fn find_key(
        &self,
        digest: KeyDigest,
        freshness: Freshness,
    ) -> Result<Option<Arc<Key>>, LedgerError> {
        let known = match freshness {
            Freshness::Any => self.cache.key(&digest),
            Freshness::Shown => self.cache.fresh_key(&digest),
        };
        if known.is_some() {
            return Ok(known);
        }
        let asked = Instant::now();
        let mut get = redis::cmd("GET");
        get.arg(self.layout.digest(&digest));
        let Some(owner) = self.ask_text(get).await? else {
            return Ok(None);
        };
        let (wallet, id) = owner.split_once(' ').ok_or_else(malformed)?;
        let wallet: WalletId = wallet.parse().map_err(|_| malformed())?;
        let id: KeyId = id.parse().map_err(|_| malformed())?;
        let Some((key, kept)) = self.record_of(&wallet, &id).await? else {
            return Ok(None);
        };
        // The directory is a hint: the record says whose digest it is.
        if kept != digest {
            return Ok(None);
        }
        let key = Arc::new(key);
        self.cache.keep_key(&key, digest, asked);
        Ok(Some(key))
    }

    /// The record of a key as a hold was quoted from it, if it can be had: from memory, or from the store.
    pub(super) async fn quoted_key(
        &self,
        wallet: &WalletId,
        id: &KeyId,
        revision: u64,
    ) -> Result<Option<Arc<Key>>, LedgerError> {
        if let Some(key) = self.cache.record(id)
            && key.revision == revision
        {
            return Ok(Some(key));
        }
        let asked = Instant::now();
        let Some((key, digest)) = self.record_of(wallet, id).await? else {
            return Ok(None);
        };
        let key = Arc::new(key);
        self.cache.keep_key(&key, digest, asked);
        Ok(Some(key).filter(|key| key.revision == revision))
    }

    pub(super) async fn put(&self, key: Key, digest: KeyDigest) -> Result<Arc<Key>, LedgerError> {
        self.wallet_exists(&key.wallet).await?;
        let directory = self.layout.digest(&digest);
        let mut get = redis::cmd("GET");
        get.arg(&directory);
        if let Some(owner) = self.ask_text(get).await? {
            let (wallet, other) = owner.split_once(' ').ok_or_else(malformed)?;
            let other: KeyId = other.parse().map_err(|_| malformed())?;
            let wallet: WalletId = wallet.parse().map_err(|_| malformed())?;
            let theirs = self.record_of(&wallet, &other).await?;
            if other != key.id && theirs.is_some_and(|(_, kept)| kept == digest) {
                return Err(same_secret(&key.id, &other));
            }
        }
        self.claim_key(&key, &digest).await?;
        let (id, wallet) = (key.id.clone(), key.wallet.clone());
        let put = self.change_key(&wallet, &id, digest, |old| {
            let old = old.map(|(old, kept)| (old, *kept));
            put_over(key.clone(), digest, old)
        });
        let put = put.await?;
        let mut point = redis::cmd("SET");
        point.arg(&directory).arg(format!("{wallet} {id}"));
        self.ask_one(point).await?;
        Ok(put)
    }

    pub(super) async fn edit(&self, key: Key) -> Result<Arc<Key>, LedgerError> {
        let id = key.id.clone();
        let (wallet, digest) = self.place_of(&id).await?;
        self.change_key(&wallet, &id, digest, |old| {
            let (old, _) = old.ok_or_else(|| no_key(&id))?;
            edit_over(key.clone(), old)
        })
        .await
    }

    pub(super) async fn revoke(&self, id: KeyId) -> Result<Arc<Key>, LedgerError> {
        let (wallet, digest) = self.place_of(&id).await?;
        self.change_key(&wallet, &id, digest, |old| {
            let (old, _) = old.ok_or_else(|| no_key(&id))?;
            Ok(revoked(old))
        })
        .await
    }

    /// Replaces a record by what `change` makes of it, and again if another was faster.
    async fn change_key(
        &self,
        wallet: &WalletId,
        id: &KeyId,
        digest: KeyDigest,
        change: impl Fn(Option<(&Key, &KeyDigest)>) -> Result<Put, LedgerError>,
    ) -> Result<Arc<Key>, LedgerError> {
        let partition = Partition::of(wallet);
        for _ in 0..TRIES {
            let old = self.record_of(wallet, id).await?;
            let key = match change(old.as_ref().map(|(old, kept)| (old, kept)))? {
                Put::Same(key) => return Ok(Arc::new(key)),
                Put::New(key) => key,
            };
            let mut args = Args::default();
            args.text(id.as_str());
            args.number(key.revision);
            let enabled = u8::from(key.enabled);
            let head = format!("{} {enabled} {}", key.revision, expiry(key.expires_at));
            args.text(&head);
            args.json(&key)?;
            args.text(&hex(&digest.0));
            let call = Call {
                keys: vec![
                    self.layout.meta(partition),
                    self.layout.wallet(partition, wallet),
                    self.layout.keys(partition, wallet),
                ],
                args: args.0,
            };
            let asked = Instant::now();
            let reply = self.told(partition, &self.scripts.key, call).await?;
            match reply.word() {
                "ok" | "done" => {
                    let key = Arc::new(key);
                    self.cache.keep_key(&key, digest, asked);
                    return Ok(key);
                }
                "moved" => {}
                "no wallet" => return Err(no_wallet(wallet)),
                _ => return Err(malformed()),
            }
        }
        Err(LedgerError::Unavailable(format!(
            "key {id} is being changed by others all the time: try again"
        )))
    }

    /// Claims a key's id for its wallet and its secret.
    async fn claim_key(&self, key: &Key, digest: &KeyDigest) -> Result<(), LedgerError> {
        let directory = self.layout.key(&key.id);
        let place = format!("{} {}", key.wallet, hex(&digest.0));
        let mut claim = redis::cmd("SET");
        claim.arg(&directory).arg(&place).arg("NX").arg("GET");
        let Some(kept) = self.ask_text(claim).await? else {
            return Ok(());
        };
        if kept == place {
            return Ok(());
        }
        let (wallet, kept) = place_of(&kept)?;
        if wallet != key.wallet {
            return Err(other_wallet(&key.id, &wallet));
        }
        if self.record_of(&wallet, &key.id).await?.is_some() {
            let other = put_over(key.clone(), *digest, Some((key, kept)));
            return Err(other.err().unwrap_or_else(malformed));
        }
        // Claimed with another secret, and never put: on the same wallet there is nothing to mix up.
        let mut claim = redis::cmd("SET");
        claim.arg(&directory).arg(&place);
        self.ask_one(claim).await.map(drop)
    }

    /// Whose key this is, as the directory has it.
    pub(super) async fn owner(&self, id: &KeyId) -> Result<Option<WalletId>, LedgerError> {
        let mut get = redis::cmd("GET");
        get.arg(self.layout.key(id));
        match self.ask_text(get).await? {
            Some(place) => place_of(&place).map(|(wallet, _)| Some(wallet)),
            None => Ok(None),
        }
    }

    async fn place_of(&self, id: &KeyId) -> Result<(WalletId, KeyDigest), LedgerError> {
        let mut get = redis::cmd("GET");
        get.arg(self.layout.key(id));
        match self.ask_text(get).await? {
            Some(place) => place_of(&place),
            None => Err(no_key(id)),
        }
    }

    /// The record of a key and its digest.
    pub(super) async fn record_of(
        &self,
        wallet: &WalletId,
        id: &KeyId,
    ) -> Result<Option<(Key, KeyDigest)>, LedgerError> {
        let mut get = redis::cmd("HMGET");
        get.arg(self.layout.keys(Partition::of(wallet), wallet));
        get.arg(id.as_str()).arg(format!("#{id}"));
        let value = self.ask_one(get).await?;
        match super::reply::list(&value).as_deref() {
            Some([record, digest]) if !record.is_empty() => {
                let digest = unhex(digest).map(KeyDigest).ok_or_else(malformed)?;
                Ok(Some((from_json(record)?, digest)))
            }
            Some(_) => Ok(None),
            None => Err(malformed()),
        }
    }
}

fn place_of(text: &str) -> Result<(WalletId, KeyDigest), LedgerError> {
    let (wallet, digest) = text.split_once(' ').ok_or_else(malformed)?;
    let wallet = wallet.parse().map_err(|_| malformed())?;
    Ok((wallet, unhex(digest).map(KeyDigest).ok_or_else(malformed)?))
}
