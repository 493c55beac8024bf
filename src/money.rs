//! Money as exact integers: nano currency units, and exact unit prices.
//!
//! Nothing here rounds silently and nothing is a float. An amount is an `i64` of nano
//! units (1e-9 of the currency, so ±9.2 billion of it); a unit price is an `i128` of atto
//! units (1e-18), so that "0.8 per 1M tokens" is a whole number per token.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nano units in one unit of currency.
pub const NANO_PER_UNIT: i64 = 1_000_000_000;
const NANO_DIGITS: u32 = 9;
const ATTO_DIGITS: u32 = 18;
const ATTO_PER_NANO: i128 = 1_000_000_000;

/// An amount of money in nano units (1e-9) of the ledger's one currency.
///
/// Arithmetic is checked: a sum that leaves the range of `i64` is `None`, never a wrap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nano(i64);

/// Why a text is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("`{0}` is not a decimal number such as 12.50")]
    NotDecimal(String),
    /// More digits after the point than the unit can hold.
    #[error("`{text}` has more than {digits} digits after the decimal point")]
    TooFine {
        /// The text as given.
        text: String,
        /// How many digits fit.
        digits: u32,
    },
    /// The amount does not fit.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

impl Nano {
    /// No money.
    pub const ZERO: Nano = Nano(0);
    /// The largest amount.
    pub const MAX: Nano = Nano(i64::MAX);

    /// The amount of `nano` nano units.
    pub const fn new(nano: i64) -> Self {
        Nano(nano)
    }

    /// The amount in nano units.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// `self + other`, or `None` beyond the range.
    pub fn checked_add(self, other: Nano) -> Option<Nano> {
        self.0.checked_add(other.0).map(Nano)
    }

    /// `self - other`, or `None` beyond the range.
    pub fn checked_sub(self, other: Nano) -> Option<Nano> {
        self.0.checked_sub(other.0).map(Nano)
    }

    /// `self` times a count, or `None` beyond the range.
    pub fn checked_mul(self, count: u64) -> Option<Nano> {
        self.0.checked_mul(i64::try_from(count).ok()?).map(Nano)
    }

    /// Whether this is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether this is exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Writes `value * 10^-digits` as a plain decimal without trailing zeros.
fn write_plain(f: &mut fmt::Formatter<'_>, value: i128, digits: u32) -> fmt::Result {
    let scale = 10_u128.pow(digits);
    let magnitude = value.unsigned_abs();
    let (whole, rest) = (magnitude / scale, magnitude % scale);
    if value < 0 {
        f.write_str("-")?;
    }
    write!(f, "{whole}")?;
    if rest != 0 {
        let fraction = format!("{rest:0width$}", width = digits as usize);
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    Ok(())
}

impl fmt::Display for Nano {
    /// A plain decimal string without trailing zeros, such as `0.000868`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plain(f, i128::from(self.0), NANO_DIGITS)
    }
}

impl fmt::Debug for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nano({self})")
    }
}

/// Reads a plain decimal and scales it to `10^-digits` units, exactly.
fn scaled(text: &str, digits: u32) -> Result<i128, MoneyError> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    if !plain {
        return Err(MoneyError::NotDecimal(text.to_owned()));
    }
    let decimal =
        Decimal::from_str_exact(text).map_err(|_| MoneyError::NotDecimal(text.to_owned()))?;
    scale_decimal(decimal, digits).ok_or_else(|| {
        if decimal.normalize().scale() > digits {
            MoneyError::TooFine {
                text: text.to_owned(),
                digits,
            }
        } else {
            MoneyError::TooLarge(text.to_owned())
        }
    })
}

fn scale_decimal(decimal: Decimal, digits: u32) -> Option<i128> {
    let decimal = decimal.normalize();
    let shift = digits.checked_sub(decimal.scale())?;
    decimal.mantissa().checked_mul(10_i128.checked_pow(shift)?)
}

impl FromStr for Nano {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let nano = scaled(text.trim(), NANO_DIGITS)?;
        i64::try_from(nano)
            .map(Nano)
            .map_err(|_| MoneyError::TooLarge(text.to_owned()))
    }
}

impl Serialize for Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact, non-negative price of one unit (a token, an image, a second), in atto units (1e-18).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnitPrice(i128);

impl UnitPrice {
    /// Nothing.
    pub const ZERO: UnitPrice = UnitPrice(0);

    /// The price of one unit where `per` units cost `price`.
    ///
    /// `None` if the price is negative, if `per` is not a power of ten, or if the quotient is
    /// finer than 1e-18 or larger than the range.
    pub fn per(price: Decimal, per: u64) -> Option<Self> {
        let per_digits = per.checked_ilog10()?;
        if 10_u64.checked_pow(per_digits)? != per || price.is_sign_negative() {
            return None;
        }
        scale_decimal(price, ATTO_DIGITS.checked_sub(per_digits)?).map(UnitPrice)
    }

    /// The exact cost of `count` units, in atto units; `None` on overflow.
    pub fn times(self, count: u64) -> Option<Atto> {
        self.0.checked_mul(i128::from(count)).map(Atto)
    }

    /// This price rounded *up* to a nano: what a hold reserves for one unit.
    pub fn nano_ceil(self) -> Option<Nano> {
        let nano = self.0.checked_add(ATTO_PER_NANO - 1)? / ATTO_PER_NANO;
        i64::try_from(nano).ok().map(Nano)
    }

    /// Whether a unit costs nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plain(f, self.0, ATTO_DIGITS)
    }
}

impl fmt::Debug for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnitPrice({self})")
    }
}

/// An exact cost in atto units, on its way to being rounded once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Atto(i128);

impl fmt::Display for Atto {
    /// A plain decimal string without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plain(f, self.0, ATTO_DIGITS)
    }
}

impl Atto {
    /// No cost.
    pub const ZERO: Atto = Atto(0);

    /// `self + other`, or `None` beyond the range.
    pub fn checked_add(self, other: Atto) -> Option<Atto> {
        self.0.checked_add(other.0).map(Atto)
    }

    /// The cost rounded half to even to a nano; `None` if that does not fit.
    pub fn round(self) -> Option<Nano> {
        let (whole, rest) = (
            self.0.div_euclid(ATTO_PER_NANO),
            self.0.rem_euclid(ATTO_PER_NANO),
        );
        let half = ATTO_PER_NANO / 2;
        let up = rest > half || (rest == half && whole % 2 != 0);
        i64::try_from(whole.checked_add(i128::from(up))?)
            .ok()
            .map(Nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::from_str_exact(text).expect("a decimal")
    }

    #[test]
    fn amounts_print_without_trailing_zeros_and_read_back() {
        for (nano, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (868_000, "0.000868"),
            (-1_500_000_000, "-1.5"),
            (10_000_000_000, "10"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(Nano::new(nano).to_string(), text);
            assert_eq!(text.parse(), Ok(Nano::new(nano)));
        }
    }

    #[test]
    fn texts_that_are_no_exact_amount_are_refused() {
        for text in ["", "1e3", "abc", "1,5", "0x1", "NaN", "1_000"] {
            assert!(
                matches!(text.parse::<Nano>(), Err(MoneyError::NotDecimal(_))),
                "{text}"
            );
        }
        assert!(matches!(
            "0.0000000001".parse::<Nano>(),
            Err(MoneyError::TooFine { .. })
        ));
        assert!(matches!(
            "9223372036.854775808".parse::<Nano>(),
            Err(MoneyError::TooLarge(_))
        ));
    }

    #[test]
    fn a_charge_rounds_once_half_to_even() {
        let half = UnitPrice::per(decimal("0.0005"), 1_000_000).expect("exact");
        assert_eq!(half.to_string(), "0.0000000005");
        let charged = |count| half.times(count).and_then(Atto::round).map(Nano::get);
        assert_eq!(charged(1), Some(0));
        assert_eq!(charged(2), Some(1));
        assert_eq!(charged(3), Some(2));
        assert_eq!(charged(5), Some(2));
        assert_eq!(half.nano_ceil(), Some(Nano::new(1)));
    }

    #[test]
    fn prices_that_are_not_exact_are_refused() {
        assert_eq!(UnitPrice::per(decimal("1"), 3), None);
        assert_eq!(UnitPrice::per(decimal("-1"), 1), None);
        assert_eq!(UnitPrice::per(decimal("0.0000000000001"), 1_000_000), None);
        assert_eq!(UnitPrice::per(decimal("1"), 0), None);
    }
}
