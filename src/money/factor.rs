//! What prices are multiplied by: a key's multiplier, a rule of hours, and the two together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MoneyError, scaled, write_plain};

/// A factor has at most this many digits after the point.
const DIGITS: u32 = 4;
const ONE: u32 = 10_u32.pow(DIGITS);

/// A factor as people write it: 0 to 1000, with at most 4 digits after the point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(u32);

impl Factor {
    /// Changes nothing.
    pub const ONE: Factor = Factor(ONE);
    /// The largest.
    pub const MAX: Factor = Factor(1_000 * ONE);

    /// Whether it changes nothing.
    pub fn is_one(&self) -> bool {
        *self == Factor::ONE
    }
}

impl Default for Factor {
    fn default() -> Self {
        Factor::ONE
    }
}

impl FromStr for Factor {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let units = scaled(text.trim(), DIGITS)?;
        u32::try_from(units)
            .ok()
            .map(Factor)
            .filter(|factor| *factor <= Factor::MAX)
            .ok_or_else(|| MoneyError::NoFactor(text.to_owned()))
    }
}

impl fmt::Display for Factor {
    /// A plain decimal string without trailing zeros, such as `0.8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plain(f, i128::from(self.0), DIGITS)
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factor({self})")
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The exact product of two factors, in units of 1e-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scale(u64);

impl Scale {
    /// Changes nothing.
    pub const ONE: Scale = Scale(Scale::PER_ONE);
    /// Units in 1.
    pub(super) const PER_ONE: u64 = (ONE as u64).pow(2);

    /// `a` times `b`.
    pub fn of(a: Factor, b: Factor) -> Self {
        Scale(u64::from(a.0) * u64::from(b.0))
    }

    /// Whether it makes everything free.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// In units of 1e-8.
    pub(super) fn units(self) -> i128 {
        i128::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_read_exactly_and_printed_without_trailing_zeros() {
        for (text, printed) in [
            ("0", "0"),
            ("0.0001", "0.0001"),
            ("0.80", "0.8"),
            ("1", "1"),
            ("1000.0000", "1000"),
        ] {
            let factor: Factor = text.parse().expect(text);
            assert_eq!(factor.to_string(), printed);
            let json = serde_json::to_string(&factor).expect("a text");
            assert_eq!(json, format!("\"{printed}\""));
            assert_eq!(serde_json::from_str::<Factor>(&json).ok(), Some(factor));
        }
        assert!(Factor::default().is_one());
    }

    #[test]
    fn texts_that_are_no_factor_are_refused() {
        for text in ["", "-0.5", "1000.0001", "4294967296", "0.00001", "1e2", "x"] {
            assert!(text.parse::<Factor>().is_err(), "{text}");
        }
    }
}
