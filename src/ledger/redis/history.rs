//! Receipts and totals, read and folded; and whether everything adds up.
//!
//! Receipts lie in one stream per partition, in the order of their settles; all reads go page by page.

mod account;
mod audit;
mod directory;
mod fold;
mod pages;
mod receipts;
mod totals;

use ::redis::Value;

use super::Redis;
use super::reply::{self, malformed};
use crate::ledger::LedgerError;

impl Redis {
    /// A step through a hash: names and contents in turn, and the cursor of the next step, if there is one. What
    /// stays meanwhile is seen at least once, the rest perhaps.
    async fn fields(
        &self,
        key: &[u8],
        cursor: &str,
    ) -> Result<(Vec<String>, Option<String>), LedgerError> {
        const AT_ONCE: usize = 500;
        let mut scan = ::redis::cmd("HSCAN");
        scan.arg(key).arg(cursor).arg("COUNT").arg(AT_ONCE);
        let Value::Array(step) = self.ask_one(scan).await? else {
            return Err(malformed());
        };
        let [next, found] = step.as_slice() else {
            return Err(malformed());
        };
        let next = reply::text(next).ok_or_else(malformed)?;
        let found = reply::list(found).ok_or_else(malformed)?;
        let found = found.into_iter().map(str::to_owned).collect();
        Ok((found, Some(next.to_owned()).filter(|next| next != "0")))
    }
}
