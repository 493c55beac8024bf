//! What things cost: the price book, the quote of a worst case, and the exact charge.

use serde::{Deserialize, Serialize};

use crate::money::Nano;
use crate::usage::Meter;

/// One priced part of a worst case, in burn order.
///
/// The ledger takes from grants first and prices the rest, so `unit_price` is rounded *up* to a nano.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The meter whose unit the count is in; for a side of a chat, its plain one (input or output).
    pub meter: Meter,
    /// The most that can be consumed.
    pub count: u64,
    /// How far a ledger may lower `count` for a key whose policy is to clamp; equal to `count` where it may not.
    pub count_min: u64,
    /// The price of one unit at the dearest meter and tier that this part can reach. Zero burns no grant.
    pub unit_price: Nano,
}
