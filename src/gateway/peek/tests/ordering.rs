//! Requests to put documents in order, and moderations.

use super::{CAPS, bounds};
use crate::gateway::peek::{InputSize, peek_moderations, peek_rerank};

#[test]
fn the_query_is_counted_with_each_document() {
    let body = r#"{"model":"m","query":"0123456789","documents":["a","b",{"text":"c"}],"top_n":2}"#;
    let request = peek_rerank(body.as_bytes(), CAPS).unwrap();
    assert_eq!((request.input.prompts, request.input.shared_bytes), (3, 12));
    let worst = request.worst_case(&bounds());
    assert_eq!(worst.input_tokens, body.len() as u64 + 2 * 12 + 30);
    assert_eq!((worst.output_tokens, worst.images), (0, 0));
    let body = r#"{"model":"m","query":"q","documents":[{"text":"c","image":"https://x"}]}"#;
    assert!(peek_rerank(body.as_bytes(), CAPS).unwrap().input.unbounded);
}

#[test]
fn documents_come_to_search_units_by_their_bytes() {
    let units = |query: usize, documents: usize, bytes: usize| {
        let documents = vec![format!("\"{}\"", "a".repeat(bytes)); documents].join(",");
        let query = "q".repeat(query);
        let body = format!(r#"{{"model":"m","query":"{query}","documents":[{documents}]}}"#);
        let input = peek_rerank(body.as_bytes(), CAPS).unwrap().input;
        input.search_units_max(&bounds())
    };
    assert_eq!(units(10, 1, 1), 1);
    assert_eq!(units(10, 99, 1), 1);
    assert_eq!(units(10, 100, 4), 2);
    // 201 documents of at most one piece each.
    assert_eq!(units(10, 201, 0), 3);
    // One that is 102 pieces of 488 tokens, if each byte is one.
    assert_eq!(units(10, 1, 488 * 101), 2);
    // A long query is as much of each document, and leaves 250 of each piece.
    assert_eq!(units(1_000, 10, 10_000), 5);
    let linked = r#"{"model":"m","query":"q","documents":[{"text":"c","image":"https://x"}]}"#;
    let linked = peek_rerank(linked.as_bytes(), CAPS).unwrap().input;
    // 1 + 100,000 tokens in pieces of 497.
    assert_eq!(linked.search_units_max(&bounds()), 3);
}

/// Documents as a server counts them by the documented rule, whatever its tokens are: no count is above what is held.
#[test]
fn no_split_of_documents_comes_to_more_search_units_than_are_held() {
    use proptest::prelude::*;
    let texts = proptest::collection::vec(0..3_000_u64, 1..300);
    let rule = |(query, documents): (u64, Vec<u64>)| {
        let input = InputSize {
            body_bytes: query + documents.iter().sum::<u64>(),
            shared_bytes: query,
            prompts: documents.len() as u64,
            ..InputSize::default()
        };
        let held = input.search_units_max(&bounds());
        for room in [500, 500 - query.min(250)] {
            let query = if room == 500 {
                query
            } else {
                query - query.min(250)
            };
            let pieces = documents
                .iter()
                .map(|it| (it + query).div_ceil(room).max(1));
            prop_assert!(pieces.sum::<u64>().div_ceil(100) <= held);
        }
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::default();
    runner.run(&(0..2_500_u64, texts), rule).unwrap();
}

#[test]
fn documents_are_named_once_and_where_they_are_looked_for() {
    for (body, param) in [
        (r#"{"model":"m","query":"q"}"#, "documents"),
        (r#"{"model":"m","query":"q","documents":[]}"#, "documents"),
        (
            r#"{"model":"m","query":"q","documents":["a"],"texts":["b"]}"#,
            "texts",
        ),
        (
            r#"{"model":"m","query":"q","documents":[1]}"#,
            "documents[0]",
        ),
        (
            r#"{"model":"m","query":"q","documents":["a"],"stream":true}"#,
            "stream",
        ),
        (r#"{"query":"q","documents":["a"]}"#, "model"),
    ] {
        let refusal = peek_rerank(body.as_bytes(), CAPS).expect_err(body);
        assert_eq!(refusal.param.as_deref(), Some(param), "{body}: {refusal:?}");
    }
}

#[test]
fn moderations_take_texts_and_parts() {
    for (input, images) in [
        (r#""x""#, 0),
        (r#"["x","y"]"#, 0),
        (
            r#"[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://x"}}]"#,
            1,
        ),
    ] {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        let request = peek_moderations(body.as_bytes(), CAPS).unwrap();
        assert_eq!(request.input.images, images, "{input}");
    }
    let refusal = peek_moderations(br#"{"model":"m","input":5}"#, CAPS).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("input"));
}

#[test]
fn texts_to_be_moderated_have_a_context_each() {
    let text = "x".repeat(60_000);
    let body = format!(r#"{{"model":"m","input":["{text}","{text}"]}}"#);
    let request = peek_moderations(body.as_bytes(), CAPS).unwrap();
    let worst = request.worst_case(&bounds());
    assert_eq!(worst.input_tokens, body.len() as u64 + 30);
    assert!(worst.input_tokens > bounds().context_tokens);
}
