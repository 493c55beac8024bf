//! The wire: what a client sees of an answer, and what the upstream sees of a request. Every test runs the real
//! binary against the mock upstream, a program that shares no code with it.

mod support;

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/completions.rs"]
mod completions;
#[path = "wire/cors.rs"]
mod cors;
#[path = "wire/credentials.rs"]
mod credentials;
#[path = "wire/embeddings.rs"]
mod embeddings;
#[path = "wire/encodings.rs"]
mod encodings;
#[path = "wire/ending.rs"]
mod ending;
#[path = "wire/endpoints.rs"]
mod endpoints;
#[path = "wire/framing.rs"]
mod framing;
#[path = "wire/images.rs"]
mod images;
#[path = "wire/leaving.rs"]
mod leaving;
#[path = "wire/own.rs"]
mod own;
#[path = "wire/prices.rs"]
mod prices;
#[path = "wire/refusals.rs"]
mod refusals;
#[path = "wire/repeats.rs"]
mod repeats;
#[path = "wire/rivals.rs"]
mod rivals;
#[path = "wire/streams.rs"]
mod streams;
#[path = "wire/upstream_options.rs"]
mod upstream_options;
#[path = "wire/upstreams.rs"]
mod upstreams;
#[path = "wire/usage.rs"]
mod usage;

/// What `vendor/chat` costs, in nano units: 4 and 16 per 1M tokens.
fn cost(input: u64, output: u64) -> String {
    let nano = i64::try_from(input * 4_000 + output * 16_000).expect("a small amount");
    support::decimal(nano)
}
