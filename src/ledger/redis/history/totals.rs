//! Totals by day and model: whole days from what settles have summed, anything else from receipts.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::tz::TimeZone;

use super::super::Redis;
use super::super::layout::Partition;
use super::super::reply::{self, malformed};
use super::pages::{PAGE_MAX, Pages, Span};
use super::receipts::partitions_of;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::WalletId;
use crate::ledger::receipt::{ReceiptQuery, UsageRow};
use crate::ledger::tally::{DAY_MS, Tally, day};
use crate::usage::Meter;

/// How many wallets are read at a time.
pub(super) const WALLETS_AT_ONCE: usize = 32;

/// Sums by day, counted from 1970, and model.
type Rows = BTreeMap<(i64, Arc<str>), Tally>;

impl Redis {
    /// Totals by local day and model, the oldest day first. Whole days of the ledger's zone are told even
    /// where their receipts have been folded; of parts of days, and of days of other zones, what receipts there are.
    pub(in super::super) async fn totals(
        &self,
        query: ReceiptQuery,
    ) -> Result<Vec<UsageRow>, LedgerError> {
        let rows = match whole_days(&query, &self.zone, self.clock.now()) {
            Some(days) => self.summed(&query, days).await?,
            None => self.summed_from_receipts(&query).await?,
        };
        let rows = rows.into_iter();
        Ok(rows
            .map(|((number, model), tally)| tally.row(day(number), model))
            .collect())
    }

    /// A wallet's totals: fields `<day>|<key>|<model>` with their contents.
    pub(super) async fn totals_of(
        &self,
        wallet: &WalletId,
    ) -> Result<HashMap<String, String>, LedgerError> {
        let key = self.layout.totals(Partition::of(wallet), wallet);
        let mut found = HashMap::new();
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let (texts, next) = self.fields(&key, &at).await?;
            let mut texts = texts.into_iter();
            while let (Some(field), Some(content)) = (texts.next(), texts.next()) {
                found.insert(field, content);
            }
            cursor = next;
        }
        Ok(found)
    }

    pub(super) async fn wallets_in(
        &self,
        partition: Partition,
    ) -> Result<Vec<WalletId>, LedgerError> {
        let mut members = ::redis::cmd("SMEMBERS");
        members.arg(self.layout.wallets(partition));
        let answer = self.ask_one(members).await?;
        let ids = reply::list(&answer).ok_or_else(malformed)?;
        let ids = ids
            .into_iter()
            .map(|id| id.parse().map_err(|_| malformed()));
        ids.collect()
    }

    async fn summed(&self, query: &ReceiptQuery, days: Range<i64>) -> Result<Rows, LedgerError> {
        let mut rows = Rows::new();
        for partition in partitions_of(query.wallet.as_ref()) {
            let wallets = match &query.wallet {
                Some(wallet) => vec![wallet.clone()],
                None => self.wallets_in(partition).await?,
            };
            for some in wallets.chunks(WALLETS_AT_ONCE) {
                let found = some.iter().map(|wallet| self.totals_of(wallet));
                for (field, content) in try_join_all(found).await?.into_iter().flatten() {
                    let (number, key, model) = field_of(&field).ok_or_else(malformed)?;
                    let asked = query.key.as_ref().is_none_or(|id| id.as_str() == key);
                    if asked && days.contains(&number) {
                        let tally = tally_of(&content).ok_or_else(malformed)?;
                        rows.entry((number, Arc::from(model)))
                            .or_default()
                            .join(&tally);
                    }
                }
            }
        }
        Ok(rows)
    }

    async fn summed_from_receipts(&self, query: &ReceiptQuery) -> Result<Rows, LedgerError> {
        let offset_ms = i64::from(query.utc_offset_minutes) * 60_000;
        let span = Span {
            from: query.from,
            to: query.to,
            wallet: query.wallet.as_ref(),
            ..Span::default()
        };
        let mut rows = Rows::new();
        for partition in partitions_of(query.wallet.as_ref()) {
            let mut pages = Pages::new(self, partition, span, PAGE_MAX);
            while let Some(page) = pages.next().await? {
                for kept in page {
                    let receipt = kept.receipt()?;
                    if query.key.as_ref().is_none_or(|key| receipt.key == *key) {
                        let number = (receipt.settled_at.0 + offset_ms).div_euclid(DAY_MS);
                        let row = rows.entry((number, receipt.model.clone())).or_default();
                        row.add(&receipt);
                    }
                }
            }
        }
        Ok(rows)
    }
}

/// The days that a query spans, if it spans whole days of this zone and wants them told as such.
fn whole_days(query: &ReceiptQuery, zone: &TimeZone, now: UnixMs) -> Option<Range<i64>> {
    let offset = |at: UnixMs| zone.to_offset(at.timestamp()).seconds() / 60;
    // Where clocks change within the span, callers name either of the offsets.
    let mut instants = [query.from, query.to, Some(now)].into_iter().flatten();
    if !instants.any(|at| offset(at) == query.utc_offset_minutes) {
        return None;
    }
    let beginning = |at: UnixMs| {
        let date = at.timestamp().to_zoned(zone.clone()).date();
        let midnight = date.to_zoned(zone.clone()).ok()?.timestamp();
        let number = date
            .duration_since(jiff::civil::date(1970, 1, 1))
            .as_hours()
            / 24;
        (midnight.as_millisecond() == at.0).then_some(number)
    };
    let from = match query.from {
        Some(from) => beginning(from)?,
        None => i64::MIN,
    };
    let to = match query.to {
        Some(to) => beginning(to)?,
        None => i64::MAX,
    };
    Some(from..to)
}

/// The day, key and model that a field of totals is of.
pub(super) fn field_of(field: &str) -> Option<(i64, &str, &str)> {
    let mut parts = field.splitn(3, '|');
    Some((parts.next()?.parse().ok()?, parts.next()?, parts.next()?))
}

/// Totals from their text: `name=count` each, `n` of requests, then money, grants and meters.
pub(super) fn tally_of(content: &str) -> Option<Tally> {
    let mut tally = Tally::default();
    for word in content.split(' ') {
        let (name, count) = word.split_once('=')?;
        let count: u64 = count.parse().ok()?;
        let sum = i128::from(count);
        match name {
            "n" => tally.receipts = count,
            "charged" => tally.charged = sum,
            "shortfall" => tally.shortfall = sum,
            "free_money" => tally.free_money = sum,
            "free_tokens" => tally.free_tokens = sum,
            "free_images" => tally.free_images = sum,
            "free_requests" => tally.free_requests = sum,
            name => {
                let meter = Meter::ALL.into_iter().find(|meter| meter.name() == name)?;
                tally.usage = tally.usage.with(meter, count);
            }
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    #[test]
    fn totals_are_read_from_their_text() {
        let max = u64::MAX;
        let tally = tally_of(&format!(
            "n=2 charged=70 free_tokens=5 requests=3 input={max}"
        ))
        .unwrap();
        assert_eq!(
            (tally.receipts, tally.charged, tally.free_tokens),
            (2, 70, 5)
        );
        let usage = Usage::NONE.with(Meter::Requests, 3).with(Meter::Input, max);
        assert_eq!(tally.usage, usage);
        for wrong in [
            "",
            "n",
            "n=",
            "n=-1",
            "n=18446744073709551616",
            "unheard=1",
            "n=1  n=1",
        ] {
            assert_eq!(tally_of(wrong), None, "{wrong}");
        }
        assert_eq!(field_of("20458|a:b|x|y"), Some((20458, "a:b", "x|y")));
        assert_eq!(field_of("|a|b"), None);
        assert_eq!(field_of("1|a"), None);
    }

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn query(from: Option<&str>, to: Option<&str>, utc_offset_minutes: i32) -> ReceiptQuery {
        ReceiptQuery {
            from: from.map(at),
            to: to.map(at),
            utc_offset_minutes,
            ..ReceiptQuery::default()
        }
    }

    #[test]
    fn whole_days_are_those_from_midnight_to_midnight_in_the_zone() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let now = at("2026-03-11T12:00:00Z");
        let days = |from, to, offset| whole_days(&query(from, to, offset), &zone, now);
        let (first, last) = ("2026-03-10T16:00:00Z", "2026-03-12T16:00:00Z");
        assert_eq!(days(Some(first), Some(last), 480), Some(20_523..20_525));
        assert_eq!(days(None, Some(last), 480), Some(i64::MIN..20_525));
        assert_eq!(days(None, None, 480), Some(i64::MIN..i64::MAX));
        assert_eq!(days(Some(first), Some(last), 0), None);
        assert_eq!(days(Some("2026-03-10T16:00:00.001Z"), None, 480), None);
        assert_eq!(day(20_523), "2026-03-11");
    }

    #[test]
    fn days_in_which_clocks_change_are_whole_days() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (winter, summer) = ("2026-03-27T23:00:00Z", "2026-03-31T22:00:00Z");
        let now = at("2026-03-20T12:00:00Z");
        let days = |offset| whole_days(&query(Some(winter), Some(summer), offset), &zone, now);
        assert_eq!(days(60), Some(20_540..20_544));
        assert_eq!(days(120), days(60));
        assert_eq!(days(0), None);
    }
}
