//! Counts in sentences.

/// A count with its word: `1 key`, `2 keys`.
pub fn counted(count: u64, one: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {one}{s}")
}
