//! A cluster of three masters and three replicas.

use std::collections::BTreeMap;

use super::{Keep, Server};
use crate::support::until;

const NODES: usize = 6;
const SLOTS: usize = 16_384;

/// Six servers, three of them masters; killed when dropped.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    /// A cluster that serves every slot and whose replicas are in step.
    pub fn start() -> Cluster {
        Cluster::with(&[])
    }

    /// The same, with more arguments for each server.
    pub fn with(more: &[&str]) -> Cluster {
        let mut args = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        args.extend(["--cluster-replica-validity-factor", "0"]);
        args.extend(more);
        let start = || Server::with(Keep::Nothing, &args);
        let cluster = Cluster {
            servers: (0..NODES).map(|_| start()).collect(),
        };
        cluster.meet();
        cluster.wait_well();
        cluster
    }

    /// What stands in a config as `ledger.nodes`.
    pub fn nodes(&self) -> Vec<String> {
        let ports = self.servers.iter().map(Server::port);
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Which server is the master of a slot, by its place in `servers`.
    pub fn master_of(&self, slot: u16) -> usize {
        let port = until("a master of the slot", || {
            let ranges = self.ranges();
            let (_, (last, port)) = ranges.range(..=slot).next_back()?;
            // While its master is failing, nobody has it.
            (slot <= *last).then_some(*port)
        });
        let found = self.servers.iter().position(|server| server.port() == port);
        found.expect("a server of the cluster")
    }

    /// Kills the master of a slot; answers which server that was.
    pub fn kill_master_of(&mut self, slot: u16) -> usize {
        let master = self.master_of(slot);
        self.servers[master].kill();
        master
    }

    /// Waits until every server that runs agrees that every slot is served.
    pub fn wait_well(&self) {
        until("the cluster is well", || {
            let well = |server: &&Server| {
                let info = server.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok")
                    && info.contains(&format!("cluster_slots_ok:{SLOTS}"))
            };
            let mut running = self.running();
            running.all(|server| well(&server)).then_some(())
        });
    }

    fn running(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.child.is_some())
    }

    /// First slots, the last ones of their ranges and the ports of their masters, as a server that runs tells.
    fn ranges(&self) -> BTreeMap<u16, (u16, u16)> {
        let server = self.running().next().expect("a server that runs");
        let nodes = server.ask(&["CLUSTER", "NODES"]);
        let mut ranges = BTreeMap::new();
        for line in nodes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if !words[2].contains("master") || words[2].contains("fail") {
                continue;
            }
            let port = words[1]
                .split(['@', ','])
                .next()
                .and_then(|place| place.rsplit(':').next());
            let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
            for range in words.iter().skip(8).filter(|range| !range.starts_with('[')) {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let slot = |text: &str| text.parse().expect("a slot");
                ranges.insert(slot(first), (slot(last), port));
            }
        }
        ranges
    }

    fn meet(&self) {
        let first = &self.servers[0];
        for server in &self.servers[1..] {
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &server.port().to_string()]);
        }
        let bounds = [0, SLOTS / 3, SLOTS * 2 / 3, SLOTS];
        for (server, bounds) in self.servers.iter().zip(bounds.windows(2)) {
            let (from, to) = (bounds[0].to_string(), (bounds[1] - 1).to_string());
            server.ask(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
        }
        for (replica, master) in self.servers[3..].iter().zip(&self.servers) {
            let id = master.ask(&["CLUSTER", "MYID"]);
            until("the nodes know each other", || {
                replica
                    .ask(&["CLUSTER", "NODES"])
                    .contains(&id)
                    .then_some(())
            });
            until("it is a replica", || {
                replica
                    .try_ask(&["CLUSTER", "REPLICATE", &id])
                    .then_some(())
            });
            replica.wait_synced();
        }
    }
}
