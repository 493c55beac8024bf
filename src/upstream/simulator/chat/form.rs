//! The two forms of a chat's answer: one document, or a stream of events.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::super::{CREATED, Fault, Plan, Refused, json};
use super::{Choice, Said};

/// The usage, as vendors report it.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Usage {
    pub(super) prompt_tokens: i64,
    pub(super) completion_tokens: i64,
    pub(super) total_tokens: i64,
}

/// What all events of one stream share.
pub(super) struct Stream<'a> {
    pub(super) id: &'a str,
    pub(super) plan: &'a Plan,
    /// Only if the client asked for it.
    pub(super) usage: Option<Usage>,
}

#[derive(Serialize)]
struct Document<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u32,
    model: &'a str,
    choices: &'a [C],
    /// Absent, null, or there.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct WholeChoice {
    index: usize,
    message: AssistantMessage,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct AssistantMessage {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// The answer as one document.
pub(super) fn whole(id: &str, plan: &Plan, said: &Said) -> Bytes {
    let choices: Vec<WholeChoice> = said
        .choices
        .iter()
        .enumerate()
        .map(WholeChoice::new)
        .collect();
    json(&Document {
        id,
        object: "chat.completion",
        created: CREATED,
        model: &plan.model,
        choices: &choices,
        usage: said.usage.map(Some),
    })
}

impl Stream<'_> {
    /// All events: each choice begins, the choices' pieces in turn, each choice ends, usage, `[DONE]`.
    pub(super) fn events(&self, choices: &[Choice]) -> Vec<Bytes> {
        let mut events = Vec::new();
        for index in 0..choices.len() {
            let delta = Delta {
                role: Some("assistant"),
                content: Some(""),
            };
            events.push(self.chunk(index, delta, None));
        }
        let longest = choices.iter().map(|choice| choice.pieces.len()).max();
        for turn in 0..longest.unwrap_or(0) {
            for (index, choice) in choices.iter().enumerate() {
                if let Some(piece) = choice.pieces.get(turn) {
                    let delta = Delta {
                        role: None,
                        content: Some(piece),
                    };
                    events.push(self.chunk(index, delta, None));
                }
            }
        }
        if self.plan.fault == Some(Fault::ErrorEvent) {
            events.truncate(events.len() / 2);
            let error = Refused::on_demand(StatusCode::INTERNAL_SERVER_ERROR).body();
            events.push(event(&error));
            return events;
        }
        for (index, choice) in choices.iter().enumerate() {
            events.push(self.chunk(index, Delta::default(), Some(choice.finish_reason)));
        }
        if self.usage.is_some() {
            events.push(self.document(&[], Some(self.usage)));
        }
        events.push(event(b"[DONE]"));
        events
    }

    fn chunk(&self, index: usize, delta: Delta<'_>, finish: Option<&'static str>) -> Bytes {
        let choice = ChunkChoice {
            index,
            delta,
            finish_reason: finish,
        };
        self.document(&[choice], self.usage.map(|_| None))
    }

    fn document(&self, choices: &[ChunkChoice<'_>], usage: Option<Option<Usage>>) -> Bytes {
        event(&json(&Document {
            id: self.id,
            object: "chat.completion.chunk",
            created: CREATED,
            model: &self.plan.model,
            choices,
            usage,
        }))
    }
}

impl WholeChoice {
    fn new((index, choice): (usize, &Choice)) -> Self {
        WholeChoice {
            index,
            message: AssistantMessage {
                role: "assistant",
                content: choice.pieces.concat(),
            },
            finish_reason: choice.finish_reason,
        }
    }
}

fn event(data: &[u8]) -> Bytes {
    [b"data: ", data, b"\n\n"].concat().into()
}
