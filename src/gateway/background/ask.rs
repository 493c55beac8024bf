//! Looking at an upstream, from time to time, for an answer that it writes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::gateway::Gateway;
use crate::gateway::whole;
use crate::ledger::object::Object;
use crate::upstream::Call;
use crate::usage::answer::read_answer;

/// How often the upstream is asked, at first and at last.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LAST: Duration = Duration::from_secs(15);
/// How long an answer may be written; after that nobody waits for it.
const WRITTEN_MAX_MS: u64 = 86_400_000;
/// How long an answer that old may be out of sight until it is given up.
const FAILING_MAX: Duration = Duration::from_secs(3_600);
/// After so many looks at what is not there, some 20 seconds in all, it is gone.
const GONE_LOOKS: u32 = 5;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What a look showed.
enum Look {
    /// It is still being written.
    Unfinished,
    /// It is done, for better or worse.
    Done(Bytes),
    /// The upstream has no such answer.
    Gone,
}

/// Whether an answer is so old that nobody waits for it.
pub(super) fn is_old(gateway: &Gateway, object: &Object) -> bool {
    gateway.ledger.now().since(object.created_at) > WRITTEN_MAX_MS
}

/// The finished answer; `None` where it is gone, or takes too long.
pub(super) async fn until_done(gateway: &Gateway, object: &Object, wake: &Notify) -> Option<Bytes> {
    let mut pause = LOOK_FIRST;
    let mut due = Instant::now() + pause;
    let (mut failing_since, mut gone) = (None, 0);
    loop {
        let was_woken = tokio::select! {
            () = sleep_until(due) => false,
            () = wake.notified() => true,
        };
        if !was_woken {
            pause = (pause * 3 / 2).min(LOOK_LAST);
            due = Instant::now() + pause;
        }
        let is_old = is_old(gateway, object);
        match ask(gateway, object).await {
            Ok(Look::Done(body)) => return Some(body),
            // One server of several may not have it yet. How often a customer looks says nothing.
            Ok(Look::Gone) if was_woken => {}
            Ok(Look::Gone) if gone < GONE_LOOKS => gone += 1,
            Ok(Look::Gone) => return None,
            Ok(Look::Unfinished) if is_old => {
                tracing::error!(object = %object.id, "an answer in the background takes longer than a day");
                return None;
            }
            Ok(Look::Unfinished) => (failing_since, gone) = (None, 0),
            Err(why) => match failing_since {
                Some(since) if is_old && Instant::now().duration_since(since) > FAILING_MAX => {
                    tracing::error!(object = %object.id, %why, "an answer in the background cannot be looked at, and is given up");
                    return None;
                }
                Some(_) => {}
                None => {
                    failing_since = Some(Instant::now());
                    tracing::warn!(object = %object.id, %why, "an answer in the background cannot be looked at; that is tried again");
                }
            },
        }
    }
}

async fn ask(gateway: &Gateway, object: &Object) -> Result<Look, String> {
    let catalog = gateway.catalog();
    let endpoint = catalog
        .upstreams
        .at(&object.upstream)
        .ok_or_else(|| "its upstream is not configured".to_owned())?;
    let path = format!("/responses/{}", object.id);
    let call = Call {
        method: Method::GET,
        path: &path,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let sent = catalog.upstreams.send(&endpoint, call).await;
    let response = sent.map_err(|error| error.to_string())?;
    let status = response.status();
    if matches!(status.as_u16(), 404 | 410) {
        return Ok(Look::Gone);
    }
    if !status.is_success() {
        return Err(format!("the upstream answers {status}"));
    }
    let (idle, memory) = (endpoint.idle_timeout(), &gateway.answer_memory);
    let body = response.into_body();
    let body = whole::read(Bytes::new(), body, ANSWER_BYTES_MAX, idle, memory).await;
    let body = body.map_err(|why| why.to_string())?;
    let answer = read_answer(&body);
    match answer.map_err(|error| error.to_string())? {
        answer if answer.is_unfinished() => Ok(Look::Unfinished),
        answer if answer.status.is_some() => Ok(Look::Done(body)),
        _ => Err("the upstream's answer has no status".to_owned()),
    }
}
