//! Wallets: accounts that own money and grants.

use serde::{Deserialize, Serialize};

use super::credit::Entry;
use super::grant::{Grant, GrantState};
use super::id::WalletId;
use crate::money::Nano;

/// A wallet to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWallet {
    /// Its id.
    pub id: WalletId,
    /// How far below zero it may go; not negative. Zero is prepaid.
    pub credit_line: Nano,
    /// The opening credit, if any.
    pub opening: Option<Entry>,
    /// Its free quotas.
    pub grants: Vec<Grant>,
}

/// A wallet as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletView {
    /// Its id.
    pub id: WalletId,
    /// Money it owns.
    pub balance: Nano,
    /// How far below zero it may go.
    pub credit_line: Nano,
    /// Money in live holds.
    pub held: Nano,
    /// `balance + credit_line - held`, not below zero.
    pub available: Nano,
    /// Its grants, in burn order.
    pub grants: Vec<GrantState>,
    /// All credits so far.
    pub credited: Nano,
    /// All charges so far.
    pub charged: Nano,
    /// All shortfall so far.
    pub shortfall: Nano,
    /// Live holds.
    pub holds: u64,
    /// Its counters, by name: cap as last asked, what is used, what is held.
    pub counters: Vec<CounterView>,
}

/// A counter of a wallet, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterView {
    /// Its name: key, limit and, for periods, the UTC start.
    pub key: String,
    /// What settled requests used; for a bucket, what is missing from full.
    pub used: u64,
    /// What live holds occupy.
    pub held: u64,
}
