//! The simulator's images: made (`/images/generations`, with and without images to edit), edited (`/images/edits`)
//! and varied (`/images/variations`).
//!
//! The pictures are tiny, whatever size is asked for. What a vendor counts in tokens is: streams and edits, whose
//! usage is that of a picture of the size and quality that was asked for.

mod tokens;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::form::Form;
use super::png::picture;
use super::said::range;
use super::{
    Answer, CREATED, Fault, Plan, Refused, Sent, break_off_with, event, json as written, parse,
    text,
};
use tokens::{Counted, usage};

const IMAGES_MAX: i64 = 10;
const PARTIAL_IMAGES_MAX: i64 = 3;

/// What is done with images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Generation,
    Edit,
    Variation,
}

#[derive(Deserialize, Default)]
struct Request {
    prompt: Option<String>,
    n: Option<i64>,
    response_format: Option<String>,
    size: Option<String>,
    quality: Option<String>,
    stream: Option<bool>,
    partial_images: Option<i64>,
    /// One picture to work from, or several.
    image: Option<Value>,
    images: Option<Vec<Value>>,
    /// How many images a form has.
    #[serde(skip)]
    files: u64,
}

#[derive(Serialize)]
struct Images {
    created: u32,
    data: Vec<Entry>,
    #[serde(flatten)]
    made: Option<Made>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

/// How the pictures were made, where the vendor says so.
#[derive(Serialize, Clone)]
struct Made {
    background: &'static str,
    output_format: &'static str,
    quality: String,
    size: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Url(String),
    B64Json(String),
    Error(EntryError),
}

#[derive(Serialize)]
struct EntryError {
    code: &'static str,
    message: &'static str,
}

const NOT_MADE: EntryError = EntryError {
    code: "content_policy_violation",
    message: "simulated fault: this image was not made",
};

/// Answers one request for images.
pub(super) fn answer(work: Work, sent: &Sent<'_>, plan: &Plan) -> Result<Answer, Refused> {
    let request = match sent {
        Sent::Json(body) => parse(body)?,
        Sent::Form(form) => Request::of_form(form)?,
    };
    if work != Work::Generation && request.pictures() == 0 {
        return Err(Refused::missing("image"));
    }
    let prompt = request.prompt(work)?;
    let n = range("n", request.n, IMAGES_MAX)?.unwrap_or(1);
    let stream = request.stream == Some(true) && plan.fault != Some(Fault::Json);
    if !stream {
        return request.whole(work, prompt, n, plan);
    }
    if work == Work::Variation {
        let message = "variations are not streamed".to_owned();
        return Err(Refused::bad(message, Some("stream")));
    }
    if n > 1 {
        let message = "n must be 1 in a stream".to_owned();
        return Err(Refused::bad(message, Some("n")));
    }
    let partials = match request.partial_images {
        Some(0) => 0,
        given => range("partial_images", given, PARTIAL_IMAGES_MAX)?.unwrap_or(0),
    };
    Ok(Answer::Events(request.events(work, prompt, partials, plan)))
}

impl Request {
    fn of_form(form: &Form<'_>) -> Result<Self, Refused> {
        let text = |name| form.text(name).map(str::to_owned);
        let is_image = |name: &str| name == "image" || name.starts_with("image[");
        let files = form.parts().iter().filter(|part| is_image(part.name));
        Ok(Request {
            prompt: text("prompt"),
            n: form.number("n")?,
            response_format: text("response_format"),
            size: text("size"),
            quality: text("quality"),
            stream: Some(form.is_true("stream")),
            partial_images: form.number("partial_images")?,
            files: files.fold(0, |sum, _| sum + 1),
            ..Request::default()
        })
    }

    /// How many there are to work from.
    fn pictures(&self) -> u64 {
        let one = match &self.image {
            None => 0,
            Some(Value::Array(several)) => several.len() as u64,
            Some(_) => 1,
        };
        let several = self.images.as_ref().map_or(0, |images| images.len() as u64);
        one + several + self.files
    }

    fn prompt(&self, work: Work) -> Result<&str, Refused> {
        let prompt = self.prompt.as_deref();
        match prompt.filter(|prompt| !prompt.trim().is_empty()) {
            Some(prompt) => Ok(prompt),
            None if work == Work::Variation => Ok("a variation"),
            None => Err(Refused::missing("prompt")),
        }
    }

    fn whole(&self, work: Work, prompt: &str, n: u64, plan: &Plan) -> Result<Answer, Refused> {
        let as_url = |image| Entry::Url(format!("data:image/png;base64,{image}"));
        let entry = match (self.response_format.as_deref(), work) {
            (None, Work::Edit) | (Some("b64_json"), _) => Entry::B64Json,
            (None | Some("url"), _) => as_url,
            (Some(_), _) => {
                let message = "response_format must be url or b64_json".to_owned();
                return Err(Refused::bad(message, Some("response_format")));
            }
        };
        let data = (1..=n).map(|index| match plan.fault {
            Some(Fault::ImageError) if index == n => Entry::Error(NOT_MADE),
            _ => entry(image(plan, prompt, index)),
        });
        let told = plan.fault != Some(Fault::NoUsage);
        let is_edit = work == Work::Edit;
        plan.document(&Images {
            created: CREATED,
            data: data.collect(),
            made: is_edit.then(|| self.made()),
            usage: match work {
                Work::Edit => usage(&self.counted(prompt, n, 0), plan.fault),
                // This vendor's usage says nothing: images are counted.
                Work::Generation if told => Some(json!({"input_tokens_details": {}})),
                Work::Generation | Work::Variation => None,
            },
        })
    }

    fn events(&self, work: Work, prompt: &str, partials: u64, plan: &Plan) -> Vec<Bytes> {
        let name = match work {
            Work::Edit => "image_edit",
            Work::Generation | Work::Variation => "image_generation",
        };
        let made = json!(self.made());
        let named = |kind: &str, more: Value| {
            let kind = format!("{name}.{kind}");
            let mut all = json!({"type": kind, "created_at": CREATED});
            for fields in [&made, &more] {
                for (name, value) in fields.as_object().into_iter().flatten() {
                    all[name] = value.clone();
                }
            }
            event(Some(&kind), &written(&all))
        };
        let mut events: Vec<Bytes> = (0..partials)
            .map(|index| {
                let preview = image(plan, prompt, index);
                named(
                    "partial_image",
                    json!({"partial_image_index": index, "b64_json": preview}),
                )
            })
            .collect();
        if plan.fault == Some(Fault::ErrorEvent) {
            let error = json!({"type": "error", "error": Refused::fault().error});
            break_off_with(&mut events, |_| event(Some("error"), &written(&error)));
            return events;
        }
        if plan.fault == Some(Fault::ImageError) {
            let error = Refused::bad(NOT_MADE.message.to_owned(), None).error;
            let error = json!({"type": "error", "error": error});
            events.push(event(Some("error"), &written(&error)));
            return events;
        }
        let mut last = json!({"b64_json": image(plan, prompt, 1)});
        if let Some(usage) = usage(&self.counted(prompt, 1, partials), plan.fault) {
            last["usage"] = usage;
        }
        events.push(named("completed", last));
        events
    }

    fn counted<'a>(&'a self, prompt: &'a str, images: u64, partial_images: u64) -> Counted<'a> {
        Counted {
            prompt,
            pictures: self.pictures(),
            images,
            partial_images,
            size: self.size.as_deref(),
            quality: self.quality.as_deref(),
        }
    }

    /// What the vendor chose, where the client left it open.
    fn made(&self) -> Made {
        let given = |word: &Option<String>, else_: &str| {
            let word = word.as_deref().filter(|word| *word != "auto");
            word.unwrap_or(else_).to_owned()
        };
        Made {
            background: "opaque",
            output_format: "png",
            quality: given(&self.quality, tokens::QUALITY),
            size: given(&self.size, tokens::SIZE),
        }
    }
}

/// A picture, in base64.
fn image(plan: &Plan, prompt: &str, index: u64) -> String {
    let seed = [
        plan.model.as_bytes(),
        prompt.as_bytes(),
        &index.to_le_bytes(),
    ];
    BASE64_STANDARD.encode(picture(text::hash(&seed)))
}
