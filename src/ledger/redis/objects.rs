//! Whose the objects of upstreams are: each lies with its wallet, and what waits for a request beside it.

use ::redis::Value;
use serde::{Deserialize, Serialize};

use super::hold::{Args, Call, from_json, request_of};
use super::layout::{Partition, request_hex};
use super::reply::{self, malformed};
use super::{Mutated, Redis};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::no_wallet;
use crate::ledger::id::KeyId;
use crate::ledger::object::{
    OBJECTS_PAGE_MAX, Object, ObjectKind, ObjectQuery, ObjectRef, Pending, all_pending, awaited,
    no_object, of_other_kind,
};

/// How many objects one call looks at, where fewer are to be told.
const LOOKED_AT_MIN: usize = 100;

/// What only proxies read of an object.
#[derive(Serialize, Deserialize)]
struct Place {
    key: KeyId,
    upstream: std::sync::Arc<str>,
    #[serde(default)]
    model: std::sync::Arc<str>,
}

impl Redis {
    pub(super) async fn keep_object(
        &self,
        object: Object,
        at_most: u32,
    ) -> Result<(), LedgerError> {
        object.check()?;
        let (name, partition) = (object.name(), Partition::of(&object.wallet));
        let Object { wallet, kind, .. } = &object;
        let mut args = Args::default();
        args.text(wallet.as_str());
        args.text(object.id.as_str());
        args.text(kind.name());
        args.number(object.created_at.0);
        args.number(object.expires_at.0);
        args.number(self.clock.now().0);
        args.number(at_most);
        args.json(&Place {
            key: object.key.clone(),
            upstream: object.upstream.clone(),
            model: object.model.clone(),
        })?;
        match &object.pending {
            Some(pending) => {
                args.text(&request_hex(pending.request));
                args.text(&pending.state);
            }
            None => (0..2).for_each(|_| args.text("")),
        }
        let call = Call {
            keys: vec![
                self.layout.meta(partition),
                self.layout.wallet(partition, wallet),
                self.layout.object(partition, &name),
                self.layout.objects_of(partition, wallet, *kind),
                self.layout.objects_ending(partition, wallet, *kind),
                self.layout.pending(partition),
            ],
            args: args.0,
        };
        let mutated = self.mutate(partition, &self.scripts.object, call, false);
        let Mutated::Answered(reply) = mutated.await? else {
            // The journal has it, on disk: it is done before anybody can ask for it.
            return Ok(());
        };
        match (reply.word(), &object.pending) {
            ("ok" | "done", _) => Ok(()),
            ("no wallet", _) => Err(no_wallet(wallet)),
            ("kind", _) => Err(of_other_kind(&name, reply.text(1)?)),
            ("awaited", Some(pending)) => Err(awaited(&name, pending.request)),
            ("full", _) => Err(all_pending(&name, *kind)),
            _ => Err(malformed()),
        }
    }

    pub(super) async fn find_object(&self, name: ObjectRef) -> Result<Option<Object>, LedgerError> {
        let partition = Partition::of(&name.wallet);
        let mut get = ::redis::cmd("GET");
        get.arg(self.layout.object(partition, &name));
        // Asked before, so that what is delivered meanwhile is not missed.
        let is_behind = self.outbox.is_behind(partition);
        let found = match self.ask_text(get).await? {
            Some(text) => Some(object_of(name, &text).ok_or_else(malformed)?),
            None => None,
        };
        let there = found.filter(|object| object.is_there(self.clock.now()));
        if there.is_none() && is_behind {
            return Err(LedgerError::Unavailable(
                "what this process has done to the wallet is still on its way to Redis".to_owned(),
            ));
        }
        Ok(there)
    }

    pub(super) async fn forget_object(&self, name: ObjectRef) -> Result<(), LedgerError> {
        let partition = Partition::of(&name.wallet);
        let mut args = Args::default();
        args.text(name.wallet.as_str());
        args.text(name.id.as_str());
        args.number(self.clock.now().0);
        let call = Call {
            keys: vec![
                self.layout.meta(partition),
                self.layout.object(partition, &name),
                self.layout.pending(partition),
            ],
            args: args.0,
        };
        match self
            .mutate(partition, &self.scripts.drop, call, false)
            .await?
        {
            Mutated::Answered(reply) if !matches!(reply.word(), "ok" | "done") => Err(malformed()),
            Mutated::Answered(_) | Mutated::Kept => Ok(()),
        }
    }

    pub(super) async fn list_objects(
        &self,
        query: ObjectQuery,
    ) -> Result<Vec<Object>, LedgerError> {
        let limit = usize::try_from(query.limit.min(OBJECTS_PAGE_MAX)).unwrap_or(usize::MAX);
        let mut objects = Vec::new();
        let mut after = query.after.as_ref().map(|id| id.as_str().to_owned());
        let mut is_first = true;
        loop {
            let want = limit.saturating_sub(objects.len()).max(1);
            let page = self.page_of_objects(&query, after.as_deref(), is_first, want);
            let last = page.await?.take_into(&mut objects)?;
            if last.is_none() || objects.len() >= limit {
                break;
            }
            (after, is_first) = (last, false);
        }
        objects.truncate(limit);
        Ok(objects)
    }

    async fn page_of_objects(
        &self,
        query: &ObjectQuery,
        after: Option<&str>,
        is_first: bool,
        want: usize,
    ) -> Result<Page, LedgerError> {
        let ObjectQuery { wallet, kind, .. } = query;
        let partition = Partition::of(wallet);
        let mut args = Args::default();
        args.0.push(self.layout.objects(partition, wallet));
        args.number(self.clock.now().0);
        args.text(after.unwrap_or(""));
        args.flag(is_first);
        args.number(want.max(LOOKED_AT_MIN));
        args.number(want);
        let call = Call {
            keys: vec![self.layout.objects_of(partition, wallet, *kind)],
            args: args.0,
        };
        let reply = self.call(partition, &self.scripts.list, call).await?;
        match (reply.word(), &query.after) {
            ("ok", _) => {
                let found = reply.texts(2)?;
                Ok(Page {
                    query: query.clone(),
                    last: Some(reply.text(1)?.to_owned()).filter(|last| !last.is_empty()),
                    found: found.into_iter().map(str::to_owned).collect(),
                })
            }
            ("gone", Some(id)) if is_first => Err(no_object(&ObjectRef {
                wallet: wallet.clone(),
                id: id.clone(),
            })),
            ("gone", _) => Err(LedgerError::Unavailable(format!(
                "the objects of wallet {wallet} have changed while they were listed: ask again"
            ))),
            _ => Err(malformed()),
        }
    }

    pub(super) async fn list_pending(
        &self,
        after: Option<ObjectRef>,
        limit: u32,
    ) -> Result<Vec<Object>, LedgerError> {
        let names = |partition| {
            let mut names = ::redis::cmd("HVALS");
            names.arg(self.layout.pending(partition));
            names
        };
        let answers = self.ask(Partition::all().map(names).collect()).await?;
        let mut names = Vec::new();
        for answer in &answers {
            for text in reply::list(answer).ok_or_else(malformed)? {
                names.push(name_of(text).ok_or_else(malformed)?);
            }
        }
        names.retain(|name| after.as_ref().is_none_or(|after| name > after));
        names.sort_unstable();
        let limit = usize::try_from(limit.min(OBJECTS_PAGE_MAX)).unwrap_or(usize::MAX);
        let mut objects: Vec<Object> = Vec::new();
        let mut names = names.into_iter();
        while objects.len() < limit {
            let some: Vec<ObjectRef> = names.by_ref().take(limit - objects.len()).collect();
            if some.is_empty() {
                break;
            }
            let get = |name: &ObjectRef| {
                let mut get = ::redis::cmd("GET");
                get.arg(self.layout.object(Partition::of(&name.wallet), name));
                get
            };
            let answers = self.ask(some.iter().map(get).collect()).await?;
            for (name, answer) in some.into_iter().zip(&answers) {
                // What was settled since it was named is passed over.
                if !matches!(answer, Value::Nil) {
                    let text = reply::text(answer).ok_or_else(malformed)?;
                    let object = object_of(name, text).ok_or_else(malformed)?;
                    objects.extend(Some(object).filter(|object| object.pending.is_some()));
                }
            }
        }
        Ok(objects)
    }
}

/// What a call found of a list.
struct Page {
    query: ObjectQuery,
    last: Option<String>,
    /// Ids and contents in turn.
    found: Vec<String>,
}

impl Page {
    /// Adds what was found; answers where to go on, if there may be more.
    fn take_into(self, objects: &mut Vec<Object>) -> Result<Option<String>, LedgerError> {
        for pair in self.found.chunks(2) {
            let [id, content] = pair else {
                return Err(malformed());
            };
            let name = ObjectRef {
                wallet: self.query.wallet.clone(),
                id: id.parse().map_err(|_| malformed())?,
            };
            objects.push(object_of(name, content).ok_or_else(malformed)?);
        }
        Ok(self.last)
    }
}

/// `<wallet> <id>`.
fn name_of(text: &str) -> Option<ObjectRef> {
    let (wallet, id) = text.split_once(' ')?;
    Some(ObjectRef {
        wallet: wallet.parse().ok()?,
        id: id.parse().ok()?,
    })
}

/// An object as it is kept: kind, times and request, its place, and its settler's state.
fn object_of(name: ObjectRef, text: &str) -> Option<Object> {
    let (head, rest) = text.split_once('\n')?;
    let (place, state) = rest.split_once('\n')?;
    let head: Vec<&str> = head.split(' ').collect();
    let [kind, created_at, expires_at, _, request] = head.as_slice() else {
        return None;
    };
    let place: Place = from_json(place).ok()?;
    let at = |text: &str| text.parse().ok().map(UnixMs);
    let pending = match *request {
        "-" => None,
        request => Some(Pending {
            request: request_of(request).ok()?,
            state: state.to_owned(),
        }),
    };
    Some(Object {
        id: name.id,
        wallet: name.wallet,
        key: place.key,
        kind: ObjectKind::of(kind)?,
        upstream: place.upstream,
        model: place.model,
        created_at: at(created_at)?,
        expires_at: at(expires_at)?,
        pending,
    })
}
