//! Counts tokens here, for answers whose upstream did not report them.
//!
//! Any text is safe to count: it goes to the [vocabulary](crate::vocabulary) in pieces of bounded size, and beyond
//! [`COUNTED_BYTES_MAX`] the rest is taken to be alike. Call it through [`pooled`], not on a thread that serves sockets.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::thread_time;
use crate::vocabulary::Vocabulary;

mod chat;
mod content;
mod images;
mod messages;
mod pieces;
mod prompts;
mod rerank;
mod responses;
mod tools;

/// How many bytes of one thing are really counted: 4 MiB.
pub const COUNTED_BYTES_MAX: usize = 4 << 20;
/// The processor time in which one thing is really counted: no text takes that long, but where a vocabulary from disk
/// is slow on it.
const COUNTED_TIME_MAX: Duration = Duration::from_secs(5);
/// How many threads count at once.
const POOL_THREADS: usize = 2;

static POOL: Semaphore = Semaphore::const_new(POOL_THREADS);

/// How a model's texts and images become tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    image_tokens_max: u64,
}

impl Tokenizer {
    /// One that counts texts with a vocabulary, and no image as more tokens than given.
    pub const fn new(vocabulary: Vocabulary, image_tokens_max: u64) -> Tokenizer {
        Tokenizer {
            vocabulary,
            image_tokens_max,
        }
    }

    /// The tokens of a text; markup of special tokens counts as the text that it is. Never more than
    /// the text's bytes.
    pub fn count(&self, text: &str) -> u64 {
        let mut counter = Counter::new(self);
        counter.add(text);
        counter.total()
    }
}

/// Counts several texts as one thing, within one [`COUNTED_BYTES_MAX`].
#[derive(Clone, Debug)]
pub struct Counter<'t> {
    vocabulary: &'t Vocabulary,
    /// Processor time that is left.
    time_left: Duration,
    tokens: u64,
    counted_bytes: u64,
    unseen_bytes: u64,
}

impl<'t> Counter<'t> {
    /// A counter at zero.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Counter {
            vocabulary: &tokenizer.vocabulary,
            time_left: COUNTED_TIME_MAX,
            tokens: 0,
            counted_bytes: 0,
            unseen_bytes: 0,
        }
    }

    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        let room = to_u64(COUNTED_BYTES_MAX).saturating_sub(self.counted_bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (near, far) = text.split_at(pieces::floor_boundary(text, room));
        self.add_unseen(to_u64(far.len()));
        for piece in pieces::pieces(near, self.vocabulary.piece_bytes_max()) {
            if self.time_left.is_zero() {
                self.add_unseen(to_u64(piece.len()));
                continue;
            }
            self.tokens += to_u64(self.counted(piece));
            self.counted_bytes += to_u64(piece.len());
        }
    }

    /// Only vocabularies from disk are watched: the others are known to take no longer for one text than for another.
    fn counted(&mut self, piece: &str) -> usize {
        let Vocabulary::Disk(_) = self.vocabulary else {
            return self.vocabulary.count(piece);
        };
        let begun = thread_time();
        let tokens = self.vocabulary.count(piece);
        let took = thread_time().saturating_sub(begun);
        self.time_left = self.time_left.saturating_sub(took);
        tokens
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
