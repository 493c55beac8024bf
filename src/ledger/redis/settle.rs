//! Settles and voids: a charge as the arguments of a call, and what it came to.

use std::sync::Arc;

use super::fields::{counter, grant_state};
use super::hold::{Args, Call, from_json, nano, wallet_keys};
use super::layout::{Layout, Partition, request_hex};
use super::record::Record;
use super::reply::{Reply, malformed};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::snapshot::StandingCounter;
use crate::ledger::grant::{Grant, GrantState};
use crate::ledger::hold::{Charge, FreeUnits, HoldRef, Settled};
use crate::ledger::receipt::Receipt;
use crate::money::Nano;

/// The call that settles a hold. `ahead_ms`: how far local days are ahead of UTC; `share`: how many receipts a
/// partition may have.
///
/// # Errors
/// `Conflict` for a negative price.
pub fn settle(
    layout: &Layout,
    record: &Record,
    charge: Charge,
    ahead_ms: i64,
    share: u64,
) -> Result<(Call, Receipt), LedgerError> {
    let id = &record.request.hold.id;
    let partition = Partition::of(&id.wallet);
    let mut keys = wallet_keys(layout, partition, id);
    keys.push(layout.receipts(partition));
    keys.push(layout.totals(partition, &id.wallet));
    keys.push(layout.pending(partition));
    let mut args = Args::default();
    args.text(&request_hex(id.request));
    args.text(id.wallet.as_str());
    args.text(&record.text);
    args.number(charge.priced.get());
    args.number(charge.free.tokens);
    args.number(charge.free.images);
    args.number(charge.free.requests);
    let counts = charge.counters.clone();
    let receipt = record.request.receipt(record.request.held_at, charge)?;
    args.json(&receipt)?;
    args.text(&format!("{}|{}", receipt.key, receipt.model));
    args.number(ahead_ms);
    args.number(share);
    args.number(record.parts.len());
    for (place, part) in record.parts.iter().enumerate() {
        args.number(counts.get(place).unwrap_or(part));
    }
    let meters: Vec<_> = receipt
        .usage
        .iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    args.number(meters.len());
    for (meter, count) in meters {
        args.text(meter.name());
        args.number(count);
    }
    Ok((Call { keys, args: args.0 }, receipt))
}

/// The call that releases a hold.
pub fn void(layout: &Layout, id: &HoldRef) -> Call {
    let partition = Partition::of(&id.wallet);
    let mut args = Args::default();
    args.text(&request_hex(id.request));
    Call {
        keys: wallet_keys(layout, partition, id),
        args: args.0,
    }
}

/// The call that asks how a request was settled, if it was.
pub fn again(layout: &Layout, id: &HoldRef) -> Call {
    let partition = Partition::of(&id.wallet);
    let mut keys = wallet_keys(layout, partition, id);
    keys.push(layout.receipts(partition));
    keys.push(layout.totals(partition, &id.wallet));
    keys.push(layout.pending(partition));
    let mut args = Args::default();
    args.text(&request_hex(id.request));
    args.text(id.wallet.as_str());
    // Neither a record nor a price: nothing can be settled by it.
    args.text("");
    args.text("");
    (0..3).for_each(|_| args.number(0));
    // No receipt, no totals, no counters and no meters.
    args.text("");
    args.text("");
    (0..4).for_each(|_| args.number(0));
    Call { keys, args: args.0 }
}

/// The call that extends leases of one wallet.
pub fn renew(layout: &Layout, holds: &[HoldRef], lease_ms: u64) -> Option<Call> {
    let first = holds.first()?;
    let mut args = Args::default();
    args.number(lease_ms);
    for hold in holds {
        args.text(&request_hex(hold.request));
    }
    Some(Call {
        keys: wallet_keys(layout, Partition::of(&first.wallet), first),
        args: args.0,
    })
}

/// A settle that the store carried out: when, its balance, what it decided, counters, grants, and the fixed
/// part of the receipt where it was settled before.
pub fn settled(
    reply: &Reply,
    receipt: Option<Receipt>,
    grants: &[Grant],
) -> Result<Settled, LedgerError> {
    let now = UnixMs(reply.number(2)?);
    let balance = nano(reply.text(3)?)?;
    let fields = reply.texts(5)?;
    let contents = reply.texts(6)?;
    let named = reply.texts(7)?;
    let receipt = match reply.text(8)? {
        "" => receipt.ok_or_else(malformed)?,
        fixed => from_json(fixed)?,
    };
    let standing = fields.iter().zip(&contents);
    let standing = standing
        .filter(|(_, content)| !content.is_empty())
        .map(|(field, content)| counter(field, content));
    let standing: Option<Vec<StandingCounter>> = standing.collect();
    let states = named.chunks(2).filter_map(|pair| {
        let [name, content] = pair else { return None };
        let grant = grants.iter().find(|grant| grant.name.as_str() == *name)?;
        grant_state(grant, content)
    });
    Ok(Settled {
        receipt: Arc::new(decided(receipt, reply.text(4)?).ok_or_else(malformed)?),
        balance,
        counters: standing
            .ok_or_else(malformed)?
            .iter()
            .map(|known| known.state(now))
            .collect(),
        grants: states.collect::<Vec<GrantState>>(),
    })
}

/// Whether a settle burned from these grants only.
///
/// # Errors
/// `Unavailable` for an answer of another form.
pub fn names_only(reply: &Reply, grants: &[Grant]) -> Result<bool, LedgerError> {
    let named = reply.texts(7)?;
    let known = |name: &str| grants.iter().any(|grant| grant.name.as_str() == name);
    Ok(named.iter().step_by(2).all(|name| known(name)))
}

/// A receipt with what the store decided: charged, free money, shortfall, free tokens, images, requests, late, when.
pub fn decided(receipt: Receipt, text: &str) -> Option<Receipt> {
    let words: Vec<&str> = text.split(' ').collect();
    let [
        charged,
        free_money,
        shortfall,
        tokens,
        images,
        requests,
        late,
        at,
    ] = words.as_slice()
    else {
        return None;
    };
    let nano = |text: &str| text.parse().ok().map(Nano::new);
    Some(Receipt {
        charged: nano(charged)?,
        free_money: nano(free_money)?,
        shortfall: nano(shortfall)?,
        free: FreeUnits {
            tokens: tokens.parse().ok()?,
            images: images.parse().ok()?,
            requests: requests.parse().ok()?,
        },
        late: *late == "1",
        settled_at: UnixMs(at.parse().ok()?),
        ..receipt
    })
}
