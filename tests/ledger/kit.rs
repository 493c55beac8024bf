//! Short words for building quotes, charges and wallets.

use std::sync::Arc;

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit, ModelSet};
use tollgate::ledger::hold::{Charge, FreeUnits, HoldRef, IdempotencyClaim, Quote};
use tollgate::ledger::id::{KeyDigest, RequestId, WalletId};
use tollgate::ledger::key::{Key, OnDisconnect, OnShort};
use tollgate::ledger::limit::{Ask, CounterAsk, Window};
use tollgate::ledger::object::{Object, ObjectKind, ObjectRef, Pending};
use tollgate::ledger::receipt::{Detail, Try, TryFailure, TryOutcome};
use tollgate::ledger::wallet::NewWallet;
use tollgate::money::{Factor, Nano};
use tollgate::price::{Applied, Segment};
use tollgate::usage::{Counted, Meter, Usage};

/// 2026-01-05T00:00:00Z, a Monday.
pub const START: UnixMs = UnixMs(1_767_571_200_000);
pub const SECOND_MS: u64 = 1_000;
pub const MINUTE_MS: u64 = 60 * SECOND_MS;
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// How long the holds of [`quote`] live.
pub const LEASE_MS: u64 = SECOND_MS;

/// No amount of a quote may reach this.
pub const EXACT: u64 = 1 << 53;

/// A bucket as limits per minute make it.
pub const MINUTE: Window = Window::Bucket {
    refill_ms: MINUTE_MS,
};

pub fn id<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is an id"))
}

pub fn request(number: u64) -> RequestId {
    RequestId::from_bytes(u128::from(number).to_be_bytes())
}

/// A request that tells when it began.
pub fn began(at: UnixMs, number: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes[8] = 0x80;
    RequestId::from_bytes(bytes)
}

pub fn digest(number: u64) -> KeyDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    KeyDigest(bytes)
}

pub fn hold_ref(wallet: &str, number: u64) -> HoldRef {
    HoldRef {
        wallet: id(wallet),
        request: request(number),
    }
}

pub fn models(names: &[&str]) -> ModelSet {
    if names.is_empty() {
        return ModelSet::All;
    }
    ModelSet::Only(names.iter().map(|name| Arc::from(*name)).collect())
}

pub fn segment(meter: Meter, count: u64, unit_price: i64) -> Segment {
    Segment {
        meter,
        count,
        count_min: count,
        unit_price: Nano::new(unit_price),
    }
}

/// A segment of output that may be clamped down to `count_min`.
pub fn clampable(count: u64, count_min: u64, unit_price: i64) -> Segment {
    Segment {
        count_min,
        ..segment(Meter::Output, count, unit_price)
    }
}

pub fn grant(name: &str, unit: GrantUnit, amount: u64) -> Grant {
    Grant {
        name: id(name),
        unit,
        amount,
        models: ModelSet::All,
        expires_at: None,
    }
}

pub fn wallet(name: &str, line: i64, opening: Option<Entry>, grants: &[Grant]) -> NewWallet {
    NewWallet {
        id: id(name),
        credit_line: Nano::new(line),
        opening,
        grants: grants.to_vec(),
    }
}

pub fn key(name: &str, wallet: &str) -> Key {
    Key {
        id: id(name),
        wallet: id(wallet),
        name: format!("the key {name}"),
        revision: 1,
        enabled: true,
        expires_at: None,
        models: ModelSet::All,
        allowed_ips: Vec::new(),
        limits: Vec::new(),
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        offline_allowance: Nano::ZERO,
        multiplier: Factor::ONE,
        created_at: START,
    }
}

pub fn entry(name: &str, wallet: &str, kind: EntryKind, amount: i64) -> Entry {
    Entry {
        id: id(name),
        wallet: id(wallet),
        kind,
        amount: Nano::new(amount),
        reason: "a reason, \"quoted\"\n".to_owned(),
        actor: "operator".to_owned(),
        at: UnixMs(0),
    }
}

pub fn counter(key: &str, ask: Ask, cap: u64, window: Window) -> CounterAsk {
    CounterAsk {
        key: key.into(),
        ask,
        cap,
        window,
    }
}

/// The period of `length_ms` around `now`, counted from the epoch.
pub fn period(now: UnixMs, length_ms: u64) -> Window {
    let length = i64::try_from(length_ms).expect("a length");
    let start = UnixMs(now.0 - now.0.rem_euclid(length));
    let end = start.plus(length_ms);
    Window::Period { start, end }
}

pub fn claim(token: &str, body: u8) -> Option<IdempotencyClaim> {
    Some(IdempotencyClaim {
        token: token.into(),
        body: [body; 32],
    })
}

/// A quote of request `number` on wallet `w` by key `k` for model `m`.
pub fn quote(number: u64, segments: &[Segment]) -> Quote {
    Quote {
        request: request(number),
        wallet: id::<WalletId>("w"),
        key: id("k"),
        key_revision: 1,
        model: "m".into(),
        aliases: [].into(),
        price_version: "0123456789ab".into(),
        segments: segments.to_vec(),
        counters: Vec::new(),
        lease_ms: LEASE_MS,
        idempotency: None,
    }
}

/// A quote that costs `money` nano and nothing else.
pub fn costs(number: u64, money: u64) -> Quote {
    quote(number, &[segment(Meter::Output, money, 1)])
}

/// A quote that costs a nano and asks these counters.
pub fn counted(number: u64, counters: &[CounterAsk]) -> Quote {
    Quote {
        counters: counters.to_vec(),
        ..costs(number, 1)
    }
}

/// The same quote of another wallet and key.
pub fn of(wallet: &str, key: &str, quote: Quote) -> Quote {
    Quote {
        wallet: id(wallet),
        key: id(key),
        ..quote
    }
}

pub fn charge(priced: i64) -> Charge {
    Charge {
        usage: Usage::tokens(1, 2),
        counted: Counted::Exact,
        priced: Nano::new(priced),
        free: FreeUnits::default(),
        counters: Vec::new(),
        detail: Detail {
            endpoint: "chat/completions".into(),
            upstream: "demo".into(),
            status: 200,
            streamed: true,
            attempts: 2,
            tries: vec![
                tried("spare", TryOutcome::Failed(TryFailure::Connect)),
                tried("demo", TryOutcome::Status(200)),
            ],
            flags: vec!["client_gone".into()],
            pricing: Applied::default(),
        },
    }
}

fn tried(upstream: &str, outcome: TryOutcome) -> Try {
    Try {
        upstream: upstream.into(),
        outcome,
    }
}

/// A charge of a nano that counted so much.
pub fn counts(counters: &[u64]) -> Charge {
    Charge {
        counters: counters.to_vec(),
        ..charge(1)
    }
}

pub fn free_tokens(tokens: u64) -> FreeUnits {
    FreeUnits {
        tokens,
        ..FreeUnits::default()
    }
}

pub fn nano(amount: i64) -> Nano {
    Nano::new(amount)
}

pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).expect("an amount")
}

/// A response of a wallet that was made at `START` and ends an hour later.
pub fn object(name: &str, wallet: &str) -> Object {
    Object {
        id: id(name),
        wallet: id(wallet),
        key: id("k"),
        kind: ObjectKind::Response,
        upstream: "one".into(),
        model: "m".into(),
        created_at: START,
        expires_at: START.plus(HOUR_MS),
        pending: None,
    }
}

/// The same as it waits for the settle of request `number`.
pub fn waiting(object: Object, number: u64) -> Object {
    let pending = Pending {
        request: request(number),
        state: format!("{{\"of\": {number}}}"),
    };
    Object {
        pending: Some(pending),
        ..object
    }
}

pub fn object_ref(name: &str, wallet: &str) -> ObjectRef {
    ObjectRef {
        wallet: id(wallet),
        id: id(name),
    }
}
