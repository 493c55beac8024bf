//! The holds that live in this process: their leases are renewed while their requests run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::ledger::Ledger;
use crate::ledger::hold::HoldRef;
use crate::ledger::id::RequestId;

/// Leases are renewed this many times before they run out.
const RENEWALS: u64 = 4;
/// How soon a renewal that failed is tried again, at the latest.
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// The live holds of this process.
#[derive(Debug, Default)]
pub struct LiveHolds(Mutex<HashMap<RequestId, HoldRef>>);

impl LiveHolds {
    /// Counts a hold in.
    pub fn enter(&self, hold: &HoldRef) {
        self.0.lock().insert(hold.request, hold.clone());
    }

    /// Counts a hold out.
    pub fn leave(&self, request: RequestId) {
        self.0.lock().remove(&request);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    fn all(&self) -> Vec<HoldRef> {
        self.0.lock().values().cloned().collect()
    }
}

/// Renews all leases, for ever. Cancel it by dropping it.
pub async fn renew(holds: Arc<LiveHolds>, ledger: Arc<dyn Ledger>, lease_ms: u64) {
    let every = Duration::from_millis((lease_ms / RENEWALS).max(1));
    let mut failing = false;
    loop {
        let live = holds.all();
        let renewed = match live.is_empty() {
            true => Ok(()),
            false => ledger.renew(live, lease_ms).await,
        };
        if let Err(error) = renewed.as_ref()
            && !failing
        {
            tracing::warn!(%error, "leases were not renewed: that is tried again until they are");
        }
        failing = renewed.is_err();
        // A ledger that is back hears soon of what runs: some of its leases may be about to end.
        let wait = if failing { every.min(AGAIN_MAX) } else { every };
        tokio::time::sleep(wait).await;
    }
}
