//! Text that is made of pieces, for headers and lines of the log: every request has many of both, and the machinery of
//! `core::fmt` costs more than the pieces do.

use std::fmt;

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

impl Plain for Usage {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.write_to(out)
    }
}
