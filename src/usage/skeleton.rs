//! A small copy of a JSON answer that is too large to keep: long strings and long rows of numbers are cut.
//!
//! It is made while the answer flows by. Its members, its short strings and the numbers of its objects are
//! all there, so that [`read_answer`](super::answer::read_answer) finds the same usage and images in it.

use memchr::memchr2;

/// The most bytes of a skeleton: 4 MiB.
pub const SKELETON_BYTES_MAX: usize = 4 << 20;
/// The most bytes kept of a string.
pub const STRING_BYTES_MAX: usize = 256;
/// The most bytes kept of a string that is the model's text, until the skeleton is half full.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// How many numbers are kept of a row of them.
const ROW_MAX: usize = 16;
/// The longest escape, `\u0000`, is kept whole or not at all.
const ESCAPE_BYTES_MAX: usize = 6;

/// A skeleton in the making. Where the answer is cut into chunks makes no difference.
#[derive(Clone, Debug, Default)]
pub struct Skeleton {
    json: Vec<u8>,
    place: Place,
    /// Where the last string's inside begins, while no other token followed it.
    string_start: usize,
    /// The most bytes to keep of the next string.
    string_bytes_max: usize,
    /// Scalars in a row in an array.
    row: usize,
    is_cut: bool,
    is_full: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    Scalar {
        is_kept: bool,
    },
    String {
        is_kept: bool,
    },
    /// In a string, after a backslash.
    Escape {
        is_kept: bool,
    },
}

impl Skeleton {
    /// The skeleton of nothing yet.
    pub fn new() -> Self {
        Skeleton {
            string_bytes_max: STRING_BYTES_MAX,
            ..Skeleton::default()
        }
    }

    /// Takes the answer's next bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            if self.is_full {
                return;
            }
            rest = match self.place {
                Place::String { is_kept } => self.in_string(is_kept, rest),
                Place::Escape { is_kept } => {
                    self.keep(is_kept, byte);
                    self.place = Place::String { is_kept };
                    after
                }
                Place::Between | Place::Scalar { .. } => {
                    self.outside(byte);
                    after
                }
            };
        }
    }

    /// Whether anything but blanks was left out.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the skeleton ends before the answer did, and so is no whole JSON.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The JSON kept.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }

    fn keep(&mut self, is_kept: bool, byte: u8) {
        if is_kept {
            self.add(byte);
        } else {
            self.is_cut = true;
        }
    }

    /// Every byte that is not inside a string goes through here, so that fullness is met at the same byte
    /// however the answer was cut.
    fn add(&mut self, byte: u8) {
        if self.json.len() < SKELETON_BYTES_MAX {
            self.json.push(byte);
        } else {
            (self.is_full, self.is_cut) = (true, true);
        }
    }

    fn in_string<'a>(&mut self, is_kept: bool, rest: &'a [u8]) -> &'a [u8] {
        let plain = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let is_kept = self.plain(is_kept, &rest[..plain]);
        self.place = Place::String { is_kept };
        let rest = &rest[plain..];
        match rest.first() {
            None => rest,
            Some(b'"') => {
                self.add(b'"');
                self.place = Place::Between;
                &rest[1..]
            }
            Some(escape) => {
                let is_kept = is_kept && self.room() >= ESCAPE_BYTES_MAX;
                self.keep(is_kept, *escape);
                self.place = Place::Escape { is_kept };
                &rest[1..]
            }
        }
    }

    /// Copies the inside of a string as far as there is room, but no part of a letter.
    fn plain(&mut self, is_kept: bool, run: &[u8]) -> bool {
        let fits = if is_kept {
            run.len().min(self.room())
        } else {
            0
        };
        self.json.extend_from_slice(&run[..fits]);
        let Some(&next) = run.get(fits) else {
            return is_kept;
        };
        if is_kept && is_continuation(next) {
            while self.json.len() > self.string_start {
                let dropped = self.json.pop();
                if !dropped.is_some_and(is_continuation) {
                    break;
                }
            }
        }
        self.is_cut = true;
        false
    }

    fn room(&self) -> usize {
        let kept = self.json.len().saturating_sub(self.string_start);
        let string_room = self.string_bytes_max.saturating_sub(kept);
        string_room.min(SKELETON_BYTES_MAX.saturating_sub(self.json.len()))
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                self.place = Place::Between;
                if self.json.last() != Some(&b' ') {
                    self.add(b' ');
                }
            }
            b'"' => {
                self.add(b'"');
                self.string_start = self.json.len();
                self.row = 0;
                self.place = Place::String { is_kept: true };
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => self.punctuation(byte),
            _ => self.scalar(byte),
        }
    }

    fn punctuation(&mut self, byte: u8) {
        self.place = Place::Between;
        self.string_bytes_max = STRING_BYTES_MAX;
        if byte == b':' && self.json.len() < SKELETON_BYTES_MAX / 2 && self.is_after_text_name() {
            self.string_bytes_max = TEXT_BYTES_MAX;
        }
        if byte != b',' {
            self.row = 0;
        }
        self.add(byte);
    }

    fn is_after_text_name(&self) -> bool {
        let name = self.json.get(self.string_start..).unwrap_or_default();
        matches!(
            name.trim_ascii_end(),
            b"content\""
                | b"reasoning_content\""
                | b"reasoning\""
                | b"refusal\""
                | b"arguments\""
                | b"text\""
        )
    }

    /// A byte of a number or a word. After a comma it begins an array's element (a member begins with its
    /// name), which is left out, comma and all, when enough of them stand in a row.
    fn scalar(&mut self, byte: u8) {
        let is_kept = match self.place {
            Place::Scalar { is_kept } => is_kept,
            _ => self.begin_scalar(),
        };
        self.place = Place::Scalar { is_kept };
        self.keep(is_kept, byte);
    }

    fn begin_scalar(&mut self) -> bool {
        let kept = self.json.trim_ascii_end();
        let follows_comma = kept.last() == Some(&b',');
        self.row += 1;
        if self.row <= ROW_MAX || !follows_comma {
            return true;
        }
        let kept_len = kept.len() - 1;
        self.json.truncate(kept_len);
        false
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests;
