//! Two accounts of the same requests that share no code, the upstream's and the ledger's, joined by what clients saw.

mod due;
mod planted;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::crowd::money;
use super::{Seen, decimal};
use due::{Item, count, due};
pub use planted::every_planted_bug_is_found;

/// Everything that is known of the requests of one wallet.
#[derive(Clone, Debug)]
pub struct Account {
    /// What each client could swear to.
    pub seen: Vec<Seen>,
    /// The upstream's records, by its id of the request.
    pub sent: BTreeMap<String, Value>,
    /// The ledger's receipts, by request.
    pub booked: HashMap<String, Value>,
}

/// What two accounts that agree come to.
#[derive(Debug, Default)]
pub struct Joined {
    /// Of each kind: requests, charges, and what they are worth in nano units.
    pub kinds: BTreeMap<String, (u64, u64, i64)>,
    /// What all receipts charge, in nano units.
    pub charged: i64,
    /// What the operator bears, in nano units.
    pub shortfall: i64,
}

/// Which requests may have ended without a charge although the upstream answered: those of a process that was killed.
pub type Lost<'a> = &'a dyn Fn(&Seen, Option<&Value>) -> bool;

/// The upstream's records by their id; none was sent twice.
pub fn by_id(records: Vec<Value>) -> Result<BTreeMap<String, Value>, String> {
    let mut sent = BTreeMap::new();
    for record in records {
        let id = record["id"].as_str().expect("an id").to_owned();
        if let Some(twice) = sent.insert(id, record) {
            return Err(format!("sent upstream twice: {twice}"));
        }
    }
    Ok(sent)
}

impl Account {
    /// Joins the accounts request by request; those that showed their clients nothing, as a whole.
    ///
    /// Every request that the upstream answered is booked exactly once at its exact value, and nothing else is.
    pub fn join(&self, lost: Lost<'_>) -> Result<Joined, String> {
        let (mut joined, mut booked) = (Joined::default(), self.booked.clone());
        let (mut unseen, mut maybe) = (Vec::new(), Vec::new());
        for seen in &self.seen {
            let record = self.sent.get(&seen.id);
            let may_be_lost = !seen.seen_end && lost(seen, record);
            let due = due(record, may_be_lost)?;
            joined.count(seen, due.as_ref());
            let receipt = seen.request_id.as_ref().map(|id| booked.remove(id));
            match (receipt, may_be_lost) {
                (Some(receipt), _) => fits(seen, due, receipt, may_be_lost)?,
                (None, false) => unseen.extend(due),
                (None, true) => maybe.extend(due),
            }
        }
        leftovers(booked.values(), unseen, maybe)?;
        for receipt in self.booked.values() {
            joined.charged += money(receipt, "cost");
            joined.shortfall += money(receipt, "shortfall");
        }
        self.no_strangers()?;
        Ok(joined)
    }

    /// The upstream's own totals against the ledger's sums, where nothing was lost.
    pub fn equals(&self, totals: &Value) -> Result<(), String> {
        let items: Result<Vec<Item>, String> = self.booked.values().map(Item::booked).collect();
        let items = items?;
        let sum = |words: &[&str], field: fn(&Item) -> i64| -> i64 {
            let of_words = items.iter().filter(|item| words.contains(&&*item.counted));
            of_words.map(field).sum()
        };
        let untold: i64 = self
            .sent
            .values()
            .filter(|record| record["outcome"] == "complete" && record["had_usage"] == false)
            .map(|record| count(record, "prompt_tokens"))
            .sum();
        let exact_and_estimated = sum(&["exact", "estimated"], |item| item.output);
        let pairs = [
            ("prompt_tokens", sum(&["exact"], |item| item.input) + untold),
            ("completion_tokens", exact_and_estimated),
            (
                "partial_completion_tokens",
                sum(&["partial"], |item| item.output),
            ),
            (
                "images_delivered",
                items.iter().map(|item| item.images).sum(),
            ),
        ];
        for (field, ledger) in pairs {
            let upstream = count(totals, field);
            if upstream != ledger {
                return Err(format!(
                    "{field}: {upstream} upstream, {ledger} in the ledger"
                ));
            }
        }
        Ok(())
    }

    /// The wallet is what its opening balance and its receipts leave, and nothing is held.
    pub fn settles(&self, wallet: &Value, opening: i64, joined: &Joined) -> Result<(), String> {
        let expected = [
            ("balance", opening - joined.charged),
            ("held", 0),
            ("charged", joined.charged),
            ("shortfall", joined.shortfall),
        ];
        for (field, expected) in expected {
            let found = money(wallet, field);
            if found != expected {
                let (found, expected) = (decimal(found), decimal(expected));
                return Err(format!("{field}: {found}, not {expected}: {wallet}"));
            }
        }
        if wallet["holds"] != 0 {
            return Err(format!("live holds: {wallet}"));
        }
        Ok(())
    }

    /// The upstream served no request that no client sent.
    fn no_strangers(&self) -> Result<(), String> {
        let known: std::collections::HashSet<&str> =
            self.seen.iter().map(|seen| &*seen.id).collect();
        match self.sent.keys().find(|id| !known.contains(&***id)) {
            Some(id) => Err(format!("upstream served {id}, which no client sent")),
            None => Ok(()),
        }
    }
}

impl Joined {
    fn count(&mut self, seen: &Seen, due: Option<&Item>) {
        let kind = self.kinds.entry(seen.kind.clone()).or_default();
        kind.0 += 1;
        kind.1 += u64::from(due.is_some());
        kind.2 += due.map_or(0, |due| due.priced);
    }
}

/// What the ledger booked for a request is what is due for it, and what its client was told.
fn fits(
    seen: &Seen,
    due: Option<Item>,
    receipt: Option<Value>,
    may_be_lost: bool,
) -> Result<(), String> {
    let booked = receipt.as_ref().map(Item::booked).transpose()?;
    if booked != due && !(may_be_lost && booked.is_none()) {
        return Err(format!(
            "ledger and upstream differ: {seen:?}\nbooked {receipt:?}\ndue {due:?}"
        ));
    }
    let cost = |field| receipt.as_ref().map_or(0, |receipt| money(receipt, field));
    let (charged, shortfall) = (cost("cost"), cost("shortfall"));
    match seen.cost.filter(|_| seen.seen_end) {
        // A client that was answered while the store was away was told what its hold covers.
        Some(told) if told != charged && !(charged..=charged + shortfall).contains(&told) => Err(
            format!("the client was told otherwise: {seen:?}\nbooked {receipt:?}"),
        ),
        None if seen.seen_end && seen.status == 200 => {
            Err(format!("an end without its cost: {seen:?}"))
        }
        _ => Ok(()),
    }
}

/// The receipts that no client saw: those due, and of those that may be lost any.
fn leftovers<'a>(
    booked: impl Iterator<Item = &'a Value>,
    unseen: Vec<Item>,
    mut maybe: Vec<Item>,
) -> Result<(), String> {
    let left: Result<Vec<Item>, String> = booked.map(Item::booked).collect();
    let mut left = left?;
    for due in unseen {
        let at = left.iter().position(|item| *item == due);
        let at = at.ok_or_else(|| format!("not booked, and its client saw no head: {due:?}"))?;
        left.swap_remove(at);
    }
    for item in left {
        let at = maybe.iter().position(|due| *due == item);
        let at = at.ok_or_else(|| format!("booked for nothing: {item:?}"))?;
        maybe.swap_remove(at);
    }
    Ok(())
}
