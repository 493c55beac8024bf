//! Which node of a cluster serves which slots: asked of the nodes, and asked again when something has moved.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::super::error::LinkError;
use super::super::options::Address;
use super::dial::{Dialer, Line};
use super::node::{Bell, Node, Place};
use super::text::{integer, line, list, text};

/// Between two readings of the table, at least.
const PAUSE: Duration = Duration::from_millis(100);
/// So many nodes are asked for the table at once.
const ASKED_MAX: usize = 8;
/// The slots that there are.
const SLOTS: u32 = 16_384;

/// A cluster whose masters are kept connected.
pub(super) struct Cluster {
    dialer: Dialer,
    seeds: Vec<Address>,
    table: ArcSwap<Table>,
    nodes: Mutex<HashMap<Address, Arc<Node>>>,
    moved: Arc<Notify>,
    bell: Bell,
    watcher: Mutex<Option<AbortHandle>>,
}

/// Slots and their masters.
#[derive(Default)]
struct Table {
    /// By first slot.
    ranges: Vec<Range>,
}

struct Range {
    first: u16,
    last: u16,
    node: Arc<Node>,
}

/// What one node says.
struct Told {
    epoch: u64,
    well: bool,
    ranges: Vec<(u16, u16, Address)>,
}

impl Cluster {
    /// Reads the table from any of the nodes, and connects to all masters.
    pub async fn connect(
        dialer: Dialer,
        seeds: Vec<Address>,
        bell: Bell,
    ) -> Result<Arc<Cluster>, LinkError> {
        let cluster = Arc::new(Cluster {
            dialer,
            seeds,
            table: ArcSwap::default(),
            nodes: Mutex::default(),
            moved: Arc::default(),
            bell,
            watcher: Mutex::new(None),
        });
        cluster.read().await?;
        for node in cluster.masters() {
            node.settled().await?;
        }
        let watcher = tokio::spawn(watch(Arc::downgrade(&cluster)));
        *cluster.watcher.lock() = Some(watcher.abort_handle());
        Ok(cluster)
    }

    /// The master of a slot.
    pub fn node(&self, slot: u16) -> Result<Arc<Node>, LinkError> {
        let table = self.table.load();
        let after = table.ranges.partition_point(|range| range.first <= slot);
        let range = after.checked_sub(1).and_then(|at| table.ranges.get(at));
        match range.filter(|range| slot <= range.last) {
            Some(range) => Ok(Arc::clone(&range.node)),
            None => {
                self.look_again();
                Err(LinkError::not_now(format_args!(
                    "no node of the cluster serves slot {slot}"
                )))
            }
        }
    }

    /// Every master, once.
    pub fn masters(&self) -> Vec<Arc<Node>> {
        let table = self.table.load();
        let mut found: Vec<Arc<Node>> = Vec::new();
        for range in &table.ranges {
            if !found.iter().any(|node| Arc::ptr_eq(node, &range.node)) {
                found.push(Arc::clone(&range.node));
            }
        }
        found
    }

    /// How many slots have a master.
    pub fn covered(&self) -> u32 {
        let table = self.table.load();
        let sizes = table
            .ranges
            .iter()
            .map(|range| u32::from(range.last - range.first) + 1);
        sizes.sum()
    }

    /// The node at an address that another node named.
    pub fn named(&self, address: &Address) -> Arc<Node> {
        let mut nodes = self.nodes.lock();
        let keep = || {
            let place = Place::Member(address.clone());
            Node::keep(self.dialer.clone(), place, None, self.bell.clone())
        };
        Arc::clone(nodes.entry(address.clone()).or_insert_with(keep))
    }

    /// Has the table read again soon.
    pub fn look_again(&self) {
        self.moved.notify_one();
    }

    /// Reads the table: of the nodes that answer, from the one that knows of the latest change.
    async fn read(&self) -> Result<(), LinkError> {
        let known: Vec<Arc<Node>> = self.nodes.lock().values().cloned().collect();
        let lines = known.iter().filter_map(|node| node.line()?.ok());
        let lines: Vec<Arc<Line>> = lines.take(ASKED_MAX).collect();
        let asked = lines.iter().map(|line| table_of(line));
        let mut told: Vec<Told> = join_all(asked)
            .await
            .into_iter()
            .filter_map(Result::ok)
            .collect();
        if !told.iter().any(|told| told.well) {
            let mut failures = Vec::new();
            for answer in join_all(self.seeds.iter().map(|seed| self.seed(seed))).await {
                match answer {
                    Ok(answer) => told.push(answer),
                    Err(failure) => failures.push(failure),
                }
            }
            if told.is_empty() {
                return Err(unreached(&failures));
            }
        }
        let best = told.into_iter().max_by_key(|told| (told.well, told.epoch));
        self.take(best.map_or_else(Vec::new, |best| best.ranges));
        Ok(())
    }

    async fn seed(&self, seed: &Address) -> Result<Told, LinkError> {
        table_of(&self.dialer.dial(seed).await?).await
    }

    fn take(&self, mut ranges: Vec<(u16, u16, Address)>) {
        ranges.sort_unstable();
        let range = |(first, last, address): &(u16, u16, Address)| Range {
            first: *first,
            last: *last,
            node: self.named(address),
        };
        let table = ranges.iter().map(range).collect();
        self.table.store(Arc::new(Table { ranges: table }));
        let mut nodes = self.nodes.lock();
        nodes.retain(|address, _| ranges.iter().any(|range| range.2 == *address));
    }

    /// Whether every slot has a master that is connected.
    fn is_whole(&self) -> bool {
        let up = |node: &Arc<Node>| matches!(node.line(), Some(Ok(_)));
        self.covered() == SLOTS && self.masters().iter().all(up)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.lock().take() {
            watcher.abort();
        }
    }
}

/// The slot of a key: of its hash tag, `{...}`, if it has one that is not empty.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let inside = &key[key.iter().position(|b| *b == b'{')? + 1..];
        let tag = &inside[..inside.iter().position(|b| *b == b'}')?];
        (!tag.is_empty()).then_some(tag)
    };
    crc16::State::<crc16::XMODEM>::calculate(tag().unwrap_or(key)) % 16_384
}

/// Keeps the table right: reads it when a call was sent on, and again and again while a master is missing.
async fn watch(cluster: Weak<Cluster>) {
    while let Some(found) = cluster.upgrade() {
        let (moved, lost) = (Arc::clone(&found.moved), Arc::clone(&found.bell.lost));
        let whole = found.is_whole();
        // Whoever waits must not keep the cluster.
        drop(found);
        if whole {
            tokio::select! {
                () = moved.notified() => {}
                () = lost.notified() => {}
            }
        }
        let Some(found) = cluster.upgrade() else {
            return;
        };
        if let Err(error) = found.read().await {
            tracing::debug!("the cluster's slots cannot be read: {error}");
        }
        drop(found);
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a node says of the cluster.
async fn table_of(node: &Line) -> Result<Told, LinkError> {
    let mut command = redis::cmd("CLUSTER");
    let info = node
        .ask(command.arg("INFO"))
        .await
        .map_err(|error| explain(node, error))?;
    let info = text(&info).unwrap_or_default();
    let slots = node.ask(redis::cmd("CLUSTER").arg("SLOTS")).await?;
    let ranges = list(slots)
        .into_iter()
        .filter_map(|item| range(item, &node.address));
    Ok(Told {
        epoch: line(&info, "cluster_current_epoch")
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or(0),
        well: line(&info, "cluster_state") == Some("ok"),
        ranges: ranges.collect(),
    })
}

/// `[first, last, [host, port, id, ...], replicas...]`; a host that is not told is the one that was asked.
fn range(item: Value, asked: &Address) -> Option<(u16, u16, Address)> {
    let parts = list(item);
    let slot = |at: usize| u16::try_from(integer(parts.get(at)?)?).ok();
    let (first, last) = (slot(0)?, slot(1)?);
    let Value::Array(master) = parts.get(2)? else {
        return None;
    };
    let host = master
        .first()
        .and_then(text)
        .filter(|host| !host.is_empty() && host != "?");
    let port = u16::try_from(integer(master.get(1)?)?).ok()?;
    let host = host.unwrap_or_else(|| asked.host.clone());
    (first <= last && u32::from(last) < SLOTS).then_some((first, last, Address { host, port }))
}

fn explain(node: &Line, error: LinkError) -> LinkError {
    match error {
        LinkError::Refused(said) if said.contains("cluster support disabled") => {
            LinkError::refused(format_args!(
                "Redis at {} is no node of a cluster; write `url: redis://{}` in place of `nodes`",
                node.address, node.address
            ))
        }
        other => other,
    }
}

fn unreached(failures: &[LinkError]) -> LinkError {
    let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let words = format!(
        "no node of the cluster tells who serves what: {}",
        words.join("; ")
    );
    match failures
        .iter()
        .any(|failure| matches!(failure, LinkError::Refused(_)))
    {
        true => LinkError::Refused(words),
        false => LinkError::Away(words),
    }
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn a_slot_is_that_of_the_cluster_specification() {
        for (key, expected) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{foo}:bar", 12_182),
            ("x{foo}{bar}", 12_182),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_ne!(slot(b"{}foo"), slot(b"{}bar"));
    }
}
