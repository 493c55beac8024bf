//! Forms (`multipart/form-data`), as far as an upstream must understand them.
//!
//! The proxy has a reader of its own that refuses what is ambiguous; this one takes what is left.

use super::refused::Refused;

/// A form's parts, in order.
pub(super) struct Form<'a> {
    parts: Vec<Part<'a>>,
}

/// One field or file.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
}

impl<'a> Form<'a> {
    /// Reads a body of this content type.
    pub(super) fn read(content_type: &str, body: &'a [u8]) -> Result<Self, Refused> {
        let wrong = |what: &str| Refused::bad(format!("the form {what}"), None);
        let boundary = parameter(content_type, "boundary");
        let boundary = boundary.ok_or_else(|| wrong("names no boundary"))?;
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        let mut rest = body
            .strip_prefix(&delimiter[2..])
            .ok_or_else(|| wrong("does not begin with its boundary"))?;
        let mut parts = Vec::new();
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let end = find(part, &delimiter).ok_or_else(|| wrong("does not end"))?;
            let read =
                Part::read(&part[..end]).ok_or_else(|| wrong("has a part without a name"))?;
            parts.push(read);
            rest = &part[end + delimiter.len()..];
        }
        Ok(Form { parts })
    }

    /// All of them.
    pub(super) fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// The text of a field, if it is there.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    /// The bytes of a field or file, if it is there.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        Some(part.value)
    }

    /// A field that is a number, if it is there.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<i64>, Refused> {
        let read = self.text(name).map(str::parse).transpose();
        read.map_err(|_| Refused::bad(format!("{name} must be a number"), Some(name)))
    }

    /// Whether a field says yes.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }
}

impl<'a> Part<'a> {
    fn read(part: &'a [u8]) -> Option<Self> {
        let head_end = find(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let is_disposition = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            name.eq_ignore_ascii_case("content-disposition")
        };
        Some(Part {
            name: parameter(head.split("\r\n").find(is_disposition)?, "name")?,
            value: &part[head_end + 4..],
        })
    }
}

/// A parameter of a header, without its quotes.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = header.split(';').skip(1).map(str::trim);
    let value = parameters.find_map(|one| one.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"xyz\"";

    #[test]
    fn fields_and_files_are_found_by_name() {
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n\
            --xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
            Content-Type: audio/wav\r\n\r\n\0\r\n--xy\xff\r\n\
            --xyz\r\nContent-Disposition: form-data; name=n\r\n\r\n3\r\n--xyz--\r\n";
        let form = Form::read(KIND, body).ok().expect("a form");
        assert_eq!(form.text("model"), Some("whisper"));
        assert_eq!(form.value("file"), Some(&b"\0\r\n--xy\xff"[..]));
        assert_eq!(form.number("n").ok(), Some(Some(3)));
        assert_eq!((form.text("file"), form.text("none")), (None, None));
        assert!(form.number("model").is_err() && !form.is_true("n"));
    }

    #[test]
    fn a_form_that_cannot_be_read_is_refused() {
        for body in [
            "",
            "--other\r\n",
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nopen",
            "--xyz\r\nno head\r\n--xyz--",
            "--xyz\r\nContent-Type: text/plain\r\n\r\na\r\n--xyz--",
        ] {
            assert!(Form::read(KIND, body.as_bytes()).is_err(), "{body}");
        }
        assert!(Form::read("multipart/form-data", b"--xyz--").is_err());
    }
}
