//! What every ledger promises, one named test for each promise on each store.

#[path = "contract/accounts.rs"]
mod accounts;
#[path = "contract/claims.rs"]
mod claims;
#[path = "contract/counters.rs"]
mod counters;
#[path = "contract/endings.rs"]
mod endings;
#[path = "contract/funds.rs"]
mod funds;
#[path = "contract/history.rs"]
mod history;
#[path = "contract/objects.rs"]
mod objects;
#[path = "contract/pending.rs"]
mod pending;
