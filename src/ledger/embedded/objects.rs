//! Whose the objects of upstreams are. They move no money and can be many, so that the book does not have them: they
//! are decided on and written in the store, in the transaction that the committer writes next, and read from there.

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::{Embedded, rows};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::no_wallet;
use crate::ledger::id::RequestId;
use crate::ledger::object::{
    GOING_MAX, OBJECTS_PAGE_MAX, Object, ObjectId, ObjectKind, ObjectQuery, ObjectRef, Pending,
    TIME_END, all_pending, awaited, no_object, of_other_kind,
};

/// The columns of an object, in the order that [`object`] reads.
const OBJECT: &str =
    "wallet, id, key, kind, upstream, model, created_at, expires_at, request, state";

/// What a settle does to an object that waits for it. One that comes later finds the receipt and does not wait.
pub(super) const SETTLE: &str =
    "UPDATE objects SET request = NULL, state = NULL WHERE request = ?2 AND wallet = ?1";

/// Whether any object waits for a settle.
pub(super) const ANY_WAITS: &str = "SELECT 1 FROM objects WHERE request IS NOT NULL LIMIT 1";

impl Embedded {
    pub(super) async fn keep_object(
        &self,
        object: Object,
        at_most: u32,
    ) -> Result<(), LedgerError> {
        object.check()?;
        let kept = {
            let locked = self.desk()?;
            let now = locked.now;
            // Wallets stay for ever.
            if locked.desk.book.wallet(now, &object.wallet).is_none() {
                return Err(no_wallet(&object.wallet));
            }
            self.committer
                .write(now, move |objects| objects.put(now, &object, at_most))
        };
        kept.await?
    }

    pub(super) async fn find_object(&self, name: ObjectRef) -> Result<Option<Object>, LedgerError> {
        let now = self.clock.now();
        let found = self.read(move |store| find(&mut store.prepare(&find_sql())?, &name));
        Ok(found.await?.filter(|object| object.is_there(now)))
    }

    pub(super) async fn forget_object(&self, name: ObjectRef) -> Result<(), LedgerError> {
        let forgotten = {
            let locked = self.desk()?;
            self.committer
                .write(locked.now, move |objects| objects.forget(&name))
        };
        forgotten.await.map(drop)
    }

    pub(super) async fn list_objects(
        &self,
        query: ObjectQuery,
    ) -> Result<Vec<Object>, LedgerError> {
        let now = self.clock.now();
        self.read(move |store| list(store, now, &query)).await?
    }

    pub(super) async fn list_pending(
        &self,
        after: Option<ObjectRef>,
        limit: u32,
    ) -> Result<Vec<Object>, LedgerError> {
        self.read(move |store| pending(store, after.as_ref(), limit))
            .await
    }
}

/// The statements that change objects, prepared once.
pub(super) struct Objects<'c> {
    find: Statement<'c>,
    is_settled: Statement<'c>,
    is_awaited: Statement<'c>,
    count: Statement<'c>,
    count_pending: Statement<'c>,
    remove_some: Statement<'c>,
    remove: Statement<'c>,
    write: Statement<'c>,
}

impl<'c> Objects<'c> {
    pub fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Objects {
            find: connection.prepare(&find_sql())?,
            is_settled: connection
                .prepare("SELECT 1 FROM receipts WHERE id = ?1 AND wallet = ?2")?,
            is_awaited: connection
                .prepare("SELECT 1 FROM objects WHERE request = ?1 AND wallet = ?2 AND id <> ?3")?,
            count: connection
                .prepare("SELECT count FROM object_counts WHERE wallet = ?1 AND kind = ?2")?,
            count_pending: connection.prepare(
                "SELECT count(*) FROM objects
                 WHERE wallet = ?1 AND kind = ?2 AND request IS NOT NULL",
            )?,
            remove_some: connection.prepare(
                "DELETE FROM objects WHERE rowid IN (
                     SELECT rowid FROM objects
                     WHERE wallet = ?1 AND kind = ?2 AND request IS NULL AND expires_at <= ?3
                     ORDER BY expires_at, id LIMIT ?4)",
            )?,
            remove: connection.prepare("DELETE FROM objects WHERE wallet = ?1 AND id = ?2")?,
            write: connection.prepare(&format!(
                "INSERT INTO objects ({OBJECT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (wallet, id) DO UPDATE SET
                     key = excluded.key, upstream = excluded.upstream, model = excluded.model,
                     created_at = excluded.created_at, expires_at = excluded.expires_at,
                     request = excluded.request, state = excluded.state"
            ))?,
        })
    }

    /// Keeps an object, or says why not.
    fn put(
        &mut self,
        now: UnixMs,
        object: &Object,
        at_most: u32,
    ) -> rusqlite::Result<Result<(), LedgerError>> {
        let name = object.name();
        let waits = match &object.pending {
            Some(pending) if !self.is_settled(object, pending.request)? => Some(pending),
            _ => None,
        };
        let known = find(&mut self.find, &name)?;
        let has_ended = known.as_ref().is_some_and(|known| !known.is_there(now));
        let known = known.filter(|_| !has_ended);
        if let Some(known) = known.as_ref().filter(|known| known.kind != object.kind) {
            return Ok(Err(of_other_kind(&name, known.kind.name())));
        }
        if let Some(pending) = waits
            && self.is_awaited(object, pending.request)?
        {
            return Ok(Err(awaited(&name, pending.request)));
        }
        if known.is_none() && self.count_pending(object)? >= at_most {
            return Ok(Err(all_pending(&name, object.kind)));
        }
        if has_ended {
            self.forget(&name)?;
        }
        self.remove_some(object, now, GOING_MAX)?;
        if known.is_none() {
            let beyond = (self.count(object)? + 1).saturating_sub(at_most);
            self.remove_some(object, TIME_END, beyond.min(GOING_MAX))?;
        }
        self.write(object, waits)?;
        Ok(Ok(()))
    }

    /// Removes up to `at_most` objects of the wallet and kind that are not pending and end by `until`, soonest first.
    fn remove_some(
        &mut self,
        object: &Object,
        until: UnixMs,
        at_most: u32,
    ) -> rusqlite::Result<usize> {
        if at_most == 0 {
            return Ok(0);
        }
        let (wallet, kind) = (object.wallet.as_str(), object.kind.name());
        self.remove_some
            .execute(params![wallet, kind, until.0, at_most])
    }

    fn forget(&mut self, name: &ObjectRef) -> rusqlite::Result<usize> {
        self.remove
            .execute([name.wallet.as_str(), name.id.as_str()])
    }

    fn write(&mut self, object: &Object, waits: Option<&Pending>) -> rusqlite::Result<usize> {
        self.write.execute(params![
            object.wallet.as_str(),
            object.id.as_str(),
            object.key.as_str(),
            object.kind.name(),
            &*object.upstream,
            &*object.model,
            object.created_at.0,
            object.expires_at.0,
            waits.map(|pending| *pending.request.as_bytes()),
            waits.map(|pending| pending.state.as_str()),
        ])
    }

    /// Whether a request of the object's wallet has been settled.
    fn is_settled(&mut self, object: &Object, request: RequestId) -> rusqlite::Result<bool> {
        let wallet = object.wallet.as_str();
        self.is_settled.exists(params![request.as_bytes(), wallet])
    }

    /// Whether another object of the wallet waits for this request.
    fn is_awaited(&mut self, object: &Object, request: RequestId) -> rusqlite::Result<bool> {
        let (wallet, id) = (object.wallet.as_str(), object.id.as_str());
        self.is_awaited
            .exists(params![request.as_bytes(), wallet, id])
    }

    /// How many objects of this kind the wallet has, those that have ended included.
    fn count(&mut self, object: &Object) -> rusqlite::Result<u32> {
        let (wallet, kind) = (object.wallet.as_str(), object.kind.name());
        let count = self.count.query_row([wallet, kind], |row| row.get(0));
        Ok(count.optional()?.unwrap_or(0))
    }

    fn count_pending(&mut self, object: &Object) -> rusqlite::Result<u32> {
        let (wallet, kind) = (object.wallet.as_str(), object.kind.name());
        self.count_pending
            .query_row([wallet, kind], |row| row.get(0))
    }
}

fn find_sql() -> String {
    format!("SELECT {OBJECT} FROM objects WHERE wallet = ?1 AND id = ?2")
}

fn find(statement: &mut Statement<'_>, name: &ObjectRef) -> rusqlite::Result<Option<Object>> {
    let name = [name.wallet.as_str(), name.id.as_str()];
    statement.query_row(name, object).optional()
}

fn list(
    store: &Connection,
    now: UnixMs,
    query: &ObjectQuery,
) -> rusqlite::Result<Result<Vec<Object>, LedgerError>> {
    let (before, last) = match &query.after {
        None => (i64::MAX, String::new()),
        Some(id) => {
            let name = ObjectRef {
                wallet: query.wallet.clone(),
                id: id.clone(),
            };
            let there = |object: &Object| object.is_there(now) && object.kind == query.kind;
            match find(&mut store.prepare(&find_sql())?, &name)?.filter(there) {
                Some(object) => (object.created_at.0, id.as_str().to_owned()),
                None => return Ok(Err(no_object(&name))),
            }
        }
    };
    let mut statement = store.prepare(&format!(
        "SELECT {OBJECT} FROM objects
         WHERE wallet = ?1 AND kind = ?2 AND (created_at, id) < (?3, ?4)
             AND (request IS NOT NULL OR expires_at > ?5)
         ORDER BY created_at DESC, id DESC LIMIT ?6"
    ))?;
    let limit = query.limit.min(OBJECTS_PAGE_MAX);
    let (wallet, kind) = (query.wallet.as_str(), query.kind.name());
    let found = statement.query_map(params![wallet, kind, before, last, now.0, limit], object)?;
    found.collect::<rusqlite::Result<_>>().map(Ok)
}

fn pending(
    store: &Connection,
    after: Option<&ObjectRef>,
    limit: u32,
) -> rusqlite::Result<Vec<Object>> {
    // Nothing comes before an empty wallet.
    let (wallet, id) = match after {
        Some(name) => (name.wallet.as_str(), name.id.as_str()),
        None => ("", ""),
    };
    let mut statement = store.prepare(&format!(
        "SELECT {OBJECT} FROM objects WHERE request IS NOT NULL AND (wallet, id) > (?1, ?2)
         ORDER BY wallet, id LIMIT ?3"
    ))?;
    let found = statement.query_map(params![wallet, id, limit.min(OBJECTS_PAGE_MAX)], object)?;
    found.collect()
}

/// Removes up to `at_most` objects that have ended before `before`.
pub(super) fn prune(store: &Connection, before: UnixMs, at_most: u32) -> rusqlite::Result<usize> {
    store.execute(
        "DELETE FROM objects WHERE rowid IN (
             SELECT rowid FROM objects WHERE request IS NULL AND expires_at < ?1 LIMIT ?2)",
        params![before.0, at_most],
    )
}

/// Reads the columns [`OBJECT`].
fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    let kind: String = row.get(3)?;
    let kind = ObjectKind::of(&kind)
        .ok_or_else(|| rows::unreadable(3, format!("`{kind}` is no kind of object").into()))?;
    let request: Option<[u8; 16]> = row.get(8)?;
    let pending = match request {
        Some(request) => Some(Pending {
            request: RequestId::from_bytes(request),
            state: row.get(9)?,
        }),
        None => None,
    };
    Ok(Object {
        wallet: rows::text(row, 0)?,
        id: rows::text::<ObjectId>(row, 1)?,
        key: rows::text(row, 2)?,
        kind,
        upstream: row.get(4)?,
        model: row.get(5)?,
        created_at: UnixMs(row.get(6)?),
        expires_at: UnixMs(row.get(7)?),
        pending,
    })
}
