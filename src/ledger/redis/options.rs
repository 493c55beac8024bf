//! How Redis is reached: the config's own words for it.

use std::time::Duration;

pub use crate::config::{Address, Endpoints, RedisConfig as RedisOptions};

impl RedisOptions {
    /// Where the store is, in words; never a secret.
    pub fn place(&self) -> String {
        let list = |addresses: &[Address]| {
            let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
            texts.join(", ")
        };
        match &self.endpoints {
            Endpoints::Standalone { address, database } => format!("{address}/{database}"),
            Endpoints::Sentinel {
                sentinels,
                master_name,
            } => format!("{master_name}, by the Sentinels {}", list(sentinels)),
            Endpoints::Cluster(nodes) => format!("cluster of {}", list(nodes)),
        }
    }

    /// To connect to one server: name, TCP, TLS and greeting.
    pub fn connect_limit(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// From a call to its answer.
    pub fn response_limit(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    /// For one operation of the ledger with all its repetitions.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}
