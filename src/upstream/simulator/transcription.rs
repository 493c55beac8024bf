//! The simulator's `/audio/transcriptions` and `/audio/translations`: it says how long it listened.
//!
//! Models whose name has `transcribe` count tokens, the others seconds.

use http::StatusCode;
use serde_json::{Value, json};

use super::form::Form;
use super::said::Usage;
use super::{
    Answer, Fault, Plan, Refused, Vendor, break_off_with, event, json as written, text, wav,
};

const PLAIN: &str = "text/plain; charset=utf-8";
/// Of sound, for models that count tokens.
const TOKENS_PER_SECOND: u64 = 10;

/// What was heard.
struct Heard<'a> {
    plan: &'a Plan,
    text: String,
    seconds: u64,
    /// What the client wrote about it counts as.
    prompt_tokens: u64,
}

/// Writes down what is said.
pub(super) fn transcribed(form: &Form<'_>, plan: &Plan) -> Result<Answer, Refused> {
    let heard = Heard::of(form, plan)?;
    if form.is_true("stream") && plan.fault != Some(Fault::Json) {
        return Ok(Answer::Events(heard.events()));
    }
    heard.whole(form, "transcribe", heard.usage())
}

/// Writes down in English what is said; no usage is told.
pub(super) fn translated(form: &Form<'_>, plan: &Plan) -> Result<Answer, Refused> {
    Heard::of(form, plan)?.whole(form, "translate", None)
}

impl<'a> Heard<'a> {
    fn of(form: &Form<'_>, plan: &'a Plan) -> Result<Self, Refused> {
        let file = form.value("file").filter(|file| !file.is_empty());
        let file = file.ok_or_else(|| Refused::missing("file"))?;
        let seconds = wav::seconds(file);
        let model = &plan.model;
        Ok(Heard {
            plan,
            text: format!(
                "This is {model}, played by Tollgate's simulator. I listened for {seconds} seconds."
            ),
            seconds,
            prompt_tokens: form.text("prompt").map_or(0, text::count),
        })
    }

    fn whole(&self, form: &Form<'_>, task: &str, usage: Option<Value>) -> Result<Answer, Refused> {
        let (text, seconds) = (&self.text, self.seconds);
        let mut document = match form.text("response_format") {
            None | Some("json") => json!({"text": text}),
            Some("verbose_json") => json!({
                "task": task,
                "language": "english",
                "duration": seconds,
                "text": text,
                "segments": [{
                    "id": 0, "seek": 0, "start": 0, "end": seconds, "text": text, "tokens": [],
                    "temperature": 0, "avg_logprob": 0, "compression_ratio": 1, "no_speech_prob": 0,
                }],
            }),
            Some("text") => return self.plain(format!("{text}\n")),
            Some("srt") => {
                let end = clock(seconds, ',');
                return self.plain(format!("1\n00:00:00,000 --> {end}\n{text}\n\n"));
            }
            Some("vtt") => {
                let end = clock(seconds, '.');
                return self.plain(format!("WEBVTT\n\n00:00:00.000 --> {end}\n{text}\n\n"));
            }
            Some(_) => {
                let message = "response_format must be json, verbose_json, text, srt or vtt";
                return Err(Refused::bad(message.to_owned(), Some("response_format")));
            }
        };
        if let Some(usage) = usage {
            document["usage"] = usage;
        }
        self.plan.document(&document)
    }

    fn plain(&self, text: String) -> Result<Answer, Refused> {
        match self.plan.fault {
            Some(Fault::ErrorEvent) => Err(Refused::fault()),
            _ => Ok(Answer::Whole(StatusCode::OK, PLAIN, text.into())),
        }
    }

    fn events(&self) -> Vec<bytes::Bytes> {
        let delta = |piece| json!({"type": "transcript.text.delta", "delta": piece});
        let mut events: Vec<_> = text::pieces(&self.text)
            .map(|piece| event(None, &written(&delta(piece))))
            .collect();
        if self.plan.fault == Some(Fault::ErrorEvent) {
            let error = Refused::fault().body(Vendor::OpenAi);
            break_off_with(&mut events, |_| event(None, &error));
            return events;
        }
        let mut done = json!({"type": "transcript.text.done", "text": self.text});
        if let Some(usage) = self.usage() {
            done["usage"] = usage;
        }
        events.push(event(None, &written(&done)));
        events
    }

    /// The usage that is reported, true but for faults.
    fn usage(&self) -> Option<Value> {
        let audio = TOKENS_PER_SECOND.saturating_mul(self.seconds);
        let (input, output) = match self.plan.model.contains("transcribe") {
            true => (audio + self.prompt_tokens, text::count(&self.text)),
            false => (self.seconds, 0),
        };
        let usage = Usage::report(input, output, self.plan.fault)?;
        if !self.plan.model.contains("transcribe") {
            return Some(json!({"type": "duration", "seconds": usage.prompt_tokens}));
        }
        Some(json!({
            "type": "tokens",
            "input_tokens": usage.prompt_tokens,
            "input_token_details": {"text_tokens": self.prompt_tokens, "audio_tokens": audio},
            "output_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }))
    }
}

/// A time in subtitles.
fn clock(seconds: u64, point: char) -> String {
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3_600);
    format!("{hours:02}:{minutes:02}:{:02}{point}000", seconds % 60)
}
