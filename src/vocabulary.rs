//! Vocabularies: how many tokens a piece of text comes to.
//!
//! Three are built in, by name; others are read [from disk](disk). Any piece of bounded size is safe to
//! count: a panic counts its bytes, and a piece never comes to more tokens than it has bytes.

pub mod disk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tiktoken_rs::CoreBPE;

use disk::Disk;

/// A set of tokens, and how text is taken apart into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// One of those that are built in.
    Encoding(Encoding),
    /// One that the config names by its file; rows that name the same share it.
    Disk(Arc<Disk>),
}

/// A vocabulary that is built in. Each is loaded when it first counts, once (some 100 ms and 40 MB).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// gpt-4o, 4.1, 5, o-series; the best guess for everyone else's.
    #[default]
    O200kBase,
    /// gpt-4, 3.5 and the embedding models.
    Cl100kBase,
    /// gpt-oss.
    O200kHarmony,
}

impl Vocabulary {
    /// The most bytes of a piece: what a tokenizer takes without harm.
    pub const fn piece_bytes_max(&self) -> usize {
        match self {
            Vocabulary::Encoding(_) => 16 << 10,
            Vocabulary::Disk(_) => disk::PIECE_BYTES_MAX,
        }
    }

    /// The tokens of a piece of at most [`Vocabulary::piece_bytes_max`]; markup of special tokens counts as the
    /// text that it is. Slow: some 50 ns a byte, from disk some 500 ns.
    pub fn count(&self, piece: &str) -> usize {
        let count = || match self {
            Vocabulary::Encoding(encoding) => encoding.loaded().count_ordinary(piece),
            Vocabulary::Disk(disk) => disk.count(piece).unwrap_or(piece.len()),
        };
        // The vocabulary is read-only: a panic cannot leave it half changed.
        let counted = catch_unwind(AssertUnwindSafe(count)).unwrap_or(piece.len());
        counted.min(piece.len())
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Vocabulary::Encoding(Encoding::default())
    }
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 3] = [
        Encoding::O200kBase,
        Encoding::Cl100kBase,
        Encoding::O200kHarmony,
    ];

    /// The vocabulary of a model that is known by name; the default for all others.
    pub fn of_model(model: &str) -> Encoding {
        use tiktoken_rs::tokenizer::Tokenizer as Known;
        match tiktoken_rs::tokenizer::get_tokenizer(model) {
            Some(Known::Cl100kBase) => Encoding::Cl100kBase,
            Some(Known::O200kHarmony) => Encoding::O200kHarmony,
            _ => Encoding::O200kBase,
        }
    }

    fn loaded(self) -> &'static CoreBPE {
        match self {
            Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
            Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Encoding::O200kHarmony => tiktoken_rs::o200k_harmony_singleton(),
        }
    }
}

#[cfg(test)]
mod tests;
