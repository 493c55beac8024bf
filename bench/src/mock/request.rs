//! The few fields of a request's body that an answer depends on; the rest is skipped unread.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

/// A chat or image request, as far as the mock cares.
#[derive(Debug, Default, Deserialize)]
pub struct Asked<'a> {
    #[serde(borrow, default)]
    pub model: Cow<'a, str>,
    pub stream: Option<bool>,
    pub stream_options: Option<Value>,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub n: Option<u64>,
}

// === impl Asked ===

impl Asked<'_> {
    pub fn read(body: &[u8]) -> Result<Asked<'_>, String> {
        serde_json::from_slice(body).map_err(|error| format!("not a request: {error}"))
    }

    pub fn streamed(&self) -> bool {
        self.stream == Some(true)
    }

    pub fn include_usage(&self) -> bool {
        let options = self.stream_options.as_ref();
        options
            .and_then(|options| options.get("include_usage"))
            .and_then(Value::as_bool)
            == Some(true)
    }

    /// The lower of the two maxima that a client can send.
    pub fn completion_max(&self) -> Option<u64> {
        [self.max_tokens, self.max_completion_tokens]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_and_skips_the_rest() {
        let body = br#"{"messages":[{"role":"user","content":"x"}],"model":"a/\u0062","stream":true,"n":null,
            "stream_options":{"include_usage":true},"max_tokens":9,"max_completion_tokens":7}"#;
        let asked = Asked::read(body).expect("a request");
        assert_eq!(asked.model, "a/b");
        assert!(asked.streamed() && asked.include_usage());
        assert_eq!((asked.completion_max(), asked.n), (Some(7), None));
    }

    #[test]
    fn usage_is_included_only_when_asked() {
        for body in [
            r"{}",
            r#"{"stream_options":null}"#,
            r#"{"stream_options":{"include_usage":false}}"#,
        ] {
            assert!(
                !Asked::read(body.as_bytes())
                    .expect("a request")
                    .include_usage(),
                "{body}"
            );
        }
    }
}
