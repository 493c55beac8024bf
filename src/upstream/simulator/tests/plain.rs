//! Completions of plain text, and embeddings.

use serde_json::{Value, json};

use super::ask;

const COMPLETIONS: &str = "/completions";
const EMBEDDINGS: &str = "/embeddings";

fn completion(more: Value) -> Value {
    let mut body = json!({ "model": "org/model", "prompt": "Once upon a time" });
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    body
}

fn embeddings(input: Value) -> Value {
    json!({ "model": "org/model", "input": input })
}

#[tokio::test]
async fn a_completion_is_cut_at_its_maximum_and_counts_what_it_wrote() {
    let whole = ask(COMPLETIONS, &completion(json!({})), None).await.json();
    assert_eq!(whole["object"], "text_completion");
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    assert_eq!(
        whole["usage"],
        json!({ "prompt_tokens": 4, "completion_tokens": 16, "total_tokens": 20 })
    );
    let many = json!({ "prompt": ["a b", "c d e"], "n": 2, "best_of": 3, "max_tokens": 5 });
    let many = ask(COMPLETIONS, &completion(many), None).await.json();
    assert_eq!(many["choices"].as_array().map(Vec::len), Some(4));
    assert_eq!(many["usage"]["prompt_tokens"], 5);
    assert_eq!(many["usage"]["completion_tokens"], 2 * 3 * 5);
    let ids = ask(
        COMPLETIONS,
        &completion(json!({ "prompt": [[5, 6], [7]] })),
        None,
    )
    .await;
    assert_eq!(ids.json()["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn an_echo_repeats_the_prompt_and_costs_nothing() {
    let echo = completion(json!({ "echo": true, "max_tokens": 0 }));
    let echo = ask(COMPLETIONS, &echo, None).await.json();
    assert_eq!(echo["choices"][0]["text"], "Once upon a time");
    assert_eq!(echo["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn a_streamed_completion_says_the_same_as_a_whole_one() {
    let whole = ask(COMPLETIONS, &completion(json!({ "n": 2 })), None).await;
    let asked = json!({ "n": 2, "stream": true, "stream_options": { "include_usage": true } });
    let stream = ask(COMPLETIONS, &completion(asked), None).await;
    assert!(stream.complete && stream.events().last() == Some(&"[DONE]"));
    let chunks = stream.chunks();
    for index in 0..2 {
        let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array());
        let texts = choices.flatten().filter(|one| one["index"] == index);
        let text: String = texts.filter_map(|one| one["text"].as_str()).collect();
        assert_eq!(text, whole.json()["choices"][index]["text"]);
    }
    let last = chunks.last().expect("a usage chunk");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole.json()["usage"]);
}

#[tokio::test]
async fn what_no_vendor_would_complete_is_refused() {
    for (more, param) in [
        (json!({ "prompt": null }), "prompt"),
        (json!({ "prompt": [] }), "prompt"),
        (json!({ "n": 3, "best_of": 2 }), "best_of"),
        (json!({ "max_tokens": -1 }), "max_tokens"),
    ] {
        let refused = ask(COMPLETIONS, &completion(more), None).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.error()["param"], param);
    }
}

#[tokio::test]
async fn embeddings_have_length_one_in_both_encodings() {
    let body = embeddings(json!(["a toll", "a gate", "a toll"]));
    let answer = ask(EMBEDDINGS, &body, None).await.json();
    let vector = |index: usize| answer["data"][index]["embedding"].clone();
    assert_eq!(vector(0), vector(2));
    assert_ne!(vector(0), vector(1));
    // 256 components of 1/16, whatever their signs.
    let numbers = vector(0);
    let numbers = numbers.as_array().expect("numbers");
    assert_eq!(numbers.len(), 256);
    let component = |number: &Value| number.as_f64().map(f64::abs);
    assert!(numbers.iter().all(|one| component(one) == Some(0.0625)));
    assert_eq!(
        answer["usage"],
        json!({ "prompt_tokens": 6, "total_tokens": 6 })
    );
    let mut packed = embeddings(json!([[1, 2, 3]]));
    packed["encoding_format"] = json!("base64");
    packed["dimensions"] = json!(64);
    let packed = ask(EMBEDDINGS, &packed, None).await.json();
    let text = packed["data"][0]["embedding"].as_str().expect("base64");
    assert_eq!(text.len(), (64_usize * 4).div_ceil(3) * 4);
    assert_eq!(packed["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn embeddings_have_the_faults_of_usage_too() {
    let body = embeddings(json!("a toll"));
    let silent = ask(EMBEDDINGS, &body, Some("no-usage")).await.json();
    assert_eq!(silent.get("usage"), None);
    let negative = ask(EMBEDDINGS, &body, Some("negative-usage")).await.json();
    assert_eq!(negative["usage"]["prompt_tokens"], -2);
    let refused = ask(EMBEDDINGS, &embeddings(json!([])), None).await;
    assert_eq!(refused.error()["param"], "input");
}
