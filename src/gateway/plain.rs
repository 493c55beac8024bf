//! Text that is made of pieces, for headers and lines of the log: every request has many of both, and the machinery of
//! `core::fmt` costs more than the pieces do.

use std::fmt;
use std::net::IpAddr;

use crate::ledger::id::RequestId;
use crate::money::Nano;
use crate::usage::Usage;

/// What is written piece by piece, whatever takes the pieces.
pub trait Plain {
    /// Writes the text, the same that it displays as.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result;
}

impl Plain for &str {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self)
    }
}

impl Plain for String {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self)
    }
}

impl Plain for fmt::Arguments<'_> {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_fmt(*self)
    }
}

impl Plain for u64 {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(itoa::Buffer::new().format(*self))
    }
}

impl Plain for Nano {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self.text().as_str())
    }
}

impl Plain for RequestId {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self.text(&mut [0; RequestId::TEXT_BYTES]))
    }
}

impl Plain for IpAddr {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let IpAddr::V4(address) = self else {
            return write!(out, "{self}");
        };
        let mut dot = "";
        for octet in address.octets() {
            out.write_str(dot)?;
            out.write_str(itoa::Buffer::new().format(octet))?;
            dot = ".";
        }
        Ok(())
    }
}

impl Plain for Usage {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.write_to(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::Meter;

    fn plain(value: impl Plain) -> String {
        let mut text = String::new();
        value.write(&mut text).expect("a text takes every text");
        text
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_displayed(
            number: u64,
            nano: i64,
            id: [u8; 16],
            address: IpAddr,
            counts in prop::collection::vec((prop::sample::select(&Meter::ALL[..]), any::<u64>()), 0..4),
        ) {
            prop_assert_eq!(plain(number), number.to_string());
            prop_assert_eq!(plain(Nano::new(nano)), Nano::new(nano).to_string());
            let id = RequestId::from_bytes(id);
            prop_assert_eq!(plain(id), format!("req_{}", uuid::Uuid::from_bytes(*id.as_bytes()).simple()));
            prop_assert_eq!(plain(address), address.to_string());
            let usage = counts.iter().fold(Usage::NONE, |usage, (meter, count)| usage.with(*meter, *count));
            let pairs: Vec<String> = usage.iter().map(|(meter, count)| format!("{}={count}", meter.name())).collect();
            prop_assert_eq!(plain(usage), pairs.join(", "));
            prop_assert_eq!(usage.to_string(), pairs.join(", "));
        }
    }
}
