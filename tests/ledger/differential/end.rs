//! How two ledgers are compared when a schedule is over, and when all are.

use std::sync::Arc;

use tollgate::clock::UnixMs;
use tollgate::ledger::Ledger;
use tollgate::ledger::id::WalletId;
use tollgate::ledger::key::Freshness;
use tollgate::ledger::receipt::{Receipt, ReceiptQuery};

use super::dice::Dice;
use super::objects::{KINDS, listing};
use super::op::in_order;
use super::schedule::Schedule;
use super::{Outcome, Pair, agree};
use crate::kit::DAY_MS;

impl Pair<'_> {
    /// The wallets and keys of one schedule, their receipts and totals.
    pub async fn compare_wallets(&self, schedule: &mut Schedule) -> Outcome {
        for (key, digest) in &schedule.keys {
            let [seen, expected] = self
                .both(async |ledger| ledger.key(*digest, Freshness::Shown).await)
                .await?;
            agree!(seen, expected, "key {}", key.id);
        }
        for past in &schedule.requests {
            let id = past.quote.request;
            let [seen, expected] = self
                .both(async |ledger| ledger.receipt(id, Some(past.quote.wallet.clone())).await)
                .await?;
            agree!(seen, expected, "the receipt of {id}");
        }
        for wallet in schedule.wallets.clone() {
            let look = async |ledger: &dyn Ledger| ledger.wallet(wallet.clone()).await;
            let [seen, expected] = self.both(look).await?;
            agree!(in_order(seen), in_order(expected), "wallet {wallet}");
            for kind in KINDS {
                let query = listing(wallet.clone(), kind);
                let list = async |ledger: &dyn Ledger| ledger.objects(query.clone()).await;
                let [seen, expected] = self.both(list).await?;
                agree!(seen, expected, "objects of {wallet}");
            }
            let key = schedule
                .dice
                .pick(&schedule.keys)
                .map(|(key, _)| key.id.clone());
            let key = key.filter(|_| schedule.dice.percent(30));
            let query = ReceiptQuery {
                wallet: Some(wallet),
                key,
                ..ReceiptQuery::default()
            };
            self.compare_receipts(&mut schedule.dice, query.clone())
                .await?;
            self.compare_usage(&mut schedule.dice, query).await?;
        }
        Ok(())
    }

    async fn compare_receipts(&self, dice: &mut Dice, query: ReceiptQuery) -> Outcome {
        let ask = async |ledger: &dyn Ledger| ledger.receipts(query.clone()).await;
        let [seen, expected] = self.both(ask).await?;
        agree!(
            times(&seen),
            times(&expected),
            "times of receipts, newest first"
        );
        agree!(by_request(&seen), by_request(&expected), "receipts");
        let Some(some) = dice.pick(&seen) else {
            return Ok(());
        };
        let part = ReceiptQuery {
            from: dice.percent(50).then_some(some.settled_at),
            to: dice
                .percent(50)
                .then_some(some.settled_at.plus(dice.below(2))),
            limit: dice
                .percent(50)
                .then_some(1 + u32::try_from(dice.below(9)).expect("few")),
            ..query
        };
        let ask = async |ledger: &dyn Ledger| ledger.receipts(part.clone()).await;
        let [seen, expected] = self.both(ask).await?;
        // Which of those of one millisecond are left out is no promise.
        agree!(times(&seen), times(&expected), "receipts of {part:?}");
        Ok(())
    }

    async fn compare_usage(&self, dice: &mut Dice, query: ReceiptQuery) -> Outcome {
        // Whole days: totals are not promised for less.
        let midnight = |at: UnixMs| UnixMs(at.0 - at.0.rem_euclid(DAY_MS.cast_signed()));
        let whole = ReceiptQuery {
            from: dice.percent(30).then(|| midnight(self.clock.now())),
            ..query.clone()
        };
        let elsewhere = ReceiptQuery {
            utc_offset_minutes: dice.one(&[480, -210, 0]),
            ..query
        };
        for query in [whole, elsewhere] {
            let ask = async |ledger: &dyn Ledger| ledger.usage(query.clone()).await;
            let [seen, expected] = self.both(ask).await?;
            agree!(seen, expected, "usage of {query:?}");
        }
        Ok(())
    }

    /// Everything that the two hold, before and after old receipts are folded.
    pub async fn compare_whole(&self, dice: &mut Dice) -> Outcome {
        let [seen, expected] = self.both(async |ledger| ledger.keys().await).await?;
        agree!(seen, expected, "keys");
        let [seen, expected] = self.both(async |ledger| ledger.wallets().await).await?;
        agree!(seen, expected, "wallets");
        let pending = async |ledger: &dyn Ledger| ledger.pending_objects(None, 1_000).await;
        let [seen, expected] = self.both(pending).await?;
        agree!(seen, expected, "pending objects");
        agree!(
            self.ledger.stats().lapses,
            self.book.stats().lapses,
            "lapses"
        );
        self.compare_audits().await?;
        let all = async |ledger: &dyn Ledger| ledger.receipts(ReceiptQuery::default()).await;
        let [_, receipts] = self.both(all).await?;
        let before = match dice.pick(&receipts) {
            Some(receipt) if dice.percent(80) => receipt.settled_at,
            _ => self.clock.now().plus(1),
        };
        let trim = async |ledger: &dyn Ledger| ledger.trim_receipts(before).await;
        let [seen, expected] = self.both(trim).await?;
        agree!(seen, expected, "receipts folded");
        self.compare_audits().await?;
        let [seen, expected] = self.both(all).await?;
        agree!(
            by_request(&seen),
            by_request(&expected),
            "receipts that are kept"
        );
        for wallet in self.wallets().await? {
            let look = async |ledger: &dyn Ledger| ledger.wallet(wallet.clone()).await;
            let [seen, expected] = self.both(look).await?;
            agree!(
                in_order(seen),
                in_order(expected),
                "wallet {wallet} at the end"
            );
        }
        Ok(())
    }

    async fn wallets(&self) -> Result<Vec<WalletId>, String> {
        let wallets = self.book.wallets().await;
        wallets.map_err(|error| error.to_string())
    }

    async fn compare_audits(&self) -> Outcome {
        let [seen, expected] = self.both(async |ledger| ledger.audit().await).await?;
        agree!(seen.findings, Vec::<String>::new(), "findings");
        agree!(
            expected.findings,
            Vec::<String>::new(),
            "findings of the book"
        );
        let counts = |report: &tollgate::ledger::AuditReport| {
            (
                report.wallets,
                report.receipts,
                report.credits,
                report.live_holds,
            )
        };
        agree!(counts(&seen), counts(&expected), "what was audited");
        Ok(())
    }

    /// Asks the ledger under test and the book.
    async fn both<T>(
        &self,
        ask: impl AsyncFn(&dyn Ledger) -> Result<T, tollgate::ledger::LedgerError>,
    ) -> Result<[T; 2], String> {
        let seen = ask(self.ledger).await;
        let expected = ask(&self.book).await;
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => Ok([seen, expected]),
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        }
    }
}

fn times(receipts: &[Arc<Receipt>]) -> Vec<UnixMs> {
    receipts.iter().map(|receipt| receipt.settled_at).collect()
}

fn by_request(receipts: &[Arc<Receipt>]) -> Vec<Arc<Receipt>> {
    let mut sorted = receipts.to_vec();
    sorted.sort_by_key(|receipt| receipt.request_id);
    sorted
}
