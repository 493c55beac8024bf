//! Asking the Sentinels where the master is. All are asked, and the one that knows of the latest failover is believed.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use redis::Value;

use super::super::error::LinkError;
use super::super::options::Address;
use super::dial::{Dialer, Line};
use super::text::{list, text};

/// The Sentinels of one master.
pub(super) struct Sentinels {
    dialer: Dialer,
    addresses: Vec<Address>,
    master_name: String,
    lines: Mutex<HashMap<Address, Arc<Line>>>,
}

impl Sentinels {
    /// These Sentinels; nothing is connected yet.
    pub fn new(dialer: Dialer, addresses: Vec<Address>, master_name: String) -> Self {
        Sentinels {
            dialer,
            addresses,
            master_name,
            lines: Mutex::default(),
        }
    }

    /// Where the master is.
    ///
    /// # Errors
    /// What each Sentinel said.
    pub async fn master(&self) -> Result<Address, LinkError> {
        let mut asked: FuturesUnordered<_> = self
            .addresses
            .iter()
            .map(|address| self.ask(address))
            .collect();
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        // A majority knows of every failover; those that hang are not waited for.
        while answers.len() * 2 <= self.addresses.len()
            && let Some(answer) = asked.next().await
        {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(failure) => failures.push(failure),
            }
        }
        let latest = answers.into_iter().max_by_key(|(epoch, _)| *epoch);
        if let Some((_, address)) = latest {
            return Ok(address);
        }
        let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let words = format!(
            "no Sentinel tells where the master is: {}",
            words.join("; ")
        );
        match failures
            .iter()
            .all(|failure| matches!(failure, LinkError::Refused(_)))
        {
            true => Err(LinkError::Refused(words)),
            false => Err(LinkError::Away(words)),
        }
    }

    /// One Sentinel's word, and the number of the failover that it stems from.
    async fn ask(&self, address: &Address) -> Result<(u64, Address), LinkError> {
        let line = self.line(address).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(&self.master_name);
        let answer = line
            .ask(&command)
            .await
            .map_err(|error| self.explain(address, error));
        if answer.is_err() {
            self.lines.lock().remove(address);
        }
        let fields = fields(answer?);
        let field = |name: &str| fields.get(name).map(String::as_str);
        let port = field("port").and_then(|port| port.parse().ok());
        let (Some(host), Some(port)) = (field("ip"), port) else {
            return Err(LinkError::refused(format_args!(
                "{address} does not answer as a Sentinel does"
            )));
        };
        let epoch = field("config-epoch").and_then(|epoch| epoch.parse().ok());
        let host = host.to_owned();
        Ok((epoch.unwrap_or(0), Address { host, port }))
    }

    async fn line(&self, address: &Address) -> Result<Arc<Line>, LinkError> {
        let kept = self.lines.lock().get(address).cloned();
        if let Some(line) = kept.filter(|line| !line.is_over()) {
            return Ok(line);
        }
        let line = Arc::new(self.dialer.dial(address).await?);
        self.lines.lock().insert(address.clone(), Arc::clone(&line));
        Ok(line)
    }

    fn explain(&self, address: &Address, error: LinkError) -> LinkError {
        let name = &self.master_name;
        match error {
            LinkError::Refused(said) if said.contains("No such master") => {
                LinkError::refused(format_args!(
                    "the Sentinel {address} knows no master `{name}`; set ledger.master_name to the name in its config"
                ))
            }
            LinkError::Refused(said) if said.contains("unknown command") => {
                LinkError::refused(format_args!(
                    "{address} is no Sentinel but a Redis server; Sentinels listen at port 26379 as a rule"
                ))
            }
            other => other,
        }
    }
}

/// The names and values of a flat list.
fn fields(answer: Value) -> HashMap<String, String> {
    let items: Vec<String> = match answer {
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(name, value)| [text(name), text(value)])
            .map(Option::unwrap_or_default)
            .collect(),
        other => list(other)
            .iter()
            .map(|item| text(item).unwrap_or_default())
            .collect(),
    };
    let pairs = items.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}
