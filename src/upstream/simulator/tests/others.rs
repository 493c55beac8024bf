//! Speech, streamed images, ranking and moderation.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

const SPEECH: &str = "/audio/speech";

#[tokio::test]
async fn speech_is_a_wav_that_grows_with_its_text() {
    let short = json!({"model": "tts", "input": "Hello", "voice": "alloy"});
    let got = ask(SPEECH, &short, None).await;
    assert_eq!(got.content_type, "audio/wav");
    assert!(got.text.starts_with("RIFF"));
    let long = json!({"model": "tts", "input": "Hello, gate keeper", "voice": "alloy"});
    assert!(ask(SPEECH, &long, None).await.text.len() > got.text.len());
    let endless = json!({"model": "tts", "input": "a ".repeat(2_000), "voice": "alloy"});
    assert!(ask(SPEECH, &endless, None).await.text.len() < 100_000);
    let cut = ask(SPEECH, &short, Some("cut=10")).await;
    assert!(!cut.complete);
    for input in [String::new(), "a".repeat(4_097)] {
        let refused = json!({"model": "tts", "input": input});
        assert_eq!(ask(SPEECH, &refused, None).await.error()["param"], "input");
    }
}

#[tokio::test]
async fn streamed_speech_is_the_same_sound_and_ends_with_its_usage() {
    let body = json!({"model": "tts", "input": "Hello, gate", "stream_format": "sse"});
    let chunks = ask(SPEECH, &body, None).await.chunks();
    let (done, deltas) = chunks.split_last().expect("events");
    let usage = json!({"input_tokens": 3, "output_tokens": 3, "total_tokens": 6});
    assert_eq!(done, &json!({"type": "speech.audio.done", "usage": usage}));
    let sound: Vec<u8> = deltas
        .iter()
        .flat_map(|delta| {
            BASE64_STANDARD
                .decode(delta["audio"].as_str().expect("text"))
                .expect("base64")
        })
        .collect();
    assert!(sound.starts_with(b"RIFF") && sound.len() == 44 + 3 * 160);
    let silent = ask(SPEECH, &body, Some("no-usage")).await.chunks();
    assert_eq!(silent.last().expect("an event").get("usage"), None);
    let broken = ask(SPEECH, &body, Some("error-event")).await.chunks();
    assert_eq!(
        broken.last().expect("an event")["error"]["type"],
        "server_error"
    );
}

#[tokio::test]
async fn a_streamed_image_comes_after_its_previews_with_its_usage() {
    let body = json!({"model": "m", "prompt": "a toll gate", "stream": true, "partial_images": 2,
        "size": "1536x1024", "quality": "high"});
    let events = ask(IMAGES, &body, None).await.named();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let preview = "image_generation.partial_image";
    assert_eq!(names, [preview, preview, "image_generation.completed"]);
    assert_eq!(events[1].1["partial_image_index"], 1);
    let end = &events[2].1;
    assert!(
        end["b64_json"]
            .as_str()
            .is_some_and(|image| image.starts_with("iVBORw0KGgo"))
    );
    assert_eq!(
        (&end["size"], &end["quality"]),
        (&json!("1536x1024"), &json!("high"))
    );
    assert_eq!(end["usage"]["output_tokens"], 6_208 + 2 * 100);
    assert_eq!(end["usage"]["input_tokens"], 3);
    let mut edit = body.clone();
    edit["image"] = json!("data:image/png;base64,");
    let events = ask("/images/edits", &edit, None).await.named();
    assert_eq!(events[2].0, "image_edit.completed");
    assert_eq!(events[2].1["usage"]["input_tokens"], 3 + 85);
    for fault in ["image-error", "error-event"] {
        let events = ask(IMAGES, &body, Some(fault)).await.named();
        assert_eq!(events.last().expect("an event").0, "error", "{fault}");
    }
    let several = json!({"model": "m", "prompt": "p", "stream": true, "n": 2});
    assert_eq!(ask(IMAGES, &several, None).await.error()["param"], "n");
}

#[tokio::test]
async fn documents_with_the_querys_words_come_first_and_each_is_read_with_the_query() {
    let body = json!({"model": "m", "query": "toll gate",
        "documents": ["A bridge", {"text": "The toll gate"}, "A gate"], "return_documents": true});
    let answer = ask("/rerank", &body, None).await.json();
    let results = answer["results"].as_array().expect("results");
    let order: Vec<&Value> = results.iter().map(|one| &one["index"]).collect();
    assert_eq!(order, [1, 2, 0]);
    let scores: Vec<f64> = results
        .iter()
        .filter_map(|one| one["relevance_score"].as_f64())
        .collect();
    assert!(
        scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..1.0).contains(score))
    );
    assert_eq!(results[0]["document"]["text"], "The toll gate");
    // Three times the two words of the query, and the documents.
    assert_eq!(answer["usage"], json!({"total_tokens": 3 * 2 + 2 + 3 + 2}));
    let mut top = body.clone();
    top["top_n"] = json!(1);
    assert_eq!(
        ask("/rerank", &top, None).await.json()["results"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        ask("/rerank", &body, Some("no-usage"))
            .await
            .json()
            .get("usage"),
        None
    );
    let empty = json!({"model": "m", "query": "q", "documents": []});
    assert_eq!(
        ask("/rerank", &empty, None).await.error()["param"],
        "documents"
    );
}

#[tokio::test]
async fn each_text_is_moderated_by_itself_and_parts_together() {
    let body = json!({"model": "m", "input": ["A toll gate", "I will kill you"]});
    let answer = ask("/moderations", &body, None).await.json();
    let flags: Vec<&Value> = answer["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|one| &one["flagged"])
        .collect();
    assert_eq!(flags, [false, true]);
    assert_eq!(answer["results"][1]["categories"]["violence"], true);
    assert_eq!(answer["results"][1]["categories"]["hate"], false);
    let parts = json!({"model": "m", "input": [{"type": "text", "text": "gore"}, {"type": "image_url", "image_url": {"url": "data:"}}]});
    let answer = ask("/moderations", &parts, None).await.json();
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["results"][0]["categories"]["violence/graphic"], true);
    assert_eq!(
        ask("/moderations", &json!({"model": "m"}), None)
            .await
            .error()["param"],
        "input"
    );
}
