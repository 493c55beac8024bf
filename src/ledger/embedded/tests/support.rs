//! A directory that goes away, sample wallets and requests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::clock::{Clock, UnixMs};
use crate::ledger::Ledger;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::embedded::{Durability, Embedded, OpenOptions};
use crate::ledger::grant::{Grant, GrantUnit, ModelSet};
use crate::ledger::hold::{Charge, FreeUnits, Hold, HoldRef, IdempotencyClaim, Quote, Settled};
use crate::ledger::id::{KeyDigest, RequestId, WalletId};
use crate::ledger::key::{Freshness, Key, OnDisconnect, OnShort};
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::ledger::object::{Object, ObjectKind};
use crate::ledger::receipt::Detail;
use crate::ledger::wallet::NewWallet;
use crate::money::{Factor, Nano};
use crate::price::{Applied, Segment};
use crate::usage::{Counted, Meter, Usage};

/// 2026-01-01T00:00:00Z.
pub const START: UnixMs = UnixMs(1_767_225_600_000);

/// A directory of one test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "tollgate-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn store(&self) -> PathBuf {
        self.0.join("tollgate.db")
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Small, seeded, good enough (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

pub fn options(path: &Path, clock: &Clock) -> OpenOptions {
    OpenOptions {
        path: path.to_owned(),
        durability: Durability::Process,
        currency: "CNY".to_owned(),
        clock: Some(clock.clone()),
    }
}

pub fn open(path: &Path, clock: &Clock) -> Embedded {
    Embedded::open(options(path, clock)).unwrap()
}

pub fn wallet_id(n: u64) -> WalletId {
    format!("wallet-{n}").parse().unwrap()
}

pub fn request(n: u64) -> RequestId {
    RequestId::from_bytes(u128::from(n).to_be_bytes())
}

/// A request that tells when it began.
pub fn began(at: UnixMs, n: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    (bytes[6], bytes[8]) = (0x70, 0x80);
    bytes[9..].copy_from_slice(&n.to_be_bytes()[1..]);
    RequestId::from_bytes(bytes)
}

/// A file of a wallet that ends after a minute.
pub fn object(id: &str, wallet: u64) -> Object {
    Object {
        id: id.parse().unwrap(),
        wallet: wallet_id(wallet),
        key: format!("key-{wallet}").parse().unwrap(),
        kind: ObjectKind::File,
        upstream: "one".into(),
        model: "".into(),
        created_at: START,
        expires_at: START.plus(60_000),
        pending: None,
    }
}

pub fn hold_ref(n: u64, wallet: u64) -> HoldRef {
    HoldRef {
        wallet: wallet_id(wallet),
        request: request(n),
    }
}

pub fn entry(id: &str, wallet: u64, amount: i64) -> Entry {
    Entry {
        id: id.parse().unwrap(),
        wallet: wallet_id(wallet),
        kind: EntryKind::Topup,
        amount: Nano::new(amount),
        reason: "test".to_owned(),
        actor: "test".to_owned(),
        at: START,
    }
}

/// A wallet with money, tokens, images, and free money.
pub fn new_wallet(n: u64) -> NewWallet {
    let grant = |name: &str, unit, amount| Grant {
        name: name.parse().unwrap(),
        unit,
        amount,
        models: ModelSet::All,
        expires_at: None,
    };
    NewWallet {
        id: wallet_id(n),
        credit_line: Nano::ZERO,
        opening: Some(Entry {
            kind: EntryKind::Opening,
            ..entry(&format!("opening:{n}"), n, 5_000_000)
        }),
        grants: vec![
            grant("chat", GrantUnit::Tokens, 1_000),
            grant("gift", GrantUnit::Money, 200_000),
        ],
    }
}

pub fn new_key(n: u64) -> Key {
    Key {
        id: format!("key-{n}").parse().unwrap(),
        wallet: wallet_id(n),
        name: format!("key {n}"),
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

pub fn digest(n: u64) -> KeyDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    KeyDigest(bytes)
}

/// A request of 100 tokens in and at most 50 out.
pub fn quote(n: u64, wallet: u64, key: &Key, now: UnixMs) -> Quote {
    let segment = |meter, count, price| Segment {
        meter,
        count,
        count_min: count,
        unit_price: Nano::new(price),
    };
    let counter = |key: &str, ask, cap, window| CounterAsk {
        key: key.into(),
        ask,
        cap,
        window,
    };
    let day = 86_400_000;
    let start = UnixMs(now.0 - now.0.rem_euclid(day));
    let period = Window::Period {
        start,
        end: UnixMs(start.0 + day),
    };
    Quote {
        request: request(n),
        wallet: wallet_id(wallet),
        key: key.id.clone(),
        key_revision: key.revision,
        model: ["model-a", "model-b"][(n % 2) as usize].into(),
        aliases: [].into(),
        price_version: "0123456789ab".into(),
        segments: vec![
            segment(Meter::Input, 100, 1_000),
            segment(Meter::Output, 50, 4_000),
        ],
        counters: vec![
            counter("spend", Ask::Money, 1 << 40, Window::Total),
            counter(&format!("day:{start}"), Ask::Fixed(1), 1 << 40, period),
            counter(
                "rate",
                Ask::Fixed(150),
                1 << 40,
                Window::Bucket { refill_ms: 60_000 },
            ),
            counter("live", Ask::Fixed(1), 1_000, Window::Concurrent),
        ],
        lease_ms: 60_000,
        idempotency: None,
    }
}

pub fn claim(token: &str) -> Option<IdempotencyClaim> {
    Some(IdempotencyClaim {
        token: token.into(),
        body: [7; 32],
    })
}

/// What the request came to, when its hold took `hold`: `output` tokens out.
pub fn charge(hold: &Hold, output: u64) -> Charge {
    let free: u64 = hold
        .taken
        .iter()
        .filter(|take| take.unit == GrantUnit::Tokens)
        .map(|take| take.units)
        .sum();
    let tokens = 100 + output;
    let free = free.min(tokens);
    let free_input = free.min(100);
    let priced = (100 - free_input) * 1_000 + (output - (free - free_input)) * 4_000;
    Charge {
        usage: Usage::tokens(100, output),
        counted: Counted::Exact,
        priced: Nano::new(i64::try_from(priced).unwrap()),
        free: FreeUnits {
            tokens: free,
            ..FreeUnits::default()
        },
        counters: vec![0, 1, tokens, 1],
        detail: Detail {
            endpoint: "chat/completions".into(),
            upstream: "demo".into(),
            status: 200,
            streamed: output.is_multiple_of(2),
            attempts: 1,
            tries: Vec::new(),
            flags: if output == 0 {
                vec!["usage_missing".into()]
            } else {
                Vec::new()
            },
            pricing: Applied::default(),
        },
    }
}

/// A ledger with `wallets` wallets, a key each.
pub async fn furnish(ledger: &Embedded, wallets: u64) {
    for n in 0..wallets {
        assert!(ledger.open_wallet(new_wallet(n)).await.unwrap());
        ledger.put_key(new_key(n), digest(n)).await.unwrap();
    }
}

/// Holds and settles one request.
pub async fn serve(ledger: &Embedded, n: u64, wallet: u64, output: u64) -> Settled {
    let (id, charge) = admit(ledger, n, wallet, output).await;
    ledger.settle(id, charge).await.unwrap()
}

/// Holds one request; answers what its settle needs.
pub async fn admit(ledger: &Embedded, n: u64, wallet: u64, output: u64) -> (HoldRef, Charge) {
    let key = ledger
        .key(digest(wallet), Freshness::Shown)
        .await
        .unwrap()
        .unwrap();
    let quote = quote(n, wallet, &key, ledger.now());
    let hold = ledger.hold(quote).await.unwrap().unwrap();
    (hold.id.clone(), charge(&hold, output))
}

/// Keeps the committer busy until the answer is dropped.
pub fn stall(ledger: &Embedded) -> mpsc::Sender<()> {
    let (release, wait) = mpsc::channel::<()>();
    drop(ledger.committer.run(move |_| {
        // Ends with an error once the sender is dropped: that is the sign.
        assert!(wait.recv().is_err());
        Ok(())
    }));
    release
}
