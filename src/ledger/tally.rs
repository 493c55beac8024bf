//! What receipts sum to, whichever store keeps them.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::hold::FreeUnits;
use super::receipt::{Receipt, UsageRow};
use crate::money::{NANO_PER_UNIT, Nano};
use crate::usage::Usage;

/// A day without its leap second, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// Sums over receipts; wide enough that no sum of stored amounts can leave the range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub receipts: u64,
    /// Money taken from balances, in nano units, as all money here.
    pub charged: i128,
    /// What the operator bore.
    pub shortfall: i128,
    /// Money taken from grants.
    pub free_money: i128,
    /// Tokens taken from grants.
    pub free_tokens: i128,
    /// Images taken from grants.
    pub free_images: i128,
    /// Requests taken from grants.
    pub free_requests: i128,
    /// What was consumed, saturating.
    pub usage: Usage,
}

impl Tally {
    /// Adds one receipt.
    pub fn add(&mut self, receipt: &Receipt) {
        self.receipts += 1;
        self.charged += i128::from(receipt.charged.get());
        self.shortfall += i128::from(receipt.shortfall.get());
        self.free_money += i128::from(receipt.free_money.get());
        self.free_tokens += i128::from(receipt.free.tokens);
        self.free_images += i128::from(receipt.free.images);
        self.free_requests += i128::from(receipt.free.requests);
        self.consume(&receipt.usage);
    }

    /// Adds what other receipts sum to.
    pub fn join(&mut self, other: &Tally) {
        self.receipts = self.receipts.saturating_add(other.receipts);
        self.charged += other.charged;
        self.shortfall += other.shortfall;
        self.free_money += other.free_money;
        self.free_tokens += other.free_tokens;
        self.free_images += other.free_images;
        self.free_requests += other.free_requests;
        self.consume(&other.usage);
    }

    /// As the totals of a day and a model; what leaves the range of a row stands at its end.
    pub fn row(&self, day: String, model: Arc<str>) -> UsageRow {
        let money = |sum: i128| Nano::new(i64::try_from(sum).unwrap_or(i64::MAX));
        let units = |sum: i128| u64::try_from(sum).unwrap_or(u64::MAX);
        UsageRow {
            day,
            model,
            requests: self.receipts,
            usage: self.usage,
            free: FreeUnits {
                tokens: units(self.free_tokens),
                images: units(self.free_images),
                requests: units(self.free_requests),
            },
            charged: money(self.charged),
            shortfall: money(self.shortfall),
        }
    }

    fn consume(&mut self, usage: &Usage) {
        for (meter, count) in usage.iter() {
            let sum = self.usage.get(meter).saturating_add(count);
            self.usage = self.usage.with(meter, sum);
        }
    }
}

/// A sum of amounts in nano units, which may leave the range of one amount. A decimal in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(pub i128);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = u128::from(NANO_PER_UNIT.unsigned_abs());
        let nano = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{sign}{}.{:09}", nano / unit, nano % unit);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The date that is `days` after 1970-01-01.
pub fn day(days: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    jiff::Span::new()
        .try_days(days)
        .and_then(|span| epoch.checked_add(span))
        .unwrap_or(jiff::civil::Date::MAX)
        .to_string()
}
