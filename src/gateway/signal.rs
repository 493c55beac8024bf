//! A flag that is raised once and can be awaited: the client is gone, the proxy is stopping.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Down at first; raised once, for good.
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicBool,
    notify: Notify,
}

impl Signal {
    /// Whether it is up.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Raises it.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Resolves once it is up. Safe to drop at any time.
    pub async fn raised(&self) {
        // Created before the check: a waiter that exists is woken, even if it was never polled.
        let notified = self.notify.notified();
        if !self.is_raised() {
            notified.await;
        }
    }
}
