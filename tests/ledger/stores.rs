//! The stores that have to keep the contract: how each is opened, and opened again.
//!
//! A new kind of store is a variant of [`Store`], an arm in [`Store::open`] and in [`Opened::again`],
//! and a line in [`on_every_store`]; every promise and the random schedules then run on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use tollgate::clock::Clock;
use tollgate::ledger::Ledger;
use tollgate::ledger::embedded::{Durability, Embedded, OpenOptions};

use crate::bench::Bench;
use crate::reference::Reference;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};

use crate::support::TempDir;
use crate::support::redis::Server;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The specification itself.
    Book,
    /// The embedded store, in memory.
    Memory,
    /// The embedded store, in a file.
    File,
    /// One Redis server.
    Redis,
}

/// An open store of its own, empty at first.
pub struct Opened {
    pub ledger: Arc<dyn Ledger>,
    place: Place,
}

/// What is left of a store when it is closed.
enum Place {
    Nowhere,
    Folder(TempDir),
    Server(Arc<Server>),
}

impl Store {
    /// Opens an empty store whose time is the clock's.
    pub async fn open(self, clock: &Clock) -> Opened {
        match self {
            Store::Book => Opened {
                ledger: Arc::new(Reference::new(clock.clone())),
                place: Place::Nowhere,
            },
            Store::Memory => Opened {
                ledger: Arc::new(
                    Embedded::in_memory("CNY", Some(clock.clone())).expect("a store in memory"),
                ),
                place: Place::Nowhere,
            },
            Store::Redis => {
                let server = server();
                Opened {
                    ledger: open_redis(&server, clock).await,
                    place: Place::Server(server),
                }
            }
            Store::File => {
                let folder = TempDir::new();
                Opened {
                    ledger: open_file(&folder, clock),
                    place: Place::Folder(folder),
                }
            }
        }
    }
}

impl Opened {
    /// Closes the store and opens it again, as a process would that was started anew.
    pub async fn again(self, clock: &Clock) -> Opened {
        let Opened { ledger, place } = self;
        drop(ledger);
        let ledger = match &place {
            Place::Nowhere | Place::Server(_) => panic!("this store ends with its process"),
            Place::Folder(folder) => open_file(folder, clock),
        };
        Opened { ledger, place }
    }
}

fn open_file(folder: &TempDir, clock: &Clock) -> Arc<dyn Ledger> {
    let options = OpenOptions {
        path: folder.path().join("tollgate.db"),
        durability: Durability::Process,
        currency: "CNY".to_owned(),
        clock: Some(clock.clone()),
    };
    Arc::new(Embedded::open(options).expect("a store in a file"))
}

/// The server of the tests that run now: each store there has a prefix of its own. It ends with the last of them.
fn server() -> Arc<Server> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut running = SERVER.lock();
    running.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *running = Arc::downgrade(&server);
        server
    })
}

async fn open_redis(server: &Server, clock: &Clock) -> Arc<dyn Ledger> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut options = RedisOptions::of_url(&server.url()).expect("a URL");
    options.prefix = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let behaviour = Behaviour {
        currency: "CNY".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
        lease_ms: 60_000,
        clock: Some(clock.clone()),
        scripts: Scripts::standard(),
    };
    Arc::new(Redis::open(&options, behaviour).await.expect("a store"))
}

/// Keeps a promise on a store of its own, and audits it afterwards.
pub async fn keep(store: Store, promise: impl AsyncFnOnce(&Bench)) {
    let bench = Bench::open(store).await;
    promise(&bench).await;
    bench.assert_clean().await;
}

/// Makes a test of each promise on each store.
macro_rules! on_every_store {
    ($($promise:ident),+ $(,)?) => {
        $crate::stores::on_store!(book, Book: $($promise),+);
        $crate::stores::on_store!(memory, Memory: $($promise),+);
        $crate::stores::on_store!(file, File: $($promise),+);
    };
}
pub(crate) use on_every_store;

macro_rules! on_store {
    ($name:ident, $store:ident: $($promise:ident),+) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $promise() {
                    let store = $crate::stores::Store::$store;
                    $crate::stores::keep(store, super::$promise).await;
                }
            )+
        }
    };
}
pub(crate) use on_store;
