//! Where everything lies in Redis: the names of keys, and the partition of a wallet.
//!
//! All keys of a wallet carry the hash tag of its partition, so that one server-side call can touch them all
//! in a cluster too. docs/redis.md has a table of what each key holds.

use std::fmt::{Display, Write};

use sha2::{Digest, Sha256};

use crate::ledger::id::{EntryId, KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::object::{ObjectKind, ObjectRef};

/// How many partitions there are: fixed for the life of a store.
pub const PARTITIONS: u16 = 1024;

/// One of the fixed parts that wallets are spread over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// The partition of a wallet: two bytes of its id's SHA-256, modulo [`PARTITIONS`].
    pub fn of(wallet: &WalletId) -> Partition {
        let hash = Sha256::digest(wallet.as_str().as_bytes());
        Partition(u16::from_be_bytes([hash[0], hash[1]]) % PARTITIONS)
    }

    /// The partition of this number; `None` beyond [`PARTITIONS`].
    pub fn new(number: u16) -> Option<Partition> {
        (number < PARTITIONS).then_some(Partition(number))
    }

    /// All partitions, in order.
    pub fn all() -> impl Iterator<Item = Partition> {
        (0..PARTITIONS).map(Partition)
    }

    /// Its number, below [`PARTITIONS`].
    pub fn number(self) -> u16 {
        self.0
    }
}

/// Names keys under one prefix.
#[derive(Clone, Debug)]
pub struct Layout {
    prefix: String,
}

impl Layout {
    /// Under this prefix; other programs' keys in the same store have others.
    pub fn new(prefix: &str) -> Layout {
        Layout {
            prefix: prefix.to_owned(),
        }
    }

    /// What the store says of itself.
    pub fn store(&self) -> Vec<u8> {
        self.global("meta", "")
    }

    /// The proxies that are present.
    pub fn proxies(&self) -> Vec<u8> {
        self.global("proxies", "")
    }

    /// Directory: which wallet a key is of, and its digest.
    pub fn key(&self, key: &KeyId) -> Vec<u8> {
        self.global("key:", key)
    }

    /// Directory: whose digest this is.
    pub fn digest(&self, digest: &KeyDigest) -> Vec<u8> {
        self.global("digest:", hex(&digest.0))
    }

    /// Directory: which wallet an entry was booked on.
    pub fn entry(&self, entry: &EntryId) -> Vec<u8> {
        self.global("entry:", entry)
    }

    /// The content of a price book version.
    pub fn prices(&self, version: &str) -> Vec<u8> {
        self.global("prices:", version)
    }

    /// The partition's own hash: time, marks.
    pub fn meta(&self, partition: Partition) -> Vec<u8> {
        self.local(partition, "meta", "")
    }

    /// The ids of the partition's wallets.
    pub fn wallets(&self, partition: Partition) -> Vec<u8> {
        self.local(partition, "wallets", "")
    }

    /// The receipts of the partition.
    pub fn receipts(&self, partition: Partition) -> Vec<u8> {
        self.local(partition, "s", "")
    }

    /// What was sent again from a journal and could not be carried out.
    pub fn suspense(&self, partition: Partition) -> Vec<u8> {
        self.local(partition, "z", "")
    }

    /// A wallet's money, grants, counters, and the heads of its keys.
    pub fn wallet(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "w:", wallet)
    }

    /// A wallet's live holds, by the end of their leases.
    pub fn leases(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "l:", wallet)
    }

    /// A wallet's grants as given.
    pub fn grants(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "d:", wallet)
    }

    /// A wallet's keys.
    pub fn keys(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "k:", wallet)
    }

    /// A wallet's credits.
    pub fn entries(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "x:", wallet)
    }

    /// A wallet's totals by day, key and model.
    pub fn totals(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "u:", wallet)
    }

    /// A request.
    pub fn request(&self, partition: Partition, request: RequestId) -> Vec<u8> {
        self.local(partition, "q:", request_hex(request))
    }

    /// What stands before and after the partition's number in the names of all requests.
    pub fn all_requests(&self) -> (String, &'static str) {
        (format!("{}:{{", self.prefix), "}:q:")
    }

    /// An idempotency claim. The client's token enters as its hash.
    pub fn claim(
        &self,
        partition: Partition,
        wallet: &WalletId,
        key: &KeyId,
        token: &str,
    ) -> Vec<u8> {
        let hash = hex(&Sha256::digest(token.as_bytes()));
        self.local(partition, "i:", format_args!("{wallet}|{key}|{hash}"))
    }

    /// An object of a wallet.
    pub fn object(&self, partition: Partition, object: &ObjectRef) -> Vec<u8> {
        let ObjectRef { wallet, id } = object;
        self.local(partition, "o:", format_args!("{wallet}|{id}"))
    }

    /// What stands before the id in the names of a wallet's objects.
    pub fn objects(&self, partition: Partition, wallet: &WalletId) -> Vec<u8> {
        self.local(partition, "o:", format_args!("{wallet}|"))
    }

    /// A wallet's objects of one kind, by when they were made.
    pub fn objects_of(&self, partition: Partition, wallet: &WalletId, kind: ObjectKind) -> Vec<u8> {
        self.local(partition, "oc:", format_args!("{wallet}|{kind}"))
    }

    /// Those of them that are not pending, by when they end.
    pub fn objects_ending(
        &self,
        partition: Partition,
        wallet: &WalletId,
        kind: ObjectKind,
    ) -> Vec<u8> {
        self.local(partition, "oe:", format_args!("{wallet}|{kind}"))
    }

    /// The requests that objects of the partition wait for.
    pub fn pending(&self, partition: Partition) -> Vec<u8> {
        self.local(partition, "pending", "")
    }

    fn global(&self, kind: &str, name: impl Display) -> Vec<u8> {
        format!("{}:{kind}{name}", self.prefix).into_bytes()
    }

    fn local(&self, partition: Partition, kind: &str, name: impl Display) -> Vec<u8> {
        format!("{}:{{{}}}:{kind}{name}", self.prefix, partition.0).into_bytes()
    }
}

/// A request's id as keys have it: 32 hexadecimal digits.
pub fn request_hex(request: RequestId) -> String {
    hex(request.as_bytes())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

/// The bytes of hexadecimal digits; `None` for anything else, or another length.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| {
            char::from(d)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_keep_their_partitions_for_ever() {
        let of = |id: &str| Partition::of(&id.parse().unwrap()).number();
        assert_eq!((of("acme"), of("default"), of("w1")), (555, 936, 197));
    }

    #[test]
    fn all_keys_of_a_wallet_carry_its_partitions_tag() {
        let layout = Layout::new("tollgate");
        let wallet: WalletId = "a:b".parse().unwrap();
        let partition = Partition::new(7).unwrap();
        let key = layout.wallet(partition, &wallet);
        assert_eq!(String::from_utf8(key).unwrap(), "tollgate:{7}:w:a:b");
    }

    #[test]
    fn hexadecimal_digits_are_read_back() {
        let bytes = [0_u8, 15, 160, 255];
        assert_eq!(unhex::<4>(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex::<4>("00"), None);
        assert_eq!(unhex::<1>("zz"), None);
    }
}
