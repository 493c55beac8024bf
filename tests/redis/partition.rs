//! Where a wallet lies in the store, computed a second time.

use sha2::{Digest, Sha256};

/// One of the 1,024 partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition(pub u16);

impl Partition {
    pub fn of(wallet: &str) -> Partition {
        let digest = Sha256::digest(wallet.as_bytes());
        Partition(u16::from_be_bytes([digest[0], digest[1]]) % 1_024)
    }

    /// The name of a key in it.
    pub fn key(self, name: &str) -> String {
        format!("tollgate:{{{}}}:{name}", self.0)
    }
}
