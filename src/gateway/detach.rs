//! A future that outlives its caller: what has been begun with money is brought to its end.
//!
//! hyper drops a handler's future when the client goes. A request that holds money must not
//! end there, and most requests should not pay for a task of their own. So the future runs
//! in place, and moves to a task only when it is dropped unfinished.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::signal::Signal;

/// Runs in its caller's task while it is polled, and in a task of its own once dropped.
///
/// **Cancellation**: dropping it never cancels the inner future, unless that one panicked.
pub struct Detached<T: 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    gone: Arc<Signal>,
}

impl<T: Send + 'static> Detached<T> {
    /// Wraps the future that `work` makes; the signal tells it that its client is gone.
    pub fn new<F>(work: impl FnOnce(Arc<Signal>) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let gone = Arc::new(Signal::default());
        let work = Box::pin(work(Arc::clone(&gone)));
        Detached {
            work: Some(work),
            gone,
        }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs: a future that panics is not to be polled again by anyone.
        let mut work = self
            .work
            .take()
            .expect("a future is not polled after its end");
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.gone.raise();
        struct Discard<T: 'static>(Pin<Box<dyn Future<Output = T> + Send>>);
        impl<T: 'static> Future for Discard<T> {
            type Output = ();
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
                self.0.as_mut().poll(cx).map(|_| ())
            }
        }
        // Without a runtime (the process is on its way out) the holds lapse by their leases.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(Discard(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_dropped_future_runs_to_its_end_and_knows_that_its_client_is_gone() {
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel::<bool>();
        let mut work = Detached::new(|gone| async move {
            assert!(!gone.is_raised());
            begun.await.expect("sent below");
            gone.raised().await;
            end.send(gone.is_raised()).expect("awaited below");
        });
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        begin.send(()).expect("awaited above");
        assert_eq!(ended.await, Ok(true));
    }

    #[tokio::test]
    async fn a_finished_future_gives_its_output_and_spawns_nothing() {
        assert_eq!(Detached::new(|_| async { 7 }).await, 7);
    }
}
