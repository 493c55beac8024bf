//! The simulator's `/moderations`: a few plain words are harmful.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Plan, Refused, parse};

/// Every category, and the word that stands for it.
const CATEGORIES: [(&str, &str); 13] = [
    ("harassment", "insult"),
    ("harassment/threatening", "threat"),
    ("hate", "hatred"),
    ("hate/threatening", "pogrom"),
    ("illicit", "smuggle"),
    ("illicit/violent", "bomb"),
    ("self-harm", "self-harm"),
    ("self-harm/instructions", "self-harm guide"),
    ("self-harm/intent", "hurt myself"),
    ("sexual", "porn"),
    ("sexual/minors", "child abuse"),
    ("violence", "kill"),
    ("violence/graphic", "gore"),
];

#[derive(Deserialize)]
struct Request {
    input: Option<Input>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

/// Moderates one input or several. No usage is told: it is free.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request = parse(body)?;
    let texts = match request.input {
        Some(Input::Text(text)) => vec![text],
        Some(Input::Texts(texts)) if !texts.is_empty() => texts,
        // Texts and images that belong together.
        Some(Input::Parts(parts)) if !parts.is_empty() => {
            let texts: Vec<String> = parts.into_iter().filter_map(|part| part.text).collect();
            vec![texts.join(" ")]
        }
        _ => return Err(Refused::missing("input")),
    };
    plan.document(&json!({
        "id": plan.id("modr-"),
        "model": plan.model,
        "results": texts.iter().map(|text| result(text)).collect::<Vec<_>>(),
    }))
}

fn result(text: &str) -> Value {
    let text = text.to_lowercase();
    let each = || CATEGORIES.map(|(category, word)| (category.to_owned(), text.contains(word)));
    let categories: Map<String, Value> = each()
        .map(|(name, is)| (name, is.into()))
        .into_iter()
        .collect();
    let score = |is| if is { 0.99 } else { 0.000_1 };
    let scores: Map<String, Value> = each()
        .map(|(name, is)| (name, score(is).into()))
        .into_iter()
        .collect();
    let types: Map<String, Value> = each()
        .map(|(name, _)| (name, json!(["text"])))
        .into_iter()
        .collect();
    json!({
        "flagged": each().iter().any(|(_, is)| *is),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": types,
    })
}
