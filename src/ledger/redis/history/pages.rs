//! The receipts of one partition, page by page.

use std::fmt;

use ::redis::Value;

use super::super::Redis;
use super::super::hold::{Args, Call, from_json, request_of};
use super::super::layout::{Partition, request_hex};
use super::super::reply::{self, malformed};
use super::super::settle::decided;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::{RequestId, WalletId};
use crate::ledger::receipt::Receipt;

/// The most entries that are looked at in one call.
pub const PAGE_MAX: u32 = 500;

/// Where an entry stands in its stream: when it was settled, and which of that millisecond it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In milliseconds since 1970.
    pub at: u64,
    number: u64,
}

impl Place {
    /// The place that a text names.
    pub fn read(text: &str) -> Option<Place> {
        let (at, number) = text.split_once('-')?;
        Some(Place {
            at: at.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.number)
    }
}

/// An entry of the stream.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it stands.
    pub place: Place,
    /// Whose it is, as it says.
    pub wallet: String,
    /// How far its request is, by the first letter of what is remembered of it; empty where nothing is, or where
    /// that was not asked.
    pub phase: String,
    request: String,
    fixed: String,
    decided: String,
}

impl Kept {
    /// The receipt.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be read.
    pub fn receipt(&self) -> Result<Receipt, LedgerError> {
        let receipt = decided(from_json(&self.fixed)?, &self.decided).ok_or_else(malformed)?;
        let same = request_of(&self.request)? == receipt.request_id
            && receipt.wallet.as_str() == self.wallet
            && u64::try_from(receipt.settled_at.0) == Ok(self.place.at);
        Some(receipt).filter(|_| same).ok_or_else(malformed)
    }

    fn read(value: &Value) -> Option<Kept> {
        let Value::Array(entry) = value else {
            return None;
        };
        let fields = reply::list(entry.get(1)?)?;
        let field = |name: &str| {
            let mut pairs = fields.chunks_exact(2);
            let pair = pairs.find(|pair| pair[0] == name);
            pair.map(|pair| pair[1].to_owned()).unwrap_or_default()
        };
        Some(Kept {
            place: Place::read(reply::text(entry.first()?)?)?,
            wallet: field("w"),
            request: field("q"),
            fixed: field("r"),
            decided: field("d"),
            phase: match entry.get(2) {
                Some(phase) => reply::text(phase)?.to_owned(),
                None => String::new(),
            },
        })
    }
}

/// Which entries of a stream, and in which order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    /// Settled at or after.
    pub from: Option<UnixMs>,
    /// Settled before.
    pub to: Option<UnixMs>,
    /// The newest first.
    pub backwards: bool,
    /// Of this wallet only.
    pub wallet: Option<&'a WalletId>,
    /// Of this request only.
    pub request: Option<RequestId>,
    /// Whether to ask how far each request is.
    pub phases: bool,
}

/// A way through a stream.
pub struct Pages<'a> {
    redis: &'a Redis,
    span: Span<'a>,
    partition: Partition,
    /// Where the next page begins; `None` after the last.
    next: Option<String>,
    until: String,
    size: u32,
}

impl<'a> Pages<'a> {
    /// Through this span, looking at `size` entries first, and at more with every page.
    pub fn new(redis: &'a Redis, partition: Partition, span: Span<'a>, size: u32) -> Pages<'a> {
        // Nothing was ever settled before 1970.
        let lowest = span.from.map_or(0, |from| from.0.max(0)).to_string();
        let highest = match span.to {
            Some(to) => (to.0 > 0).then(|| (to.0 - 1).to_string()),
            None => Some("+".to_owned()),
        };
        let (next, until) = match (span.backwards, highest) {
            (_, None) => (None, String::new()),
            (true, Some(highest)) => (Some(highest), lowest),
            (false, Some(highest)) => (Some(lowest), highest),
        };
        Pages {
            redis,
            span,
            partition,
            next,
            until,
            size: size.clamp(1, PAGE_MAX),
        }
    }

    /// The entries of the next page that were asked for, which may be none; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    pub async fn next(&mut self) -> Result<Option<Vec<Kept>>, LedgerError> {
        let Some(next) = self.next.take() else {
            return Ok(None);
        };
        let span = &self.span;
        let mut args = Args::default();
        args.text(if span.backwards {
            "XREVRANGE"
        } else {
            "XRANGE"
        });
        args.text(&next);
        args.text(&self.until);
        args.number(self.size);
        args.text(span.wallet.map_or("", |wallet| wallet.as_str()));
        args.text(&span.request.map(request_hex).unwrap_or_default());
        args.flag(span.phases);
        let call = Call {
            keys: vec![self.redis.layout.receipts(self.partition)],
            args: args.0,
        };
        let scripts = self.redis.scripts;
        let reply = self.redis.call(self.partition, &scripts.page, call).await?;
        if reply.number::<u32>(1)? >= self.size {
            self.next = Some(format!("({}", reply.text(2)?));
        }
        self.size = self.size.saturating_mul(2).min(PAGE_MAX);
        let found = reply.values(3)?.iter().map(Kept::read);
        found.collect::<Option<_>>().map(Some).ok_or_else(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_and_stand_in_order() {
        let place = Place::read("1767571200000-3").unwrap();
        assert_eq!(place.to_string(), "1767571200000-3");
        assert!(place < Place::read("1767571200000-10").unwrap());
        assert!(place > Place::read("1767571199999-99").unwrap());
        for wrong in ["", "1", "1-", "-1", "1-x", "1-2-3"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_entry_that_is_none_is_not_read() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let fields = Value::Array(vec![text("w"), text("acme"), text("q"), text("00")]);
        let kept = Kept::read(&Value::Array(vec![text("7-1"), fields.clone()])).unwrap();
        assert_eq!(
            (kept.place.at, &*kept.wallet, &*kept.phase),
            (7, "acme", "")
        );
        assert!(kept.receipt().is_err());
        assert!(Kept::read(&Value::Array(vec![text("7"), fields])).is_none());
        assert!(Kept::read(&Value::Array(vec![text("7-1")])).is_none());
        assert!(Kept::read(&Value::Nil).is_none());
    }
}
