//! Credits: everything that changes a balance and is no charge.

use serde::{Deserialize, Serialize};

use super::id::{EntryId, WalletId};
use crate::clock::UnixMs;
use crate::money::Nano;

/// Why money was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The balance that a wallet was declared with.
    Opening,
    /// Money paid in.
    Topup,
    /// A correction by the operator, up or down; may pass the floor.
    Adjustment,
    /// Money given back for a request.
    Refund,
}

/// A booking of money, idempotent by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id; the same id is booked once.
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
    /// When it was booked, by the store's clock. Not part of the entry's identity.
    pub at: UnixMs,
}

/// What a credit came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credited {
    /// The entry as booked.
    pub entry: Entry,
    /// The balance now.
    pub balance: Nano,
    /// False where the entry had been booked before.
    pub applied: bool,
}
