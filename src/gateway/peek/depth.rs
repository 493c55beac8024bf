//! How deep a JSON text nests, without parsing it.
//!
//! A parser's own recursion limit does not cover the values that it skips, and some upstream's parser may recurse.

use memchr::memchr2;

/// Whether no value of `body` is inside of more than `limit` objects and arrays.
///
/// Exact for valid JSON; for anything else it only answers quickly, and the parser refuses it afterwards.
pub(super) fn within(body: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => at = after_string(body, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// One past the quote that closes the string whose content starts at `at`.
fn after_string(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        match body[at + found] {
            b'"' => return at + found + 1,
            _ => at += found + 2,
        }
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn brackets_count_and_strings_do_not() {
        assert!(within(b"[[1],[2],{\"a\":3}]", 2));
        assert!(!within(b"[[1],[2],{\"a\":[]}]", 2));
        assert!(within(br#"["[[[[\"[[[[\\",1]"#, 1));
        assert!(!within(br#"["\\",[1]]"#, 1));
        assert!(within(b"\"never ends [[[[", 0));
        assert!(within(b"\"ends on a backslash\\", 0));
        assert!(within(b"", 0));
    }

    #[test]
    fn a_bomb_is_noticed_at_once() {
        assert!(!within(&vec![b'['; 100_000], 64));
    }
}
