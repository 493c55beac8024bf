//! Which unfinished answers this process follows: one task each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::{Mutex as Gate, OwnedMutexGuard};

use crate::ledger::id::RequestId;
use crate::ledger::object::Object;

/// The answers that this process follows, by their request.
#[derive(Debug, Default)]
pub struct Followed(Mutex<HashMap<RequestId, Following>>);

#[derive(Clone, Debug, Default)]
struct Following {
    wake: Arc<Notify>,
    /// Held while it is noted what was shown, and while its end is decided by that.
    gate: Arc<Gate<()>>,
}

/// That one task follows an answer, and no other of this process does. Dropping it lets the next one.
#[derive(Debug)]
pub struct Claim {
    followed: Arc<Followed>,
    request: RequestId,
    /// The answer, as it is noted in the ledger.
    pub object: Object,
    /// Whether it is noted there.
    pub is_noted: bool,
    /// Whether another process may follow it as well, and know more of it: the hold is for that one to release.
    pub is_shared: bool,
    following: Following,
}

impl Followed {
    /// Claims an unfinished answer; `None` where it is finished, or another task follows it.
    pub fn claim(self: &Arc<Self>, object: Object) -> Option<Claim> {
        let request = object.pending.as_ref()?.request;
        let following = match self.0.lock().entry(request) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(Following::default()).clone(),
        };
        Some(Claim {
            followed: Arc::clone(self),
            request,
            object,
            is_noted: false,
            is_shared: false,
            following,
        })
    }

    /// Lets whoever follows an answer ask for it at once, instead of after a while. Answers whether anybody does.
    pub fn wake(&self, object: &Object) -> bool {
        let followed = self.0.lock();
        let pending = object.pending.as_ref();
        let following = pending.and_then(|pending| followed.get(&pending.request));
        if let Some(following) = following {
            following.wake.notify_one();
        }
        following.is_some()
    }

    /// Waits until nobody else notes or decides what was shown of an answer; `None` where nobody here follows it.
    pub async fn gate(&self, object: &Object) -> Option<OwnedMutexGuard<()>> {
        let request = object.pending.as_ref()?.request;
        let gate = self.0.lock().get(&request).map(|it| Arc::clone(&it.gate));
        Some(gate?.lock_owned().await)
    }
}

impl Claim {
    /// Notified when the upstream is to be asked at once.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.following.wake)
    }

    /// As [`Followed::gate`].
    pub fn gate(&self) -> impl Future<Output = OwnedMutexGuard<()>> + use<> {
        Arc::clone(&self.following.gate).lock_owned()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.followed.0.lock().remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMs;
    use crate::ledger::object::{ObjectKind, Pending};

    fn object(pending: Option<RequestId>) -> Object {
        Object {
            id: "resp_1".parse().expect("an id"),
            wallet: "w".parse().expect("an id"),
            key: "k".parse().expect("an id"),
            kind: ObjectKind::Response,
            upstream: "u".into(),
            model: "m".into(),
            created_at: UnixMs(0),
            expires_at: UnixMs(1),
            pending: pending.map(|request| Pending {
                request,
                state: String::new(),
            }),
        }
    }

    #[test]
    fn an_answer_is_followed_by_one_task_at_a_time() {
        let followed = Arc::<Followed>::default();
        let unfinished = object(Some(RequestId::new()));
        let claim = followed.claim(unfinished.clone()).expect("free");
        assert!(followed.claim(unfinished.clone()).is_none());
        assert!(followed.claim(object(Some(RequestId::new()))).is_some());
        assert!(followed.claim(object(None)).is_none());
        drop(claim);
        assert!(followed.claim(unfinished).is_some());
    }
}
