//! What things cost, computed a second time: odd prices, so that rounding shows.

use serde_json::{Value, json};

use super::{Mock, Setup};

/// One image, in nano units.
pub const IMAGE: i64 = 123_456_789;
/// `overhead_tokens` of the chat model.
const OVERHEAD: i64 = 64;
/// `context_tokens` of the chat model.
const CONTEXT: i64 = 65_536;
/// Half nano units: 1.2345 and 9.8765 per million tokens are 1234.5 and 9876.5 nano units a token.
const INPUT_HALVES: i64 = 2_469;
const OUTPUT_HALVES: i64 = 19_753;

/// The shared config with these prices.
pub fn setup(mock: &Mock) -> Setup {
    let chat = json!([{ "per": "1M tokens", "input": "1.2345", "output": "9.8765" }]);
    let image = json!([{ "per": "image", "image": "0.123456789" }]);
    Setup::new(mock)
        .model(json!({ "id": "vendor/chat", "prices": chat }))
        .model(json!({ "id": "vendor/image", "prices": image }))
}

/// The exact charge of a chat: summed, then rounded once, half to even.
pub fn chat(input: i64, output: i64) -> i64 {
    let halves = input * INPUT_HALVES + output * OUTPUT_HALVES;
    let (nano, half) = (halves / 2, halves % 2);
    nano + half * (nano % 2)
}

/// The most input tokens of a body: its bytes and the row's overhead, within the context.
pub fn input_worst(body: &str) -> i64 {
    CONTEXT.min(body.len() as i64 + OVERHEAD)
}

/// The worst case of a chat: each side at its bound, at unit prices rounded up to a nano unit.
pub fn chat_worst(body: &str, max_tokens: i64) -> i64 {
    let up = |halves: i64| (halves + 1) / 2;
    input_worst(body) * up(INPUT_HALVES) + max_tokens * up(OUTPUT_HALVES)
}

/// A chat request.
pub fn chat_body(text_bytes: u64, max_tokens: i64, stream: bool) -> String {
    let words = "All tolls are paid at the gate. ".repeat(text_bytes as usize / 32 + 1);
    let text = &words[..text_bytes as usize];
    let body: Value = json!({
        "model": "chat", "max_tokens": max_tokens, "stream": stream,
        "messages": [{ "role": "user", "content": text }],
    });
    body.to_string()
}

/// A request for one image.
pub fn image_body() -> String {
    json!({ "model": "image", "prompt": "a toll gate", "n": 1 }).to_string()
}
