//! The simulator's `/embeddings`: vectors of length 1 that depend on the words alone.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::prompts::{Prompt, Prompts};
use super::said::{Usage, range};
use super::{Answer, Plan, Refused, parse, text};

const DIMENSIONS_DEFAULT: u64 = 256;
const DIMENSIONS_MAX: i64 = 4096;

#[derive(Deserialize)]
struct Request {
    input: Option<Prompts>,
    dimensions: Option<i64>,
    encoding_format: Option<String>,
}

#[derive(Serialize)]
struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Entry>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<InputUsage>,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

/// Nothing is written, and nothing is said of it.
#[derive(Serialize)]
struct InputUsage {
    prompt_tokens: i64,
    total_tokens: i64,
}

/// Answers one request for embeddings.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request = parse(body)?;
    let prompts = request.input.map(Prompts::each).unwrap_or_default();
    if prompts.is_empty() {
        let message = "you must provide an input".to_owned();
        return Err(Refused::bad(message, Some("input")));
    }
    let dimensions = range("dimensions", request.dimensions, DIMENSIONS_MAX)?;
    let dimensions = dimensions.unwrap_or(DIMENSIONS_DEFAULT);
    let encode = match request.encoding_format.as_deref() {
        None | Some("float") => Vector::Numbers,
        Some("base64") => |numbers: Vec<f32>| {
            let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes))
        },
        Some(_) => {
            let message = "encoding_format must be float or base64".to_owned();
            return Err(Refused::bad(message, Some("encoding_format")));
        }
    };
    let input = prompts.iter().map(|prompt| prompt.tokens).sum();
    let entry = |(index, prompt): (usize, &Prompt)| Entry {
        object: "embedding",
        index,
        embedding: encode(vector(&plan.model, &prompt.text, dimensions)),
    };
    plan.document(&Embeddings {
        object: "list",
        data: prompts.iter().enumerate().map(entry).collect(),
        model: &plan.model,
        usage: Usage::report(input, 0, plan.fault).map(|usage| InputUsage {
            prompt_tokens: usage.prompt_tokens,
            total_tokens: usage.prompt_tokens,
        }),
    })
}

/// Every component is as large as the others; the text decides on the signs.
fn vector(model: &str, text: &str, dimensions: u64) -> Vec<f32> {
    let size = f32::from(u16::try_from(dimensions).unwrap_or(u16::MAX))
        .sqrt()
        .recip();
    let sign = |index: u64| {
        let hash = text::hash(&[model.as_bytes(), text.as_bytes(), &index.to_le_bytes()]);
        if hash & 1 == 0 { 1.0 } else { -1.0 }
    };
    (0..dimensions)
        .map(|index| size.copysign(sign(index)))
        .collect()
}
