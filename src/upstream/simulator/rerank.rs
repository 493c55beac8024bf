//! The simulator's `/rerank`: documents that share words with the query come first.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::said::{Usage, range};
use super::{Answer, Plan, Refused, parse, text};

/// The share of the words decides; beyond that, documents differ by less.
const SCORE_OF_WORDS: u64 = 9_000;
const SCORE_OF_REST: u64 = 1_000;

#[derive(Deserialize)]
struct Request {
    query: Option<String>,
    documents: Option<Vec<Document>>,
    top_n: Option<i64>,
    return_documents: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Text(String),
    Object { text: String },
}

#[derive(Serialize)]
struct Ranking<'a> {
    id: String,
    object: &'static str,
    model: &'a str,
    results: Vec<Ranked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<InputUsage>,
}

#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    relevance_score: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct InputUsage {
    total_tokens: i64,
}

/// Puts documents in order.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request = parse(body)?;
    let query = request.query.filter(|query| !query.is_empty());
    let query = query.ok_or_else(|| Refused::missing("query"))?;
    let documents = request.documents.filter(|all| !all.is_empty());
    let documents = documents.ok_or_else(|| Refused::missing("documents"))?;
    let top_n = range("top_n", request.top_n, i64::MAX)?;
    let mut scored: Vec<(u64, usize, &str)> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| (score(&query, document.text()), index, document.text()))
        .collect();
    scored.sort_by_key(|(score, index, _)| (std::cmp::Reverse(*score), *index));
    scored.truncate(top_n.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX)));
    let shown = request.return_documents == Some(true);
    let results = scored.into_iter().map(|(score, index, text)| Ranked {
        index,
        relevance_score: share(score),
        document: shown.then_some(Shown { text }),
    });
    // Models read the query with each document.
    let of_query = text::count(&query);
    let tokens = documents.iter().fold(0_u64, |sum, document| {
        sum.saturating_add(of_query + text::count(document.text()))
    });
    plan.document(&Ranking {
        id: plan.id("rerank-"),
        object: "list",
        model: &plan.model,
        results: results.collect(),
        usage: Usage::report(tokens, 0, plan.fault).map(|usage| InputUsage {
            total_tokens: usage.prompt_tokens,
        }),
    })
}

/// How relevant a document is, in ten-thousandths.
fn score(query: &str, document: &str) -> u64 {
    let (document, words) = (document.to_lowercase(), query.to_lowercase());
    let words: Vec<&str> = words.split_whitespace().collect();
    let found = words.iter().filter(|word| document.contains(**word));
    let found = found.fold(0, |sum: u64, _| sum + 1);
    let rest = text::hash(&[query.as_bytes(), document.as_bytes()]) % SCORE_OF_REST;
    found * SCORE_OF_WORDS / (words.len() as u64).max(1) + rest
}

/// A number of ten-thousandths as JSON writes it.
fn share(score: u64) -> Number {
    let number = format!("0.{score:04}").parse().ok();
    number.unwrap_or_else(|| Number::from(0))
}

impl Document {
    fn text(&self) -> &str {
        match self {
            Document::Text(text) | Document::Object { text } => text,
        }
    }
}
