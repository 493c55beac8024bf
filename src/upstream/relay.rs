//! Wakes one task for several futures that it polls, but not for what they tell one another while it polls them.
//!
//! A connection wakes whoever waits for an answer or for the next piece of one. Where the same task does both, it would
//! be polled once more, for nothing, after each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Nobody polls: a wake goes to the task.
const RESTS: u8 = 0;
/// The task polls: it will see what it is woken for.
const POLLS: u8 = 1;
/// It was woken while it polled.
const WOKEN: u8 = 2;
/// So often at most is polled again at once: then others get their turn.
const TURNS_MAX: usize = 8;

/// A waker for all the futures that one task polls together.
#[derive(Debug)]
pub(super) struct Relay {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    phase: AtomicU8,
    task: AtomicWaker,
}

impl Relay {
    /// A waker of nobody yet.
    pub(super) fn new() -> Self {
        let state = Arc::new(State::default());
        let waker = Waker::from(Arc::clone(&state));
        Relay { state, waker }
    }

    /// Polls until that is ready, or waits for something else.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.state.task.register(cx.waker());
        for _ in 0..TURNS_MAX {
            self.state.phase.store(POLLS, Ordering::Release);
            let polled = poll(&mut Context::from_waker(&self.waker));
            let before = self.state.phase.swap(RESTS, Ordering::AcqRel);
            if polled.is_ready() || before != WOKEN {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Wakes nobody any longer.
    pub(super) fn forget(&self) {
        drop(self.state.task.take());
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let seen = self
            .phase
            .compare_exchange(POLLS, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if seen == Err(RESTS) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_wakes_while_it_is_polled_is_polled_again_and_wakes_nobody() {
        let (relay, count) = (Relay::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut polls = 0;
        let polled = relay.poll(&mut cx, |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            match polls {
                3 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        assert_eq!((polled, polls), (Poll::Ready(()), 3));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_wakes_later_wakes_the_task_that_polled_last_and_what_never_rests_lets_others_go_first()
    {
        let (relay, count) = (Relay::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut kept = None;
        let polled: Poll<()> = relay.poll(&mut cx, |cx| {
            kept = Some(cx.waker().clone());
            Poll::Pending
        });
        assert!(polled.is_pending());
        kept.as_ref().expect("a waker").wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let polled: Poll<()> = relay.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(polled.is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        relay.forget();
        kept.expect("a waker").wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
