//! How Redis is reached: the config's own words for it.

use std::time::Duration;

pub use crate::config::{Address, Endpoints, RedisConfig as RedisOptions};

impl RedisOptions {
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
