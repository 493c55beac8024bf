//! The simulator's counts: `/responses/input_tokens` and `/messages/count_tokens`.

use serde::Serialize;

use super::{Answer, Plan, Refused, messages, responses};

#[derive(Serialize)]
struct Count {
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'static str>,
    input_tokens: u64,
}

/// How many tokens the input of a response has.
pub(super) fn of_response(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    plan.document(&Count {
        object: Some("response.input_tokens"),
        input_tokens: responses::input_tokens(body)?,
    })
}

/// How many tokens the input of a message has.
pub(super) fn of_message(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    plan.document(&Count {
        object: None,
        input_tokens: messages::input_tokens(body)?,
    })
}
