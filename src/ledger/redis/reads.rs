//! Wallets and keys, read.

use std::sync::Arc;

use super::Redis;
use super::fields::{counter, grant_state};
use super::hold::{from_json, nano};
use super::layout::Partition;
use super::reply::{self, malformed};
use crate::ledger::LedgerError;
use crate::ledger::book::WalletRow;
use crate::ledger::book::snapshot::Snapshot;
use crate::ledger::grant::Grant;
use crate::ledger::id::WalletId;
use crate::ledger::key::Key;
use crate::ledger::wallet::WalletView;

impl Redis {
    pub(super) async fn all_wallets(&self) -> Result<Vec<WalletId>, LedgerError> {
        let members = |partition| {
            let mut members = ::redis::cmd("SMEMBERS");
            members.arg(self.layout.wallets(partition));
            members
        };
        let answers = self.ask(Partition::all().map(members).collect()).await?;
        let mut wallets = Vec::new();
        for answer in &answers {
            for id in reply::list(answer).ok_or_else(malformed)? {
                wallets.push(id.parse().map_err(|_| malformed())?);
            }
        }
        wallets.sort_unstable();
        Ok(wallets)
    }

    pub(super) async fn all_keys(&self) -> Result<Vec<Arc<Key>>, LedgerError> {
        let wallets = self.all_wallets().await?;
        let records = |wallet: &WalletId| {
            let mut records = ::redis::cmd("HGETALL");
            records.arg(self.layout.keys(Partition::of(wallet), wallet));
            records
        };
        let answers = self.ask(wallets.iter().map(records).collect()).await?;
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for answer in &answers {
            let fields = reply::list(answer).ok_or_else(malformed)?;
            let records = fields.chunks(2).filter_map(|pair| match pair {
                [name, record] if !name.starts_with('#') => Some(record),
                _ => None,
            });
            for record in records {
                keys.push(Arc::new(from_json(record)?));
            }
        }
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    pub(super) async fn view(&self, id: WalletId) -> Result<Option<WalletView>, LedgerError> {
        let snapshot = self.snapshot(&id).await?;
        if snapshot.is_none() {
            self.check_whole(Partition::of(&id)).await?;
        }
        Ok(snapshot.map(|snapshot| snapshot.view(self.clock.now())))
    }

    /// What is not in a partition that recovers may come back.
    async fn check_whole(&self, partition: Partition) -> Result<(), LedgerError> {
        let mut recovering = ::redis::cmd("HEXISTS");
        recovering.arg(self.layout.meta(partition)).arg("rec");
        match self.ask_one(recovering).await? {
            ::redis::Value::Int(1) => Err(self.recovering(partition)),
            _ => Ok(()),
        }
    }

    /// The answer of who needs a partition that recovers; this proxy looks at once what of its own is missing there.
    pub(super) fn recovering(&self, partition: Partition) -> LedgerError {
        self.outbox.is_recovering(partition);
        LedgerError::Unavailable(
            "the store has lost writes, and waits for the proxies to send them again".to_owned(),
        )
    }

    /// A wallet with all that is known of it.
    pub(super) async fn snapshot(&self, id: &WalletId) -> Result<Option<Snapshot>, LedgerError> {
        let partition = Partition::of(id);
        let mut all = ::redis::cmd("HGETALL");
        all.arg(self.layout.wallet(partition, id));
        let mut given = ::redis::cmd("HVALS");
        given.arg(self.layout.grants(partition, id));
        let mut live = ::redis::cmd("ZCARD");
        live.arg(self.layout.leases(partition, id));
        let answers = self.ask(vec![all, given, live]).await?;
        let [all, given, live] = answers.as_slice() else {
            return Err(malformed());
        };
        let fields = reply::list(all).ok_or_else(malformed)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let live = match live {
            ::redis::Value::Int(count) => u64::try_from(*count).map_err(|_| malformed())?,
            _ => return Err(malformed()),
        };
        let given = reply::list(given).ok_or_else(malformed)?;
        let given = given.into_iter().map(from_json);
        let given = given.collect::<Result<Vec<Grant>, _>>()?;
        snapshot_of(id, &fields, &given, live).map(Some)
    }
}

/// A wallet from its hash, names and contents in turn, and its grants as given.
pub(super) fn snapshot_of(
    id: &WalletId,
    fields: &[&str],
    given: &[Grant],
    live: u64,
) -> Result<Snapshot, LedgerError> {
    let content = |name: &str| {
        let mut pairs = fields.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0] == name);
        pair.map(|pair| pair[1]).ok_or_else(malformed)
    };
    let standing = fields
        .chunks_exact(2)
        .filter(|pair| pair[0].starts_with("c:"));
    let standing = standing.map(|pair| counter(pair[0], pair[1]));
    let mut grants = Vec::with_capacity(given.len());
    for grant in given {
        // One that was given while this was read has no field yet.
        if let Ok(content) = content(&format!("g:{}", grant.name)) {
            grants.push(grant_state(grant, content).ok_or_else(malformed)?);
        }
    }
    Ok(Snapshot {
        row: WalletRow {
            id: id.clone(),
            balance: nano(content("balance")?)?,
            credit_line: nano(content("line")?)?,
            credited: nano(content("credited")?)?,
            charged: nano(content("charged")?)?,
            shortfall: nano(content("shortfall")?)?,
        },
        held: nano(content("held")?)?,
        grants,
        counters: standing.collect::<Option<_>>().ok_or_else(malformed)?,
        live,
    })
}
