//! Cuts text into pieces that a tokenizer takes without harm, where a cut changes its count least.

use memchr::memrchr;

/// The text in pieces of at most `bytes_max`, in order. A piece ends before a space that follows a word, as tokens do; where there
/// is none, between two letters.
pub(super) fn pieces(text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_len(rest, bytes_max));
        rest = after;
        Some(piece)
    })
}

/// At least half a piece, so that there are not many more pieces than needed.
fn piece_len(text: &str, bytes_max: usize) -> usize {
    if text.len() <= bytes_max {
        return text.len();
    }
    let window = &text.as_bytes()[..bytes_max];
    let mut end = bytes_max;
    while let Some(space) = memrchr(b' ', &window[..end]) {
        if space < bytes_max / 2 {
            break;
        }
        if !window[space - 1].is_ascii_whitespace() {
            return space;
        }
        end = space;
    }
    floor_boundary(text, bytes_max)
}

/// The last place at or before `at` that is between two letters.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    let is_between = |at: &usize| text.is_char_boundary(*at);
    (0..=at.min(text.len())).rev().find(is_between).unwrap_or(0)
}
