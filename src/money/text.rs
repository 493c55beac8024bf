//! An amount's digits, on the stack: every answer has several amounts in its headers and its line of the log.

use super::NANO_PER_UNIT;

/// The longest is `-9223372036.854775808`.
const BYTES: usize = 21;
const DIGITS: usize = 9;

/// An amount of money as a plain decimal without trailing zeros, such as `0.000868`.
#[derive(Clone, Copy, Debug)]
pub struct NanoText {
    /// The text stands at the end.
    bytes: [u8; BYTES],
    start: usize,
}

impl NanoText {
    pub(super) fn of(nano: i64) -> Self {
        let mut text = NanoText {
            bytes: [0; BYTES],
            start: BYTES,
        };
        let scale = NANO_PER_UNIT.unsigned_abs();
        let magnitude = nano.unsigned_abs();
        let (whole, mut part) = (magnitude / scale, magnitude % scale);
        if part > 0 {
            let mut digits = DIGITS;
            while part.is_multiple_of(10) {
                part /= 10;
                digits -= 1;
            }
            for _ in 0..digits {
                let digit = u8::try_from(part % 10).expect("a digit");
                text.put_before(&[b'0' + digit]);
                part /= 10;
            }
            text.put_before(b".");
        }
        text.put_before(itoa::Buffer::new().format(whole).as_bytes());
        if nano < 0 {
            text.put_before(b"-");
        }
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).expect("digits, a point and a sign")
    }

    fn put_before(&mut self, bytes: &[u8]) {
        let end = self.start;
        self.start -= bytes.len();
        self.bytes[self.start..end].copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Nano;
    use super::*;

    fn slowly(nano: i64) -> String {
        let magnitude = nano.unsigned_abs();
        let sign = if nano < 0 { "-" } else { "" };
        let scale = 1_000_000_000;
        let text = format!("{sign}{}.{:09}", magnitude / scale, magnitude % scale);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn check(nano: i64) {
        assert_eq!(NanoText::of(nano).as_str(), slowly(nano));
        assert_eq!(Nano::new(nano).to_string(), slowly(nano));
    }

    #[test]
    fn the_ends_of_the_range_fit() {
        for nano in [
            i64::MIN,
            i64::MIN + 1,
            i64::MAX,
            0,
            1,
            -1,
            10,
            1_000_000_000,
        ] {
            check(nano);
        }
    }

    proptest! {
        #[test]
        fn every_amount_is_written_as_its_digits_say(nano: i64, shift in 0_u32..63, zeros in 0_u32..12) {
            check(nano);
            let small = nano >> shift;
            check(small);
            check(small.wrapping_mul(10_i64.pow(zeros)));
        }
    }
}
