//! The two forms of a chat's answer: one document, or a stream of events.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::super::{CREATED, Fault, Plan, Refused, json};
use super::{Call, Choice, Said};

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
struct WholeChoice<'a> {
    index: usize,
    message: AssistantMessage<'a>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct AssistantMessage<'a> {
    role: &'static str,
    /// Null beside a call.
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
}

/// A call, or a part of one.
#[derive(Serialize, Default)]
struct ToolCall<'a> {
    /// Only in streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: CalledFunction<'a>,
}

#[derive(Serialize, Default)]
struct CalledFunction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: Cow<'a, str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
}

/// The answer as one document.
pub(super) fn whole(id: &str, plan: &Plan, said: &Said) -> Bytes {
    let choices: Vec<WholeChoice<'_>> = said
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
        for (index, choice) in choices.iter().enumerate() {
            events.push(self.chunk(index, Delta::opening(choice.call.as_ref()), None));
        }
        let longest = choices.iter().map(|choice| choice.pieces.len()).max();
        for turn in 0..longest.unwrap_or(0) {
            for (index, choice) in choices.iter().enumerate() {
                if let Some(piece) = choice.pieces.get(turn) {
                    let delta = Delta::piece(piece, choice.call.is_some());
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

impl<'a> Delta<'a> {
    fn opening(call: Option<&'a Call>) -> Self {
        Delta {
            role: Some("assistant"),
            content: call.is_none().then_some(""),
            tool_calls: call.map(|call| {
                [ToolCall {
                    index: Some(0),
                    ..ToolCall::new(call, "".into())
                }]
            }),
        }
    }

    fn piece(piece: &'a str, is_of_call: bool) -> Self {
        let part = || ToolCall {
            index: Some(0),
            function: CalledFunction {
                name: None,
                arguments: piece.into(),
            },
            ..ToolCall::default()
        };
        Delta {
            role: None,
            content: (!is_of_call).then_some(piece),
            tool_calls: is_of_call.then(|| [part()]),
        }
    }
}

impl<'a> ToolCall<'a> {
    fn new(call: &'a Call, arguments: Cow<'a, str>) -> Self {
        ToolCall {
            index: None,
            id: Some(&call.id),
            kind: Some("function"),
            function: CalledFunction {
                name: Some(&call.name),
                arguments,
            },
        }
    }
}

impl<'a> WholeChoice<'a> {
    fn new((index, choice): (usize, &'a Choice)) -> Self {
        let text = choice.pieces.concat();
        let (content, tool_calls) = match &choice.call {
            None => (Some(text), None),
            Some(call) => (None, Some([ToolCall::new(call, text.into())])),
        };
        WholeChoice {
            index,
            message: AssistantMessage {
                role: "assistant",
                content,
                tool_calls,
            },
            finish_reason: choice.finish_reason,
        }
    }
}

fn event(data: &[u8]) -> Bytes {
    [b"data: ", data, b"\n\n"].concat().into()
}
