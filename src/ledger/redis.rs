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
pub mod leftover;
pub mod link;
pub mod meta;
mod objects;
mod offline;
pub mod options;
pub mod outbox;
mod reads;
mod record;
mod recovery;
pub mod remote;
mod reply;
mod requests;
pub mod scripts;
mod settle;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

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
use self::offline::Offline;
use self::options::RedisOptions;
use self::outbox::{Mutation, Outbox, Sent};
use self::record::Record;
use self::remote::Remote;
use self::reply::{Reply, malformed};
use self::scripts::{Script, Scripts};
use super::LedgerError;
use super::grant::Grant;
use super::hold::HoldRef;
use super::id::{RequestId, StoreId, WalletId};
use super::journal::Journal;
use crate::clock::{Clock, UnixMs};

/// How often the store is asked for the time.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

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
    remote: Remote,
    outbox: Arc<Outbox>,
    scripts: &'static Scripts,
    clock: Arc<StoreClock>,
    zone: TimeZone,
    /// How many receipts a partition may have.
    share: u64,
    digester: Hmac<Sha256>,
    cache: Cache,
    /// The records of the holds that this process made, until they end.
    live: Mutex<HashMap<RequestId, Arc<Record>>>,
    /// What was admitted while the store was away.
    offline: Arc<Offline>,
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
        let clock = Arc::new(StoreClock::new(behaviour.clock.clone()));
        clock.store_says(store_time(&link).await?);
        let layout = Layout::new(&options.prefix);
        let scripts = behaviour.scripts;
        let remote = Remote {
            link: link.clone(),
            layout: layout.clone(),
            named: Arc::new(|name| scripts.named(name)),
            recovered: &scripts.recovered,
            clock: behaviour.clock.clone(),
            gap_ms: behaviour.clock.is_none().then_some(behaviour.lease_ms / 2),
        };
        let journal = journal(options, StoreId::of(meta.pepper())).await?;
        let outbox = Outbox::open(remote.clone(), journal).await;
        tokio::spawn(follow(link.clone(), Arc::downgrade(&clock)));
        Ok(Redis {
            digester: Hmac::new_from_slice(meta.pepper())
                .expect("an HMAC takes a key of any length"),
            address: options.place(),
            link,
            layout,
            remote,
            outbox: Arc::new(outbox),
            scripts,
            clock,
            zone: behaviour.zone,
            share: (options.receipts_max / u64::from(PARTITIONS)).max(SHARE_MIN),
            cache: Cache::default(),
            live: Mutex::new(HashMap::new()),
            offline: Arc::default(),
            lapses: AtomicU64::new(0),
        })
    }

    /// Sends a mutation of a partition. `told`: whether its caller waits for how it came out.
    async fn mutate(
        &self,
        partition: Partition,
        script: &'static Script,
        call: Call,
        told: bool,
    ) -> Result<Mutated, LedgerError> {
        let mutation = mutation(partition, script, call, told);
        match self.outbox.send(mutation).await {
            Sent::Answered(value) => Reply::new(value).map(Mutated::Answered),
            Sent::Kept => Ok(Mutated::Kept),
            Sent::Lost(error) => Err(error),
        }
    }

    /// Calls a script that changes nothing that a journal would have to do again.
    async fn call(
        &self,
        partition: Partition,
        script: &'static Script,
        call: Call,
    ) -> Result<Reply, LinkError> {
        let acked = self.outbox.acked(partition);
        let mut args = self.remote.header(self.outbox.nonce(), None, acked, false);
        args.extend(call.args);
        let value = self.link.call(script, call.keys, args).await?;
        Reply::new(value).map_err(|error| LinkError::Refused(error.to_string()))
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

    /// Sends plain commands; the answers come in their order.
    async fn ask(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, LedgerError> {
        Ok(self.link.batch(commands).await?)
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

fn mutation(
    partition: Partition,
    script: &'static Script,
    call: Call,
    answer_needed: bool,
) -> Mutation {
    Mutation {
        partition,
        script,
        keys: call.keys,
        args: call.args,
        answer_needed,
    }
}

/// Opens the journal of this process.
async fn journal(options: &RedisOptions, store: StoreId) -> Result<Journal, OpenError> {
    let path = std::path::absolute(&options.journal).map_err(|error| {
        OpenError::Unfit(format!(
            "ledger.journal {}: {error}",
            options.journal.display()
        ))
    })?;
    let opening = move || Journal::open(&path, store, Clock::system(UnixMs(i64::MIN)));
    let opened = tokio::task::spawn_blocking(opening).await;
    let opened = opened.map_err(|error| OpenError::Away(error.to_string()))?;
    Ok(opened?)
}

/// The store's time, in milliseconds.
async fn store_time(link: &Link) -> Result<i64, LinkError> {
    let answers = link.batch(vec![::redis::cmd("TIME")]).await?;
    let parts = answers.first().and_then(reply::list).unwrap_or_default();
    let [seconds, micros] = parts.as_slice() else {
        return Err(LinkError::Refused(
            "the store does not tell the time".to_owned(),
        ));
    };
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    Ok(number(seconds)
        .saturating_mul(1000)
        .saturating_add(number(micros) / 1000))
}

/// Follows the store's time while the ledger lives.
async fn follow(link: Link, clock: Weak<StoreClock>) {
    let mut tick = tokio::time::interval(CLOCK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(clock) = clock.upgrade() else { return };
        // While the store is away, the process's own clock runs on.
        if let Ok(now) = store_time(&link).await {
            clock.store_says(now);
        }
    }
}
