//! The faults that a request can ask the simulator for.

use std::str::FromStr;

use http::StatusCode;

/// Something that goes wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `status=N`: an error with this status, 400 to 599.
    Status(StatusCode),
    /// `refuse`: no connection.
    Refuse,
    /// `close`: the connection closes before the answer's head.
    Close,
    /// `hang`: no head, ever.
    Hang,
    /// `slow`: events 250 ms apart; another answer after 2 s.
    Slow,
    /// `cut`, `cut=K`: the body breaks off halfway, or after K events (K bytes of a JSON answer).
    Cut(Option<usize>),
    /// `stall`, `stall=K`: as `cut`, but the connection stays open in silence.
    Stall(Option<usize>),
    /// `no-usage`: usage is not reported, even if asked for.
    NoUsage,
    /// `negative-usage`: the counts are below zero.
    NegativeUsage,
    /// `absurd-usage`: the counts are beyond reason.
    AbsurdUsage,
    /// `error-event`: a stream ends halfway with an error event; another answer is a 500.
    ErrorEvent,
    /// `json`: JSON answers a request for a stream.
    Json,
    /// `image-error`: the last image is an error entry.
    ImageError,
}

/// A model's name and the fault in its suffix: `gpt#cut=3` is `("gpt", Some("cut=3"))`.
///
/// Whoever looks up a model that is served by the simulator takes the name without the suffix.
pub fn split_fault(model: &str) -> (&str, Option<&str>) {
    match model.rsplit_once('#') {
        Some((name, fault)) => (name, Some(fault)),
        None => (model, None),
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.trim().split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.trim(), None),
        };
        let count = || value.map(str::parse).transpose().ok();
        let fault = match (name, value) {
            ("status", Some(value)) => status(value).map(Fault::Status),
            ("cut", _) => count().map(Fault::Cut),
            ("stall", _) => count().map(Fault::Stall),
            ("refuse", None) => Some(Fault::Refuse),
            ("close", None) => Some(Fault::Close),
            ("hang", None) => Some(Fault::Hang),
            ("slow", None) => Some(Fault::Slow),
            ("no-usage", None) => Some(Fault::NoUsage),
            ("negative-usage", None) => Some(Fault::NegativeUsage),
            ("absurd-usage", None) => Some(Fault::AbsurdUsage),
            ("error-event", None) => Some(Fault::ErrorEvent),
            ("json", None) => Some(Fault::Json),
            ("image-error", None) => Some(Fault::ImageError),
            _ => None,
        };
        fault.ok_or_else(|| {
            format!(
                "the simulator knows no fault `{text}`; there are status=N (400 to 599), refuse, close, \
                 hang, slow, cut, cut=K, stall, stall=K, no-usage, negative-usage, absurd-usage, \
                 error-event, json, image-error"
            )
        })
    }
}

fn status(text: &str) -> Option<StatusCode> {
    let status = StatusCode::from_bytes(text.as_bytes()).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_that_the_message_names_is_known() {
        let message = "nonsense".parse::<Fault>().expect_err("no fault");
        let (_, names) = message.split_once("there are ").expect("a list");
        for name in names.replace(" (400 to 599)", "").split(", ") {
            let example = name.replace("=N", "=503").replace("=K", "=3");
            assert!(example.parse::<Fault>().is_ok(), "{example}");
        }
    }

    #[test]
    fn a_fault_that_is_none_is_refused() {
        for text in [
            "",
            "status",
            "status=200",
            "status=600",
            "status=x",
            "cut=x",
            "cut=-1",
            "hang=1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_suffix_is_split_from_the_model() {
        assert_eq!(split_fault("org/model"), ("org/model", None));
        assert_eq!(split_fault("org/model#cut=3"), ("org/model", Some("cut=3")));
    }
}
