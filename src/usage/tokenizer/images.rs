//! What an image of the input comes to, by its size. Only the head of inline data is decoded.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 letters that are decoded to find an image's size: a JPEG may have its previews before it.
const HEAD_LETTERS: usize = 256 << 10;
/// What an image costs before its tiles; all of it at low detail.
const BASE_TOKENS: u64 = 85;
const TILE_TOKENS: u64 = 170;
const TILE_PIXELS: u64 = 512;
/// An image is made to fit a square of this side, then its shorter side is brought down to the other.
const LONG_SIDE_MAX: u64 = 2_048;
const SHORT_SIDE_MAX: u64 = 768;
/// The most tiles that are left then: 2 by 4.
const TILES_MAX: u64 = 8;
/// Of the rule by pixels: the longest side, and the pixels of a token.
const EDGE_MAX: u64 = 1_568;
const TOKEN_PIXELS: u64 = 750;
const PIXEL_TOKENS_MAX: u64 = 1_600;

/// The head may end anywhere.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How a vendor counts images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageRule {
    /// OpenAI's: 85, and 170 for each tile of 512 by 512 after the image was brought down to size.
    Tiles,
    /// Anthropic's: one for 750 pixels after the image was brought down to size.
    Pixels,
}

/// How closely an image is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// As a thumbnail.
    Low,
    /// `high`, `auto`, or nothing said.
    High,
}

impl Detail {
    pub fn of(word: &str) -> Detail {
        match word {
            "low" => Detail::Low,
            _ => Detail::High,
        }
    }
}

impl ImageRule {
    /// The tokens of an image, given as a JSON string: a data URI or bare base64. One whose size does not show, as of a
    /// link, counts as the largest.
    pub fn tokens(self, json: &str, detail: Detail) -> u64 {
        let size = || size(json).filter(|(width, height)| *width > 0 && *height > 0);
        match self {
            ImageRule::Tiles if detail == Detail::Low => BASE_TOKENS,
            ImageRule::Tiles => BASE_TOKENS + TILE_TOKENS * size().map_or(TILES_MAX, tiles),
            ImageRule::Pixels => size().map_or(PIXEL_TOKENS_MAX, pixel_tokens),
        }
    }
}

fn tiles((width, height): (u64, u64)) -> u64 {
    let fitted = shrunk((width, height), width.max(height), LONG_SIDE_MAX);
    let (width, height) = shrunk(fitted, fitted.0.min(fitted.1), SHORT_SIDE_MAX);
    width.div_ceil(TILE_PIXELS) * height.div_ceil(TILE_PIXELS)
}

fn pixel_tokens((width, height): (u64, u64)) -> u64 {
    let (width, height) = shrunk((width, height), width.max(height), EDGE_MAX);
    (width * height)
        .div_ceil(TOKEN_PIXELS)
        .min(PIXEL_TOKENS_MAX)
}

/// Both sides in proportion, so that `side` becomes at most `most`; no side vanishes.
fn shrunk((width, height): (u64, u64), side: u64, most: u64) -> (u64, u64) {
    let scaled = |length: u64| (length * most / side).max(1);
    match side > most {
        true => (scaled(width), scaled(height)),
        false => (width, height),
    }
}

/// Width and height from the head of an image in base64.
fn size(json: &str) -> Option<(u64, u64)> {
    let text = json.trim_matches('"');
    let letters = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => text.split_once(',')?.1,
        _ if text.contains("://") => return None,
        _ => text,
    };
    let head = letters.bytes().filter(|letter| *letter != b'\\');
    let head: Vec<u8> = head.take(HEAD_LETTERS).collect();
    // A group of four letters is three bytes.
    let whole = head.len() - head.len() % 4;
    let bytes = LENIENT.decode(&head[..whole]).ok()?;
    let size = imagesize::blob_size(&bytes).ok()?;
    let side = |length: usize| u64::from(u32::try_from(length).unwrap_or(u32::MAX));
    Some((side(size.width), side(size.height)))
}

#[cfg(test)]
mod tests;
