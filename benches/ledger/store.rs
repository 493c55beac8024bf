//! The stores that are compared, each opened as `tollgate serve` opens it.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tollgate::ledger::Ledger;
use tollgate::ledger::embedded::{Durability, Embedded, OpenOptions};
use tollgate::ledger::receipt::ReceiptQuery;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};

use crate::support::TempDir;
use crate::support::redis::{Keep, Server};

/// A store under load.
pub struct Store {
    pub name: &'static str,
    pub ledger: Arc<dyn Ledger>,
    /// How many requests were settled on it.
    pub settled: u64,
    server: Option<Server>,
    _folder: TempDir,
}

impl Store {
    /// A new one.
    pub async fn open(name: &'static str) -> Store {
        let folder = TempDir::new();
        let mut server = None;
        let ledger = match name {
            "redis" => {
                let redis = server.insert(Server::with(Keep::EverySecond, &["--save", ""]));
                open_redis(redis, folder.path()).await
            }
            "embedded disk" => embedded(&folder, Durability::Disk),
            _ => embedded(&folder, Durability::Process),
        };
        Store {
            name,
            ledger,
            settled: 0,
            server,
            _folder: folder,
        }
    }

    /// The Redis server's process, where there is one.
    pub fn redis_pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// Fails unless the ledger has every request, and is sound.
    pub async fn verify(&self) {
        let rows = self.ledger.usage(ReceiptQuery::default()).await;
        let rows = rows.expect("the store answers");
        let counted: u64 = rows.iter().map(|row| row.requests).sum();
        assert_eq!(
            counted, self.settled,
            "{}: what the ledger has, and what was settled",
            self.name
        );
        let report = self.ledger.audit().await.expect("the store answers");
        assert_eq!(report.findings, Vec::<String>::new(), "{}", self.name);
        assert_eq!(report.live_holds, 0, "{}", self.name);
    }

    pub async fn close(self) {
        self.ledger.close().await.expect("it closes");
    }
}

/// The ledger in a server, with its journal in a folder.
pub async fn open_redis(server: &Server, folder: &Path) -> Arc<dyn Ledger> {
    let mut options = RedisOptions::of_url(&server.url()).expect("a url");
    options.journal = folder.join("journal.db");
    // A busy machine makes answers late, which is not what this measures.
    options.response_timeout_ms = 30_000;
    options.deadline_ms = 60_000;
    let behaviour = Behaviour {
        currency: "CNY".to_owned(),
        zone: TimeZone::UTC,
        lease_ms: crate::work::LEASE_MS,
        clock: None,
        scripts: Scripts::standard(),
    };
    Arc::new(
        Redis::open(&options, behaviour)
            .await
            .expect("the store opens"),
    )
}

fn embedded(folder: &TempDir, durability: Durability) -> Arc<dyn Ledger> {
    let options = OpenOptions {
        path: folder.path().join("ledger.db"),
        durability,
        currency: "CNY".to_owned(),
        clock: None,
    };
    Arc::new(Embedded::open(options).expect("the store opens"))
}
