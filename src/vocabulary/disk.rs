//! A vocabulary from disk, in the format of Hugging Face's `tokenizer.json`.
//!
//! Such a file brings patterns and rules of its own, and some of them take very long on some texts. So a file
//! is tried with texts that patterns find hard before it is used, and refused where it is slow; what it then
//! counts are short pieces.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use crate::clock::thread_time;
use crate::file;

/// The largest file.
pub const BYTES_MAX: usize = 64 << 20;
/// The most bytes of a piece.
pub const PIECE_BYTES_MAX: usize = 4 << 10;
/// The most processor time that a piece may take when the file is tried: hundreds of times what real vocabularies need.
const PIECE_TIME_MAX: Duration = Duration::from_secs(1);
/// Texts that patterns and merges find hard, each repeated.
const HARD: [&str; 14] = [
    " ", "a", "A", "-", "\n", " \n", "😀", "中", "a ", "\u{301}", "'s", "1", "\u{3000}", "aA1 -\n",
];

/// All that are in use, so that the same content is kept once.
static LOADED: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

/// A vocabulary that was read from a file. Two of the same content are equal.
pub struct Disk {
    digest: [u8; 32],
    tokenizer: Tokenizer,
}

impl Disk {
    /// The vocabulary in the file at `path`. The same content as one in use is that one, not read twice.
    ///
    /// # Errors
    /// What is wrong with the file and what to do, to be put after its name.
    pub fn load(path: &Path) -> Result<Arc<Disk>, String> {
        let bytes = file::read(path, BYTES_MAX)
            .map_err(|error| format!("{error}; name a tokenizer.json in Hugging Face's format"))?;
        let digest: [u8; 32] = Sha256::digest(&*bytes).into();
        let in_use = |disk: &Arc<Disk>| disk.digest == digest;
        let found = LOADED.lock().iter().filter_map(Weak::upgrade).find(in_use);
        if let Some(disk) = found {
            return Ok(disk);
        }
        let disk = Arc::new(Disk {
            digest,
            tokenizer: parsed(&bytes)?,
        });
        disk.tried()?;
        let mut loaded = LOADED.lock();
        loaded.retain(|disk| disk.strong_count() > 0);
        loaded.push(Arc::downgrade(&disk));
        Ok(disk)
    }

    /// The tokens of a piece; `None` where the vocabulary has no tokens for it.
    pub(super) fn count(&self, piece: &str) -> Option<usize> {
        let encoding = self.tokenizer.encode_fast(piece, false).ok()?;
        Some(encoding.len())
    }

    /// From short to long, so that one whose time grows steeply is found before it takes for ever.
    fn tried(&self) -> Result<(), String> {
        let mut bytes = 8;
        while bytes <= PIECE_BYTES_MAX {
            for unit in HARD {
                let text = unit.repeat(bytes.div_ceil(unit.len()));
                let begun = thread_time();
                let counted = catch_unwind(AssertUnwindSafe(|| self.count(&text)));
                let took = thread_time().saturating_sub(begun);
                if !matches!(counted, Ok(Some(_))) {
                    return Err(format!(
                        "has no tokens for {unit:?}; name a vocabulary that covers every text (with byte_fallback, ByteLevel or an unknown token)"
                    ));
                }
                if took > PIECE_TIME_MAX {
                    return Err(format!(
                        "takes {} ms to count {bytes} bytes of {unit:?}: its normalizer or pre-tokenizer has a pattern that anybody's text could stall the proxy with; use simpler patterns",
                        took.as_millis()
                    ));
                }
            }
            bytes *= 2;
        }
        Ok(())
    }
}

fn parsed(bytes: &[u8]) -> Result<Tokenizer, String> {
    let wrong = |error: &dyn fmt::Display| {
        format!("is no vocabulary in Hugging Face's format: {error}; name its tokenizer.json")
    };
    let parsed = catch_unwind(|| Tokenizer::from_bytes(bytes));
    let mut tokenizer = match parsed {
        Ok(Ok(tokenizer)) => tokenizer,
        Ok(Err(error)) => return Err(wrong(&error)),
        Err(_) => return Err(wrong(&"it contradicts itself")),
    };
    // A file may say that long texts are cut and short ones filled up: not when they are counted.
    tokenizer
        .with_truncation(None)
        .map_err(|error| wrong(&error))?;
    tokenizer.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Disk {}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokenizer.get_vocab_size(true);
        write!(f, "Disk({tokens} tokens)")
    }
}
