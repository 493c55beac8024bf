//! Several proxies, each a process of its own, before one upstream: what they share is their ledger.

use super::{Mock, Proxy, Setup};

/// The proxies, and the upstream whose account is the oracle.
pub struct Fleet {
    pub mock: Mock,
    /// At least one.
    pub proxies: Vec<Proxy>,
}

impl Fleet {
    /// Starts a proxy of each setup, logging errors only.
    pub fn start(mock: Mock, setups: &[Setup]) -> Fleet {
        let proxies = setups.iter().map(Proxy::start_quiet).collect();
        Fleet { mock, proxies }
    }

    pub fn first(&self) -> &Proxy {
        &self.proxies[0]
    }

    /// The proxies in turn.
    pub fn at(&self, number: usize) -> &Proxy {
        &self.proxies[number % self.proxies.len()]
    }
}
