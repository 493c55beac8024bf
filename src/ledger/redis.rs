//! The ledger in Redis or Valkey, shared by any number of processes: no process holds a truth of its own.
//!
//! Every operation is one atomic server-side call on one partition of the store; the scripts below `scripts/`
//! are the book's rules again, and are shown equal to it by random schedules. Where a hold is refused, the
//! script only tells what it found, and the book itself says why.

mod accounts;
mod cache;
pub mod checks;
mod clock;
mod contract;
pub mod error;
mod fields;
mod history;
mod hold;
mod keys;
pub mod layout;
pub mod link;
pub mod meta;
pub mod options;
mod reads;
mod record;
mod reply;
pub mod scripts;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis::{Cmd, Value};
use hmac::{Hmac, Mac};
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use sha2::Sha256;

use self::cache::{Cache, Grants};
use self::clock::StoreClock;
use self::error::{LinkError, OpenError};
use self::hold::{Call, from_json};
use self::layout::{Layout, PARTITIONS, Partition};
use self::link::Link;
use self::options::{Address, Endpoints, RedisOptions};
use self::record::Record;
use self::reply::{Reply, malformed};
use self::scripts::{Script, Scripts};
use super::LedgerError;
use super::grant::Grant;
use super::hold::HoldRef;
use super::id::{RequestId, WalletId};
use crate::clock::Clock;

/// How many receipts a partition may always have.
const SHARE_MIN: u64 = 1_000;

/// How a ledger in Redis behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The currency of all amounts.
    pub currency: String,
    /// Where the days of totals begin.
    pub zone: TimeZone,
    /// How long a lease is: time in which nobody called counts for half of it at most.
    pub lease_ms: u64,
    /// In place of the store's time, for tests. Leases run with it whatever happens.
    pub clock: Option<Clock>,
    /// The server-side code.
    pub scripts: &'static Scripts,
}

/// A [`Ledger`](super::Ledger) that any number of processes share.
///
/// Dropping it leaves what is on its way to its journal; [`close`](super::Ledger::close) waits for it.
pub struct Redis {
    link: Link,
    layout: Layout,
    scripts: &'static Scripts,
    clock: StoreClock,
    zone: TimeZone,
    /// How many receipts a partition may have.
    share: u64,
    gap_ms: Option<u64>,
    digester: Hmac<Sha256>,
    cache: Cache,
    /// The records of the holds that this process made, until they end.
    live: Mutex<HashMap<RequestId, Arc<Record>>>,
    lapses: AtomicU64,
    address: String,
}

/// What a mutation came to.
enum Mutated {
    /// The store carried it out, or said why not.
    Answered(Reply),
    /// The store is away; the journal keeps it until the store is back.
    Kept,
}

impl Redis {
    /// Connects, checks that the store is fit to keep money, and makes it where it is new.
    ///
    /// # Errors
    /// Where the store cannot be reached or is unfit, keeps another currency or a newer schema.
    pub async fn open(options: &RedisOptions, behaviour: Behaviour) -> Result<Redis, OpenError> {
        let link = Link::connect(options).await?;
        let found = checks::check(&link).await?;
        tracing::info!(%found, "the store is fit to keep a ledger");
        for warning in &found.warnings {
            tracing::warn!("{warning}");
        }
        let meta = meta::open(&link, &behaviour.currency).await?;
        let clock = StoreClock::new(behaviour.clock.clone());
        let gap_ms = behaviour.clock.is_none().then_some(behaviour.lease_ms / 2);
        let redis = Redis {
            digester: Hmac::new_from_slice(meta.pepper())
                .expect("an HMAC takes a key of any length"),
            address: address(options),
            link,
            layout: Layout::new(&options.prefix),
            scripts: behaviour.scripts,
            clock,
            zone: behaviour.zone,
            share: (options.receipts_max / u64::from(PARTITIONS)).max(SHARE_MIN),
            gap_ms,
            cache: Cache::default(),
            live: Mutex::new(HashMap::new()),
            lapses: AtomicU64::new(0),
        };
        redis.read_clock().await?;
        Ok(redis)
    }

    /// Sends a mutation of a partition. `told`: whether its caller waits for how it came out.
    async fn mutate(
        &self,
        partition: Partition,
        script: &'static Script,
        call: Call,
        _told: bool,
    ) -> Result<Mutated, LedgerError> {
        let _partition = partition;
        let reply = self.call(script, call, &["", "", "0", ""]).await;
        reply.map(Mutated::Answered)
    }

    /// Calls a script. `header`: nonce, number, what was acknowledged, and whether it is sent again.
    async fn call(
        &self,
        script: &'static Script,
        call: Call,
        header: &[&str; 4],
    ) -> Result<Reply, LedgerError> {
        let mut args = Vec::with_capacity(call.args.len() + 6);
        args.push(self.clock.given());
        args.push(
            self.gap_ms
                .map_or_else(Vec::new, |gap| gap.to_string().into_bytes()),
        );
        args.extend(header.iter().map(|text| text.as_bytes().to_vec()));
        args.extend(call.args);
        let value = self.link.call(script, call.keys, args).await;
        Reply::new(value.map_err(unavailable)?)
    }

    /// A hold's record: of this process, or from the store.
    async fn record(&self, id: &HoldRef) -> Result<Option<Arc<Record>>, LedgerError> {
        if let Some(record) = self.live.lock().get(&id.request) {
            return Ok(Some(record.clone()));
        }
        let mut get = ::redis::cmd("GET");
        get.arg(self.layout.request(Partition::of(&id.wallet), id.request));
        let Some(text) = self.ask_text(get).await? else {
            return Ok(None);
        };
        if !text.starts_with(['L', 'P']) {
            return Ok(None);
        }
        let record = Record::read(id.clone(), text, self.clock.now()).ok_or_else(malformed)?;
        Ok(Some(Arc::new(record)))
    }

    /// The grants of a wallet as given, from memory or from the store.
    async fn grants(&self, wallet: &WalletId, anew: bool) -> Result<Arc<Grants>, LedgerError> {
        if let Some(known) = self.cache.grants(wallet).filter(|_| !anew) {
            return Ok(known);
        }
        let partition = Partition::of(wallet);
        let mut version = ::redis::cmd("HGET");
        version.arg(self.layout.wallet(partition, wallet)).arg("gv");
        let mut given = ::redis::cmd("HVALS");
        given.arg(self.layout.grants(partition, wallet));
        // The version first: grants that are given in between make the hold ask again.
        let answers = self.ask(vec![version, given]).await?;
        let [version, given] = answers.as_slice() else {
            return Err(malformed());
        };
        let version = reply::text(version).ok_or_else(malformed)?.to_owned();
        let given = reply::list(given).ok_or_else(malformed)?;
        let list = given.into_iter().map(from_json);
        let list = list.collect::<Result<Vec<Grant>, _>>()?;
        if version.is_empty() {
            // A wallet that is not there may be opened at any time.
            return Ok(Arc::new(Grants { version, list }));
        }
        Ok(self.cache.keep_grants(wallet, version, list))
    }

    /// Brings the clock up to the store's time.
    async fn read_clock(&self) -> Result<(), LedgerError> {
        let value = self.ask_one(::redis::cmd("TIME")).await?;
        let [seconds, micros] = match reply::list(&value).as_deref() {
            Some([seconds, micros]) => [seconds.parse::<i64>(), micros.parse()],
            _ => return Err(malformed()),
        };
        let (Ok(seconds), Ok(micros)) = (seconds, micros) else {
            return Err(malformed());
        };
        self.clock.store_says(seconds * 1000 + micros / 1000);
        Ok(())
    }

    /// Sends plain commands; the answers come in their order.
    async fn ask(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, LedgerError> {
        self.link.batch(commands).await.map_err(unavailable)
    }

    async fn ask_one(&self, command: Cmd) -> Result<Value, LedgerError> {
        let mut answers = self.ask(vec![command]).await?;
        answers.pop().ok_or_else(malformed)
    }

    /// A text; `None` where there is nothing.
    async fn ask_text(&self, command: Cmd) -> Result<Option<String>, LedgerError> {
        match self.ask_one(command).await? {
            Value::Nil => Ok(None),
            value => reply::text(&value)
                .map(|text| Some(text.to_owned()))
                .ok_or_else(malformed),
        }
    }

    fn count_lapses(&self, reply: &Reply) {
        let count = reply.number(1).unwrap_or(0);
        if count > 0 {
            self.lapses.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Where the store is, in words; never a secret.
fn address(options: &RedisOptions) -> String {
    let list = |addresses: &[Address]| {
        let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
        texts.join(", ")
    };
    match &options.endpoints {
        Endpoints::Standalone { address, database } => format!("{address}/{database}"),
        Endpoints::Sentinel {
            sentinels,
            master_name,
        } => format!("{master_name}, by the Sentinels {}", list(sentinels)),
        Endpoints::Cluster(nodes) => format!("cluster of {}", list(nodes)),
    }
}

fn unavailable(error: LinkError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        OpenError::Away(error.to_string())
    }
}
