//! Objects that an upstream keeps for a wallet: stored responses, files, jobs.
//!
//! Wallets share the upstream's key, so an object can only be told apart from another wallet's by this map. It is
//! kept by the wallet that made it: what another wallet made is not there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::LedgerError;
use super::id::{KeyId, RequestId, WalletId};
use crate::clock::UnixMs;

/// How many objects of one kind a wallet may have, where the caller has no other number.
pub const OBJECTS_MAX: u32 = 100_000;
/// The longest list that is told at once.
pub const OBJECTS_PAGE_MAX: u32 = 1_000;
/// How much there may be of [`Pending::state`], in bytes.
pub const STATE_BYTES_MAX: usize = 64 * 1024;
/// How long the names of an upstream and of a model may be, in bytes.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Times of objects are before this: numbers that a double has exactly.
pub const TIME_END: UnixMs = UnixMs(1 << 53);
/// How many objects go at most when another one comes.
pub(in crate::ledger) const GOING_MAX: u32 = 16;

/// Why a text is no object's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no id of an object: 1 to 256 visible characters of ASCII")]
pub struct ObjectIdError {
    text: String,
}

/// The id that an upstream gave to an object: `resp_...`, `file-...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Arc<str>);

impl ObjectId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let fits = (1..=256).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(ObjectId(text.into()));
        }
        Err(ObjectIdError {
            text: text.escape_default().take(80).collect(),
        })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// An answer that the upstream keeps.
    Response,
    /// A conversation that answers are part of.
    Conversation,
    /// An uploaded file.
    File,
    /// A file that comes in parts.
    Upload,
    /// Many requests in one file.
    Batch,
    /// A video that is being made, or was.
    Video,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [ObjectKind; 6] = [
        ObjectKind::Response,
        ObjectKind::Conversation,
        ObjectKind::File,
        ObjectKind::Upload,
        ObjectKind::Batch,
        ObjectKind::Video,
    ];

    /// Its word in stores and messages.
    pub const fn name(self) -> &'static str {
        match self {
            ObjectKind::Response => "response",
            ObjectKind::Conversation => "conversation",
            ObjectKind::File => "file",
            ObjectKind::Upload => "upload",
            ObjectKind::Batch => "batch",
            ObjectKind::Video => "video",
        }
    }

    /// The kind of this word.
    pub fn of(name: &str) -> Option<ObjectKind> {
        ObjectKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names an object: whose it is, and its id there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The wallet that made it.
    pub wallet: WalletId,
    /// Its id.
    pub id: ObjectId,
}

/// Where an object is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The upstream's id.
    pub id: ObjectId,
    /// The wallet that made it.
    pub wallet: WalletId,
    /// By which key.
    pub key: KeyId,
    /// What it is. It stays so.
    pub kind: ObjectKind,
    /// Which upstream has it, by its name in the config.
    pub upstream: Arc<str>,
    /// The model that it is of, by canonical id; empty where it is of none.
    pub model: Arc<str>,
    /// When it was made: lists are in this order.
    pub created_at: UnixMs,
    /// From when on it is not there any more, unless it is pending.
    pub expires_at: UnixMs,
    /// What is still to be settled of it. It ends with the settle of its request, in the same step.
    pub pending: Option<Pending>,
}

/// A job that is to be settled when the upstream has done it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The request of the same wallet that is to be settled. One object at most waits for it.
    pub request: RequestId,
    /// What whoever settles it has to know: opaque here, up to [`STATE_BYTES_MAX`].
    pub state: String,
}

/// Which objects of a wallet to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectQuery {
    /// Whose.
    pub wallet: WalletId,
    /// What they are.
    pub kind: ObjectKind,
    /// Only those that come after this one, which has to be there.
    pub after: Option<ObjectId>,
    /// How many; never more than [`OBJECTS_PAGE_MAX`].
    pub limit: u32,
}

impl Object {
    /// Its name.
    pub fn name(&self) -> ObjectRef {
        ObjectRef {
            wallet: self.wallet.clone(),
            id: self.id.clone(),
        }
    }

    /// Whether it is there at a time.
    pub fn is_there(&self, now: UnixMs) -> bool {
        self.pending.is_some() || now < self.expires_at
    }

    /// Whether a store can keep it.
    ///
    /// # Errors
    /// `Conflict` for a time or a text beyond its bounds.
    pub fn check(&self) -> Result<(), LedgerError> {
        let wrong = |what: &str| {
            let Object { kind, id, .. } = self;
            Err(LedgerError::Conflict(format!("{kind} {id}: {what}")))
        };
        for at in [self.created_at, self.expires_at] {
            if !(UnixMs(0)..TIME_END).contains(&at) {
                return wrong("a time before 1970 or beyond 2^53 ms");
            }
        }
        if self.upstream.len().max(self.model.len()) > NAME_BYTES_MAX {
            return wrong("the name of its upstream or of its model has more than 1024 bytes");
        }
        match &self.pending {
            Some(pending) if pending.state.len() > STATE_BYTES_MAX => {
                wrong("what is pending has more than 64 KiB of state")
            }
            _ => Ok(()),
        }
    }
}

/// The object is there as something else.
pub fn of_other_kind(name: &ObjectRef, kind: &str) -> LedgerError {
    LedgerError::Conflict(format!("{} of wallet {} is a {kind}", name.id, name.wallet))
}

/// Another object waits for the same request.
pub fn awaited(name: &ObjectRef, request: RequestId) -> LedgerError {
    LedgerError::Conflict(format!(
        "{} cannot wait for {request}: another object does",
        name.id
    ))
}

/// None of the wallet's objects can make room.
pub fn all_pending(name: &ObjectRef, kind: ObjectKind) -> LedgerError {
    LedgerError::Conflict(format!(
        "wallet {} has as many of kind {kind} as it may, and all are pending",
        name.wallet
    ))
}

/// A list was to go on after what is not there.
pub fn no_object(name: &ObjectRef) -> LedgerError {
    LedgerError::NotFound(format!("wallet {} has no {}", name.wallet, name.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_visible_ascii_of_up_to_256_characters() {
        let longest = "x".repeat(256);
        for fine in ["r", "resp_0|{}~!", longest.as_str()] {
            assert_eq!(fine.parse::<ObjectId>().unwrap().as_str(), fine);
        }
        let longer = "x".repeat(257);
        for wrong in ["", "a b", "a\n", "\u{e9}", "a\u{7f}", longer.as_str()] {
            let words = wrong.parse::<ObjectId>().unwrap_err().to_string();
            assert!(words.contains("1 to 256 visible characters"), "{words}");
        }
    }

    #[test]
    fn kinds_are_found_by_their_words() {
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::of(kind.name()), Some(kind));
        }
        assert_eq!(ObjectKind::of("Response"), None);
    }
}
