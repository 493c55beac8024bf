//! The simulator's text: what it says, and how it counts.
//!
//! A piece, the simulator's token, is up to six ASCII letters or digits, or one other character,
//! with the blanks before it. So pieces never outnumber bytes, which is what worst cases rely on. The
//! count is the simulator's own, deliberately not that of the proxy's tokenizers: a charge that comes from the
//! reported usage can be told from one that was counted locally.

/// FNV-1a over all parts: the same in every process, unlike the standard library's hashers.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    // The last bytes have barely spread yet.
    (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) ^ (hash >> 29)
}

/// The text cut into pieces; together they are the text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    const WORD_BYTES_MAX: usize = 6;
    let mut rest = text;
    std::iter::from_fn(move || {
        let blanks = rest.len() - rest.trim_start().len();
        let word = rest[blanks..]
            .bytes()
            .take(WORD_BYTES_MAX)
            .take_while(u8::is_ascii_alphanumeric)
            .count();
        let other = || rest[blanks..].chars().next().map_or(0, char::len_utf8);
        let (piece, next) = rest.split_at(blanks + if word > 0 { word } else { other() });
        rest = next;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How many pieces a text has.
pub(super) fn count(text: &str) -> u64 {
    pieces(text).fold(0, |sum, _| sum + 1)
}

/// A friendly answer to a prompt; choices differ.
pub(super) fn reply(model: &str, prompt: &str, choice: u64) -> String {
    const OPENINGS: [&str; 5] = [
        "Hello! I am glad that you ask.",
        "Good question.",
        "Thank you for your message.",
        "Happy to help.",
        "Let us look at that together.",
    ];
    const MIDDLES: [&str; 5] = [
        "No model ran to write this: the text depends on your words alone, so the same words get the same answer.",
        "Everything here is made up on the spot, but the tokens are counted as carefully as real ones.",
        "Behind a real upstream, a real model would think about this now.",
        "Every one of these words was sent as a chunk of its own if you asked for a stream.",
        "Try a longer or a shorter prompt, and watch the cost follow.",
    ];
    const ENDINGS: [&str; 4] = [
        "Have a good day!",
        "Ask me something else whenever you like.",
        "The receipt says what this answer cost.",
        "I hope that this helps.",
    ];
    let dice = hash(&[model.as_bytes(), prompt.as_bytes(), &choice.to_le_bytes()]);
    let one = |of: &[&'static str], shift: u32| of[(dice >> shift) as usize % of.len()];
    format!(
        "{} This is {model}, played by Tollgate's simulator. You wrote: \"{}\". {} {}",
        one(&OPENINGS, 0),
        excerpt(prompt),
        one(&MIDDLES, 16),
        one(&ENDINGS, 32),
    )
}

/// The beginning of a prompt, on one line.
pub(super) fn excerpt(prompt: &str) -> String {
    const CHARS_MAX: usize = 80;
    let words = prompt
        .split_whitespace()
        .take(CHARS_MAX)
        .collect::<Vec<_>>();
    let line = words.join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_text_and_never_outnumber_its_bytes() {
        for text in [
            "",
            " ",
            "a",
            "Hello, world!",
            "  two\n\nlines \t",
            "internationalization",
            "\u{4f60}\u{597d}, \u{1f600}!",
            "caf\u{e9} au lait",
            &"a".repeat(10_000),
            &" ".repeat(10_000),
        ] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(count(text) <= text.len() as u64, "{text}");
            assert!(pieces(text).all(|piece| !piece.is_empty()));
        }
        assert_eq!(
            pieces("Hello, wonderful \u{4f60}\u{597d}").collect::<Vec<_>>(),
            ["Hello", ",", " wonder", "ful", " \u{4f60}", "\u{597d}"]
        );
    }

    #[test]
    fn a_reply_mentions_model_and_prompt_and_differs_by_choice() {
        let reply_of = |choice| reply("org/model", "What is\n a toll?", choice);
        assert!(reply_of(0).contains("org/model") && reply_of(0).contains("\"What is a toll?\""));
        assert_eq!(reply_of(0), reply_of(0));
        assert!((1..8).any(|choice| reply_of(choice) != reply_of(0)));
    }

    #[test]
    fn a_long_prompt_is_quoted_in_part() {
        let reply = reply("m", &"\u{4f60}".repeat(100_000), 0);
        assert!(reply.contains("\u{4f60}...") && reply.len() < 1_000);
    }
}
