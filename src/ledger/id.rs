//! Names of things: short, printable, cheap to clone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use uuid::Uuid;

use crate::clock::UnixMs;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: 1 to 64 of the characters A-Z a-z 0-9 _ . : -")]
pub struct IdError {
    what: &'static str,
    text: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let fine = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
                if (1..=64).contains(&text.len()) && text.bytes().all(fine) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { what: $what, text: text.escape_default().take(80).collect() })
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The name of a wallet.
    WalletId,
    "wallet id"
);
text_id!(
    /// The name of a key (never its secret).
    KeyId,
    "key id"
);
text_id!(
    /// The name of a grant within its wallet.
    GrantId,
    "grant name"
);
text_id!(
    /// The name of a limit within its key.
    LimitName,
    "limit name"
);
text_id!(
    /// The name of a credit entry, chosen by whoever books it, unique in the ledger.
    EntryId,
    "entry id"
);

/// The proxy's own name for a request, and so for its hold and its receipt. Time-ordered (UUIDv7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    pub fn new() -> Self {
        RequestId(Uuid::now_v7())
    }

    /// The id of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        RequestId(Uuid::from_bytes(bytes))
    }

    /// When it was made, by the clock of who made it; `None` for an id that is not time-ordered.
    pub fn began(&self) -> Option<UnixMs> {
        let is_ordered = self.0.get_version_num() == 7;
        let (seconds, nanos) = self.0.get_timestamp().filter(|_| is_ordered)?.to_unix();
        let ms = seconds
            .checked_mul(1_000)?
            .checked_add(u64::from(nanos) / 1_000_000)?;
        i64::try_from(ms).ok().map(UnixMs)
    }

    /// The id as 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// How long the text of an id is.
    pub const TEXT_BYTES: usize = 36;

    /// The id as text, `req_` and 32 hexadecimal digits, written to `buffer`.
    pub fn text<'b>(&self, buffer: &'b mut [u8; Self::TEXT_BYTES]) -> &'b str {
        let (mark, digits) = buffer.split_at_mut(4);
        mark.copy_from_slice(b"req_");
        self.0.simple().encode_lower(digits);
        std::str::from_utf8(buffer).expect("a mark and digits")
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; Self::TEXT_BYTES]))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix("req_")
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(RequestId)
            .ok_or_else(|| IdError {
                what: "request id",
                text: text.escape_default().take(80).collect(),
            })
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; Self::TEXT_BYTES]))
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A keyed hash of a key's secret: the only form in which a secret is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// The name of a store, by which a backup of it is known from another's: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// It follows from the pepper, so that every copy of a store has the same.
    pub fn of(pepper: &[u8]) -> StoreId {
        let mut hash =
            Hmac::<Sha256>::new_from_slice(pepper).expect("an HMAC takes a key of any length");
        hash.update(b"the name of this store");
        let hash: [u8; 32] = hash.finalize().into_bytes().into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        StoreId(id)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for StoreId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The SHA-256 of a request's body, to tell a repeat from a reuse of an idempotency key.
pub type BodyHash = [u8; 32];
