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
    let mut tick = tokio::time::interval(Duration::from_millis((lease_ms / RENEWALS).max(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let live = holds.all();
        if live.is_empty() {
            continue;
        }
        if let Err(error) = ledger.renew(live, lease_ms).await {
            tracing::warn!(%error, "leases were not renewed; they run on");
        }
    }
}
