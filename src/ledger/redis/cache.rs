//! What a proxy remembers of keys and grants, so that a hold needs one round trip: each hold checks that it is
//! still so.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ledger::grant::Grant;
use crate::ledger::id::{KeyDigest, KeyId, WalletId};
use crate::ledger::key::Key;
use crate::money::Nano;

/// How many keys, and wallets, are remembered at most.
const REMEMBERED_MAX: usize = 100_000;
/// For how long a record may be shown.
const SHOWN_FOR: Duration = Duration::from_millis(900);

/// The grants of a wallet in burn order, as of a version.
#[derive(Debug, Default)]
pub struct Grants {
    /// The wallet's version of them; `None` while the wallet is unknown.
    pub version: String,
    /// Soonest expiry first, then the narrowest, then by name.
    pub list: Vec<Grant>,
}

/// Keys by digest and by id, and grants by wallet.
#[derive(Debug, Default)]
pub struct Cache {
    keys: Mutex<Keys>,
    grants: Mutex<Recent<WalletId, Arc<Grants>>>,
    balances: Mutex<Recent<WalletId, Nano>>,
}

#[derive(Debug, Default)]
struct Keys {
    by_digest: Recent<KeyDigest, (Arc<Key>, Instant)>,
    by_id: Recent<KeyId, (Arc<Key>, KeyDigest)>,
}

impl Cache {
    /// The key of a digest, of any age.
    pub fn key(&self, digest: &KeyDigest) -> Option<Arc<Key>> {
        let mut keys = self.keys.lock();
        keys.by_digest.get(digest).map(|(key, _)| key.clone())
    }

    /// The key of a digest, if it was read just now.
    pub fn fresh_key(&self, digest: &KeyDigest) -> Option<Arc<Key>> {
        let mut keys = self.keys.lock();
        let known = keys.by_digest.get(digest);
        let fresh = known.filter(|(_, read)| read.elapsed() < SHOWN_FOR);
        fresh.map(|(key, _)| key.clone())
    }

    /// The last record of a key that was read.
    pub fn record(&self, id: &KeyId) -> Option<Arc<Key>> {
        let mut keys = self.keys.lock();
        keys.by_id.get(id).map(|(key, _)| key.clone())
    }

    /// Remembers a key that was asked for at `asked`, before it was read.
    pub fn keep_key(&self, key: &Arc<Key>, digest: KeyDigest, asked: Instant) {
        let mut keys = self.keys.lock();
        let newer = keys.by_id.get(&key.id);
        if newer.is_some_and(|(known, _)| known.revision > key.revision) {
            return;
        }
        keys.by_digest.put(digest, (key.clone(), asked));
        keys.by_id.put(key.id.clone(), (key.clone(), digest));
    }

    /// Forgets a key: the store said that it is no longer so.
    pub fn drop_key(&self, id: &KeyId) {
        let mut keys = self.keys.lock();
        if let Some((_, digest)) = keys.by_id.remove(id) {
            keys.by_digest.remove(&digest);
        }
    }

    /// The grants of a wallet, as they were last read.
    pub fn grants(&self, wallet: &WalletId) -> Option<Arc<Grants>> {
        self.grants.lock().get(wallet).cloned()
    }

    /// The balance of a wallet as a hold last told it.
    pub fn balance(&self, wallet: &WalletId) -> Option<Nano> {
        self.balances.lock().get(wallet).copied()
    }

    /// Remembers a balance, to be shown while the store is away.
    pub fn keep_balance(&self, wallet: &WalletId, balance: Nano) {
        self.balances.lock().put(wallet.clone(), balance);
    }

    /// Remembers grants, in whatever order, and answers them in burn order.
    pub fn keep_grants(
        &self,
        wallet: &WalletId,
        version: String,
        mut list: Vec<Grant>,
    ) -> Arc<Grants> {
        list.sort_by(|a, b| a.burn_order().cmp(&b.burn_order()));
        let grants = Arc::new(Grants { version, list });
        self.grants.lock().put(wallet.clone(), grants.clone());
        grants
    }
}

/// A map that forgets what was not asked for since it was last full.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    fn get(&mut self, key: &K) -> Option<&V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let old = self.old.remove(key);
        self.young.remove(key).or(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_remembered_and_memory_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..3 * REMEMBERED_MAX {
            recent.put(number, number);
            assert_eq!(recent.get(&0), Some(&0), "after {number}");
        }
        assert!(recent.young.len() + recent.old.len() <= REMEMBERED_MAX);
        assert_eq!(recent.get(&1), None);
    }
}
