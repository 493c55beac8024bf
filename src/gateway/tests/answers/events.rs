//! Answers in events.

use serde_json::{Value, json};

use super::Told;
use crate::gateway::service::Service;
use crate::gateway::tests::dice::Dice;

/// Events of text, or of sound, up to the end that their API has.
pub fn texts(told: &Told<'_>, usage: Option<Value>, dice: &mut Dice<'_>) -> String {
    let texts = told.texts(dice);
    match told.service {
        Service::Chat | Service::Completions => chunks(told, &texts, usage, dice),
        Service::Responses => {
            let response = json!({"id": "resp_1", "status": "in_progress", "usage": null});
            let mut events = vec![json!({"type": "response.created", "response": response})];
            events.extend(pieces(&texts[0]).map(
                |piece| json!({"type": "response.output_text.delta", "output_index": 0, "delta": piece}),
            ));
            let response =
                json!({"id": "resp_1", "status": "completed", "usage": usage, "output": []});
            events.push(json!({"type": "response.completed", "response": response}));
            named(&events)
        }
        Service::Messages => named(&message(&texts[0], usage, dice)),
        Service::Transcriptions => {
            let piece = |piece| json!({"type": "transcript.text.delta", "delta": piece});
            let mut events: Vec<Value> = pieces(&texts[0]).map(piece).collect();
            events.push(json!({"type": "transcript.text.done", "text": texts[0], "usage": usage}));
            named(&events)
        }
        _ => named(&[
            json!({"type": "speech.audio.delta", "audio": "UklGRg=="}),
            json!({"type": "speech.audio.done", "usage": usage}),
        ]),
    }
}

/// The events of an image.
pub fn images(told: &Told<'_>, usage: Option<Value>, dice: &mut Dice<'_>) -> String {
    let preview = json!({"type": "image_generation.partial_image", "b64_json": "AA", "partial_image_index": 0});
    let mut done =
        json!({"type": "image_generation.completed", "b64_json": "AAAA", "usage": usage});
    told.state(&mut done, dice);
    let previews = dice.below(2);
    let mut events: Vec<Value> = (0..previews).map(|_| preview.clone()).collect();
    if told.spent.images > 0 {
        events.push(done);
    } else {
        events.push(json!({"type": "error", "error": {"code": "refused", "message": "unsafe"}}));
    }
    named(&events)
}

/// The usage of chunks is in one of its own, or on the last of a choice, or in all that tell of it so far.
fn chunks(told: &Told<'_>, texts: &[String], usage: Option<Value>, dice: &mut Dice<'_>) -> String {
    let is_chat = told.service == Service::Chat;
    let style = dice.below(4);
    let usage = usage.unwrap_or(Value::Null);
    let so_far = match style {
        2 if told.has_usage => {
            json!({"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1})
        }
        _ => Value::Null,
    };
    let mut events = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        for piece in pieces(text) {
            let choice = match is_chat {
                true => json!({"index": index, "delta": {"content": piece}, "finish_reason": null}),
                false => json!({"index": index, "text": piece, "finish_reason": null}),
            };
            events.push(json!({"id": "c", "choices": [choice], "usage": so_far}));
        }
    }
    for index in 0..texts.len() {
        let mut choice = json!({"index": index, "delta": {}, "finish_reason": "stop"});
        let mut event = json!({"id": "c"});
        match (style, index + 1 == texts.len()) {
            (1, true) => event["usage"] = usage.clone(),
            (3, true) => choice["usage"] = usage.clone(),
            _ => {}
        }
        event["choices"] = json!([choice]);
        events.push(event);
    }
    if style != 3 {
        events.push(json!({"id": "c", "choices": [], "usage": usage}));
    }
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    events.collect::<String>() + "data: [DONE]\n\n"
}

/// The input is told at the beginning, the output at the end, and the input perhaps again.
fn message(text: &str, usage: Option<Value>, dice: &mut Dice<'_>) -> Vec<Value> {
    let mut start = usage.clone().unwrap_or(Value::Null);
    let mut end = usage.unwrap_or(Value::Null);
    if start.is_object() {
        start["output_tokens"] = json!(1);
        if dice.one_in(2) {
            end = json!({"output_tokens": end["output_tokens"]});
        }
    }
    let message = json!({"id": "msg_1", "role": "assistant", "content": [], "usage": start});
    let mut events = vec![json!({"type": "message_start", "message": message})];
    events.extend(pieces(text).map(|piece| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    }));
    events
        .push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end}));
    events.push(json!({"type": "message_stop"}));
    events
}

/// A text in a few pieces.
fn pieces(text: &str) -> impl Iterator<Item = String> + use<> {
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters.chunks(90).map(String::from_iter).collect();
    pieces.into_iter()
}

fn named(events: &[Value]) -> String {
    let event = |event: &Value| {
        let name = event["type"].as_str().unwrap_or("message");
        format!("event: {name}\ndata: {event}\n\n")
    };
    events.iter().map(event).collect()
}
