//! New secrets: the text of a generated key, and how a mistyped one is told from an unknown one.
//!
//! A secret is `tg-`, 43 characters that carry 256 random bits, and 6 that check them. The fixed
//! prefix, alphabet and length let secret scanners find a leaked one: `tg-[0-9A-Za-z]{49}`.

use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// What every generated secret begins with.
pub const PREFIX: &str = "tg-";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 > 2^256.
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// What the shape of a presented secret says about it, before any look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Generated here, and whole.
    Sound,
    /// It begins like a generated secret, but a character is missing or wrong.
    Mistyped,
    /// Not generated here; declared secrets may look like anything.
    Foreign,
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// A new secret of 256 random bits.
pub fn secret() -> Result<Secret, NoRandomness> {
    let mut text = String::with_capacity(PREFIX.len() + RANDOM_CHARS + CHECK_CHARS);
    text.push_str(PREFIX);
    let mut bytes = random::<32>()?;
    push_base62(&mut text, &mut bytes, RANDOM_CHARS);
    let check = check_of(&text);
    text.push_str(&check);
    Ok(Secret::new(text))
}

/// A new id: `prefix` and 12 random characters (71 bits).
pub fn id(prefix: &str) -> Result<String, NoRandomness> {
    let mut text = prefix.to_owned();
    push_base62(&mut text, &mut random::<16>()?, 12);
    Ok(text)
}

/// What the shape of `secret` says.
pub fn shape(secret: &str) -> Shape {
    let Some(rest) = secret.strip_prefix(PREFIX) else {
        return Shape::Foreign;
    };
    let plain = rest.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain || rest.len() != RANDOM_CHARS + CHECK_CHARS {
        return Shape::Mistyped;
    }
    let (body, check) = secret.split_at(secret.len() - CHECK_CHARS);
    if check_of(body) == check {
        Shape::Sound
    } else {
        Shape::Mistyped
    }
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

fn check_of(body: &str) -> String {
    let mut check = String::with_capacity(CHECK_CHARS);
    push_base62(&mut check, &mut Sha256::digest(body), CHECK_CHARS);
    check
}

/// Appends the `count` lowest base-62 digits of `number` (big-endian), which is divided away.
fn push_base62(text: &mut String, number: &mut [u8], count: usize) {
    for _ in 0..count {
        let mut rest = 0_u16;
        for byte in number.iter_mut() {
            let value = (rest << 8) | u16::from(*byte);
            *byte = u8::try_from(value / 62)
                .expect("the remainder is below 62, so the quotient fits a byte");
            rest = value % 62;
        }
        text.push(char::from(ALPHABET[usize::from(rest)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_sound_and_never_the_same() {
        let (one, two) = (secret().expect("random"), secret().expect("random"));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), 52);
        assert_eq!(shape(one.expose()), Shape::Sound);
    }

    #[test]
    fn every_single_typo_is_noticed() {
        let secret = secret().expect("random");
        let secret = secret.expose();
        for at in PREFIX.len()..secret.len() {
            let other = if &secret[at..=at] == "x" { "y" } else { "x" };
            let typo = format!("{}{other}{}", &secret[..at], &secret[at + 1..]);
            assert_eq!(shape(&typo), Shape::Mistyped, "at {at}");
        }
        assert_eq!(shape(&secret[..secret.len() - 1]), Shape::Mistyped);
        assert_eq!(shape("tg-"), Shape::Mistyped);
        assert_eq!(shape("tg-\u{e9}"), Shape::Mistyped);
    }

    #[test]
    fn other_texts_are_foreign() {
        for text in ["", "sk-abc", "Tg-x", "correct horse"] {
            assert_eq!(shape(text), Shape::Foreign);
        }
    }

    #[test]
    fn all_bits_of_the_number_reach_the_text() {
        let mut text = String::new();
        let mut largest = [0xff_u8; 32];
        push_base62(&mut text, &mut largest, RANDOM_CHARS);
        assert_eq!(largest, [0; 32], "43 digits use the whole number up");
    }
}
