//! What prices are multiplied by at which hours of the day.

use jiff::tz::TimeZone;

use crate::clock::UnixMs;
use crate::money::Factor;

const DAY_MINUTES: u16 = 24 * 60;

/// A factor for a part of every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourRule {
    /// Its first minute of the day.
    pub from: u16,
    /// The minute that it ends before; not after `from` where it ends on the next day.
    pub to: u16,
    /// The factor.
    pub times: Factor,
}

/// The rules of a version, and the time zone in which they are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    zone: TimeZone,
    rules: Vec<HourRule>,
}

impl HourRule {
    /// Whether it is in force at a minute of the day.
    pub fn covers(&self, minute: u16) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }

    /// A minute of the day as people write it.
    pub fn clock(minute: u16) -> String {
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

impl Default for Hours {
    fn default() -> Self {
        Hours::new(TimeZone::UTC, Vec::new())
    }
}

impl Hours {
    /// Rules in any order.
    pub(super) fn new(zone: TimeZone, mut rules: Vec<HourRule>) -> Self {
        for rule in &mut rules {
            rule.to %= DAY_MINUTES;
        }
        rules.sort_unstable();
        Hours { zone, rules }
    }

    /// The rules, the earliest first.
    pub fn rules(&self) -> &[HourRule] {
        &self.rules
    }

    /// The zone's name.
    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The factor at a time: 1 where no rule is in force, the largest where several are.
    pub(super) fn factor(&self, at: UnixMs) -> Factor {
        if self.rules.is_empty() {
            return Factor::ONE;
        }
        let local = at.timestamp().to_zoned(self.zone.clone());
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let minute = u16::try_from(minute).unwrap_or(0);
        let in_force = self.rules.iter().filter(|rule| rule.covers(minute));
        in_force.map(|rule| rule.times).max().unwrap_or_default()
    }
}
