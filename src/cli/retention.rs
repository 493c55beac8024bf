//! The task that folds old receipts, and what a store has beyond its bound: once when the server starts, then every
//! hour, until it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock::UnixMs;
use crate::ledger::Ledger;
use crate::ledger::retention::Retention;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// Folds what is older than `retention` (without one, no age is too old), again and again, until `ended`
/// changes. What fails is logged and tried again the next time.
pub(super) async fn run(
    ledger: Arc<dyn Ledger>,
    retention: Option<Retention>,
    mut ended: watch::Receiver<()>,
) {
    let mut hours = tokio::time::interval(EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            hours.tick().await;
            fold(&*ledger, retention.as_ref()).await;
        }
    };
    tokio::select! {
        () = work => {}
        // An error means that the server is gone, which is an end as well.
        _ = ended.changed() => {}
    }
}

async fn fold(ledger: &dyn Ledger, retention: Option<&Retention>) {
    let kept = retention.map(|retention| retention.first_day(ledger.now()));
    let kept_from = kept.map_or_else(|| "ever".to_owned(), |day| day.to_string());
    let before = retention.map_or(UnixMs(i64::MIN), |kept| kept.kept_from(ledger.now()));
    match ledger.trim_receipts(before).await {
        Ok(0) => tracing::debug!(kept_from, "no receipts are old enough to be folded"),
        Ok(receipts) => {
            tracing::info!(
                receipts,
                kept_from,
                "receipts were folded into their wallets' checkpoints"
            );
        }
        Err(error) => tracing::error!(%error, "old receipts stay: the next try is in an hour"),
    }
}
