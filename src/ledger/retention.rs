//! How long receipts are told one by one, before they are folded into their wallet's checkpoint.

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clock::UnixMs;

/// Whole days in a time zone, so that no day's totals are told in part.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How many days before today are kept.
    pub days: u64,
    /// Where days begin.
    pub zone: TimeZone,
}

impl Retention {
    /// The first day whose receipts are kept.
    pub fn first_day(&self, now: UnixMs) -> Date {
        let today = now.timestamp().to_zoned(self.zone.clone()).date();
        let days = i64::try_from(self.days).unwrap_or(i64::MAX);
        Span::new()
            .try_days(days)
            .and_then(|span| today.checked_sub(span))
            .unwrap_or(Date::MIN)
    }

    /// Receipts settled before this are folded.
    pub fn kept_from(&self, now: UnixMs) -> UnixMs {
        let midnight = self.first_day(now).to_zoned(self.zone.clone());
        // Beyond the calendar's edge nothing was ever settled.
        midnight.map_or(UnixMs(i64::MIN), |midnight| {
            UnixMs(midnight.timestamp().as_millisecond())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn at_least_the_days_are_kept_and_a_day_is_kept_or_folded_whole() {
        let retention = Retention {
            days: 2,
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
        };
        for now in ["2026-03-10T16:00:00Z", "2026-03-11T15:59:59.999Z"] {
            assert_eq!(retention.kept_from(at(now)), at("2026-03-08T16:00:00Z"));
            assert_eq!(retention.first_day(at(now)).to_string(), "2026-03-09");
        }
        assert_eq!(
            retention.kept_from(at("2026-03-11T16:00:00Z")),
            at("2026-03-09T16:00:00Z")
        );
    }

    #[test]
    fn days_of_23_and_25_hours_are_days() {
        let retention = Retention {
            days: 2,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        let now = at("2026-03-30T10:00:00Z");
        assert_eq!(retention.kept_from(now), at("2026-03-27T23:00:00Z"));
        let ages = Retention {
            days: u64::MAX,
            ..retention
        };
        assert!(ages.kept_from(now) < at("0000-01-01T00:00:00Z"));
    }
}
