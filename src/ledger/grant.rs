//! Grants: free quotas of a wallet.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::GrantId;
use crate::clock::UnixMs;
pub use crate::config::GrantUnit;

/// A set of models, by canonical id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ModelSet {
    /// Every model.
    #[default]
    All,
    /// These only.
    Only(BTreeSet<Arc<str>>),
}

impl ModelSet {
    /// Whether the set has this model.
    pub fn has(&self, model: &str) -> bool {
        match self {
            ModelSet::All => true,
            ModelSet::Only(models) => models.contains(model),
        }
    }

    /// Whether the set has a model under any of its names. A set that was made before its model got
    /// another id has it under the old one, which is then an alias.
    pub fn has_any(&self, id: &str, aliases: &[Arc<str>]) -> bool {
        self.has(id) || aliases.iter().any(|alias| self.has(alias))
    }

    /// How many models the set names; the widest set counts as the most.
    pub fn width(&self) -> usize {
        match self {
            ModelSet::All => usize::MAX,
            ModelSet::Only(models) => models.len(),
        }
    }
}

/// A free quota as it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name, unique in the wallet.
    pub name: GrantId,
    /// What it gives.
    pub unit: GrantUnit,
    /// How much; nano units for money.
    pub amount: u64,
    /// For which models.
    pub models: ModelSet,
    /// From when on nothing more may be taken from it.
    pub expires_at: Option<UnixMs>,
}

impl Grant {
    /// By what grants are burned in order: soonest expiry first, then the narrowest, then by name.
    pub(super) fn burn_order(&self) -> (i64, usize, &GrantId) {
        let expiry = self.expires_at.map_or(i64::MAX, |end| end.0);
        (expiry, self.models.width(), &self.name)
    }
}

/// A grant as it stands. `used + held <= amount`, always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantState {
    /// The grant as given.
    #[serde(flatten)]
    pub grant: Grant,
    /// Units charged.
    pub used: u64,
    /// Units in live holds.
    pub held: u64,
}

impl GrantState {
    /// Units that are neither charged nor held.
    pub fn remaining(&self) -> u64 {
        let taken = self.used.saturating_add(self.held);
        self.grant.amount.saturating_sub(taken)
    }
}

/// Units that a hold took from one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTake {
    /// Which grant.
    pub grant: GrantId,
    /// In which unit.
    pub unit: GrantUnit,
    /// How many.
    pub units: u64,
}
