//! The head of a part: who it is, in the one spelling that encoders write.

use std::borrow::Cow;

use memchr::memchr2;

use super::params::{self, Params};
use super::{BadRequest, HEAD_BYTES_MAX, LINE_END, NAME_BYTES_MAX, quoted};

/// What a head says.
pub(super) struct Head<'b> {
    pub(super) name: &'b str,
    pub(super) filename: Option<&'b str>,
    pub(super) content_type: Option<&'b str>,
    /// What it says, and at which byte of the part.
    pub(super) content_length: Option<(&'b str, usize)>,
    /// Its length with the empty line, in bytes.
    pub(super) len: usize,
}

/// Why a head is refused.
pub(super) struct Fault<'b> {
    /// The field, where it was known by then.
    name: Option<&'b str>,
    why: Cow<'static, str>,
}

/// The headers as they were found.
#[derive(Default)]
struct Found<'b> {
    disposition: Option<Disposition<'b>>,
    content_type: Option<&'b str>,
    transfer_encoding: Option<&'b str>,
    content_length: Option<(&'b str, usize)>,
}

/// What a Content-Disposition says.
#[derive(Clone, Copy)]
struct Disposition<'b> {
    name: &'b str,
    filename: Option<&'b str>,
}

/// Reads the head at the beginning of `part`.
pub(super) fn read(part: &[u8]) -> Result<Head<'_>, Fault<'_>> {
    let mut found = Found::default();
    let mut at = 0;
    loop {
        let line = line(part, at).map_err(|why| found.fault(why))?;
        let next = at + line.len() + LINE_END.len();
        if next > HEAD_BYTES_MAX {
            return Err(found.fault("has a head of more than 8 KiB: send shorter headers."));
        }
        if line.is_empty() {
            return found.head(next);
        }
        found.header(line, at)?;
        at = next;
    }
}

/// The line that begins at `at`, without its end.
fn line(part: &[u8], at: usize) -> Result<&str, &'static str> {
    let rest = &part[at..];
    let rest = &rest[..rest.len().min(HEAD_BYTES_MAX)];
    let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    let line = std::str::from_utf8(&rest[..end])
        .map_err(|_| "has a header that is not UTF-8: send UTF-8.")?;
    if line.starts_with([' ', '\t']) {
        return Err("has a header over several lines: write each on one.");
    }
    if line.contains(char::is_control) {
        return Err("has a control character in a header: remove it.");
    }
    match rest[end..].starts_with(LINE_END) {
        true => Ok(line),
        false if rest.len() == HEAD_BYTES_MAX && end == rest.len() => {
            Err("has a head of more than 8 KiB: send shorter headers.")
        }
        false => Err(
            "has a head that does not end: write headers, each ended by CRLF, an empty line, and the value.",
        ),
    }
}

impl<'b> Found<'b> {
    fn fault(&self, why: impl Into<Cow<'static, str>>) -> Fault<'b> {
        let name = self.disposition.map(|disposition| disposition.name);
        let why = why.into();
        Fault { name, why }
    }

    /// Takes the header `line`, which begins at the part's byte `at`.
    fn header(&mut self, line: &'b str, at: usize) -> Result<(), Fault<'b>> {
        let Some((name, written)) = line.split_once(':') else {
            return Err(self.fault("has a header without a colon: write `Name: value`."));
        };
        let value = written.trim_matches(' ');
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let again = if is("content-disposition") {
            let read = disposition(value).map_err(|why| self.fault(why))?;
            self.disposition.replace(read).is_some()
        } else if is("content-type") {
            self.content_type.replace(value).is_some()
        } else if is("content-transfer-encoding") {
            self.transfer_encoding.replace(value).is_some()
        } else if is("content-length") {
            let blanks = written.len() - written.trim_start_matches(' ').len();
            let at = at + name.len() + 1 + blanks;
            self.content_length.replace((value, at)).is_some()
        } else {
            let name = quoted(name);
            return Err(self.fault(format!(
                "has the header `{name}`, which forms do not have: remove it."
            )));
        };
        match again {
            true => Err(self.fault(format!("has two headers {name}: send one."))),
            false => Ok(()),
        }
    }

    /// The head, when its `len` bytes are read.
    fn head(self, len: usize) -> Result<Head<'b>, Fault<'b>> {
        let Some(Disposition { name, filename }) = self.disposition else {
            return Err(
                self.fault("has no header Content-Disposition: write `form-data; name=\"...\"`.")
            );
        };
        let encoding = self.transfer_encoding.unwrap_or("binary");
        let plain = ["7bit", "8bit", "binary"];
        if !plain
            .iter()
            .any(|plain| encoding.eq_ignore_ascii_case(plain))
        {
            return Err(self.fault(
                "has a Content-Transfer-Encoding: send its bytes as they are, without that header.",
            ));
        }
        if let Some(why) = self
            .content_type
            .and_then(|value| wrong_type(value, filename.is_some()))
        {
            return Err(self.fault(why));
        }
        if self
            .content_length
            .is_some_and(|(told, _)| !told.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(self.fault("tells a content-length that is no number: leave it out."));
        }
        Ok(Head {
            name,
            filename,
            content_type: self.content_type,
            content_length: self.content_length,
            len,
        })
    }
}

impl Fault<'_> {
    /// The refusal of the part with this number.
    pub(super) fn refusal(&self, number: usize) -> BadRequest {
        super::refusal(number, self.name, &self.why)
    }
}

/// Type and subtype of a content type.
pub(super) fn essence(content_type: &str) -> &str {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim_end_matches(' ')
}

/// Reads a Content-Disposition: `form-data`, the name, and the name of a file.
fn disposition(value: &str) -> Result<Disposition<'_>, Cow<'static, str>> {
    let rest = value.strip_prefix("form-data").ok_or(
        "has a Content-Disposition that is not form-data: write `form-data; name=\"...\"`.",
    )?;
    let mut named = None;
    let mut filename = None;
    for param in Params::new(rest.trim_start_matches(' ')) {
        let (key, value) = param.map_err(|fault| match fault {
            params::Fault::Malformed => "has a Content-Disposition that cannot be read: write `form-data; name=\"...\"; filename=\"...\"`, with quotes, and without any inside.",
            params::Fault::Backslash => "has a backslash in a name, which parsers read in different ways: rename the field or the file.",
        })?;
        match key {
            "name" if named.is_none() && filename.is_none() => named = Some(checked_name(value)?),
            "filename" if named.is_some() && filename.is_none() => {
                filename = Some(checked_filename(value)?)
            }
            "name" | "filename" => {
                return Err("must have one name, and after it at most one filename.".into());
            }
            "name*" | "filename*" => {
                return Err(format!("has a {key}, which forms do not have (RFC 7578): write the name in UTF-8, as filename=\"...\" alone.").into());
            }
            other => {
                let other = quoted(other);
                return Err(format!("has the parameter `{other}` in its Content-Disposition: send name and filename only.").into());
            }
        }
    }
    let name = named.ok_or("has no name: write `form-data; name=\"...\"`.")?;
    Ok(Disposition { name, filename })
}

fn checked_name(name: &str) -> Result<&str, Cow<'static, str>> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(format!("has a name that is not 1 to {NAME_BYTES_MAX} letters, digits, and signs of _-.[]: rename it.").into());
    }
    if name.eq_ignore_ascii_case("_charset_") {
        return Err("sets the character set of others: leave it out, and send UTF-8.".into());
    }
    Ok(name)
}

fn checked_filename(filename: &str) -> Result<&str, Cow<'static, str>> {
    if filename.trim().is_empty() {
        return Err("has an empty filename, with which it is a file to some and a field to others: name the file.".into());
    }
    // Who cuts at semicolons without a look at the quotes finds a parameter in it.
    let disguise = filename
        .split_once(';')
        .is_some_and(|(_, rest)| rest.contains('='));
    match disguise {
        true => Err("has a filename with a semicolon and an equals sign, which some read as a parameter: rename the file.".into()),
        false => Ok(filename),
    }
}

/// What is wrong with a content type.
fn wrong_type(value: &str, is_file: bool) -> Option<&'static str> {
    let essence = essence(value);
    let is_word = |word: &str| !word.is_empty() && word.chars().all(params::is_plain);
    let words = essence.split_once('/');
    let Some((kind, _)) = words.filter(|(kind, subtype)| is_word(kind) && is_word(subtype)) else {
        return Some("has a Content-Type that is not `type/subtype`: correct it, or leave it out.");
    };
    if ["multipart", "message"]
        .iter()
        .any(|nested| kind.eq_ignore_ascii_case(nested))
    {
        return Some("holds parts of its own: send each as a part of the form.");
    }
    // What a file's type says more, such as its codecs, concerns who decodes it. A field is text, and text has a charset.
    if is_file {
        return None;
    }
    let is_utf8 = |param: Result<(&str, &str), params::Fault>| {
        param.is_ok_and(|(name, value)| {
            name.eq_ignore_ascii_case("charset")
                && ["utf-8", "us-ascii"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known))
        })
    };
    let all = Params::new(&value[essence.len()..]).all(is_utf8);
    (!all).then_some("has a Content-Type with other parameters than charset=utf-8: send plain UTF-8 without that header.")
}
