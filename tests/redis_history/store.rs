//! A store with a clock of the test's, and what tests do to it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::Ledger;
use tollgate::ledger::grant::{Grant, GrantUnit};
use tollgate::ledger::hold::{Charge, HoldRef, IdempotencyClaim, Quote};
use tollgate::ledger::id::RequestId;
use tollgate::ledger::limit::{Ask, Window};
use tollgate::ledger::receipt::Receipt;
use tollgate::ledger::redis::layout::{Layout, Partition, hex};
use tollgate::ledger::redis::link::Link;
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};
use tollgate::money::Nano;
use tollgate::usage::{Meter, Unit};

use crate::kit::{self, START, id, segment};
use crate::support::TempDir;
use crate::support::redis::{Cluster, Server};

/// The wallets of [`Store::furnish`]; they lie in different partitions.
pub const WALLETS: [&str; 3] = ["acme", "w1", "default"];

pub struct Store {
    pub ledger: Arc<Redis>,
    pub clock: Clock,
    pub options: RedisOptions,
    pub layout: Layout,
    scripts: &'static Scripts,
    link: Link,
    _folder: TempDir,
    _running: Box<dyn Any + Send + Sync>,
}

impl Store {
    pub async fn single() -> Store {
        let server = Server::start();
        let options = RedisOptions::of_url(&server.url()).expect("a URL");
        Store::open(options, Box::new(server), Scripts::standard()).await
    }

    /// One whose server-side code says `planted` in place of `right`.
    pub async fn planted(right: &str, planted: &str) -> Store {
        let found = AtomicBool::new(false);
        let scripts = Scripts::edited(|source| {
            found.fetch_or(source.contains(right), Ordering::Relaxed);
            source.replace(right, planted)
        });
        assert!(found.into_inner(), "no script says {right}");
        let server = Server::start();
        let options = RedisOptions::of_url(&server.url()).expect("a URL");
        Store::open(options, Box::new(server), scripts).await
    }

    pub async fn cluster() -> Store {
        let cluster = Cluster::start();
        let nodes = cluster.nodes().into_iter().map(|node| {
            let (host, port) = node.rsplit_once(':').expect("a host and a port");
            Address {
                host: host.to_owned(),
                port: port.parse().expect("a port"),
            }
        });
        let options = RedisOptions::at(Endpoints::Cluster(nodes.collect()));
        Store::open(options, Box::new(cluster), Scripts::standard()).await
    }

    async fn open(
        mut options: RedisOptions,
        running: Box<dyn Any + Send + Sync>,
        scripts: &'static Scripts,
    ) -> Store {
        // Machines that run many tests are slow.
        options.response_timeout_ms = 10_000;
        options.deadline_ms = 20_000;
        let folder = TempDir::new();
        options.journal = folder.path().join("journal.db");
        let clock = Clock::manual(START);
        Store {
            ledger: opened(&options, &clock, scripts).await,
            clock,
            layout: Layout::new(&options.prefix),
            link: Link::connect(&options).await.expect("a link"),
            options,
            scripts,
            _folder: folder,
            _running: running,
        }
    }

    /// Opens it anew, with other options.
    pub async fn reopen(&mut self, change: impl FnOnce(&mut RedisOptions)) {
        self.ledger.close().await.expect("closed");
        change(&mut self.options);
        self.ledger = opened(&self.options, &self.clock, self.scripts).await;
    }

    /// Plain commands, whichever server has their keys.
    pub async fn ask<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        let mut answers = self.link.batch(vec![command]).await.expect("an answer");
        let answer = answers.pop().expect("one answer");
        redis::from_redis_value(answer).expect("what was expected")
    }

    /// Wallets with money, a grant and two keys each.
    pub async fn furnish(&self) {
        for wallet in WALLETS {
            let opening = kit::entry(
                &format!("config:{wallet}"),
                wallet,
                tollgate::ledger::credit::EntryKind::Opening,
                1_000_000_000,
            );
            let gift = Grant {
                unit: GrantUnit::Tokens,
                ..kit::grant("gift", GrantUnit::Tokens, 1_000)
            };
            let new = kit::wallet(wallet, 0, Some(opening), &[gift]);
            self.ledger.open_wallet(new).await.expect("a wallet");
            for number in 0..2 {
                let key = kit::key(&format!("{wallet}-{number}"), wallet);
                let secret = self.ledger.digest(key.id.as_str());
                self.ledger.put_key(key, secret).await.expect("a key");
            }
        }
    }

    /// Request `number`, by one of the wallets' keys, for one of two models; some have a claim.
    pub fn quote(&self, number: u64) -> Quote {
        let wallet = WALLETS[place(number, 3)];
        let key = format!("{wallet}-{}", number / 3 % 2);
        let mut quote = kit::of(
            wallet,
            &key,
            kit::quote(number, &[segment(Meter::Output, 20 + number % 50, 3)]),
        );
        quote.request = request(self.clock.now(), number);
        quote.model = ["m", "other"][place(number / 7, 2)].into();
        quote.counters = vec![
            kit::counter(&format!("{key}/spend"), Ask::Money, 1 << 40, Window::Total),
            kit::counter(
                &format!("{key}/live"),
                Ask::Fixed(1),
                1_000,
                Window::Concurrent,
            ),
        ];
        quote
    }

    /// Holds and settles a request.
    pub async fn serve(&self, number: u64) -> Arc<Receipt> {
        self.serve_claimed(number, None).await
    }

    pub async fn serve_claimed(
        &self,
        number: u64,
        idempotency: Option<IdempotencyClaim>,
    ) -> Arc<Receipt> {
        let quote = Quote {
            idempotency,
            ..self.quote(number)
        };
        let (hold, charge) = self.admit(quote).await;
        let settled = self.ledger.settle(hold, charge).await;
        settled.expect("settled").receipt
    }

    /// Holds a request; answers what will settle it.
    pub async fn admit(&self, quote: Quote) -> (HoldRef, Charge) {
        let hold = self.ledger.hold(quote.clone()).await.expect("an answer");
        let hold = hold.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let counted = quote
            .segments
            .iter()
            .map(|segment| segment.count)
            .sum::<u64>();
        let free = hold.taken.iter().map(|take| take.units).sum::<u64>();
        assert_eq!(Meter::Output.unit(), Unit::Tokens);
        let paid = kit::signed(counted.saturating_sub(free)) * 3;
        let charge = Charge {
            // One in five was more than was held.
            priced: Nano::new(paid + if counted % 5 == 0 { 2 } else { 0 }),
            free: kit::free_tokens(free),
            ..kit::charge(0)
        };
        (hold.id, charge)
    }

    pub async fn findings(&self) -> Vec<String> {
        self.ledger.audit().await.expect("a report").findings
    }

    pub async fn assert_clean(&self) {
        assert_eq!(self.findings().await, Vec::<String>::new());
    }

    pub fn wallet_key(&self, wallet: &str) -> Vec<u8> {
        let wallet = id(wallet);
        self.layout.wallet(Partition::of(&wallet), &wallet)
    }

    pub fn stream(&self, wallet: &str) -> Vec<u8> {
        self.layout.receipts(Partition::of(&id(wallet)))
    }

    pub fn request_key(&self, wallet: &str, request: RequestId) -> Vec<u8> {
        self.layout.request(Partition::of(&id(wallet)), request)
    }
}

async fn opened(options: &RedisOptions, clock: &Clock, scripts: &'static Scripts) -> Arc<Redis> {
    let behaviour = Behaviour {
        currency: "CNY".to_owned(),
        zone: jiff::tz::TimeZone::get("Asia/Shanghai").expect("a zone"),
        lease_ms: 60_000,
        clock: Some(clock.clone()),
        scripts,
    };
    Arc::new(Redis::open(options, behaviour).await.expect("a store"))
}

/// A time-ordered id, as proxies make them.
pub fn request(at: UnixMs, number: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8..].copy_from_slice(&(number | 1 << 63).to_be_bytes());
    RequestId::from_bytes(bytes)
}

pub fn request_hex(request: RequestId) -> String {
    hex(request.as_bytes())
}

pub fn place(number: u64, of: u64) -> usize {
    usize::try_from(number % of).expect("a small number")
}
