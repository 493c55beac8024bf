//! The forms of a response: one document, or a stream of events.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::said::{Choice, Said, Usage};
use super::super::{CREATED, Fault, Plan, Refused, break_off_with, event, json as written};
use super::Request;

/// A response that is said.
pub(super) struct Form<'a> {
    request: &'a Request<'a>,
    plan: &'a Plan,
    /// The only one: nobody can ask for several.
    choice: Option<&'a Choice>,
    /// What the pieces are together.
    text: String,
    usage: Option<Usage>,
}

/// How far a response is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Ended,
}

/// An event: its type and number, and what else it has.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: usize,
    #[serde(flatten)]
    more: Value,
}

impl<'a> Form<'a> {
    pub(super) fn new(request: &'a Request<'a>, said: &'a Said, plan: &'a Plan) -> Self {
        let choice = said.choices.first();
        Form {
            request,
            plan,
            choice,
            text: choice.map_or_else(String::new, |choice| choice.pieces.concat()),
            usage: said.usage,
        }
    }

    /// The response as one document.
    pub(super) fn whole(&self) -> Value {
        self.response(State::Ended)
    }

    /// The response as events.
    pub(super) fn events(&self) -> Vec<Bytes> {
        let is_call = self.choice.is_some_and(|choice| choice.call.is_some());
        let mut all = vec![
            (
                "response.created",
                json!({"response": self.response(State::Begun)}),
            ),
            (
                "response.in_progress",
                json!({"response": self.response(State::Begun)}),
            ),
            (
                "response.output_item.added",
                json!({"output_index": 0, "item": self.item(State::Begun)}),
            ),
        ];
        match is_call {
            true => self.arguments(&mut all),
            false => self.words(&mut all),
        }
        all.push((
            "response.output_item.done",
            json!({"output_index": 0, "item": self.item(State::Ended)}),
        ));
        let last = match self.is_cut() {
            true => "response.incomplete",
            false => "response.completed",
        };
        all.push((last, json!({"response": self.response(State::Ended)})));
        let numbered = all.into_iter().enumerate();
        let mut events = numbered
            .map(|(number, (kind, more))| named(kind, number, more))
            .collect();
        if self.plan.fault == Some(Fault::ErrorEvent) {
            let error = Refused::fault().error;
            let more = json!({"code": error.kind, "message": error.message, "param": null});
            break_off_with(&mut events, |number| named("error", number, more));
        }
        events
    }

    fn words(&self, all: &mut Vec<(&'static str, Value)>) {
        let at = |mut more: Value| {
            more["item_id"] = self.item_id().into();
            more["output_index"] = 0.into();
            more["content_index"] = 0.into();
            more
        };
        all.push(("response.content_part.added", at(json!({"part": part("")}))));
        for piece in self.pieces() {
            all.push((
                "response.output_text.delta",
                at(json!({"delta": piece, "logprobs": []})),
            ));
        }
        all.push((
            "response.output_text.done",
            at(json!({"text": self.text, "logprobs": []})),
        ));
        all.push((
            "response.content_part.done",
            at(json!({"part": part(&self.text)})),
        ));
    }

    fn arguments(&self, all: &mut Vec<(&'static str, Value)>) {
        let at = |mut more: Value| {
            more["item_id"] = self.item_id().into();
            more["output_index"] = 0.into();
            more
        };
        for piece in self.pieces() {
            all.push((
                "response.function_call_arguments.delta",
                at(json!({"delta": piece})),
            ));
        }
        all.push((
            "response.function_call_arguments.done",
            at(json!({"arguments": self.text})),
        ));
    }

    /// The response's object, with what it repeats of its request.
    fn response(&self, state: State) -> Value {
        let ended = state == State::Ended;
        let status = self.status(state);
        let reason = json!({"reason": "max_output_tokens"});
        let tools = self.request.tools.map(|raw| raw.get());
        let tools = tools.and_then(|raw| serde_json::from_str(raw).ok());
        json!({
            "id": self.plan.id("resp_"),
            "object": "response",
            "created_at": CREATED,
            "completed_at": (status == "completed").then_some(CREATED),
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": (status == "incomplete").then_some(reason),
            "instructions": self.request.instructions,
            "max_output_tokens": self.request.max_output_tokens,
            "max_tool_calls": null,
            "metadata": {},
            "model": self.plan.model,
            "output": ended.then(|| self.item(State::Ended)).into_iter().collect::<Vec<_>>(),
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "service_tier": "default",
            "store": false,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": tools.unwrap_or_else(|| json!([])),
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": self.usage.filter(|_| ended).map(usage),
            "user": null,
        })
    }

    /// The message, or the call.
    fn item(&self, state: State) -> Value {
        let ended = state == State::Ended;
        let (id, status) = (self.item_id(), self.status(state));
        match self.choice.and_then(|choice| choice.call.as_ref()) {
            Some(call) => json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "call_id": call.id,
                "name": call.name,
                "arguments": if ended { &self.text } else { "" },
            }),
            None => json!({
                "id": id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": ended.then(|| part(&self.text)).into_iter().collect::<Vec<_>>(),
            }),
        }
    }

    fn item_id(&self) -> String {
        let is_call = self.choice.is_some_and(|choice| choice.call.is_some());
        self.plan.id(if is_call { "fc_" } else { "msg_" })
    }

    fn status(&self, state: State) -> &'static str {
        match state {
            State::Begun => "in_progress",
            State::Ended if self.is_cut() => "incomplete",
            State::Ended => "completed",
        }
    }

    fn is_cut(&self) -> bool {
        self.choice
            .is_some_and(|choice| choice.finish_reason == "length")
    }

    fn pieces(&self) -> &[String] {
        self.choice.map_or(&[], |choice| &choice.pieces)
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    })
}

fn named(kind: &str, sequence_number: usize, more: Value) -> Bytes {
    let data = written(&Event {
        kind,
        sequence_number,
        more,
    });
    event(Some(kind), &data)
}
