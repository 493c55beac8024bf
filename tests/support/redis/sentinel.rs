//! A master, its replica, and three Sentinels.

use super::{Server, TempDir, free_port};
use crate::support::{signal, until};
use std::process::{Child, Command};

/// What the Sentinels call the master.
pub const MASTER: &str = "tollgate-master";
const TRIES: usize = 20;

/// Two servers and three Sentinels; killed when dropped.
pub struct Sentinels {
    /// The first is the master at the start.
    pub servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinels {
    /// Three Sentinels that know of each other and of the replica.
    pub fn start() -> Sentinels {
        let servers = vec![Server::start(), Server::start()];
        servers[1].replica_of(&servers[0]);
        let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(&servers[0])).collect();
        for sentinel in &sentinels {
            until("the Sentinels know each other", || {
                let master = super::ask(sentinel.port, None, &["SENTINEL", "MASTER", MASTER]);
                let fields: Vec<&str> = master.lines().collect();
                let value = |name: &str| {
                    let at = fields.iter().position(|field| *field == name)?;
                    fields.get(at + 1).copied()
                };
                let known =
                    value("num-other-sentinels") == Some("2") && value("num-slaves") == Some("1");
                known.then_some(())
            });
        }
        Sentinels { servers, sentinels }
    }

    /// What stands in a config as `ledger.sentinels`.
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.sentinels.iter().map(|sentinel| sentinel.port);
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Which server the Sentinels call the master now, by its place in `servers`.
    pub fn master(&self) -> usize {
        let address = super::ask(
            self.sentinels[0].port,
            None,
            &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER],
        );
        let port: u16 = address
            .lines()
            .nth(1)
            .and_then(|port| port.parse().ok())
            .expect("a port");
        let found = self.servers.iter().position(|server| server.port() == port);
        found.expect("one of the servers")
    }

    /// Has the replica take over while the master is well.
    pub fn failover(&self) {
        let before = self.master();
        super::ask(
            self.sentinels[0].port,
            None,
            &["SENTINEL", "FAILOVER", MASTER],
        );
        until("another master", || (self.master() != before).then_some(()));
    }

    /// Ends one of the Sentinels.
    pub fn kill_sentinel(&mut self, at: usize) {
        self.sentinels[at].kill();
    }

    /// Holds one of the Sentinels up.
    pub fn pause_sentinel(&self, at: usize) {
        signal("STOP", self.sentinels[at].child.id());
    }
}

impl Sentinel {
    fn start(master: &Server) -> Sentinel {
        for _ in 0..TRIES {
            let (port, folder) = (free_port(), TempDir::new());
            let config = folder.path().join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nlogfile {}\n\
                 sentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {MASTER} 1500\n\
                 sentinel failover-timeout {MASTER} 3000\n",
                folder.path().display(),
                folder.path().join("log").display(),
                master.port(),
            );
            std::fs::write(&config, text).expect("a file");
            let mut command = Command::new(super::SERVER);
            let mut child = super::spawn(command.arg(&config).arg("--sentinel"));
            let ready = super::ready(&mut child, port, false);
            let sentinel = Sentinel {
                child,
                port,
                _folder: folder,
            };
            if ready {
                return sentinel;
            }
        }
        panic!("no free port for a Sentinel in {TRIES} tries");
    }

    fn kill(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}
