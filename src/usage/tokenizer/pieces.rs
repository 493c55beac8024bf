//! Cuts text into pieces that a tokenizer takes without harm, where a cut changes its count least.

use memchr::memrchr;

/// The most bytes of a piece.
pub(super) const PIECE_BYTES_MAX: usize = 16 << 10;

/// The text in pieces, in order. A piece ends before a space that follows a word, as tokens do; where there
/// is none, between two letters.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_len(rest));
        rest = after;
        Some(piece)
    })
}

/// At least half a piece, so that there are not many more pieces than needed.
fn piece_len(text: &str) -> usize {
    if text.len() <= PIECE_BYTES_MAX {
        return text.len();
    }
    let window = &text.as_bytes()[..PIECE_BYTES_MAX];
    let mut end = PIECE_BYTES_MAX;
    while let Some(space) = memrchr(b' ', &window[..end]) {
        if space < PIECE_BYTES_MAX / 2 {
            break;
        }
        if !window[space - 1].is_ascii_whitespace() {
            return space;
        }
        end = space;
    }
    floor_boundary(text, PIECE_BYTES_MAX)
}

/// The last place at or before `at` that is between two letters.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let is_between = |at: &usize| text.is_char_boundary(*at);
    (0..=at.min(text.len())).rev().find(is_between).unwrap_or(0)
}
