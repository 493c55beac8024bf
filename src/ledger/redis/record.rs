//! A hold's record: written by the server-side code when it is held, kept by the proxy until it ends, and sent back
//! with its settle, so that a charge can be booked where the store has lost the hold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fields;
use super::layout::unhex;
use crate::clock::UnixMs;
use crate::ledger::book::snapshot::{HeldRequest, LiveHold, StandingCounter};
use crate::ledger::grant::GrantTake;
use crate::ledger::hold::{Hold, HoldRef, IdempotencyClaim, Quote};
use crate::ledger::id::KeyId;
use crate::money::Nano;

/// What only proxies read of a record.
#[derive(Serialize, Deserialize)]
pub struct Fixed {
    key: KeyId,
    model: Arc<str>,
    price_version: Arc<str>,
    /// The client's token of its idempotency claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Arc<str>>,
}

impl Fixed {
    /// Of a quote.
    pub fn of(quote: &Quote) -> Fixed {
        Fixed {
            key: quote.key.clone(),
            model: quote.model.clone(),
            price_version: quote.price_version.clone(),
            token: quote.idempotency.as_ref().map(|claim| claim.token.clone()),
        }
    }
}

/// A record, read.
#[derive(Clone, Debug)]
pub struct Record {
    /// As the store wrote it.
    pub text: String,
    /// The hold and its request.
    pub request: HeldRequest,
    /// What it occupies of each counter, in the quote's order.
    pub parts: Vec<u64>,
}

impl Record {
    /// Reads a record: lines of phase, money and time, takes of grants, counters, claim, answer, and the fixed part.
    /// `None` for anything else.
    pub fn read(id: HoldRef, text: String, lease_until: UnixMs) -> Option<Record> {
        let mut lines = text.splitn(7, '\n').skip(1);
        let (money, held_at) = lines.next()?.split_once(' ')?;
        let taken = takes(lines.next()?)?;
        let (counter_fields, parts) = places(lines.next()?)?;
        let claim = lines.next()?;
        let mut answer = lines.next()?.splitn(3, ';');
        let fixed: Fixed = serde_json::from_str(lines.next()?).ok()?;
        let balance = nano(answer.next()?)?;
        let counts = answer.next()?.split_whitespace().map(|count| count.parse());
        let counts = counts.collect::<Result<Vec<u64>, _>>().ok()?;
        let contents = answer
            .next()?
            .split(',')
            .filter(|content| !content.is_empty());
        let standing = counter_fields
            .iter()
            .zip(contents)
            .map(|(field, content)| fields::counter(field, content));
        let standing = standing.collect::<Option<Vec<StandingCounter>>>()?;
        let hold = Hold {
            id,
            money: nano(money)?,
            taken,
            counts,
            balance,
            counters: standing
                .iter()
                .map(StandingCounter::state_as_read)
                .collect(),
            lease_until,
        };
        let idempotency = match (fixed.token, claim.split_once(' ')) {
            (Some(token), Some((_, body))) => Some(IdempotencyClaim {
                token,
                body: unhex(body)?,
            }),
            _ => None,
        };
        let request = HeldRequest {
            hold,
            key: fixed.key,
            model: fixed.model,
            price_version: fixed.price_version,
            held_at: UnixMs(held_at.parse().ok()?),
            idempotency,
        };
        Some(Record {
            request,
            parts,
            text,
        })
    }

    /// The hold with the counters that it occupies, for an audit.
    pub fn live(&self) -> Option<LiveHold> {
        let (counter_fields, _) = places(self.text.split('\n').nth(3)?)?;
        let counters = counter_fields.into_iter().map(fields::counter_key);
        let counters = counters.collect::<Option<Vec<_>>>()?;
        Some(LiveHold {
            request: self.request.clone(),
            parts: counters
                .into_iter()
                .zip(self.parts.iter().copied())
                .collect(),
        })
    }
}

fn nano(text: &str) -> Option<Nano> {
    text.parse().ok().map(Nano::new)
}

fn takes(line: &str) -> Option<Vec<GrantTake>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let take = |words: &[&str]| {
        let [name, unit, units] = words else {
            return None;
        };
        Some(GrantTake {
            grant: name.parse().ok()?,
            unit: fields::unit_of(unit)?,
            units: units.parse().ok()?,
        })
    };
    words.chunks(3).map(take).collect()
}

/// The counters' fields, and what is held of each.
fn places(line: &str) -> Option<(Vec<&str>, Vec<u64>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let part = |words: &[&'_ str]| match words {
        [_, _, held] => held.parse().ok(),
        _ => None,
    };
    let parts = words.chunks(3).map(part).collect::<Option<Vec<_>>>()?;
    let fields = words.iter().step_by(3).copied().collect();
    Some((fields, parts))
}
