//! The forms of a message: one document, or a stream of events.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::said::{Choice, Said, Usage};
use super::super::{Fault, Plan, Refused, Vendor, break_off_with, event, json as written};

/// A message that is said.
pub(super) struct Form<'a> {
    plan: &'a Plan,
    /// The only one: nobody can ask for several.
    choice: Option<&'a Choice>,
    usage: Option<Usage>,
}

/// An event: its type, and what else it has.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(flatten)]
    more: Value,
}

impl<'a> Form<'a> {
    pub(super) fn new(said: &'a Said, plan: &'a Plan) -> Self {
        Form {
            plan,
            choice: said.choices.first(),
            usage: said.usage,
        }
    }

    /// The message as one document.
    pub(super) fn whole(&self) -> Value {
        let pieces = self.pieces().concat();
        let block = match self.choice.and_then(|choice| choice.call.as_ref()) {
            Some(call) => {
                // Of a call that was cut short there are no arguments that could be read.
                let input: Value = serde_json::from_str(&pieces).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
            }
            None => json!({"type": "text", "text": pieces}),
        };
        self.message(&[block], Some(self.stop_reason()), self.usage)
    }

    /// The message as events.
    pub(super) fn events(&self) -> Vec<Bytes> {
        let call = self.choice.and_then(|choice| choice.call.as_ref());
        let block = match call {
            Some(call) => {
                json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
            }
            None => json!({"type": "text", "text": ""}),
        };
        // Told at the start: the input, and the first token.
        let start = self.usage.map(|usage| Usage {
            completion_tokens: usage.completion_tokens.min(1),
            ..usage
        });
        let start = json!({"message": self.message(&[], None, start)});
        let mut events = vec![
            named("message_start", start),
            named(
                "content_block_start",
                json!({"index": 0, "content_block": block}),
            ),
            named("ping", json!({})),
        ];
        for piece in self.pieces() {
            let delta = match call {
                Some(_) => json!({"type": "input_json_delta", "partial_json": piece}),
                None => json!({"type": "text_delta", "text": piece}),
            };
            events.push(named(
                "content_block_delta",
                json!({"index": 0, "delta": delta}),
            ));
        }
        if self.plan.fault == Some(Fault::ErrorEvent) {
            let error = Refused::fault().body(Vendor::Anthropic);
            break_off_with(&mut events, |_| event(Some("error"), &error));
            return events;
        }
        events.push(named("content_block_stop", json!({"index": 0})));
        let mut end = json!({"delta": {"stop_reason": self.stop_reason(), "stop_sequence": null}});
        if let Some(usage) = self.usage {
            end["usage"] = json!({"output_tokens": usage.completion_tokens});
        }
        events.push(named("message_delta", end));
        events.push(named("message_stop", json!({})));
        events
    }

    fn message(&self, content: &[Value], stop_reason: Option<&str>, usage: Option<Usage>) -> Value {
        let mut message = json!({
            "id": self.plan.id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.plan.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
        });
        if let Some(usage) = usage {
            message["usage"] = json!({
                "input_tokens": usage.prompt_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": usage.completion_tokens,
                "service_tier": "standard",
            });
        }
        message
    }

    fn stop_reason(&self) -> &'static str {
        match self.choice.map(|choice| choice.finish_reason) {
            Some("length") => "max_tokens",
            Some("tool_calls") => "tool_use",
            _ => "end_turn",
        }
    }

    fn pieces(&self) -> &[String] {
        self.choice.map_or(&[], |choice| &choice.pieces)
    }
}

fn named(kind: &str, more: Value) -> Bytes {
    event(Some(kind), &written(&Event { kind, more }))
}
