//! What is measured: a hold, and the settle of it, as a chat request with the shipped example's kinds of limit makes
//! them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::clock::UnixMs;
use tollgate::ledger::Ledger;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit, ModelSet};
use tollgate::ledger::hold::{Charge, FreeUnits, HoldRef, Quote};
use tollgate::ledger::id::{KeyDigest, RequestId};
use tollgate::ledger::key::{Key, OnDisconnect, OnShort};
use tollgate::ledger::limit::{Ask, CounterAsk, Window};
use tollgate::ledger::receipt::Detail;
use tollgate::ledger::wallet::NewWallet;
use tollgate::money::Nano;
use tollgate::price::{Applied, Segment};
use tollgate::usage::{Counted, Meter, Usage};

use crate::process::{micros, ticks};
use crate::store::Store;

/// How long holds live.
pub const LEASE_MS: u64 = 60_000;
/// How many wallets are many.
const MANY: u64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Which wallets the requests are of.
#[derive(Clone, Copy)]
pub enum Wallets {
    /// Each time the next of a thousand.
    Many,
    /// All of the same one.
    One,
}

impl Wallets {
    pub fn word(self) -> &'static str {
        match self {
            Wallets::Many => "1,000",
            Wallets::One => "1",
        }
    }

    fn nth(self, number: u64) -> u64 {
        match self {
            Wallets::Many => number % MANY,
            Wallets::One => 0,
        }
    }
}

/// What one round came to. CPU is in tenths of a microsecond for a hold with its settle.
pub struct Sample {
    pub per_second: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub own_tenths: u64,
    pub redis_tenths: u64,
}

/// Opens the wallets.
pub async fn furnish(store: &Store) {
    for number in 0..MANY {
        open_wallet(&store.ledger, number, &[]).await;
    }
}

/// Opens a wallet with these grants, and makes its key.
pub async fn open_wallet(ledger: &Arc<dyn Ledger>, number: u64, grants: &[Grant]) {
    let id = format!("wallet-{number}");
    let opening = Entry {
        id: format!("opening-{number}").parse().expect("an id"),
        wallet: id.parse().expect("an id"),
        kind: EntryKind::Opening,
        amount: Nano::new(9_000_000_000_000_000),
        reason: "opened".to_owned(),
        actor: "bench".to_owned(),
        at: UnixMs(0),
    };
    let wallet = NewWallet {
        id: opening.wallet.clone(),
        credit_line: Nano::ZERO,
        opening: Some(opening),
        grants: grants.to_vec(),
    };
    let key = Key {
        id: format!("key-{number}").parse().expect("an id"),
        wallet: wallet.id.clone(),
        name: id,
        revision: 1,
        enabled: true,
        expires_at: None,
        models: ModelSet::All,
        allowed_ips: Vec::new(),
        limits: Vec::new(),
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        created_at: UnixMs(0),
        offline_allowance: tollgate::money::Nano::ZERO,
        multiplier: tollgate::money::Factor::ONE,
    };
    ledger.open_wallet(wallet).await.expect("it opens");
    let digest = ledger.digest(&format!("secret-{number}"));
    ledger
        .put_key(key, KeyDigest(digest.0))
        .await
        .expect("a new key");
}

/// A grant of tokens.
pub fn grant() -> Grant {
    Grant {
        name: "trial".parse().expect("an id"),
        unit: GrantUnit::Tokens,
        amount: 1_000_000,
        models: ModelSet::All,
        expires_at: None,
    }
}

/// Holds and settles for so long, with so many under way at once.
pub async fn round(
    store: &mut Store,
    wallets: Wallets,
    at_once: usize,
    length: Duration,
) -> Sample {
    let (own, redis) = (ticks(None), store.redis_pid().map(|pid| ticks(Some(pid))));
    let began = Instant::now();
    let workers = (0..at_once).map(|worker| {
        let ledger = store.ledger.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            let mut number = worker as u64 * 97;
            while began.elapsed() < length {
                let start = Instant::now();
                once(&*ledger, wallets.nth(number)).await;
                took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
                number += 1;
            }
            took
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut took = Vec::new();
    for worker in workers {
        took.extend(worker.await.expect("a worker ends well"));
    }
    let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let own = ticks(None) - own;
    let redis = match (store.redis_pid(), redis) {
        (Some(pid), Some(before)) => ticks(Some(pid)) - before,
        _ => 0,
    };
    let count = took.len() as u64;
    store.settled += count;
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    Sample {
        per_second: count * 1_000_000 / elapsed,
        p50_us: at(50),
        p99_us: at(99),
        own_tenths: micros(own) * 10 / count,
        redis_tenths: micros(redis) * 10 / count,
    }
}

/// One hold with its settle.
pub async fn once(ledger: &dyn Ledger, wallet: u64) {
    let quote = quote(wallet, ledger.now());
    let id = HoldRef {
        wallet: quote.wallet.clone(),
        request: quote.request,
    };
    let hold = ledger.hold(quote).await.expect("the store answers");
    hold.expect("there is money, and room in every limit");
    ledger.settle(id, charge()).await.expect("it is settled");
}

fn quote(wallet: u64, now: UnixMs) -> Quote {
    let start = now.0 - now.0.rem_euclid(DAY_MS);
    let day = Window::Period {
        start: UnixMs(start),
        end: UnixMs(start + DAY_MS),
    };
    let minute = Window::Bucket { refill_ms: 60_000 };
    let segment = |meter, count, price| Segment {
        meter,
        count,
        count_min: count,
        unit_price: Nano::new(price),
    };
    let key = format!("key-{wallet}");
    let counter = |name: &str, ask, cap, window| CounterAsk {
        key: format!("{key}/{name}").into(),
        ask,
        cap,
        window,
    };
    Quote {
        request: RequestId::new(),
        wallet: format!("wallet-{wallet}").parse().expect("an id"),
        key_revision: 1,
        model: "bench-chat".into(),
        aliases: [].into(),
        price_version: "0123456789ab".into(),
        segments: vec![
            segment(Meter::Input, 60, 2_000),
            segment(Meter::Output, 4_096, 8_000),
        ],
        counters: vec![
            counter("spend-day", Ask::Money, 8_000_000_000_000_000, day),
            counter("requests-minute", Ask::Fixed(1), 1_000_000_000, minute),
            counter(
                "tokens-minute",
                Ask::Fixed(4_156),
                1_000_000_000_000,
                minute,
            ),
            counter("concurrent", Ask::Fixed(1), 100_000, Window::Concurrent),
        ],
        lease_ms: LEASE_MS,
        idempotency: None,
        key: key.parse().expect("an id"),
    }
}

fn charge() -> Charge {
    Charge {
        usage: Usage::tokens(57, 16),
        counted: Counted::Exact,
        priced: Nano::new(57 * 2_000 + 16 * 8_000),
        free: FreeUnits::default(),
        counters: vec![0, 1, 73, 1],
        detail: Detail {
            endpoint: "chat/completions".into(),
            upstream: "mock".into(),
            status: 200,
            streamed: false,
            attempts: 1,
            flags: Vec::new(),
            pricing: Applied::default(),
            ..Detail::default()
        },
    }
}
