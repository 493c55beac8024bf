//! One server that is kept connected: looked for, dialled, watched, and dialled again when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::super::error::LinkError;
use super::super::options::Address;
use super::dial::{Dialer, Line};
use super::role;
use super::sentinel::Sentinels;

/// Between two looks at a connection that carries nothing.
const BEAT: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Where a server is looked for.
pub(super) enum Place {
    /// At one address. A master is wanted there.
    Fixed(Address),
    /// Wherever the Sentinels say.
    Sentinels(Sentinels),
    /// At one address, as part of a cluster: whether it is a master, calls find out.
    Member(Address),
}

/// What hears of connections that are made and lost.
#[derive(Clone)]
pub(super) struct Bell {
    /// Counts connections that were made.
    pub made: Arc<watch::Sender<u64>>,
    /// Rings when one is lost, or cannot be made.
    pub lost: Arc<Notify>,
}

/// A server that is kept connected as long as this exists.
pub(super) struct Node {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

struct Shared {
    dialer: Dialer,
    place: Place,
    state: watch::Sender<State>,
    /// The line that is to be given up at once.
    stale: AtomicU64,
    doubt: Notify,
    bell: Bell,
}

#[derive(Clone)]
enum State {
    /// Nothing is known yet.
    Connecting,
    Up(Arc<Line>),
    Down(LinkError),
}

impl Node {
    /// Keeps a server connected, from this line on if there is one.
    pub fn keep(dialer: Dialer, place: Place, line: Option<Line>, bell: Bell) -> Arc<Node> {
        let line = line.map(Arc::new);
        let state = line.clone().map_or(State::Connecting, State::Up);
        let shared = Arc::new(Shared {
            dialer,
            place,
            state: watch::Sender::new(state),
            stale: AtomicU64::new(u64::MAX),
            doubt: Notify::new(),
            bell,
        });
        let keeper = tokio::spawn(Arc::clone(&shared).keep(line));
        Arc::new(Node {
            shared,
            keeper: keeper.abort_handle(),
        })
    }

    /// The connection there is now. `None` while the first one is being made.
    ///
    /// # Errors
    /// Why there is none.
    pub fn line(&self) -> Option<Result<Arc<Line>, LinkError>> {
        match &*self.shared.state.borrow() {
            State::Connecting => None,
            State::Up(line) if line.is_over() => Some(Err(LinkError::not_now(format_args!(
                "the connection to Redis at {} was lost",
                line.address
            )))),
            State::Up(line) => Some(Ok(Arc::clone(line))),
            // Whatever keeps it away, a call that was never sent can succeed later.
            State::Down(why) => Some(Err(LinkError::not_now(why))),
        }
    }

    /// The same, after the first one was made or missed.
    pub async fn settled(&self) -> Result<Arc<Line>, LinkError> {
        let mut state = self.shared.state.subscribe();
        let known = state
            .wait_for(|state| !matches!(state, State::Connecting))
            .await;
        drop(known);
        self.line()
            .unwrap_or_else(|| Err(LinkError::not_now("Redis is not connected yet")))
    }

    /// Has a connection looked at, for a call on it is late.
    pub fn doubt(&self, line: &Line) {
        if matches!(&*self.shared.state.borrow(), State::Up(now) if now.id == line.id) {
            self.shared.doubt.notify_one();
        }
    }

    /// Has a connection given up, for the server at its end is not the one that is wanted.
    pub fn give_up(&self, line: &Line) {
        self.shared.stale.store(line.id, Ordering::Release);
        self.doubt(line);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    /// Never ends.
    async fn keep(self: Arc<Self>, mut line: Option<Arc<Line>>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let why = match line.take() {
                Some(held) => {
                    backoff = BACKOFF_MIN;
                    let why = self.hold(&held).await;
                    held.close();
                    why
                }
                None => match self.place.dial(&self.dialer).await {
                    Ok(found) => {
                        let found = Arc::new(found);
                        let before = self.state.send_replace(State::Up(Arc::clone(&found)));
                        if matches!(before, State::Down(_)) {
                            tracing::info!("Redis at {} is connected again", found.address);
                        }
                        self.bell
                            .made
                            .send_modify(|made| *made = made.wrapping_add(1));
                        line = Some(found);
                        continue;
                    }
                    Err(why) => why,
                },
            };
            // Once for each time that it goes away, however often it is looked for then.
            let before = self.state.send_replace(State::Down(why.clone()));
            if !matches!(before, State::Down(_)) {
                tracing::warn!("Redis is away: {why}");
            }
            self.bell.lost.notify_one();
            tokio::time::sleep(jittered(backoff)).await;
            backoff = backoff.saturating_mul(2).min(BACKOFF_MAX);
        }
    }

    /// Ends when the connection is of no more use; answers why.
    async fn hold(&self, line: &Line) -> LinkError {
        loop {
            tokio::select! {
                () = line.over() => {
                    return LinkError::away(format_args!("the connection to Redis at {} was lost", line.address));
                }
                () = self.doubt.notified() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
            if self.stale.load(Ordering::Acquire) == line.id {
                return LinkError::away(format_args!(
                    "Redis at {} is no longer the master",
                    line.address
                ));
            }
            if let Err(why) = self.place.look(line).await {
                return why;
            }
        }
    }
}

impl Place {
    /// Connects to the server that is wanted.
    pub async fn dial(&self, dialer: &Dialer) -> Result<Line, LinkError> {
        match self {
            Place::Member(address) => dialer.dial(address).await,
            Place::Fixed(address) => {
                let line = dialer.dial(address).await?;
                role::must_be_master(&line).await.map(|()| line)
            }
            // That it is a replica still is a matter of moments.
            Place::Sentinels(sentinels) => {
                let address = sentinels.master().await?;
                let line = dialer.dial(&address).await?;
                let role = role::must_be_master(&line).await;
                role.map(|()| line).map_err(LinkError::away)
            }
        }
    }

    /// Whether a connection still leads to the server that is wanted.
    async fn look(&self, line: &Line) -> Result<(), LinkError> {
        line.ask(&redis::cmd("PING")).await?;
        let Place::Sentinels(sentinels) = self else {
            return Ok(());
        };
        match sentinels.master().await {
            Ok(master) if master != line.address => Err(LinkError::away(format_args!(
                "Redis at {} is no longer the master: Sentinel names {master}",
                line.address
            ))),
            // Without Sentinels the master is still the master.
            _ => Ok(()),
        }
    }
}

/// Half to all of a time, so that many proxies do not come back in one moment.
fn jittered(time: Duration) -> Duration {
    let half = time / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    // Without randomness they do come back in one moment.
    let drawn = getrandom::u64().map_or(0, |drawn| drawn % spread);
    half.saturating_add(Duration::from_micros(drawn))
}
