//! A quick way through JSON, as most upstreams write it: one pass, which looks at the names that matter and passes over
//! all else.
//!
//! It takes nothing that serde would not take. What is rare it leaves to serde, by a `None` after which the whole is
//! read anew: a name with escapes where names matter, one that comes twice, another type than the usual one, deep nesting.

use memchr::memchr2;

use super::lenient::Raw;

/// Values that nest deeper are rare.
const DEPTH_MAX: u32 = 64;

/// A place in a JSON text.
pub(super) struct Skim<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Skim<'a> {
    /// Reads a text that is the one value that `take` takes.
    pub fn whole<T>(json: &'a [u8], take: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut skim = Skim { json, at: 0 };
        let value = take(&mut skim)?;
        skim.next().is_none().then_some(value)
    }

    /// Takes an object. `member` is told each name, and takes the value that follows.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        self.items(b'{', b'}', |skim| {
            let name = skim.name()?;
            skim.take(b':')?;
            member(skim, name)
        })
    }

    /// Takes an array. `element` takes each of its elements.
    pub fn array(&mut self, element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.items(b'[', b']', element)
    }

    /// Takes a value by `take`, and gives its text too.
    pub fn with_text<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<(T, &'a str)> {
        self.next()?;
        let start = self.at;
        let value = take(self)?;
        let text = std::str::from_utf8(&self.json[start..self.at]).ok()?;
        Some((value, text))
    }

    /// Takes a value, and gives its text.
    pub fn raw(&mut self) -> Option<&'a str> {
        self.with_text(Self::pass).map(|(_, text)| text)
    }

    /// Takes a value, and keeps its text; a member that was kept before comes twice.
    pub fn keep(&mut self, place: &mut Option<Raw<'a>>) -> Option<()> {
        let raw = Raw(self.raw()?);
        place.replace(raw).is_none().then_some(())
    }

    /// Takes a null, if there is one.
    pub fn null(&mut self) -> bool {
        self.next() == Some(b'n') && self.word(b"null").is_some()
    }

    /// Takes a value that does not matter.
    pub fn pass(&mut self) -> Option<()> {
        self.pass_below(DEPTH_MAX)
    }

    fn pass_below(&mut self, depth: u32) -> Option<()> {
        match self.next()? {
            b'"' => self.string(),
            b'{' => {
                let depth = depth.checked_sub(1)?;
                self.items(b'{', b'}', |skim| {
                    skim.string()?;
                    skim.take(b':')?;
                    skim.pass_below(depth)
                })
            }
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.items(b'[', b']', |skim| skim.pass_below(depth))
            }
            b'n' => self.word(b"null"),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            _ => self.number(),
        }
    }

    fn items(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        if self.next()? == close {
            return self.take(close);
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => self.at += 1,
                byte if byte == close => return self.take(close),
                _ => return None,
            }
        }
    }

    /// The next byte that is no blank; it is not taken.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.json.get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let is_it = self.next()? == byte;
        self.at += usize::from(is_it);
        is_it.then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_it = self.json[self.at..].starts_with(word);
        self.at += if is_it { word.len() } else { 0 };
        is_it.then_some(())
    }

    /// A name that stands for itself: without escapes, in ASCII.
    fn name(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let rest = &self.json[self.at..];
        let end = memchr2(b'"', b'\\', rest)?;
        let name = &rest[..end];
        let is_odd = |byte: u8| !(b' '..=b'~').contains(&byte);
        if rest[end] != b'"' || has(name, is_odd) {
            return None;
        }
        self.at += end + 1;
        Some(name)
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let rest = &self.json[self.at..];
            let run = memchr2(b'"', b'\\', rest)?;
            if has(&rest[..run], |byte| byte < b' ') {
                return None;
            }
            self.at += run + 1;
            if rest[run] == b'"' {
                return Some(());
            }
            self.escape(&rest[run + 1..])?;
        }
    }

    fn escape(&mut self, rest: &[u8]) -> Option<()> {
        self.at += match rest.first()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' if rest.get(1..5)?.iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.one_of(b"-");
        if !self.one_of(b"0") {
            self.digits()?;
        }
        if self.one_of(b".") {
            self.digits()?;
        }
        if self.one_of(b"eE") {
            self.one_of(b"+-");
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.json[self.at..].iter();
        let count = rest.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// Takes the very next byte if it is one of these.
    fn one_of(&mut self, bytes: &[u8]) -> bool {
        let is_one = self
            .json
            .get(self.at)
            .is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(is_one);
        is_one
    }
}

/// Whether a byte is so. All are looked at, so that many are looked at at once.
fn has(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |any, byte| any | is_so(*byte))
}

#[cfg(test)]
pub(super) mod tests;
