//! What upstreams keep for customers (stored responses, files), and whose it is.
//!
//! All customers share the upstream's key, so what one of them stored could be read by any other. The ledger has a map
//! of each wallet's objects: what is not in it is not there.

use std::sync::Arc;

use futures_util::future::try_join_all;
use http::StatusCode;

use super::job::Job;
use super::peek::Named;
use super::refusal::{Code, Refused};
use crate::ledger::Ledger;
use crate::ledger::id::WalletId;
use crate::ledger::object::{OBJECTS_MAX, Object, ObjectId, ObjectKind, ObjectRef};

/// How long a stored response is reachable: as long as upstreams keep it, which is 30 days.
const RESPONSE_KEPT_MS: u64 = 30 * 86_400_000;

/// Which upstream keeps all that a request names; `None` where it names nothing.
///
/// # Errors
/// 404 where an object is not the wallet's, 400 where several are at different upstreams.
pub async fn place(
    ledger: &dyn Ledger,
    wallet: &WalletId,
    named: &[Named],
) -> Result<Option<Arc<str>>, Refused> {
    let finding: Vec<_> = named
        .iter()
        .map(|named| find_named(ledger, wallet, named))
        .collect();
    let objects = try_join_all(finding).await?;
    let Some(first) = objects.first() else {
        return Ok(None);
    };
    if let Some(index) = objects
        .iter()
        .position(|object| object.upstream != first.upstream)
    {
        let message = format!(
            "`{}` and `{}` are kept by different providers: send the content itself.",
            named[0].id, named[index].id
        );
        return Err(Refused::bad_request(message).param(named[index].param.as_str()));
    }
    Ok(Some(Arc::clone(&first.upstream)))
}

async fn find_named(
    ledger: &dyn Ledger,
    wallet: &WalletId,
    named: &Named,
) -> Result<Object, Refused> {
    let object = find(ledger, wallet, &named.id).await;
    object.map_err(|refused| refused.param(named.param.as_str()))
}

/// An object of a wallet.
pub async fn find(ledger: &dyn Ledger, wallet: &WalletId, id: &str) -> Result<Object, Refused> {
    let Ok(object) = id.parse::<ObjectId>() else {
        return Err(unknown(id));
    };
    let name = ObjectRef {
        wallet: wallet.clone(),
        id: object,
    };
    match ledger.object(name).await {
        Ok(found) => found.ok_or_else(|| unknown(id)),
        Err(error) => {
            tracing::error!(%error, "no object can be looked up");
            Err(Refused::ledger_unavailable())
        }
    }
}

/// The refusal of what is not there, or another wallet's: outsiders cannot tell which.
pub fn unknown(id: &str) -> Refused {
    Refused::new(
        StatusCode::NOT_FOUND,
        "invalid_request_error",
        Code::ObjectNotFound,
        format!("There is no object `{id}`, or it is gone."),
    )
}

/// Notes whose a stored answer is. Where that fails, it cannot be reached later; its charge is another matter.
pub async fn note(job: &Job, id: &str) {
    let Ok(id) = id.parse::<ObjectId>() else {
        tracing::warn!(request_id = %job.reservation.request(), "the upstream's answer has no usable id");
        return;
    };
    let ledger = &job.reservation.gateway().ledger;
    let put = ledger.put_object(stored(job, id), OBJECTS_MAX);
    if let Err(error) = put.await {
        tracing::warn!(
            %error, request_id = %job.reservation.request(),
            "a stored answer was not noted: its customer cannot reach it"
        );
    }
}

/// A stored answer, as the map has it.
pub fn stored(job: &Job, id: ObjectId) -> Object {
    let reservation = &job.reservation;
    let now = reservation.gateway().ledger.now();
    Object {
        id,
        wallet: reservation.hold.id.wallet.clone(),
        key: job.key.clone(),
        kind: ObjectKind::Response,
        upstream: Arc::clone(&reservation.detail.upstream),
        model: Arc::clone(&reservation.model.id),
        created_at: now,
        expires_at: now.plus(RESPONSE_KEPT_MS),
        pending: None,
    }
}

/// Notes that nothing is to be settled of an object any more.
pub async fn finish(ledger: &dyn Ledger, object: Object) {
    let id = object.id.clone();
    let finished = Object {
        pending: None,
        ..object
    };
    if let Err(error) = ledger.put_object(finished, OBJECTS_MAX).await {
        tracing::error!(%error, object = %id, "what is over is still noted as unfinished");
    }
}

/// Takes an object out of everybody's reach.
pub async fn forget(ledger: &dyn Ledger, object: &Object) {
    if let Err(error) = ledger.drop_object(object.name()).await {
        tracing::error!(%error, object = %object.id, "what is gone is still noted");
    }
}
