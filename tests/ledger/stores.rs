//! The stores that have to keep the contract: how each is opened, and opened again.
//!
//! A new kind of store is a variant of [`Store`], an arm in [`Store::open`] and in [`Opened::again`],
//! and a line in [`on_every_store`]; every promise and the random schedules then run on it.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tollgate::clock::Clock;
use tollgate::ledger::Ledger;
use tollgate::ledger::embedded::{Durability, Embedded, OpenError, OpenOptions};

use crate::bench::Bench;
use crate::proxies::Proxies;
use crate::reference::Reference;
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};
use tollgate::secret::Secret;

use crate::support::redis::{Cluster, DOCUMENTED, Server};
use crate::support::{DEADLINE, TempDir};

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
    /// Three proxies on one Redis server, one of them of another version.
    Proxies,
    /// A Redis Cluster of three masters and their replicas.
    Cluster,
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
    Redis {
        options: Box<RedisOptions>,
        /// The journal's.
        _folder: TempDir,
        /// The servers run as long as somebody uses them.
        _running: Arc<dyn Any + Send + Sync>,
    },
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
            Store::Redis => open_edited(Scripts::standard(), clock).await,
            Store::Proxies => open_proxies(clock).await,
            Store::Cluster => {
                let cluster = shared(&CLUSTER, || {
                    let cluster = Cluster::start();
                    for server in &cluster.servers {
                        server.documented_user();
                    }
                    cluster
                });
                let options = RedisOptions::at(Endpoints::Cluster(addresses(&cluster)));
                Opened::redis(options, cluster, clock, Scripts::standard()).await
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
    async fn redis(
        mut options: RedisOptions,
        running: Arc<dyn Any + Send + Sync>,
        clock: &Clock,
        scripts: &'static Scripts,
    ) -> Opened {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = TempDir::new();
        // That user may touch no other keys.
        options.prefix = format!("tollgate:t{number}");
        // The rights that the README tells are enough for all that is promised.
        options.user = Some(DOCUMENTED.0.to_owned());
        options.password = Some(Secret::new(DOCUMENTED.1.to_owned()));
        // So many tests at once make a store slow, which is not what they are about.
        options.response_timeout_ms = 60_000;
        options.deadline_ms = 120_000;
        options.journal = folder.path().join("journal.db");
        Opened {
            ledger: open_redis(&options, clock, scripts).await,
            place: Place::Redis {
                options: Box::new(options),
                _folder: folder,
                _running: running,
            },
        }
    }

    /// Closes the store and opens it again, as a process would that was started anew.
    pub async fn again(self, clock: &Clock) -> Opened {
        let Opened { ledger, place } = self;
        if matches!(place, Place::Redis { .. }) {
            // Its tasks have the journal until they are told to end.
            ledger.close().await.expect("it closes");
        }
        drop(ledger);
        let ledger = match &place {
            Place::Redis { options, .. } => open_redis(options, clock, Scripts::standard()).await,
            Place::Nowhere => panic!("this store ends with its process"),
            Place::Folder(folder) => open_file(folder, clock),
        };
        Opened { ledger, place }
    }
}

/// An empty store on one Redis server, with server-side code that a test has changed.
pub async fn open_edited(scripts: &'static Scripts, clock: &Clock) -> Opened {
    let server = shared(&SERVER, || {
        let server = Server::start();
        server.documented_user();
        server
    });
    let options = RedisOptions::of_url(&server.url()).expect("a URL");
    Opened::redis(options, server, clock, scripts).await
}

async fn open_proxies(clock: &Clock) -> Opened {
    static NEWER: LazyLock<&Scripts> =
        LazyLock::new(|| Scripts::edited(|source| format!("{source}\n-- of a newer version\n")));
    let mut opened = open_edited(Scripts::standard(), clock).await;
    let Place::Redis { options, .. } = &opened.place else {
        panic!("it is in Redis");
    };
    let mut all = vec![opened.ledger.clone()];
    for (number, scripts) in [Scripts::standard(), *NEWER].into_iter().enumerate() {
        let mut options = options.clone();
        options.journal.set_extension(format!("{number}.db"));
        all.push(open_redis(&options, clock, scripts).await);
    }
    opened.ledger = Arc::new(Proxies::new(all));
    opened
}

fn open_file(folder: &TempDir, clock: &Clock) -> Arc<dyn Ledger> {
    let options = || OpenOptions {
        path: folder.path().join("tollgate.db"),
        durability: Durability::Process,
        currency: "CNY".to_owned(),
        clock: Some(clock.clone()),
    };
    // A read that nobody waits for any more has the file until it ends.
    let end = Instant::now() + DEADLINE;
    loop {
        match Embedded::open(options()) {
            Err(OpenError::InUse { .. }) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return Arc::new(opened.expect("a store in a file")),
        }
    }
}

/// What the tests share that run now: each store there has a prefix of its own. It ends with the last of them.
static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

fn shared<T>(running: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut running = running.lock();
    running.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *running = Arc::downgrade(&started);
        started
    })
}

fn addresses(cluster: &Cluster) -> Vec<Address> {
    let address = |node: String| {
        let (host, port) = node.rsplit_once(':').expect("a host and a port");
        Address {
            host: host.to_owned(),
            port: port.parse().expect("a port"),
        }
    };
    cluster.nodes().into_iter().map(address).collect()
}

async fn open_redis(
    options: &RedisOptions,
    clock: &Clock,
    scripts: &'static Scripts,
) -> Arc<dyn Ledger> {
    let behaviour = Behaviour {
        currency: "CNY".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
        lease_ms: 60_000,
        clock: Some(clock.clone()),
        scripts,
    };
    Arc::new(Redis::open(options, behaviour).await.expect("a store"))
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
        $crate::stores::on_store!(redis, Redis: $($promise),+);
        $crate::stores::on_store!(proxies, Proxies: $($promise),+);
        $crate::stores::on_store!(cluster, Cluster: $($promise),+);
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
