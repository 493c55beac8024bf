//! What a request's `x-mock-*` headers ask for. They pass through a proxy untouched, so a test directs the far end.

use hyper::HeaderMap;

/// Bounds of what one request may ask for: generous for tests, and no test can eat the machine.
const COMPLETION_MAX: u64 = 1_000_000;
const BYTES_MAX: u64 = 256 << 20;
const IMAGES_MAX: u64 = 10_000;
const MILLISECONDS_MAX: u64 = 3_600_000;

/// The whole direction of one answer; absent headers leave the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    pub id: Option<String>,
    pub prompt: Option<u64>,
    pub completion: Option<u64>,
    pub cached: u64,
    pub reasoning: u64,
    pub bytes: u64,
    pub delay_ms: u64,
    pub chunk_ms: u64,
    pub burst: u64,
    pub images: Option<u64>,
    pub image_errors: u64,
    /// Never exceed the request's own maximum, as real endpoints do.
    pub obey: bool,
    /// Add the rate-limit, cookie and organisation headers of a vendor.
    pub vendor: bool,
    pub fault: Fault,
    /// As the request wrote it, for the record.
    pub fault_text: Option<String>,
}

/// How an answer goes wrong, or differs from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Status(u16),
    CutBefore,
    CutAfter(u64),
    Hang,
    HangAfter(u64),
    NoUsage,
    NegativeUsage,
    AbsurdUsage,
    ErrorEvent(u64),
    UsageInEveryChunk,
    UsageInChoice,
    JsonForStream,
    LateUsage,
    FinishUsage,
    Blanks(u64),
    Html,
    Empty,
}

// === impl Directive ===

impl Default for Directive {
    fn default() -> Directive {
        Directive {
            id: None,
            prompt: None,
            completion: None,
            cached: 0,
            reasoning: 0,
            bytes: 0,
            delay_ms: 0,
            chunk_ms: 0,
            burst: 1,
            images: None,
            image_errors: 0,
            obey: false,
            vendor: false,
            fault: Fault::None,
            fault_text: None,
        }
    }
}

impl Directive {
    /// Reads all `x-mock-*` headers; an unknown or malformed one is an error, since a test that misspells its
    /// fault would pass without it.
    pub fn read(headers: &HeaderMap) -> Result<Directive, String> {
        let mut directive = Directive::default();
        for (name, value) in headers {
            let Some(field) = name.as_str().strip_prefix("x-mock-") else {
                continue;
            };
            let value = value
                .to_str()
                .map_err(|_| format!("x-mock-{field}: not printable"))?;
            directive.set(field, value.trim())?;
        }
        Ok(directive)
    }

    fn set(&mut self, field: &str, value: &str) -> Result<(), String> {
        let at_most = |max: u64| number(field, value, max);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "prompt" => self.prompt = Some(at_most(u64::from(u32::MAX))?),
            "completion" => self.completion = Some(at_most(COMPLETION_MAX)?),
            "cached" => self.cached = at_most(u64::from(u32::MAX))?,
            "reasoning" => self.reasoning = at_most(COMPLETION_MAX)?,
            "bytes" => self.bytes = at_most(BYTES_MAX)?,
            "delay-ms" => self.delay_ms = at_most(MILLISECONDS_MAX)?,
            "chunk-ms" => self.chunk_ms = at_most(MILLISECONDS_MAX)?,
            "burst" => self.burst = at_most(COMPLETION_MAX)?.max(1),
            "images" => self.images = Some(at_most(IMAGES_MAX)?),
            "image-errors" => self.image_errors = at_most(IMAGES_MAX)?,
            "obey" => self.obey = at_most(1)? == 1,
            "vendor" => self.vendor = at_most(1)? == 1,
            "fault" => {
                self.fault = Fault::read(value)?;
                self.fault_text = Some(value.to_owned()).filter(|_| self.fault != Fault::None);
            }
            _ => return Err(format!("x-mock-{field}: no such direction")),
        }
        Ok(())
    }
}

fn number(field: &str, value: &str, max: u64) -> Result<u64, String> {
    let number: u64 = value
        .parse()
        .map_err(|_| format!("x-mock-{field}: {value:?} is not a whole number"))?;
    if number > max {
        return Err(format!("x-mock-{field}: {number} is above {max}"));
    }
    Ok(number)
}

// === impl Fault ===

impl Fault {
    fn read(text: &str) -> Result<Fault, String> {
        let (name, count) = match text.split_once('=') {
            Some((name, count)) => (name, Some(number("fault", count, COMPLETION_MAX)?)),
            None => (text, None),
        };
        let fault = match (name, count) {
            ("none", None) => Fault::None,
            ("status", Some(code @ 400..=599)) => Fault::Status(code as u16),
            ("cut-before", None) => Fault::CutBefore,
            ("cut-after", Some(chunks)) => Fault::CutAfter(chunks),
            ("hang", None) => Fault::Hang,
            ("hang-after", Some(chunks)) => Fault::HangAfter(chunks),
            ("no-usage", None) => Fault::NoUsage,
            ("negative-usage", None) => Fault::NegativeUsage,
            ("absurd-usage", None) => Fault::AbsurdUsage,
            ("error-event", Some(chunks)) => Fault::ErrorEvent(chunks),
            ("usage-in-every-chunk", None) => Fault::UsageInEveryChunk,
            ("usage-in-choice", None) => Fault::UsageInChoice,
            ("json-for-stream", None) => Fault::JsonForStream,
            ("late-usage", None) => Fault::LateUsage,
            ("finish-usage", None) => Fault::FinishUsage,
            ("blanks", Some(blanks)) => Fault::Blanks(blanks),
            ("html", None) => Fault::Html,
            ("empty", None) => Fault::Empty,
            _ => return Err(format!("x-mock-fault: {text:?} is no fault that I know")),
        };
        Ok(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Directive, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a header value"));
        }
        Directive::read(&headers)
    }

    #[test]
    fn other_headers_direct_nothing() {
        assert_eq!(
            read(&[("content-type", "application/json"), ("te", "trailers")]),
            Ok(Directive::default())
        );
    }

    #[test]
    fn reads_numbers_ids_and_faults() {
        let directive = read(&[
            ("x-mock-id", "a-1"),
            ("x-mock-prompt", "9"),
            ("x-mock-fault", "cut-after=3"),
        ]);
        let expected = Directive {
            id: Some("a-1".into()),
            prompt: Some(9),
            fault: Fault::CutAfter(3),
            fault_text: Some("cut-after=3".into()),
            ..Directive::default()
        };
        assert_eq!(directive, Ok(expected));
    }

    #[test]
    fn misspelled_directions_are_errors() {
        for pair in [
            ("x-mock-promt", "1"),
            ("x-mock-prompt", "-1"),
            ("x-mock-prompt", "1.5"),
            ("x-mock-completion", "1000001"),
            ("x-mock-fault", "cut-after"),
            ("x-mock-fault", "status=200"),
            ("x-mock-fault", "hang=1"),
            ("x-mock-fault", ""),
        ] {
            assert!(read(&[pair]).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn a_burst_writes_at_least_one_chunk() {
        assert_eq!(
            read(&[("x-mock-burst", "0")]).map(|directive| directive.burst),
            Ok(1)
        );
    }
}
