//! The specification of the objects of upstreams: a map, looked at from end to end.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tollgate::clock::UnixMs;
use tollgate::ledger::LedgerError;
use tollgate::ledger::id::{RequestId, WalletId};
use tollgate::ledger::object::{
    Object, ObjectKind, ObjectQuery, ObjectRef, all_pending, awaited, no_object, of_other_kind,
};

/// How many go at most when another comes.
const GOING_MAX: usize = 16;

#[derive(Default)]
pub struct Objects(BTreeMap<ObjectRef, Object>);

impl Objects {
    /// Keeps an object; `settled`: whether what it waits for has been settled.
    pub fn put(
        &mut self,
        now: UnixMs,
        mut object: Object,
        at_most: u32,
        settled: bool,
    ) -> Result<(), LedgerError> {
        self.0.retain(|_, known| known.is_there(now));
        object.pending.take_if(|_| settled);
        let name = object.name();
        let known = self.0.get(&name);
        if let Some(known) = known.filter(|known| known.kind != object.kind) {
            return Err(of_other_kind(&name, known.kind.name()));
        }
        if let Some(pending) = &object.pending {
            let waits = |other: &&Object| other.pending.as_ref().map(|it| it.request);
            let mut others = self.0.values().filter(|other| other.wallet == name.wallet);
            if others.any(|other| other.id != name.id && waits(&other) == Some(pending.request)) {
                return Err(awaited(&name, pending.request));
            }
        }
        if known.is_none() {
            self.make_room(&name, object.kind, at_most)?;
        }
        self.0.insert(name, object);
        Ok(())
    }

    fn make_room(
        &mut self,
        name: &ObjectRef,
        kind: ObjectKind,
        at_most: u32,
    ) -> Result<(), LedgerError> {
        let at_most = usize::try_from(at_most).expect("a number");
        let of_kind = self.of(&name.wallet, kind);
        let (pending, mut others): (Vec<Object>, Vec<Object>) = of_kind
            .into_iter()
            .partition(|object| object.pending.is_some());
        if pending.len() >= at_most {
            return Err(all_pending(name, kind));
        }
        let beyond = (pending.len() + others.len() + 1).saturating_sub(at_most);
        others.sort_by_key(|object| (object.expires_at, object.id.clone()));
        for object in others.iter().take(beyond.min(GOING_MAX)) {
            self.0.remove(&object.name());
        }
        Ok(())
    }

    fn of(&self, wallet: &WalletId, kind: ObjectKind) -> Vec<Object> {
        let of = |object: &&Object| object.wallet == *wallet && object.kind == kind;
        self.0.values().filter(of).cloned().collect()
    }

    pub fn get(&self, now: UnixMs, name: &ObjectRef) -> Option<Object> {
        self.0
            .get(name)
            .filter(|object| object.is_there(now))
            .cloned()
    }

    pub fn drop(&mut self, name: &ObjectRef) {
        self.0.remove(name);
    }

    pub fn list(&self, now: UnixMs, query: &ObjectQuery) -> Result<Vec<Object>, LedgerError> {
        let mut all = self.of(&query.wallet, query.kind);
        all.retain(|object| object.is_there(now));
        all.sort_by_key(|object| Reverse((object.created_at, object.id.clone())));
        if let Some(id) = &query.after {
            let place = all.iter().position(|object| object.id == *id);
            let place = place.ok_or_else(|| {
                no_object(&ObjectRef {
                    wallet: query.wallet.clone(),
                    id: id.clone(),
                })
            })?;
            all.drain(..=place);
        }
        all.truncate(query.limit as usize);
        Ok(all)
    }

    pub fn pending(&self, after: Option<&ObjectRef>, limit: u32) -> Vec<Object> {
        let all = self.0.values();
        let pending = all.filter(|object| object.pending.is_some());
        pending
            .filter(|object| after.is_none_or(|after| object.name() > *after))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    /// A request was settled.
    pub fn settled(&mut self, wallet: &WalletId, request: RequestId) {
        for object in self.0.values_mut() {
            if object.wallet == *wallet {
                object.pending.take_if(|pending| pending.request == request);
            }
        }
    }
}
