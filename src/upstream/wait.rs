//! How long an answer asks to be left alone for.

use std::time::{Duration, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};

use crate::clock::UnixMs;

/// What OpenAI and others send beside Retry-After, in milliseconds.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// Nobody is left alone for longer, in milliseconds.
const MS_MAX: u64 = 60_000;

/// The milliseconds that an answer asks for, at most a minute: by `retry-after-ms`, or by `Retry-After` in seconds
/// or as a date. `None` where it asks for nothing that can be read.
pub(super) fn asked_ms(headers: &HeaderMap, now: UnixMs) -> Option<u64> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let ms = text(RETRY_AFTER_MS).and_then(|text| number(text, 1));
    let asked = ms.or_else(|| {
        let text = text(RETRY_AFTER)?;
        number(text, 1_000).or_else(|| until(text, now))
    });
    asked.map(|ms| ms.min(MS_MAX))
}

/// A number of units; a fraction counts as a whole one, and what no integer holds as a very long time.
fn number(text: &str, unit_ms: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let units = whole.parse().unwrap_or(u64::MAX);
    let rounded = units.saturating_add(u64::from(part.bytes().any(|digit| digit != b'0')));
    Some(rounded.saturating_mul(unit_ms))
}

/// From now to a date of HTTP.
fn until(text: &str, now: UnixMs) -> Option<u64> {
    let date = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).ok()?);
    let left = date.duration_since(now).unwrap_or_default();
    Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// 2015-10-21T07:28:00Z
    const NOW: UnixMs = UnixMs(1_445_412_480_000);

    fn asked(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        asked_ms(&headers.collect(), NOW)
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_read_and_bounded() {
        for (value, ms) in [
            ("0", Some(0)),
            ("3", Some(3_000)),
            (" 3 ", Some(3_000)),
            ("1.5", Some(2_000)),
            ("59.0", Some(59_000)),
            ("61", Some(60_000)),
            ("99999999999999999999999", Some(60_000)),
            ("Wed, 21 Oct 2015 07:28:07 GMT", Some(7_000)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("Thu, 21 Oct 2055 07:28:00 GMT", Some(60_000)),
            ("", None),
            ("-1", None),
            (".5", None),
            ("soon", None),
        ] {
            assert_eq!(asked(&[("retry-after", value)]), ms, "{value}");
        }
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn milliseconds_are_the_truer_word() {
        let both = |ms| [("retry-after", "3"), ("retry-after-ms", ms)];
        assert_eq!(asked(&both("250")), Some(250));
        assert_eq!(asked(&both("250.5")), Some(251));
        assert_eq!(asked(&both("x")), Some(3_000));
    }
}
