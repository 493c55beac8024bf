//! Counts tokens here, for answers whose upstream did not report them.
//!
//! Any text is safe to count: it goes to the tokenizer in pieces of bounded size, a panic in it counts the
//! piece's bytes (tokens are never more), and beyond [`COUNTED_BYTES_MAX`] the rest is taken to be alike.
//! Counting costs some 50 ns a byte: call it through [`pooled`], not on a thread that serves sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use tiktoken_rs::CoreBPE;
use tokio::sync::Semaphore;

mod chat;
mod pieces;
mod prompts;

/// How many bytes of one thing are really counted: 4 MiB.
pub const COUNTED_BYTES_MAX: usize = 4 << 20;
/// How many threads count at once.
const POOL_THREADS: usize = 2;

static POOL: Semaphore = Semaphore::const_new(POOL_THREADS);

/// A vocabulary. Each is loaded when it first counts, once (some 100 ms and 40 MB).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// gpt-4o, 4.1, 5, o-series; the best guess for everyone else's.
    #[default]
    O200kBase,
    /// gpt-4, 3.5 and the embedding models.
    Cl100kBase,
    /// gpt-oss.
    O200kHarmony,
}

impl Tokenizer {
    /// Every vocabulary.
    pub const ALL: [Tokenizer; 3] = [
        Tokenizer::O200kBase,
        Tokenizer::Cl100kBase,
        Tokenizer::O200kHarmony,
    ];

    /// The name in config: `o200k_base`, `cl100k_base` or `o200k_harmony`.
    pub const fn name(self) -> &'static str {
        match self {
            Tokenizer::O200kBase => "o200k_base",
            Tokenizer::Cl100kBase => "cl100k_base",
            Tokenizer::O200kHarmony => "o200k_harmony",
        }
    }

    /// The vocabulary of that name.
    pub fn named(name: &str) -> Option<Tokenizer> {
        Tokenizer::ALL.into_iter().find(|each| each.name() == name)
    }

    /// The vocabulary of a model that is known by name; the default for all others.
    pub fn for_model(model: &str) -> Tokenizer {
        use tiktoken_rs::tokenizer::Tokenizer as Known;
        match tiktoken_rs::tokenizer::get_tokenizer(model) {
            Some(Known::Cl100kBase) => Tokenizer::Cl100kBase,
            Some(Known::O200kHarmony) => Tokenizer::O200kHarmony,
            _ => Tokenizer::O200kBase,
        }
    }

    /// The tokens of a text; markup of special tokens counts as the text that it is. Never more than
    /// the text's bytes.
    pub fn count(self, text: &str) -> u64 {
        let mut counter = Counter::new(self);
        counter.add(text);
        counter.total()
    }

    fn vocabulary(self) -> &'static CoreBPE {
        match self {
            Tokenizer::O200kBase => tiktoken_rs::o200k_base_singleton(),
            Tokenizer::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Tokenizer::O200kHarmony => tiktoken_rs::o200k_harmony_singleton(),
        }
    }

    fn count_piece(self, piece: &str) -> u64 {
        let count = || self.vocabulary().count_ordinary(piece);
        // The vocabulary is read-only: a panic cannot leave it half changed.
        let counted = catch_unwind(AssertUnwindSafe(count)).unwrap_or(piece.len());
        to_u64(counted)
    }
}

/// Counts several texts as one thing, within one [`COUNTED_BYTES_MAX`].
#[derive(Clone, Debug)]
pub struct Counter {
    tokenizer: Tokenizer,
    tokens: u64,
    counted_bytes: u64,
    unseen_bytes: u64,
}

impl Counter {
    /// A counter at zero.
    pub fn new(tokenizer: Tokenizer) -> Self {
        Counter {
            tokenizer,
            tokens: 0,
            counted_bytes: 0,
            unseen_bytes: 0,
        }
    }

    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        let room = to_u64(COUNTED_BYTES_MAX).saturating_sub(self.counted_bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (counted, unseen) = text.split_at(pieces::floor_boundary(text, room));
        for piece in pieces::pieces(counted) {
            self.tokens += self.tokenizer.count_piece(piece);
        }
        self.counted_bytes += to_u64(counted.len());
        self.add_unseen(to_u64(unseen.len()));
    }

    /// Adds bytes that are not at hand.
    pub fn add_unseen(&mut self, bytes: u64) {
        self.unseen_bytes = self.unseen_bytes.saturating_add(bytes);
    }

    /// The tokens of all, those of unseen bytes in proportion, rounded up.
    pub fn total(&self) -> u64 {
        if self.counted_bytes == 0 {
            return self.unseen_bytes;
        }
        let unseen = u128::from(self.unseen_bytes) * u128::from(self.tokens);
        let unseen = unseen.div_ceil(u128::from(self.counted_bytes));
        self.tokens
            .saturating_add(u64::try_from(unseen).unwrap_or(u64::MAX))
    }
}

/// Runs a count on a thread apart from those that serve sockets, two at a time.
///
/// `None` if the runtime shuts down or the work panicked. Dropping the future leaves work that has begun
/// to its end, which still occupies its place in the pool.
pub async fn pooled<T, F>(work: F) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let place = POOL.acquire().await.ok()?;
    let working = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(place);
        result
    });
    working.await.ok()
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
