//! A proxy's outbox over a store whose only operation adds to a counter, and what the store came to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Value;
use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::LedgerError;
use tollgate::ledger::id::StoreId;
use tollgate::ledger::journal::Journal;
use tollgate::ledger::redis::layout::{Layout, Partition};
use tollgate::ledger::redis::link::Link;
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};
use tollgate::ledger::redis::outbox::{Mutation, Outbox, Sent};
use tollgate::ledger::redis::remote::Remote;
use tollgate::ledger::redis::scripts::Script;

use crate::support::redis::{Keep, Server};

const PEPPER: [u8; 32] = [0xab; 32];
/// How many partitions the tests use.
pub const LANES: u16 = 8;

const HEADER: &str = include_str!("../../src/ledger/redis/scripts/header.lua");
/// Counts how often each id was carried out; `bad` cannot be.
const ADD: &str = "
if not fresh then note() return {'done'} end
if ARGV[7] == 'bad' then return finish({'conflict'}) end
redis.call('HINCRBY', KEYS[2], ARGV[7], 1)
return finish({'ok', ARGV[7]})
";
/// What a hold sees.
const LOOK: &str = "note() return {recovering and 'recovering' or 'ok'}";

static SCRIPTS: LazyLock<[Script; 4]> = LazyLock::new(|| {
    let script = |name, source: &str| Script::new(name, format!("{HEADER}\n{source}"));
    let recovered = include_str!("../../src/ledger/redis/scripts/recovered.lua");
    [
        script("add", ADD),
        // The same under another hash, so that a server has to be told its source.
        script("other", &format!("{ADD}\n-- other")),
        script("look", LOOK),
        script("recovered", recovered),
    ]
});

pub fn named(name: &str) -> Option<&'static Script> {
    SCRIPTS.iter().find(|script| script.name == name)
}

/// Makes the server the store that the journals here are of.
pub fn found(server: &Server) {
    server.ask(&["HSET", "tollgate:meta", "pepper", &"ab".repeat(32)]);
}

/// A server with that store.
pub fn store(keep: Keep, more: &[&str]) -> Server {
    let server = Server::with(keep, more);
    found(&server);
    server
}

pub fn partition(number: u16) -> Partition {
    Partition::new(number).expect("a partition")
}

/// Joins an outbox to the store at `address`, with the journal at `file`.
pub async fn outbox(address: SocketAddr, file: &Path) -> Outbox {
    outbox_over(remote(address).await, file).await
}

pub async fn outbox_over(remote: Remote, file: &Path) -> Outbox {
    let clock = Clock::system(UnixMs(0));
    let journal = Journal::open(file, StoreId::of(&PEPPER), clock).expect("a journal");
    Outbox::open(remote, journal).await
}

pub async fn remote(address: SocketAddr) -> Remote {
    remote_of(Endpoints::Standalone {
        address: Address {
            host: address.ip().to_string(),
            port: address.port(),
        },
        database: 0,
    })
    .await
}

pub async fn remote_of(endpoints: Endpoints) -> Remote {
    let mut options = RedisOptions::at(endpoints);
    options.deadline_ms = 1_000;
    options.response_timeout_ms = 300;
    Remote {
        link: Link::connect(&options).await.expect("a link"),
        layout: Layout::new("tollgate"),
        named: Arc::new(named),
        recovered: named("recovered").expect("it is there"),
        clock: None,
        gap_ms: None,
    }
}

/// The mutation that counts an id in a partition.
pub fn add(script: &str, number: u16, id: &str, answer_needed: bool) -> Mutation {
    let layout = Layout::new("tollgate");
    Mutation {
        partition: partition(number),
        script: named(script).expect("a script"),
        keys: vec![
            layout.meta(partition(number)),
            format!("count:{{{number}}}").into_bytes(),
        ],
        args: vec![id.as_bytes().to_vec()],
        answer_needed,
    }
}

/// What a hold of this proxy would be told in a partition.
pub async fn look(remote: &Remote, outbox: &Outbox, number: u16) -> String {
    let acked = outbox.acked(partition(number)).to_string();
    let header = ["", "", outbox.nonce(), "", &acked, ""];
    let args = header.iter().map(|it| it.as_bytes().to_vec()).collect();
    let keys = vec![remote.layout.meta(partition(number))];
    let look = named("look").expect("it is there");
    match remote.link.call(look, keys, args).await {
        Ok(Value::Array(words)) => match words.first() {
            Some(Value::BulkString(word)) => String::from_utf8_lossy(word).into_owned(),
            other => panic!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// How often each id was carried out, according to the server.
pub fn counts(server: &Server) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for number in 0..LANES {
        let text = server.ask(&["HGETALL", &format!("count:{{{number}}}")]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        for pair in lines.chunks_exact(2) {
            let count = pair[1].parse().expect("a count");
            assert_eq!(counts.insert(pair[0].to_owned(), count), None);
        }
    }
    counts
}

/// Checks that every id was carried out once, and nothing else.
pub fn assert_once(server: &Server, sent: &[String]) {
    let counts = counts(server);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "carried out more than once: {twice:?}");
    let lost: Vec<_> = sent.iter().filter(|id| !counts.contains_key(*id)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        sent.len()
    );
    assert_eq!(counts.len(), sent.len(), "more than was sent");
}

/// Waits until the store has everything of this outbox.
pub async fn until_empty(outbox: &Outbox) {
    until("nothing waits", async || outbox.figures().waiting == 0).await;
}

pub async fn until(what: &str, look: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !look().await {
        assert!(
            tokio::time::Instant::now() < end,
            "waited in vain for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends on many tasks at once until it is told to stop.
pub struct Storm {
    stop: Arc<AtomicBool>,
    flying: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Storm {
    pub fn start(outbox: &Arc<Outbox>, name: &str) -> Storm {
        let stop = Arc::new(AtomicBool::new(false));
        let flying = Arc::new(AtomicU64::new(0));
        let begun = Arc::new(AtomicU64::new(0));
        let tasks = (0..32_u16).map(|task| {
            let (outbox, stop) = (outbox.clone(), stop.clone());
            let (flying, begun, name) = (flying.clone(), begun.clone(), name.to_owned());
            tokio::spawn(async move {
                let mut sent = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = format!("{name}-{task}-{n}");
                    flying.fetch_add(1, Ordering::SeqCst);
                    begun.fetch_add(1, Ordering::SeqCst);
                    match outbox.send(add("add", task % LANES, &id, false)).await {
                        Sent::Answered(_) | Sent::Kept => sent.push(id),
                        Sent::Lost(error) => panic!("{id}: {error}"),
                    }
                    flying.fetch_sub(1, Ordering::SeqCst);
                }
                sent
            })
        });
        Storm {
            tasks: tasks.collect(),
            stop,
            flying,
            begun,
        }
    }

    /// Waits until so many more were sent, and enough are on their way for a fault to count.
    pub async fn rages(&self, more: u64) {
        let before = self.begun.load(Ordering::SeqCst);
        until("the storm rages", async || {
            self.begun.load(Ordering::SeqCst) >= before + more
                && self.flying.load(Ordering::SeqCst) >= 10
        })
        .await;
    }

    /// Ends it; answers all ids that were sent.
    pub async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        for task in self.tasks {
            sent.extend(task.await.expect("a task"));
        }
        sent
    }
}

/// The words of a mutation that nobody can vouch for.
pub fn lost(sent: Sent) -> String {
    match sent {
        Sent::Lost(LedgerError::Unavailable(words)) => words,
        other => panic!("{other:?}"),
    }
}
