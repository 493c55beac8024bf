//! Old receipts go: their sums stay in their wallets' checkpoints.
//!
//! Nothing of this is journalled: where the store loses a fold, it loses the whole of it, and it is done again.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::super::Redis;
use super::super::hold::{Args, Call};
use super::super::layout::Partition;
use super::super::reply::malformed;
use super::totals::{WALLETS_AT_ONCE, field_of};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::WalletId;
use crate::ledger::tally::DAY_MS;

/// How many receipts are folded in one call: charges wait for no more than that.
const PIECE: u64 = 200;
/// How long the next piece waits.
const PAUSE: Duration = Duration::from_millis(10);
/// How much longer than receipts totals are kept, where receipts are kept for a time only.
const TOTALS_KEPT_DAYS: i64 = 400;

impl Redis {
    /// Folds receipts settled before `before`, and those that are beyond the partitions' shares.
    pub(in super::super) async fn fold_receipts(&self, before: UnixMs) -> Result<u64, LedgerError> {
        let mut folded = 0;
        for partition in Partition::all() {
            folded += self.fold_partition(partition, before).await?;
            self.forget_totals(partition, before).await?;
        }
        Ok(folded)
    }

    async fn fold_partition(
        &self,
        partition: Partition,
        before: UnixMs,
    ) -> Result<u64, LedgerError> {
        let mut folded = 0;
        let mut next = "-".to_owned();
        loop {
            let mut args = Args::default();
            args.text(&next);
            args.number(before.0);
            args.number(PIECE);
            args.number(self.share);
            let call = Call {
                keys: vec![self.layout.meta(partition), self.layout.receipts(partition)],
                args: args.0,
            };
            let reply = self.call(partition, &self.scripts.fold, call).await?;
            match reply.word() {
                "ok" => {
                    folded += reply.number::<u64>(1)?;
                    next = reply.text(2)?.to_owned();
                }
                "still" => {
                    let partition = partition.number();
                    tracing::info!(
                        partition,
                        "an audit reads these receipts: they are folded the next time"
                    );
                    return Ok(folded);
                }
                _ => return Err(malformed()),
            }
            if next.is_empty() {
                return Ok(folded);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Totals of days long before `before` go too, looked for once in a day of `before`.
    async fn forget_totals(&self, partition: Partition, before: UnixMs) -> Result<(), LedgerError> {
        let before = before.min(self.clock.now());
        let first = before.0.div_euclid(DAY_MS) - TOTALS_KEPT_DAYS;
        if first <= 0 {
            return Ok(());
        }
        let meta = self.layout.meta(partition);
        let wallets = self.wallets_in(partition).await?;
        let mut looked = ::redis::cmd("HGET");
        looked.arg(&meta).arg("totals");
        let looked = self.ask_text(looked).await?;
        if wallets.is_empty() || looked.is_some_and(|looked| looked == first.to_string()) {
            return Ok(());
        }
        for some in wallets.chunks(WALLETS_AT_ONCE) {
            let forgotten = some
                .iter()
                .map(|wallet| self.forget_totals_of(wallet, first));
            try_join_all(forgotten).await?;
        }
        let mut note = ::redis::cmd("HSET");
        note.arg(&meta).arg("totals").arg(first);
        self.ask_one(note).await.map(drop)
    }

    async fn forget_totals_of(&self, wallet: &WalletId, first: i64) -> Result<(), LedgerError> {
        let totals = self.totals_of(wallet).await?;
        let old = |field: &&String| field_of(field).is_some_and(|(day, _, _)| day < first);
        let old: Vec<&String> = totals.keys().filter(old).collect();
        let key = self.layout.totals(Partition::of(wallet), wallet);
        for some in old.chunks(500) {
            let mut forget = ::redis::cmd("HDEL");
            forget.arg(&key).arg(some);
            self.ask_one(forget).await?;
        }
        Ok(())
    }
}
