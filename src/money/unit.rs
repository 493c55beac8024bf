//! Exact prices of one unit, and exact costs on their way to being rounded once.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MoneyError, Nano, Scale, scale_decimal, write_plain};

const ATTO_DIGITS: u32 = 18;
/// Parts of an atto unit: a price per minute is so many of them per second.
const PARTS: i128 = 60;
/// What a nano is in parts, times the units of a scale.
const ROUNDING: i128 = 1_000_000_000 * PARTS * Scale::PER_ONE as i128;

/// An exact, non-negative price of one unit (a token, an image, a second), in sixtieths of an atto
/// unit (1e-18).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnitPrice(i128);

impl UnitPrice {
    /// Nothing.
    pub const ZERO: UnitPrice = UnitPrice(0);

    /// The price of one unit where `per` units cost `price`.
    ///
    /// `None` if the price is negative, if `per` is neither a power of ten nor 60, or if the
    /// quotient is finer than 1e-18 (for 60, the price) or larger than the range.
    pub fn per(price: Decimal, per: u64) -> Option<Self> {
        if price.is_sign_negative() {
            return None;
        }
        if i128::from(per) == PARTS {
            return scale_decimal(price, ATTO_DIGITS).map(UnitPrice);
        }
        let per_digits = per.checked_ilog10()?;
        if 10_u64.checked_pow(per_digits)? != per {
            return None;
        }
        let atto = scale_decimal(price, ATTO_DIGITS.checked_sub(per_digits)?)?;
        atto.checked_mul(PARTS).map(UnitPrice)
    }

    /// The exact cost of `count` units; `None` on overflow.
    pub fn times(self, count: u64) -> Option<Atto> {
        self.0.checked_mul(i128::from(count)).map(Atto)
    }

    /// This price times `scale`, rounded *up* to a nano: what a hold reserves for one unit.
    pub fn nano_ceil(self, scale: Scale) -> Option<Nano> {
        let exact = self.0.checked_mul(scale.units())?;
        let nano = exact.checked_add(ROUNDING - 1)? / ROUNDING;
        i64::try_from(nano).ok().map(Nano)
    }

    /// Whether a unit costs nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for UnitPrice {
    /// A plain decimal, or the price of sixty units and `/60` where one has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Atto(self.0).fmt(f)
    }
}

impl FromStr for UnitPrice {
    type Err = MoneyError;

    /// Reads what it prints.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (price, per) = match text.strip_suffix("/60") {
            Some(price) => (price, 60),
            None => (text, 1),
        };
        let price = Decimal::from_str_exact(price).ok();
        let unit = price.and_then(|price| UnitPrice::per(price, per));
        unit.ok_or_else(|| MoneyError::NoPrice(text.to_owned()))
    }
}

impl Serialize for UnitPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnitPrice({self})")
    }
}

/// An exact cost in sixtieths of an atto unit, on its way to being rounded once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Atto(i128);

impl fmt::Display for Atto {
    /// A plain decimal string without trailing zeros, or sixty times it and `/60`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % PARTS {
            0 => write_plain(f, self.0 / PARTS, ATTO_DIGITS),
            _ => {
                write_plain(f, self.0, ATTO_DIGITS)?;
                f.write_str("/60")
            }
        }
    }
}

impl Atto {
    /// No cost.
    pub const ZERO: Atto = Atto(0);

    /// `self + other`, or `None` beyond the range.
    pub fn checked_add(self, other: Atto) -> Option<Atto> {
        self.0.checked_add(other.0).map(Atto)
    }

    /// The cost times `scale`, rounded half to even to a nano; `None` if that does not fit.
    pub fn round(self, scale: Scale) -> Option<Nano> {
        let exact = self.0.checked_mul(scale.units())?;
        let (whole, rest) = (exact.div_euclid(ROUNDING), exact.rem_euclid(ROUNDING));
        let half = ROUNDING / 2;
        let up = rest > half || (rest == half && whole % 2 != 0);
        i64::try_from(whole.checked_add(i128::from(up))?)
            .ok()
            .map(Nano)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Factor;
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    fn scale(a: &str, b: &str) -> Scale {
        let factor = |text: &str| text.parse::<Factor>().expect(text);
        Scale::of(factor(a), factor(b))
    }

    #[test]
    fn a_charge_rounds_once_half_to_even() {
        let half = UnitPrice::per(decimal("0.0005"), 1_000_000).expect("exact");
        assert_eq!(half.to_string(), "0.0000000005");
        let charged = |count| {
            let cost = half.times(count).expect("in range");
            cost.round(Scale::ONE).map(Nano::get)
        };
        assert_eq!(charged(1), Some(0));
        assert_eq!(charged(2), Some(1));
        assert_eq!(charged(3), Some(2));
        assert_eq!(charged(5), Some(2));
        assert_eq!(half.nano_ceil(Scale::ONE), Some(Nano::new(1)));
    }

    #[test]
    fn a_price_per_minute_is_exact_per_second() {
        let price = UnitPrice::per(decimal("0.01"), 60).expect("exact");
        assert_eq!(price.to_string(), "0.01/60");
        let charged = |seconds| {
            let cost = price.times(seconds).expect("in range");
            cost.round(Scale::ONE).map(Nano::get)
        };
        // 0.01 / 60 is 166,666.666... nano a second.
        assert_eq!(charged(1), Some(166_667));
        assert_eq!(charged(2), Some(333_333));
        assert_eq!(charged(3), Some(500_000));
        assert_eq!(price.nano_ceil(Scale::ONE), Some(Nano::new(166_667)));
        assert_eq!("0.01/60".parse(), Ok(price));
        assert_eq!(
            "0.000001".parse().ok(),
            UnitPrice::per(decimal("1"), 1_000_000)
        );
        for wrong in ["", "-1", "1/6", "0.01/60/60", "1e-6"] {
            assert!(wrong.parse::<UnitPrice>().is_err(), "{wrong}");
        }
        let whole = UnitPrice::per(decimal("0.006"), 60);
        assert_eq!(whole, UnitPrice::per(decimal("0.0001"), 1));
        assert_eq!(
            price.times(60).map(|cost| cost.to_string()),
            Some("0.01".to_owned())
        );
    }

    #[test]
    fn a_scale_applies_before_the_one_rounding() {
        let price = UnitPrice::per(decimal("0.000000003"), 1).expect("exact");
        let cost = price.times(1).expect("in range");
        let charged = |scale| cost.round(scale).map(Nano::get);
        assert_eq!(charged(scale("0.5", "1")), Some(2));
        assert_eq!(charged(scale("0.5", "0.3333")), Some(0));
        assert_eq!(charged(scale("0.5", "0.3334")), Some(1));
        assert_eq!(
            price.nano_ceil(scale("0.0001", "0.0001")),
            Some(Nano::new(1))
        );
        assert_eq!(price.nano_ceil(scale("0", "1000")), Some(Nano::ZERO));
        assert_eq!(
            price.nano_ceil(scale("1000", "1000")),
            Some(Nano::new(3_000_000))
        );
        assert!(scale("0", "2").is_zero());
    }

    #[test]
    fn what_leaves_the_range_has_no_price() {
        let price = UnitPrice::per(decimal("1000000"), 1).expect("exact");
        assert_eq!(price.nano_ceil(scale("1000", "1000")), None);
        assert_eq!(price.times(u64::MAX), None);
        let cost = price.times(1 << 20).expect("in range");
        assert_eq!(cost.round(scale("1000", "1000")), None);
    }

    #[test]
    fn prices_that_are_not_exact_are_refused() {
        assert_eq!(UnitPrice::per(decimal("1"), 3), None);
        assert_eq!(UnitPrice::per(decimal("-1"), 1), None);
        assert_eq!(UnitPrice::per(decimal("0.0000000000001"), 1_000_000), None);
        assert_eq!(UnitPrice::per(decimal("1"), 0), None);
    }
}
