//! Requests to put documents in order, and moderations.

use super::{CAPS, bounds};
use crate::gateway::peek::{peek_moderations, peek_rerank};

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
