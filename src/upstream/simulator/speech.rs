//! The simulator's `/audio/speech`: a tone for each piece of the text, as WAV whatever format is asked for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::said::Usage;
use super::{
    Answer, Fault, Plan, Refused, Vendor, break_off_with, event, json as written, parse, text, wav,
};

const CHARS_MAX: usize = 4_096;
/// Longer texts are not heard to their end: the sound stays small.
const TONES_MAX: usize = 200;

#[derive(Deserialize)]
struct Request {
    input: Option<String>,
    instructions: Option<String>,
    stream_format: Option<String>,
}

/// Reads a text aloud.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request = parse(body)?;
    let input = request.input.as_deref().filter(|input| !input.is_empty());
    let input = input.ok_or_else(|| Refused::missing("input"))?;
    if input.chars().nth(CHARS_MAX).is_some() {
        let message = format!("input must have at most {CHARS_MAX} characters");
        return Err(Refused::bad(message, Some("input")));
    }
    let tones: Vec<Vec<u8>> = text::pieces(input)
        .take(TONES_MAX)
        .map(|piece| wav::tone(text::hash(&[plan.model.as_bytes(), piece.as_bytes()])))
        .collect();
    let head = wav::head(tones.iter().map(Vec::len).sum());
    match request.stream_format.as_deref() {
        Some("sse") if plan.fault != Some(Fault::Json) => {
            let instructions = request.instructions.as_deref().map_or(0, text::count);
            let read = text::count(input).saturating_add(instructions);
            Ok(events(&head, &tones, read, plan))
        }
        _ if plan.fault == Some(Fault::ErrorEvent) => Err(Refused::fault()),
        _ => {
            let sound = [head, tones.concat()].concat();
            Ok(Answer::Whole(StatusCode::OK, "audio/wav", sound.into()))
        }
    }
}

/// The sound in pieces, and what it counts as: one token for each piece that was read, and one for each tone.
fn events(head: &[u8], tones: &[Vec<u8>], read: u64, plan: &Plan) -> Answer {
    let delta = |sound: &[u8]| {
        let audio = BASE64_STANDARD.encode(sound);
        event(
            None,
            &written(&json!({"type": "speech.audio.delta", "audio": audio})),
        )
    };
    let sounds = tones.iter().map(|tone| delta(tone));
    let mut events: Vec<_> = std::iter::once(delta(head)).chain(sounds).collect();
    if plan.fault == Some(Fault::ErrorEvent) {
        let error = Refused::fault().body(Vendor::OpenAi);
        break_off_with(&mut events, |_| event(None, &error));
        return Answer::Events(events);
    }
    let mut done = json!({"type": "speech.audio.done"});
    if let Some(usage) = Usage::report(read, tones.len() as u64, plan.fault) {
        done["usage"] = json!({
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        });
    }
    events.push(event(None, &written(&done)));
    Answer::Events(events)
}
