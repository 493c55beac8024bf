//! The way to the store: calls go to the server that has their keys, in the order in which they are made, and end
//! in time whatever becomes of it.

mod cluster;
mod dial;
mod node;
mod order;
mod role;
mod sentinel;
pub(super) mod text;
mod words;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, join_all, ready};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};
use tokio::task::coop::unconstrained;

use super::error::OpenError;
pub use super::error::{LinkError, LinkState};
use super::options::{Address, Endpoints, RedisOptions};
use super::scripts::Script;
use cluster::Cluster;
use dial::{Dialer, Line, ms};
use node::{Bell, Node, Place};
use order::Order;
use sentinel::Sentinels;
use text::{line as field, text as words_of};

/// A call is sent on so often before the cluster counts as unsettled.
const HOPS_MAX: usize = 4;

/// A way to Redis that is kept open. Clones are the same way; the last one that is dropped closes it.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    options: RedisOptions,
    way: Way,
    made: Arc<watch::Sender<u64>>,
}

enum Way {
    One(Arc<Node>),
    Cluster(Arc<Cluster>),
}

/// Who a serving master is. A change of any of it means that a server restarted or was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Where it is.
    pub address: Address,
    /// New with each start of its process.
    pub run_id: String,
    /// New with each history of its data.
    pub replid: String,
}

/// A way through the keys of a master: what stays meanwhile is seen at least once.
pub(super) struct Scan {
    node: Arc<Node>,
    pattern: String,
    cursor: Option<String>,
}

impl Scan {
    /// The next keys, which may be none; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, LinkError> {
        let Some(cursor) = self.cursor.take() else {
            return Ok(None);
        };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(&self.pattern)
            .arg("COUNT")
            .arg(1_000);
        let answer = self.node.settled().await?.ask(&scan).await?;
        let (next, keys): (String, Vec<String>) =
            redis::from_redis_value(answer).map_err(|error| LinkError::away(error.to_string()))?;
        self.cursor = Some(next).filter(|next| next != "0");
        Ok(Some(keys))
    }
}

impl Link {
    /// Connects. Needs a Tokio runtime, as all of this does.
    ///
    /// # Errors
    /// Words that name host, port and remedy.
    pub async fn connect(options: &RedisOptions) -> Result<Link, OpenError> {
        let dialer = Dialer::new(options)?;
        let bell = Bell {
            made: Arc::new(watch::Sender::new(1)),
            lost: Arc::new(Notify::new()),
        };
        let one = |place: Place| async {
            let line = place.dial(&dialer).await?;
            Ok::<_, LinkError>(Way::One(Node::keep(
                dialer.clone(),
                place,
                Some(line),
                bell.clone(),
            )))
        };
        let way = match &options.endpoints {
            Endpoints::Standalone { address, .. } => one(Place::Fixed(address.clone())).await?,
            Endpoints::Sentinel {
                sentinels,
                master_name,
            } => {
                let sentinels = Sentinels::new(
                    dialer.sentinels(options),
                    sentinels.clone(),
                    master_name.clone(),
                );
                one(Place::Sentinels(sentinels)).await?
            }
            Endpoints::Cluster(nodes) => {
                Way::Cluster(Cluster::connect(dialer.clone(), nodes.clone(), bell.clone()).await?)
            }
        };
        let inner = Inner {
            options: options.clone(),
            way,
            made: bell.made,
        };
        Ok(Link {
            inner: Arc::new(inner),
        })
    }

    /// How Redis is reached.
    pub fn options(&self) -> &RedisOptions {
        &self.inner.options
    }

    /// Runs a script at the server of its first key; in a cluster, all keys are of one slot.
    ///
    /// The call is sent before this returns: of two calls on one partition, made one after the other, the first
    /// reaches the store first (but where a server does not know the script yet, was just found, or sends calls
    /// on). The future ends within the response limit. **Cancellation**: the script runs all the same.
    pub fn call(
        &self,
        script: &'static Script,
        keys: Vec<Vec<u8>>,
        args: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Value, LinkError>> + Send + use<> {
        self.order(Order::Script { script, keys, args })
    }

    /// Plain commands, each sent to the server of its key, which is its first argument (or to any server, where it
    /// has none); answers stand in their order. They are sent before the first answer is waited for.
    ///
    /// # Errors
    /// The first that failed; the others may have happened.
    pub async fn batch(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, LinkError> {
        let sent: Vec<_> = commands
            .into_iter()
            .map(|command| self.order(Order::Plain(command)))
            .collect();
        join_all(sent).await.into_iter().collect()
    }

    /// Who the serving masters are, in order of address.
    ///
    /// # Errors
    /// If one of them does not tell.
    pub async fn identities(&self) -> Result<Vec<Identity>, LinkError> {
        let mut command = redis::cmd("INFO");
        command.arg("server").arg("replication");
        let mut found: Vec<Identity> = self
            .everywhere(&command)
            .await?
            .into_iter()
            .map(identity)
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Counts the connections that were made: when it grows, one had been lost before, or a server is new.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.inner.made.subscribe()
    }

    /// Whether every server that is needed is connected. Connections are looked at once a second, and when a call is late.
    pub fn state(&self) -> LinkState {
        let down = self
            .inner
            .masters()
            .into_iter()
            .find_map(|node| match node.line() {
                Some(Ok(_)) => None,
                Some(Err(why)) => Some(why.to_string()),
                None => Some("Redis is not connected yet".to_owned()),
            });
        down.map_or(LinkState::Up, LinkState::Away)
    }

    /// How many of a cluster's slots have a master; `None` outside of a cluster.
    pub fn slots_covered(&self) -> Option<u32> {
        match &self.inner.way {
            Way::One(_) => None,
            Way::Cluster(cluster) => Some(cluster.covered()),
        }
    }

    /// One command to every master.
    pub(super) async fn everywhere(
        &self,
        command: &Cmd,
    ) -> Result<Vec<(Address, Value)>, LinkError> {
        let asked = self.inner.masters().into_iter().map(|node| async move {
            let line = node.settled().await?;
            Ok((line.address.clone(), line.ask(command).await?))
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Ways through the keys that match a pattern, one for each master.
    pub(super) fn scans(&self, pattern: &str) -> Vec<Scan> {
        let masters = self.inner.masters().into_iter();
        let scan = |node| Scan {
            node,
            pattern: pattern.to_owned(),
            cursor: Some("0".to_owned()),
        };
        masters.map(scan).collect()
    }

    fn order(&self, order: Order) -> impl Future<Output = Result<Value, LinkError>> + Send + use<> {
        begun(Arc::clone(&self.inner).deliver(order))
    }
}

impl Inner {
    fn masters(&self) -> Vec<Arc<Node>> {
        match &self.way {
            Way::One(node) => vec![Arc::clone(node)],
            Way::Cluster(cluster) => cluster.masters(),
        }
    }

    /// The server of an order's key.
    fn node(&self, order: &Order) -> Result<Arc<Node>, LinkError> {
        match &self.way {
            Way::One(node) => Ok(Arc::clone(node)),
            Way::Cluster(cluster) => cluster.node(order.slot()),
        }
    }

    /// Sends an order and waits for the answer. It is handed over by the first poll, where its server is connected.
    /// Only an order that a server may have carried out ends as [`LinkError::Away`]: one that sends it on, or does not
    /// know its script, has not.
    async fn deliver(self: Arc<Self>, order: Order) -> Result<Value, LinkError> {
        let mut node = self.node(&order)?;
        let limit = self.options.response_limit();
        let end = tokio::time::Instant::now() + limit;
        let mut command = order.command(false);
        let mut asking = false;
        for _ in 0..=HOPS_MAX {
            let line = match node.line() {
                Some(line) => line?,
                None => match tokio::time::timeout_at(end, node.settled()).await {
                    Ok(line) => line?,
                    Err(_) => return Err(LinkError::not_now("Redis is not connected yet")),
                },
            };
            let answer = async {
                match asking {
                    false => line.send(&command).await,
                    true => line.send_asking(&command).await,
                }
            };
            let error = match tokio::time::timeout_at(end, answer).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => {
                    node.doubt(&line);
                    return Err(words::late(&line.address, ms(limit)));
                }
            };
            match self.next(&error, &node, &line) {
                // Where it was asked for, it is asked for again.
                Next::Source => command = order.command(true),
                Next::At(other, ask) => (node, asking) = (other, ask),
                Next::Fail => return Err(words::broken(&line.address, &error)),
            }
        }
        Err(LinkError::not_now(
            "the nodes of the cluster do not agree yet on who serves what",
        ))
    }

    /// What to do about an error.
    fn next(&self, error: &RedisError, node: &Node, line: &Line) -> Next {
        match (error.kind(), &self.way) {
            (ErrorKind::Server(ServerErrorKind::NoScript), _) => Next::Source,
            (
                ErrorKind::Server(kind @ (ServerErrorKind::Moved | ServerErrorKind::Ask)),
                Way::Cluster(cluster),
            ) => {
                let ask = kind == ServerErrorKind::Ask;
                if !ask {
                    cluster.look_again();
                }
                let place = error.redirect_node();
                match place.and_then(|(place, _)| Address::of_redirect(place, &line.address)) {
                    Some(address) => Next::At(cluster.named(&address), ask),
                    None => Next::Fail,
                }
            }
            (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown), way) => {
                if let Way::Cluster(cluster) = way {
                    cluster.look_again();
                }
                node.give_up(line);
                Next::Fail
            }
            (ErrorKind::Server(ServerErrorKind::ClusterDown), Way::Cluster(cluster)) => {
                cluster.look_again();
                Next::Fail
            }
            _ => Next::Fail,
        }
    }
}

enum Next {
    /// The server does not know the script: send its source.
    Source,
    /// Another server has the keys.
    At(Arc<Node>, bool),
    Fail,
}

/// A future that was polled once already: what its first poll does is done.
fn begun<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    // A task that has used up its share would otherwise be told to wait before anything is sent.
    let mut future: Pin<Box<_>> = Box::pin(unconstrained(future));
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => Either::Left(ready(output)),
        Poll::Pending => Either::Right(future),
    }
}

fn identity((address, answer): (Address, Value)) -> Identity {
    let report = words_of(&answer).unwrap_or_default();
    let value = |name| field(&report, name).unwrap_or_default().to_owned();
    Identity {
        run_id: value("run_id"),
        replid: value("master_replid"),
        address,
    }
}
