//! What the simulator says, as a chat or as a completion of plain text.

mod form;

use serde::Deserialize;

use super::{Answer, Fault, Plan, Refused, text};
pub(super) use form::{Shape, Usage};

/// The most choices of one prompt.
pub(super) const CHOICES_MAX: i64 = 128;
/// More than any context, within JSON's exact numbers.
const ABSURD_TOKENS: i64 = 9_000_000_000_000_000;

/// How an answer is to be given.
pub(super) struct Form {
    pub(super) shape: Shape,
    pub(super) stream: bool,
    /// Whether a stream ends with its usage.
    pub(super) include_usage: bool,
}

/// `stream_options` of a request.
#[derive(Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

/// What is said, before it is put into a form.
pub(super) struct Said {
    pub(super) choices: Vec<Choice>,
    /// `None` if it is not to be reported.
    pub(super) usage: Option<Usage>,
}

pub(super) struct Choice {
    /// The function that is called, if one is; the pieces are then its arguments.
    pub(super) call: Option<Call>,
    pub(super) pieces: Vec<String>,
    pub(super) finish_reason: &'static str,
}

/// The head of a call of one of the client's functions.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
}

/// A field that is a number from 1 to `max`, if it is there.
pub(super) fn range(
    name: &'static str,
    value: Option<i64>,
    max: i64,
) -> Result<Option<u64>, Refused> {
    let Some(value) = value else {
        return Ok(None);
    };
    let fits = u64::try_from(value)
        .ok()
        .filter(|_| (1..=max).contains(&value));
    fits.map(Some).ok_or_else(|| {
        Refused::bad(
            format!("{name} is {value}; it must be from 1 to {max}"),
            Some(name),
        )
    })
}

impl Said {
    /// The answer on its form.
    pub(super) fn answer(&self, form: &Form, plan: &Plan) -> Result<Answer, Refused> {
        if form.stream && plan.fault != Some(Fault::Json) {
            return Ok(Answer::Events(form.shape.events(
                self,
                form.include_usage,
                plan,
            )));
        }
        form.shape.whole(self, plan)
    }
}

impl Call {
    /// A call for one choice of an answer.
    pub(super) fn new(plan: &Plan, name: &str, choice: u64) -> Self {
        Call {
            id: format!("{}{choice:02x}", plan.id("call_")),
            name: name.to_owned(),
        }
    }
}

impl Choice {
    /// The text, or as much of it as `limit` pieces are.
    pub(super) fn new(text: &str, limit: u64) -> Self {
        Choice::cut(None, text, limit, "stop")
    }

    /// A call. Its name is the first token, so that any limit allows it.
    pub(super) fn calling(call: Call, arguments: &str, limit: u64) -> Self {
        Choice::cut(Some(call), arguments, limit - 1, "tool_calls")
    }

    fn cut(call: Option<Call>, text: &str, limit: u64, finish_reason: &'static str) -> Self {
        let mut pieces: Vec<String> = text::pieces(text).map(str::to_owned).collect();
        let kept = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_whole = pieces.len() <= kept;
        pieces.truncate(kept);
        Choice {
            call,
            pieces,
            finish_reason: if is_whole { finish_reason } else { "length" },
        }
    }

    /// What it counts as.
    pub(super) fn tokens(&self) -> u64 {
        u64::from(self.call.is_some()) + self.pieces.len() as u64
    }
}

impl Usage {
    /// The usage that is reported, true but for faults.
    pub(super) fn report(input: u64, output: u64, fault: Option<Fault>) -> Option<Self> {
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX / 4);
        let (input, output) = match fault {
            Some(Fault::NoUsage) => return None,
            Some(Fault::NegativeUsage) => (-count(input), -count(output)),
            Some(Fault::AbsurdUsage) => (ABSURD_TOKENS, ABSURD_TOKENS),
            _ => (count(input), count(output)),
        };
        Some(Usage {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: input.saturating_add(output),
        })
    }
}
