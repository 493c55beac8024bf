//! What wallets and keys are declared with: grants, keys, limits.

use ipnet::IpNet;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::money::{Factor, Nano};
use crate::secret::Secret;

/// A free quota, given once per wallet and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its name.
    pub name: String,
    /// What it gives.
    pub unit: GrantUnit,
    /// How much; nano units for money.
    pub amount: u64,
    /// For which models, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
    /// From when on nothing may be taken from it.
    pub expires: Option<UnixMs>,
    /// Its line in the file.
    pub line: u32,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantUnit {
    /// Tokens of any priced token meter.
    Tokens,
    /// Images.
    Images,
    /// Whole requests, each entirely free.
    Requests,
    /// Nano units of money, spent before the balance.
    Money,
}

/// A declared key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its name and id.
    pub name: String,
    /// The text that customers send; `None` where its variable is in [`Config::missing`](super::Config::missing).
    pub secret: Option<Secret>,
    /// The opening credit of its wallet, booked once as `config:<name>`.
    pub balance: Option<Nano>,
    /// How far below zero the wallet may go; `None` where the file does not say.
    pub credit_line: Option<Nano>,
    /// The wallet that pays; one of its own, named as the key, where the file names none.
    pub wallet: String,
    /// The models that it may use, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
    /// The addresses that it may be used from; empty is all.
    pub allowed_ips: Vec<IpNet>,
    /// Its caps.
    pub limits: Vec<LimitRow>,
    /// From when on it is refused.
    pub expires: Option<UnixMs>,
    /// What happens when money is short.
    pub on_short: OnShort,
    /// What happens when its client goes away.
    pub on_disconnect: OnDisconnect,
    /// What each proxy may spend by it while a shared ledger is away.
    pub offline_allowance: Nano,
    /// What every price is multiplied by.
    pub multiplier: Factor,
    /// The grants that its wallet gets, by name; `None` is all.
    pub grants: Option<Vec<String>>,
    /// Its line in the file.
    pub line: u32,
}

/// What happens when a request's worst case is not affordable but a smaller one would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnShort {
    /// The request is refused.
    #[default]
    Refuse,
    /// Its maximum of output is lowered to what is affordable.
    Clamp,
}

/// What happens upstream when the client goes away before the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The answer is read to its end (within bounds) and charged as the upstream reports it.
    #[default]
    Drain,
    /// The upstream is stopped; the input and the delivered output are charged.
    Cancel,
}

/// A cap on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// Its name, unique on the key: as given, else like `spend-day`.
    pub name: String,
    /// What it caps.
    pub measure: Measure,
    /// The most there may be; nano units for spend. At least 1, below 2^53.
    pub cap: u64,
    /// Over what time; `Total` for `concurrent`, where it has no meaning.
    pub per: Period,
    /// For which models it counts, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
}

/// What a limit caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Money charged, in nano units.
    Spend,
    /// Tokens, free ones included.
    Tokens,
    /// Images, free ones included.
    Images,
    /// Requests.
    Requests,
    /// Requests in flight at once.
    Concurrent,
}

/// Over what time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// For ever.
    Total,
    /// A token bucket that refills its cap in a minute.
    Minute,
    /// A calendar hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar week, from Monday.
    Week,
    /// A calendar month.
    Month,
}
