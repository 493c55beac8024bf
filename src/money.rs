//! Money as exact integers: nano currency units, and exact unit prices.
//!
//! Nothing here rounds silently and nothing is a float. An amount is an `i64` of nano
//! units (1e-9 of the currency, so ±9.2 billion of it); a unit price is an `i128` of sixtieths
//! of an atto unit (1e-18), so that "0.8 per 1M tokens" is a whole number per token, and a price
//! per minute one per second.

mod factor;
mod text;
mod unit;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use factor::{Factor, Scale};
pub use text::NanoText;
pub use unit::{Atto, UnitPrice};

/// Nano units in one unit of currency.
pub const NANO_PER_UNIT: i64 = 1_000_000_000;
const NANO_DIGITS: u32 = 9;

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
    /// The text is no price of a unit.
    #[error("`{0}` is no price of a unit")]
    NoPrice(String),
    /// The number is no factor.
    #[error("`{0}` is not between 0 and 1000")]
    NoFactor(String),
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

    /// The amount as text.
    pub fn text(self) -> NanoText {
        NanoText::of(self.0)
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

/// Writes `value * 10^-digits` as a plain decimal without trailing zeros; there are 18 digits at most.
fn write_plain(f: &mut fmt::Formatter<'_>, value: i128, digits: u32) -> fmt::Result {
    let scale = 10_u64.pow(digits);
    let magnitude = value.unsigned_abs();
    if value < 0 {
        f.write_str("-")?;
    }
    let (whole, part) = match u64::try_from(magnitude) {
        Ok(small) => (u128::from(small / scale), small % scale),
        Err(_) => {
            let part = magnitude % u128::from(scale);
            let part = u64::try_from(part).expect("less than the scale");
            (magnitude / u128::from(scale), part)
        }
    };
    match u64::try_from(whole) {
        Ok(small) => fmt::Display::fmt(&small, f)?,
        Err(_) => fmt::Display::fmt(&whole, f)?,
    }
    write_part(f, part, digits)
}

/// Writes the digits after the point, and the point, where there are any.
fn write_part(f: &mut fmt::Formatter<'_>, mut part: u64, digits: u32) -> fmt::Result {
    if part == 0 {
        return Ok(());
    }
    let mut text = [b'0'; 19];
    let mut end = digits as usize + 1;
    text[0] = b'.';
    while part.is_multiple_of(10) {
        part /= 10;
        end -= 1;
    }
    for digit in text[1..end].iter_mut().rev() {
        *digit = b'0' + u8::try_from(part % 10).expect("a digit");
        part /= 10;
    }
    f.write_str(std::str::from_utf8(&text[..end]).expect("digits"))
}

impl fmt::Display for Nano {
    /// A plain decimal string without trailing zeros, such as `0.000868`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
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
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
