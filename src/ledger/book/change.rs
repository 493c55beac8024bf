//! What a book's operation leaves behind for a store to make durable, and to replay when it opens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::ledger::credit::Entry;
use crate::ledger::grant::GrantState;
use crate::ledger::id::{KeyDigest, WalletId};
use crate::ledger::key::Key;
use crate::ledger::limit::Window;
use crate::ledger::receipt::Receipt;
use crate::money::Nano;

/// One row as it stands after an operation: absolute values, so that replaying one twice is harmless.
///
/// The rows of one operation belong into one transaction, and transactions into the book's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The money of a wallet. Comes before everything else of a new wallet.
    Wallet(WalletRow),
    /// A key's record.
    Key {
        /// The record.
        key: Arc<Key>,
        /// What finds it.
        digest: KeyDigest,
    },
    /// A credit that was booked; its amount is in the wallet's row already.
    Entry(Entry),
    /// A grant. What live holds occupy is not durable: replay it as zero.
    Grant {
        /// Whose.
        wallet: WalletId,
        /// The grant; known by the wallet and its name.
        state: GrantState,
    },
    /// A counter; known by the wallet, its key and its window.
    Counter {
        /// Whose.
        wallet: WalletId,
        /// Its name.
        key: Arc<str>,
        /// How it stands.
        row: CounterRow,
    },
    /// The receipt of a settle; its charge is in the wallet's row already.
    Receipt(Arc<Receipt>),
}

/// The durable part of a wallet. `credited - charged = balance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletRow {
    /// Its id.
    pub id: WalletId,
    /// Money it owns.
    pub balance: Nano,
    /// How far below zero it may go.
    pub credit_line: Nano,
    /// All credits so far, the opening included.
    pub credited: Nano,
    /// All charges so far.
    pub charged: Nano,
    /// All shortfall so far.
    pub shortfall: Nano,
}

/// The durable part of a counter: how it would stand if all live holds were voided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// How its time runs. A row of a period that ended may be deleted.
    pub window: Window,
    /// Its cap, as last asked.
    pub cap: u64,
    /// What it counted.
    pub tally: Tally,
}

/// What a counter counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tally {
    /// What settled requests used; always 0 for a counter of live holds only.
    Used(u64),
    /// The level of a token bucket.
    Level {
        /// Units times the window's `refill_ms`, so that a refill is exact; negative in debt.
        unit_ms: i64,
        /// When it stood so.
        at: UnixMs,
    },
}
