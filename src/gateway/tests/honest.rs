//! An honest upstream, as naive as can be: what it can come to need for a request, at most.
//!
//! It knows the request by parsing it as any program would, and the model by its row. It shares no code with what is
//! tested. A token is a byte at least, of all text that it sees.

use serde_json::Value;

use super::row::Row;
use crate::gateway::service::Service;

/// The most that a request comes to.
#[derive(Clone, Debug, Default)]
pub struct Most {
    pub input: u64,
    pub output: u64,
    pub images: u64,
    pub seconds: u64,
    pub characters: u64,
    /// Search units of an order of documents.
    pub searches: u64,
    /// Texts that are shown.
    pub choices: u64,
    /// Images to be read, and sound.
    pub pictures: u64,
    pub has_sound: bool,
    pub is_stream: bool,
    /// Whether the usage at the end of a stream was asked for.
    pub asks_usage: bool,
    /// What was asked for; `None` may be anything.
    pub size: Option<String>,
    pub quality: Option<String>,
}

/// What it sees of a body.
#[derive(Default)]
struct Sight {
    bytes: u64,
    pictures: u64,
    /// What is not in the body, or more than its bytes.
    is_unbounded: bool,
    has_sound: bool,
}

/// The members that a model is shown, names of members inside of them included.
const SHOWN: [&str; 11] = [
    "messages",
    "input",
    "instructions",
    "system",
    "tools",
    "response_format",
    "text",
    "prediction",
    "prompt",
    "stop",
    "stop_sequences",
];

/// Reads the body that came, of a form the fields.
pub fn read(service: Service, body: &[u8]) -> Value {
    if service != Service::Transcriptions {
        return serde_json::from_slice(body).expect("JSON");
    }
    let form = std::str::from_utf8(body).expect("text");
    let field = |part: &str| {
        let (head, value) = part.split_once("\r\n\r\n")?;
        let name = head.split('"').nth(1)?;
        Some((name.to_owned(), Value::from(value.trim_end())))
    };
    Value::Object(form.split("--b").filter_map(field).collect())
}

/// The most that a body comes to. An error is why it has no price here.
pub fn most(service: Service, body: &Value, row: &Row) -> Result<Most, &'static str> {
    unpriced(service, body, row)?;
    let mut sight = Sight::default();
    for (name, value) in body.as_object().expect("an object") {
        if SHOWN.contains(&name.as_str()) {
            sight.look(value);
        }
        if matches!(name.as_str(), "image" | "images" | "mask") {
            sight.gallery(value);
        }
        sight.is_unbounded |= name == "previous_response_id" && !value.is_null();
    }
    let prompts = match service {
        Service::Completions => prompts(&body["prompt"]),
        Service::Embeddings => prompts(&body["input"]),
        Service::Rerank => documents(&body["documents"]),
        // Parts make one input, texts one each.
        Service::Moderations if !body["input"][0].is_object() => prompts(&body["input"]),
        _ => Vec::new(),
    };
    let n = body["n"].as_u64().unwrap_or(1);
    let is_open = |word: &str| word.eq_ignore_ascii_case("auto");
    let word = |name: &str| {
        let word = body[name].as_str().filter(|word| !is_open(word));
        word.map(str::to_lowercase)
    };
    let is_sized_otherwise = !body["image_size"].is_null() || !body["width"].is_null();
    let is_image = matches!(service, Service::Images | Service::ImageEdits);
    let is_heard = service == Service::Transcriptions;
    let default = |word: Option<&str>| word.map(str::to_owned);
    Ok(Most {
        input: match prompts.is_empty() {
            // Nobody knows before it was heard.
            true if is_heard => row.context_tokens,
            true => sight.tokens(row),
            false => together(&prompts, shared(service, body), row),
        },
        output: output(service, body, row, n, &prompts),
        images: if is_image { n } else { 0 },
        seconds: if is_heard { row.seconds_max } else { 0 },
        characters: match service {
            Service::Speech => body["input"].as_str().expect("a text").chars().count() as u64,
            _ => 0,
        },
        searches: match service {
            Service::Rerank => searches(
                &prompts,
                body["query"].as_str().expect("a text").len() as u64,
            ),
            _ => 0,
        },
        choices: n * prompts.len().max(1) as u64,
        pictures: sight.pictures,
        has_sound: sight.has_sound || is_heard,
        is_stream: body["stream"] == true
            || body["stream"] == "true"
            || body["stream_format"] == "sse",
        asks_usage: body["stream_options"]["include_usage"] == true,
        size: match is_sized_otherwise {
            true => None,
            false => word("size").or_else(|| default(row.default_size)),
        },
        quality: word("quality").or_else(|| default(row.default_quality)),
    })
}

/// What costs more than any row says.
fn unpriced(service: Service, body: &Value, row: &Row) -> Result<(), &'static str> {
    let says = |name: &str| !matches!(body[name], Value::Null | Value::Bool(false));
    let tier = body["service_tier"].as_str().unwrap_or("auto");
    if !["auto", "default", "standard_only"].contains(&tier) || body["speed"] == "fast" {
        return Err("it is served in another tier");
    }
    let sound = Value::from("audio");
    let modalities = body["modalities"].as_array();
    if says("audio") || modalities.is_some_and(|list| list.contains(&sound)) {
        return Err("it is answered by sound");
    }
    let runs_here = |tool: &Value| {
        let kind = tool["type"].as_str();
        kind.is_none_or(|kind| matches!(kind, "function" | "local_shell" | "bash_20250124"))
    };
    let tools = body["tools"].as_array();
    if says("web_search_options") || !tools.is_none_or(|tools| tools.iter().all(runs_here)) {
        return Err("it searches the web");
    }
    let count = |name: &str| body[name].as_u64().unwrap_or(1);
    if service == Service::Chat && count("best_of") > 1 {
        return Err("texts are made that nobody sees");
    }
    let makes_one = matches!(
        service,
        Service::Responses | Service::Messages | Service::Speech
    );
    if makes_one && count("n") > 1 {
        return Err("several are made of what comes once");
    }
    if row.category.contains("image") && count("n") > row.images_max {
        return Err("the model makes fewer images");
    }
    let maxima = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    if maxima
        .iter()
        .any(|name| count(name) > row.max_output_tokens)
    {
        return Err("the model writes less");
    }
    Ok(())
}

impl Sight {
    fn look(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.bytes += text.len() as u64,
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(members) => {
                let kind = value["type"].as_str().unwrap_or_default();
                self.has_sound |= kind == "input_audio";
                self.is_unbounded |= match kind {
                    "input_audio" | "file" | "input_file" | "document" => true,
                    "local_shell" | "bash_20250124" => true,
                    // Kept at the upstream, where the client does not bring it along.
                    "reasoning" => !value["encrypted_content"].is_string(),
                    _ => false,
                };
                for (name, member) in members {
                    if name == "image_url" || (name == "source" && kind == "image") {
                        self.pictures += 1;
                        continue;
                    }
                    self.bytes += name.len() as u64;
                    self.look(member);
                }
            }
            _ => {}
        }
    }

    /// Images to work from.
    fn gallery(&mut self, value: &Value) {
        self.pictures += match value {
            Value::Null => 0,
            Value::Array(images) => images.len() as u64,
            _ => 1,
        };
    }

    fn tokens(&self, row: &Row) -> u64 {
        if self.is_unbounded || (self.pictures > 0 && row.image_tokens_max == 0) {
            return row.context_tokens;
        }
        let tokens = self.bytes + self.pictures * row.image_tokens_max + row.overhead_tokens;
        tokens.min(row.context_tokens)
    }
}

/// The tokens of each prompt: of a text its bytes, and ids are tokens.
fn prompts(value: &Value) -> Vec<u64> {
    match value {
        Value::Array(items) if items[0].is_number() => vec![items.len() as u64],
        Value::Array(items) => items.iter().flat_map(prompts).collect(),
        text => vec![text.as_str().expect("a text").len() as u64],
    }
}

fn documents(value: &Value) -> Vec<u64> {
    let text = |document: &Value| match document {
        Value::String(text) => text.len() as u64,
        object => object["text"].as_str().expect("a text").len() as u64,
    };
    let documents = value.as_array().expect("documents");
    documents.iter().map(text).collect()
}

/// A query with up to 100 documents is one. Where a document has more than 500 tokens with the query, each piece counts.
fn searches(documents: &[u64], query: u64) -> u64 {
    let room = 500 - query.min(250);
    let pieces = documents.iter().map(|tokens| tokens.div_ceil(room).max(1));
    pieces.sum::<u64>().div_ceil(100)
}

/// What is put to every prompt, its beginning, its end and what parts it included.
fn shared(service: Service, body: &Value) -> u64 {
    let names: &[&str] = match service {
        Service::Rerank => &["query", "instruct"],
        Service::Completions => &["suffix"],
        _ => &["instruct"],
    };
    let texts = names.iter().filter_map(|name| body[*name].as_str());
    let marks = if service == Service::Rerank { 3 } else { 2 };
    marks + texts.map(|text| text.len() as u64).sum::<u64>()
}

/// Prompts that are read each in a context of its own.
fn together(prompts: &[u64], shared: u64, row: &Row) -> u64 {
    let each = prompts.iter().map(|tokens| tokens + shared);
    let all: u64 = each.map(|tokens| tokens.min(row.context_tokens)).sum();
    (all + row.overhead_tokens).min(prompts.len() as u64 * row.context_tokens)
}

fn output(service: Service, body: &Value, row: &Row, n: u64, prompts: &[u64]) -> u64 {
    let sent = |name: &str| body[name].as_u64();
    // Who knows both names takes either where both are there; a name that it does not know it passes over.
    let (short, long) = (sent("max_tokens"), sent("max_completion_tokens"));
    let maximum = match (service, row.max_tokens_field) {
        (Service::Responses, _) => sent("max_output_tokens"),
        (Service::Messages, _) | (Service::Completions, _) => short,
        (Service::Chat, "max_tokens") => short.and(short.max(long)),
        (Service::Chat, "max_completion_tokens") => long.and(short.max(long)),
        (Service::Chat, _) => short.max(long),
        _ => None,
    };
    let maximum = maximum.filter(|tokens| *tokens > 0);
    let each = maximum.unwrap_or(row.max_output_tokens);
    let thought = each + row.reasoning_tokens_max;
    match service {
        Service::Embeddings | Service::Rerank | Service::Moderations => 0,
        Service::Speech | Service::Transcriptions => row.max_output_tokens,
        Service::Images | Service::ImageEdits => {
            let previews = body["partial_images"].as_u64().unwrap_or(0);
            n * (thought + 100 * previews)
        }
        Service::Completions => {
            let made = n.max(sent("best_of").unwrap_or(1));
            let echoed: u64 = match body["echo"] == true {
                true => prompts.iter().sum(),
                false => 0,
            };
            made * (thought * prompts.len() as u64 + echoed)
        }
        // What was predicted and is not used is output too.
        _ => {
            let mut predicted = Sight::default();
            predicted.look(&body["prediction"]["content"]);
            n * (thought + predicted.bytes)
        }
    }
}
