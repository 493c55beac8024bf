//! Memory budgets: bytes are reserved before they are read, and given back when their owner goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A number of bytes that all requests share.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cap: u64,
    used: AtomicU64,
}

/// Bytes taken from a budget; dropping it gives them back.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    bytes: u64,
}

/// The budget has no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Budget {
    /// A budget of `cap` bytes.
    pub fn new(cap: u64) -> Self {
        Budget(Arc::new(Shared {
            cap,
            used: AtomicU64::new(0),
        }))
    }

    /// Takes `bytes`, or nothing.
    pub fn reserve(&self, bytes: u64) -> Result<Reserved, Full> {
        self.take(bytes)?;
        Ok(Reserved {
            budget: self.clone(),
            bytes,
        })
    }

    /// Bytes taken now.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The most bytes.
    pub fn cap(&self) -> u64 {
        self.0.cap
    }

    fn take(&self, bytes: u64) -> Result<(), Full> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.0.cap);
        self.0
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| ())
            .map_err(|_| Full)
    }
}

impl Reserved {
    /// Makes the reservation at least `bytes` large; takes more only where that is needed.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Full> {
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Reserved {
    /// Ties the reservation to the bytes that it was made for: it is given back when the last slice of
    /// them goes, however long a slow client takes to read them.
    pub fn of(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Owned {
            bytes,
            _reserved: self,
        })
    }
}

/// Bytes with their reservation.
struct Owned {
    bytes: Bytes,
    _reserved: Reserved,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_reservation_until_the_last_slice_of_them_goes() {
        let budget = Budget::new(10);
        let reserved = budget.reserve(4).expect("room for 4");
        let mut bytes = reserved.of(Bytes::from_static(b"abcd"));
        let slice = bytes.split_to(1);
        drop(bytes);
        assert_eq!((budget.used(), &*slice), (4, &b"a"[..]));
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_full_budget_refuses_and_a_dropped_reservation_makes_room() {
        let budget = Budget::new(10);
        let mut first = budget.reserve(4).expect("room for 4");
        assert_eq!(first.grow_to(8), Ok(()));
        assert_eq!(first.grow_to(2), Ok(()), "never shrinks");
        assert_eq!(budget.used(), 8);
        assert_eq!(budget.reserve(3).map(|_| ()), Err(Full));
        assert_eq!(budget.reserve(u64::MAX).map(|_| ()), Err(Full));
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.reserve(10).is_ok());
    }
}
