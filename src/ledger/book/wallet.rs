//! One wallet: its money, grants, counters and requests.
//!
//! A wallet is a state machine of its own: every operation reads and writes one wallet only, so
//! that a distributed store can keep each in one place. How holds begin is in `admission`, how they end in `ending`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::change::WalletRow;
use super::counter::Counter;
use super::idempotency::Claims;
use super::planted::planted;
use super::quota::{Quota, Quotas, as_nano};
use crate::clock::UnixMs;
use crate::ledger::hold::{Hold, IdempotencyClaim};
use crate::ledger::id::{GrantId, KeyId, RequestId, WalletId};
use crate::ledger::limit::{CounterState, Window};
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::{CounterView, WalletView};
use crate::money::Nano;

/// No wallet owns, owes or is credited more than this, so that no sum of two leaves 64 bits.
pub(super) const MONEY_MAX: i64 = 1 << 61;

/// A counter is known by its key and its window.
pub(super) type CounterKey = (Arc<str>, Window);

/// An account, with everything that its requests may touch.
#[derive(Debug, Default)]
pub(super) struct Wallet {
    pub(super) money: Money,
    pub(super) quotas: Quotas,
    pub(super) counters: BTreeMap<CounterKey, Counter>,
    /// Most wallets are idle most of the time: what only requests need is kept apart.
    pub(super) activity: Option<Box<Activity>>,
}

/// What a wallet owns and owes. `credited - charged = balance`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Money {
    pub(super) balance: Nano,
    pub(super) credit_line: Nano,
    /// In live holds.
    pub(super) held: Nano,
    pub(super) credited: Nano,
    pub(super) charged: Nano,
    pub(super) shortfall: Nano,
}

/// The requests of a wallet that are in flight, or that ended not long ago.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// One entry per request, so that a request can end once only.
    pub(super) requests: HashMap<RequestId, Request>,
    /// The live holds, by the end of their leases.
    pub(super) leases: BTreeSet<(UnixMs, RequestId)>,
    pub(super) claims: Claims,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum Request {
    /// Its worst case is reserved.
    Live(Box<Record>),
    /// Its lease ran out and nothing is reserved any more; a settle may still come.
    Lapsed(UnixMs, Box<Record>),
    /// It was charged.
    Settled(Box<Outcome>),
    /// It was voided, before or after its hold.
    Voided(UnixMs),
}

/// A hold, as it was admitted.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) hold: Hold,
    pub(super) key: KeyId,
    pub(super) model: Arc<str>,
    pub(super) price_version: Arc<str>,
    pub(super) held_at: UnixMs,
    pub(super) parts: Vec<Part>,
    pub(super) idempotency: Option<IdempotencyClaim>,
}

/// What a hold occupies of one counter.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) counter: CounterKey,
    /// Whether it counts the money charged.
    pub(super) money: bool,
    pub(super) held: u64,
}

/// A settled request: enough to give the same answer again.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) receipt: Arc<Receipt>,
    pub(super) counters: Vec<CounterKey>,
    pub(super) grants: Vec<GrantId>,
}

impl Money {
    /// What a hold may take: `balance + credit_line - held`, not below zero.
    pub(super) fn available(&self) -> u64 {
        self.beyond(self.held)
    }

    /// What a hold could take if live holds came to `held`.
    pub(super) fn beyond(&self, held: Nano) -> u64 {
        let line = planted!(self.credit_line, CreditLineForgotten => Nano::ZERO);
        let floor = planted!(-i128::from(line.get()), FloorOffByOne => -i128::from(line.get()) - 1);
        let held = i128::from(planted!(held, HoldIgnoresHeld => Nano::ZERO).get());
        let room = i128::from(self.balance.get()) - held - floor;
        u64::try_from(room.max(0)).unwrap_or(u64::MAX)
    }
}

impl Wallet {
    /// A request of this wallet, if it is remembered.
    pub(super) fn request(&self, id: &RequestId) -> Option<&Request> {
        self.activity.as_ref()?.requests.get(id)
    }

    /// The durable part of its money.
    pub(super) fn row(&self, id: &WalletId) -> WalletRow {
        WalletRow {
            id: id.clone(),
            balance: self.money.balance,
            credit_line: self.money.credit_line,
            credited: self.money.credited,
            charged: self.money.charged,
            shortfall: self.money.shortfall,
        }
    }

    /// The wallet as it stands.
    pub(super) fn view(&self, id: &WalletId, now: UnixMs) -> WalletView {
        let view = |((key, _), counter): (&CounterKey, &Counter)| {
            let counter = counter.at(now);
            CounterView {
                key: key.to_string(),
                used: counter.used(),
                held: counter.held(),
            }
        };
        WalletView {
            id: id.clone(),
            balance: self.money.balance,
            credit_line: self.money.credit_line,
            held: self.money.held,
            available: as_nano(self.money.available()),
            grants: self.quotas.iter().map(Quota::state).collect(),
            credited: self.money.credited,
            charged: self.money.charged,
            shortfall: self.money.shortfall,
            holds: self.live_holds(),
            counters: self.counters.iter().map(view).collect(),
        }
    }

    /// The states of some counters now; one that is gone is left out.
    pub(super) fn states(&self, now: UnixMs, keys: &[CounterKey]) -> Vec<CounterState> {
        let of = |key| {
            self.counters
                .get(key)
                .map(|counter| counter.at(now).state())
        };
        keys.iter().filter_map(of).collect()
    }

    /// How many holds are live.
    pub(super) fn live_holds(&self) -> u64 {
        let count = self
            .activity
            .as_ref()
            .map_or(0, |activity| activity.leases.len());
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
