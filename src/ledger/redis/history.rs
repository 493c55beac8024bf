//! Receipts and totals, read and folded; and whether everything adds up.

use std::sync::Arc;

use super::Redis;
use super::hold::from_json;
use super::layout::Partition;
use super::reply::{self, malformed};
use super::settle::decided;
use crate::clock::UnixMs;
use crate::ledger::id::{RequestId, WalletId};
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::{AuditReport, LedgerError};

impl Redis {
    pub(super) async fn find_receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Result<Option<Arc<Receipt>>, LedgerError> {
        let partitions: Vec<Partition> = match &wallet {
            Some(wallet) => vec![Partition::of(wallet)],
            None => Partition::all().collect(),
        };
        let asked = partitions.iter().map(|partition| {
            let mut get = ::redis::cmd("GET");
            get.arg(self.layout.request(*partition, request));
            get
        });
        let answers = self.ask(asked.collect()).await?;
        for (partition, answer) in partitions.into_iter().zip(&answers) {
            let text = reply::text(answer).ok_or_else(malformed)?;
            let Some(settled) = text.strip_prefix("S ") else {
                continue;
            };
            let entry = settled.lines().next().unwrap_or("");
            let mut range = ::redis::cmd("XRANGE");
            range
                .arg(self.layout.receipts(partition))
                .arg(entry)
                .arg(entry);
            let found = receipts_of(&self.ask_one(range).await?)?;
            let of_wallet =
                |receipt: &Receipt| wallet.as_ref().is_none_or(|id| receipt.wallet == *id);
            return Ok(found.into_iter().find(of_wallet).map(Arc::new));
        }
        Ok(None)
    }

    pub(super) async fn list_receipts(
        &self,
        query: ReceiptQuery,
    ) -> Result<Vec<Arc<Receipt>>, LedgerError> {
        let partitions: Vec<Partition> = match &query.wallet {
            Some(wallet) => vec![Partition::of(wallet)],
            None => Partition::all().collect(),
        };
        let asked = partitions.iter().map(|partition| {
            let mut range = ::redis::cmd("XRANGE");
            range
                .arg(self.layout.receipts(*partition))
                .arg("-")
                .arg("+");
            range
        });
        let mut receipts = Vec::new();
        for answer in self.ask(asked.collect()).await? {
            receipts.extend(receipts_of(&answer)?);
        }
        receipts.retain(|receipt| {
            query.wallet.as_ref().is_none_or(|id| receipt.wallet == *id)
                && query.key.as_ref().is_none_or(|id| receipt.key == *id)
                && query.from.is_none_or(|from| receipt.settled_at >= from)
                && query.to.is_none_or(|to| receipt.settled_at < to)
        });
        receipts.sort_unstable_by_key(|receipt| {
            std::cmp::Reverse((receipt.settled_at, receipt.request_id))
        });
        receipts.truncate(
            query
                .limit
                .and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(usize::MAX),
        );
        Ok(receipts.into_iter().map(Arc::new).collect())
    }

    pub(super) async fn totals(&self, _query: ReceiptQuery) -> Result<Vec<UsageRow>, LedgerError> {
        Err(malformed())
    }

    pub(super) async fn fold_receipts(&self, _before: UnixMs) -> Result<u64, LedgerError> {
        Err(malformed())
    }

    pub(super) async fn check(&self) -> Result<AuditReport, LedgerError> {
        Err(malformed())
    }
}

/// The receipts of a piece of a stream.
fn receipts_of(value: &::redis::Value) -> Result<Vec<Receipt>, LedgerError> {
    let ::redis::Value::Array(entries) = value else {
        return Err(malformed());
    };
    let receipt = |entry: &::redis::Value| {
        let ::redis::Value::Array(entry) = entry else {
            return Err(malformed());
        };
        let fields = entry.get(1).and_then(reply::list).ok_or_else(malformed)?;
        let field = |name: &str| {
            let mut pairs = fields.chunks_exact(2);
            pairs.find(|pair| pair[0] == name).map(|pair| pair[1])
        };
        let (Some(fixed), Some(text)) = (field("r"), field("d")) else {
            return Err(malformed());
        };
        decided(from_json(fixed)?, text).ok_or_else(malformed)
    };
    entries.iter().map(receipt).collect()
}
