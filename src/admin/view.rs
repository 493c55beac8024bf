//! Keys and wallets as the management API shows them: money as decimal strings, times as RFC 3339,
//! and nothing of a secret.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::config::Words as _;
use crate::ledger::credit::{Credited, EntryKind};
use crate::ledger::grant::{GrantState, GrantUnit, ModelSet};
use crate::ledger::id::{EntryId, GrantId, KeyId, LimitName, WalletId};
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::limit::{Limit, Measure, Per};
use crate::ledger::wallet::{CounterView, WalletView};
use crate::money::{Factor, Nano};

/// Keys by the text of their ids.
pub type KeysById = HashMap<String, Arc<Key>>;

/// A list of things, in OpenAI's shape.
#[derive(Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// Always `list`.
    pub object: String,
    /// The things.
    pub data: Vec<T>,
}

/// A key's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyJson {
    /// Its id.
    pub id: KeyId,
    /// Its name.
    pub name: String,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// False once revoked.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// The models it may use; null for all.
    pub models: Option<Vec<Arc<str>>>,
    /// The addresses it may be used from; empty for all.
    pub allowed_ips: Vec<IpNet>,
    /// Its caps.
    pub limits: Vec<LimitJson>,
    /// What happens when money is short.
    pub on_short: OnShort,
    /// What happens when its client goes away.
    pub on_disconnect: OnDisconnect,
    /// What each proxy may spend by it while a shared ledger is away, in each outage.
    #[serde(default)]
    pub offline_allowance: Nano,
    /// What every price is multiplied by.
    #[serde(default)]
    pub multiplier: Factor,
    /// Grows with every change.
    pub revision: u64,
}

/// A cap, as it is written in config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitJson {
    /// Its name.
    pub name: LimitName,
    /// What is capped, and at how much.
    #[serde(flatten)]
    pub cap: CapJson,
    /// Over what time.
    pub per: Per,
    /// For which models; null for all.
    pub models: Option<Vec<Arc<str>>>,
}

/// One of `spend`, `tokens`, `images`, `requests`, `concurrent`, and its amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapJson {
    /// Money.
    Spend(Nano),
    /// Tokens.
    Tokens(u64),
    /// Images.
    Images(u64),
    /// Requests.
    Requests(u64),
    /// Requests at once.
    Concurrent(u64),
}

/// A wallet as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletJson {
    /// Its id.
    pub id: WalletId,
    /// The ledger's currency.
    pub currency: String,
    /// Money it owns.
    pub balance: Nano,
    /// How far below zero it may go.
    pub credit_line: Nano,
    /// Money in live holds.
    pub held: Nano,
    /// What a new request could hold.
    pub available: Nano,
    /// All credits so far.
    pub credited: Nano,
    /// All charges so far.
    pub charged: Nano,
    /// What the operator bore so far.
    pub shortfall: Nano,
    /// Live holds.
    pub holds: u64,
    /// Its grants, in burn order.
    pub grants: Vec<GrantJson>,
    /// How its keys' limits stand.
    pub limits: Vec<CounterJson>,
}

/// How a limit of one key stands, in one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterJson {
    /// The key.
    pub key: String,
    /// The limit's name.
    pub limit: String,
    /// When the calendar period began; null where the limit has none.
    pub period_start: Option<Timestamp>,
    /// The most there may be; null where the key no longer has the limit.
    pub cap: Option<Amount>,
    /// What settled requests used; for a rate, what is missing from full.
    pub used: Amount,
    /// What live holds occupy.
    pub held: Amount,
}

/// A grant as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantJson {
    /// Its name.
    pub name: GrantId,
    /// What it gives.
    pub unit: GrantUnit,
    /// How much was given.
    pub amount: Amount,
    /// How much was burned.
    pub used: Amount,
    /// How much live holds occupy.
    pub held: Amount,
    /// `amount - used - held`.
    pub remaining: Amount,
    /// For which models; null for all.
    pub models: Option<Vec<Arc<str>>>,
    /// From when on nothing more may be taken.
    pub expires_at: Option<Timestamp>,
}

/// A grant, asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenJson {
    /// The grant as it stands.
    #[serde(flatten)]
    pub grant: GrantJson,
    /// False where it had been given before.
    pub applied: bool,
}

/// A whole number of units, or money as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// Tokens, images or requests.
    Units(u64),
    /// Money.
    Money(Nano),
}

/// A credit as booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditJson {
    /// Its id.
    pub id: EntryId,
    /// Whose money.
    pub wallet: WalletId,
    /// Why.
    pub kind: EntryKind,
    /// How much; negative only for adjustments.
    pub amount: Nano,
    /// A word for people.
    pub reason: String,
    /// Who booked it.
    pub actor: String,
    /// When it was booked.
    pub at: Timestamp,
    /// The wallet's balance now.
    pub balance: Nano,
    /// False where the entry had been booked before.
    pub applied: bool,
}

impl<T> List<T> {
    /// The list of `data`.
    pub fn of(data: Vec<T>) -> Self {
        List {
            object: "list".to_owned(),
            data,
        }
    }
}

impl From<Credited> for CreditJson {
    fn from(credited: Credited) -> Self {
        let entry = credited.entry;
        CreditJson {
            id: entry.id,
            wallet: entry.wallet,
            kind: entry.kind,
            amount: entry.amount,
            reason: entry.reason,
            actor: entry.actor,
            at: entry.at.timestamp(),
            balance: credited.balance,
            applied: credited.applied,
        }
    }
}

impl From<&Key> for KeyJson {
    fn from(key: &Key) -> Self {
        KeyJson {
            id: key.id.clone(),
            name: key.name.clone(),
            wallet: key.wallet.clone(),
            enabled: key.enabled,
            created_at: key.created_at.timestamp(),
            expires_at: key.expires_at.map(UnixMs::timestamp),
            models: names(&key.models),
            allowed_ips: key.allowed_ips.clone(),
            limits: key.limits.iter().map(LimitJson::from).collect(),
            on_short: key.on_short,
            on_disconnect: key.on_disconnect,
            offline_allowance: key.offline_allowance,
            multiplier: key.multiplier,
            revision: key.revision,
        }
    }
}

impl From<&Limit> for LimitJson {
    fn from(limit: &Limit) -> Self {
        let cap = match limit.measure {
            Measure::Spend => CapJson::Spend(nano(limit.cap)),
            Measure::Tokens => CapJson::Tokens(limit.cap),
            Measure::Images => CapJson::Images(limit.cap),
            Measure::Requests => CapJson::Requests(limit.cap),
            Measure::Concurrent => CapJson::Concurrent(limit.cap),
        };
        LimitJson {
            name: limit.name.clone(),
            cap,
            per: limit.per,
            models: names(&limit.models),
        }
    }
}

impl std::fmt::Display for CapJson {
    /// `spend=5`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CapJson::Spend(cap) => write!(f, "spend={cap}"),
            CapJson::Tokens(cap) => write!(f, "tokens={cap}"),
            CapJson::Images(cap) => write!(f, "images={cap}"),
            CapJson::Requests(cap) => write!(f, "requests={cap}"),
            CapJson::Concurrent(cap) => write!(f, "concurrent={cap}"),
        }
    }
}

impl WalletJson {
    /// The wallet in the ledger's currency; `keys` tell which counters count money.
    pub fn new(view: WalletView, currency: &str, keys: &KeysById) -> Self {
        let counters = view.counters.iter();
        let limits = counters
            .map(|counter| CounterJson::new(counter, keys))
            .collect();
        WalletJson {
            id: view.id,
            currency: currency.to_owned(),
            balance: view.balance,
            credit_line: view.credit_line,
            held: view.held,
            available: view.available,
            credited: view.credited,
            charged: view.charged,
            shortfall: view.shortfall,
            holds: view.holds,
            grants: view.grants.iter().map(GrantJson::from).collect(),
            limits,
        }
    }
}

impl CounterJson {
    fn new(counter: &CounterView, keys: &KeysById) -> Self {
        let mut parts = counter.key.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (key, name, measure, start) = (part(), part(), part(), part());
        let mut limits = keys.get(key).into_iter().flat_map(|key| &key.limits);
        let limit = limits.find(|limit| limit.name.as_str() == name);
        let limit = limit.filter(|limit| limit.measure.name() == measure);
        let spend = measure == Measure::Spend.name();
        let amount = |count| match spend {
            true => Amount::Money(nano(count)),
            false => Amount::Units(count),
        };
        CounterJson {
            key: key.to_owned(),
            limit: name.to_owned(),
            period_start: start.parse().ok().map(|start| UnixMs(start).timestamp()),
            cap: limit.map(|limit| amount(limit.cap)),
            used: amount(counter.used),
            held: amount(counter.held),
        }
    }
}

impl From<&GrantState> for GrantJson {
    fn from(state: &GrantState) -> Self {
        let unit = state.grant.unit;
        GrantJson {
            name: state.grant.name.clone(),
            unit,
            amount: Amount::of(unit, state.grant.amount),
            used: Amount::of(unit, state.used),
            held: Amount::of(unit, state.held),
            remaining: Amount::of(unit, state.remaining()),
            models: names(&state.grant.models),
            expires_at: state.grant.expires_at.map(UnixMs::timestamp),
        }
    }
}

impl Amount {
    fn of(unit: GrantUnit, count: u64) -> Self {
        match unit {
            GrantUnit::Money => Amount::Money(nano(count)),
            GrantUnit::Tokens | GrantUnit::Images | GrantUnit::Requests => Amount::Units(count),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Amount::Units(count) => count.fmt(f),
            Amount::Money(money) => money.fmt(f),
        }
    }
}

/// The word for a unit, as config and the API write it.
pub fn unit_word(unit: GrantUnit) -> &'static str {
    match unit {
        GrantUnit::Tokens => "tokens",
        GrantUnit::Images => "images",
        GrantUnit::Requests => "requests",
        GrantUnit::Money => "money",
    }
}

fn nano(count: u64) -> Nano {
    Nano::new(i64::try_from(count).unwrap_or(i64::MAX))
}

fn names(models: &ModelSet) -> Option<Vec<Arc<str>>> {
    match models {
        ModelSet::All => None,
        ModelSet::Only(models) => Some(models.iter().cloned().collect()),
    }
}
