//! Keys: by id, and by the digest that finds them.

use std::collections::HashMap;
use std::sync::Arc;

use super::change::Change;
use super::{Book, no_wallet};
use crate::ledger::LedgerError;
use crate::ledger::id::{KeyDigest, KeyId, WalletId};
use crate::ledger::key::Key;

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Directory {
    by_id: HashMap<KeyId, (Arc<Key>, KeyDigest)>,
    by_digest: HashMap<KeyDigest, Arc<Key>>,
}

impl Directory {
    pub(super) fn get(&self, id: &KeyId) -> Option<&Arc<Key>> {
        self.by_id.get(id).map(|(key, _)| key)
    }

    pub(super) fn put(&mut self, key: Arc<Key>, digest: KeyDigest) {
        self.by_digest.insert(digest, key.clone());
        self.by_id.insert(key.id.clone(), (key, digest));
    }

    /// Every key, with what its digest finds.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Key>, Option<&Arc<Key>>)> {
        let records = self.by_id.values();
        records.map(|(key, digest)| (key, self.by_digest.get(digest)))
    }
}

impl Book {
    /// The key with this digest; revoked and expired ones included.
    pub fn key(&self, digest: &KeyDigest) -> Option<&Arc<Key>> {
        self.keys.by_digest.get(digest)
    }

    /// The key with this id; revoked and expired ones included.
    pub fn key_of(&self, id: &KeyId) -> Option<&Arc<Key>> {
        self.keys.get(id)
    }

    /// All keys, by id.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.keys.iter().map(|(key, _)| key.clone()).collect();
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        keys
    }

    /// Adds a key with revision 1, or replaces the record of the key with this id.
    ///
    /// `key.revision` is not looked at: a replaced record's grows by one, and an unchanged record is left
    /// as it is. `created_at` stays; a revoked key stays revoked.
    ///
    /// # Errors
    /// `NotFound` for an unknown wallet; `Conflict` where the id is known with another digest or
    /// wallet, or the digest with another id.
    pub fn put_key(
        &mut self,
        key: Key,
        digest: KeyDigest,
        changes: &mut Vec<Change>,
    ) -> Result<Arc<Key>, LedgerError> {
        if !self.wallets.contains_key(&key.wallet) {
            return Err(no_wallet(&key.wallet));
        }
        if let Some(other) = self.key(&digest).filter(|other| other.id != key.id) {
            return Err(same_secret(&key.id, &other.id));
        }
        let old = self.keys.by_id.get(&key.id);
        match put_over(key, digest, old.map(|(old, digest)| (&**old, *digest)))? {
            Put::Same(old) => Ok(Arc::new(old)),
            Put::New(key) => Ok(self.keep_key(key, digest, changes)),
        }
    }

    /// Replaces the record of a known key, whose secret, wallet and age stay; an equal one changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown key; `Conflict` for a revoked one, for another wallet, and where `key.revision`
    /// is not the record's: it was changed since it was read.
    pub fn edit_key(
        &mut self,
        key: Key,
        changes: &mut Vec<Change>,
    ) -> Result<Arc<Key>, LedgerError> {
        let known = self.keys.by_id.get(&key.id);
        let (old, digest) = known.ok_or_else(|| no_key(&key.id))?;
        let (digest, edited) = (*digest, edit_over(key, old)?);
        match edited {
            Put::Same(old) => Ok(Arc::new(old)),
            Put::New(key) => Ok(self.keep_key(key, digest, changes)),
        }
    }

    /// Disables a key at once and for good.
    ///
    /// # Errors
    /// `NotFound` for an unknown key.
    pub fn revoke_key(
        &mut self,
        id: &KeyId,
        changes: &mut Vec<Change>,
    ) -> Result<Arc<Key>, LedgerError> {
        let (old, digest) = self.keys.by_id.get(id).ok_or_else(|| no_key(id))?;
        let digest = *digest;
        match revoked(old) {
            Put::Same(old) => Ok(Arc::new(old)),
            Put::New(key) => Ok(self.keep_key(key, digest, changes)),
        }
    }

    fn keep_key(&mut self, key: Key, digest: KeyDigest, changes: &mut Vec<Change>) -> Arc<Key> {
        let key = Arc::new(key);
        self.keys.put(key.clone(), digest);
        changes.push(Change::Key {
            key: key.clone(),
            digest,
        });
        key
    }
}

/// What becomes of a key's record.
pub(in crate::ledger) enum Put {
    /// It stays as it is.
    Same(Key),
    /// It is replaced by this one, of a new revision.
    New(Key),
}

/// A key that is put where there is none, or over the record of the same id.
///
/// # Errors
/// `Conflict` where the id is known with another digest or wallet.
pub(in crate::ledger) fn put_over(
    mut key: Key,
    digest: KeyDigest,
    old: Option<(&Key, KeyDigest)>,
) -> Result<Put, LedgerError> {
    key.revision = 1;
    let Some((old, old_digest)) = old else {
        return Ok(Put::New(key));
    };
    if old_digest != digest {
        let text = format!("key {} exists with another secret", key.id);
        return Err(LedgerError::Conflict(text));
    }
    if old.wallet != key.wallet {
        return Err(other_wallet(&key.id, &old.wallet));
    }
    key.created_at = old.created_at;
    key.enabled &= old.enabled;
    Ok(replace(key, old))
}

/// An edited record over the one that it was made from.
///
/// # Errors
/// `Conflict` for a revoked key, for another wallet, and where `key.revision` is not the record's.
pub(in crate::ledger) fn edit_over(mut key: Key, old: &Key) -> Result<Put, LedgerError> {
    let wrong = if !old.enabled {
        "is revoked, and stays so"
    } else if old.wallet != key.wallet {
        "belongs to another wallet"
    } else if old.revision != key.revision {
        "was changed by someone else just now: try again"
    } else {
        ""
    };
    if !wrong.is_empty() {
        return Err(LedgerError::Conflict(format!("key {} {wrong}", key.id)));
    }
    key.created_at = old.created_at;
    Ok(replace(key, old))
}

/// The same record, disabled.
pub(in crate::ledger) fn revoked(old: &Key) -> Put {
    let mut key = old.clone();
    key.enabled = false;
    replace(key, old)
}

/// The secret of one key is that of another.
pub(in crate::ledger) fn same_secret(key: &KeyId, other: &KeyId) -> LedgerError {
    LedgerError::Conflict(format!("the secret of key {key} is that of key {other}"))
}

/// A key is of another wallet.
pub(in crate::ledger) fn other_wallet(key: &KeyId, wallet: &WalletId) -> LedgerError {
    LedgerError::Conflict(format!("key {key} belongs to wallet {wallet}"))
}

/// There is no such key.
pub(in crate::ledger) fn no_key(id: &KeyId) -> LedgerError {
    LedgerError::NotFound(format!("there is no key {id}"))
}

fn replace(mut key: Key, old: &Key) -> Put {
    key.revision = old.revision;
    if key == *old {
        return Put::Same(key);
    }
    key.revision = old.revision.saturating_add(1);
    Put::New(key)
}
