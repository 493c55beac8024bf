//! The forms of an answer: one document, or a stream of events; a chat's, or a completion's.

use bytes::Bytes;
use serde::Serialize;

use super::super::{Answer, CREATED, Fault, Plan, Refused, Vendor, break_off_with, event, json};
use super::{Call, Choice, Said};

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// A chat's.
    Chat,
    /// A completion's.
    Text,
}

/// The usage, as vendors report it.
#[derive(Serialize, Clone, Copy)]
pub(in super::super) struct Usage {
    pub(in super::super) prompt_tokens: i64,
    pub(in super::super) completion_tokens: i64,
    pub(in super::super) total_tokens: i64,
}

/// What all events of one stream share.
struct Stream<'a> {
    shape: Shape,
    id: String,
    plan: &'a Plan,
    /// Only if the client asked for it.
    usage: Option<Usage>,
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

/// A choice of a whole answer, or the part of it that one event carries.
#[derive(Serialize)]
struct Part<'a> {
    index: usize,
    #[serde(flatten)]
    what: What<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum What<'a> {
    Message(Message<'a>),
    Delta(Message<'a>),
    Text(&'a str),
}

#[derive(Serialize, Default)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Null in a whole message that is a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
}

/// A call, or a part of one.
#[derive(Serialize)]
struct ToolCall<'a> {
    /// Only in streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(flatten)]
    head: Option<CallHead<'a>>,
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CallHead<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Shape {
    /// The answer as one document.
    pub(super) fn whole(self, said: &Said, plan: &Plan) -> Result<Answer, Refused> {
        let texts: Vec<String> = said.choices.iter().map(|one| one.pieces.concat()).collect();
        let choices: Vec<Part<'_>> = said
            .choices
            .iter()
            .zip(&texts)
            .enumerate()
            .map(|(index, (choice, text))| Part {
                index,
                what: match self {
                    Shape::Chat => What::Message(match &choice.call {
                        None => Message::words(Some("assistant"), Some(text)),
                        Some(call) => Message {
                            content: Some(None),
                            ..Message::call(Some("assistant"), ToolCall::new(None, call, text))
                        },
                    }),
                    Shape::Text => What::Text(text),
                },
                finish_reason: Some(choice.finish_reason),
            })
            .collect();
        plan.document(&Document {
            id: &self.id(plan),
            object: match self {
                Shape::Chat => "chat.completion",
                Shape::Text => "text_completion",
            },
            created: CREATED,
            model: &plan.model,
            choices: &choices,
            usage: said.usage.map(Some),
        })
    }

    /// The answer as events, with its usage where that is asked for.
    pub(super) fn events(self, said: &Said, include_usage: bool, plan: &Plan) -> Vec<Bytes> {
        let stream = Stream {
            shape: self,
            id: self.id(plan),
            plan,
            usage: said.usage.filter(|_| include_usage),
        };
        stream.events(&said.choices)
    }

    fn id(self, plan: &Plan) -> String {
        plan.id(match self {
            Shape::Chat => "chatcmpl-",
            Shape::Text => "cmpl-",
        })
    }
}

impl<'a> Message<'a> {
    fn words(role: Option<&'static str>, content: Option<&'a str>) -> Self {
        Message {
            role,
            content: content.map(Some),
            tool_calls: None,
        }
    }

    fn call(role: Option<&'static str>, call: ToolCall<'a>) -> Self {
        Message {
            role,
            content: None,
            tool_calls: Some([call]),
        }
    }
}

impl<'a> ToolCall<'a> {
    fn new(index: Option<usize>, call: &'a Call, arguments: &'a str) -> Self {
        ToolCall {
            index,
            head: Some(CallHead {
                id: &call.id,
                kind: "function",
            }),
            function: CalledFunction {
                name: Some(&call.name),
                arguments,
            },
        }
    }

    /// More arguments of a streamed call.
    fn more(arguments: &'a str) -> Self {
        ToolCall {
            index: Some(0),
            head: None,
            function: CalledFunction {
                name: None,
                arguments,
            },
        }
    }
}

impl Stream<'_> {
    /// All events: each choice of a chat begins, the choices' pieces in turn, each choice ends, usage, `[DONE]`.
    fn events(&self, choices: &[Choice]) -> Vec<Bytes> {
        let mut events = Vec::new();
        if self.shape == Shape::Chat {
            let opening = |(index, choice): (usize, &Choice)| {
                let message = match &choice.call {
                    None => Message::words(Some("assistant"), Some("")),
                    Some(call) => {
                        Message::call(Some("assistant"), ToolCall::new(Some(0), call, ""))
                    }
                };
                self.part(index, What::Delta(message), None)
            };
            events.extend(choices.iter().enumerate().map(opening));
        }
        let longest = choices.iter().map(|choice| choice.pieces.len()).max();
        for turn in 0..longest.unwrap_or(0) {
            for (index, choice) in choices.iter().enumerate() {
                if let Some(piece) = choice.pieces.get(turn) {
                    events.push(self.part(index, self.piece(choice, Some(piece)), None));
                }
            }
        }
        if self.plan.fault == Some(Fault::ErrorEvent) {
            let error = Refused::fault().body(Vendor::OpenAi);
            break_off_with(&mut events, |_| event(None, &error));
            return events;
        }
        for (index, choice) in choices.iter().enumerate() {
            events.push(self.part(index, self.piece(choice, None), Some(choice.finish_reason)));
        }
        if self.usage.is_some() {
            events.push(self.document(&[], Some(self.usage)));
        }
        events.push(event(None, b"[DONE]"));
        events
    }

    /// A piece of text, or of a call's arguments; none where the choice ends.
    fn piece<'p>(&self, choice: &Choice, piece: Option<&'p str>) -> What<'p> {
        match self.shape {
            Shape::Chat => What::Delta(match piece {
                Some(piece) if choice.call.is_some() => Message::call(None, ToolCall::more(piece)),
                _ => Message::words(None, piece),
            }),
            Shape::Text => What::Text(piece.unwrap_or_default()),
        }
    }

    fn part(&self, index: usize, what: What<'_>, finish_reason: Option<&'static str>) -> Bytes {
        let part = Part {
            index,
            what,
            finish_reason,
        };
        self.document(&[part], self.usage.map(|_| None))
    }

    fn document(&self, choices: &[Part<'_>], usage: Option<Option<Usage>>) -> Bytes {
        let document = json(&Document {
            id: &self.id,
            object: match self.shape {
                Shape::Chat => "chat.completion.chunk",
                Shape::Text => "text_completion",
            },
            created: CREATED,
            model: &self.plan.model,
            choices,
            usage,
        });
        event(None, &document)
    }
}
