//! Keys: bearer credentials of exactly one wallet.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::grant::ModelSet;
use super::id::{KeyId, WalletId};
use super::limit::Limit;
use crate::clock::UnixMs;
pub use crate::config::{OnDisconnect, OnShort};
use crate::money::{Factor, Nano};

/// How old a key's record may be when it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Of any age: for requests that hold, since a hold checks the record. It refuses nobody.
    Any,
    /// At most a second: for whatever is shown, refused or decided without a hold.
    Shown,
}

/// A key's record. It never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// A name for people.
    pub name: String,
    /// Grows with every change of the record; a hold quoted from an older one is turned away.
    pub revision: u64,
    /// False once revoked.
    pub enabled: bool,
    /// From when on it is refused.
    pub expires_at: Option<UnixMs>,
    /// The models it may use.
    pub models: ModelSet,
    /// The addresses it may be used from; empty for all.
    pub allowed_ips: Vec<IpNet>,
    /// Its caps.
    pub limits: Vec<Limit>,
    /// What happens when money is short.
    pub on_short: OnShort,
    /// What happens when its client goes away.
    pub on_disconnect: OnDisconnect,
    /// What each proxy may spend by it while a shared ledger is away, in each outage; nothing by default. A ledger
    /// that is not shared has no use for it.
    #[serde(default)]
    pub offline_allowance: Nano,
    /// What every price is multiplied by, hold by hold; 1 by default.
    #[serde(default)]
    pub multiplier: Factor,
    /// When it was made.
    pub created_at: UnixMs,
}
