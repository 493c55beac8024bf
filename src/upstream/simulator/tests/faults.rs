//! Each fault does what its name says, and nothing else.

use super::*;

#[tokio::test]
async fn a_fault_is_asked_for_by_suffix_or_header_and_the_header_wins() {
    let suffixed = chat(json!({"model": "org/model#status=500"}));
    assert_eq!(ask(CHAT, &suffixed, None).await.status, 500);
    assert_eq!(ask(CHAT, &suffixed, Some("status=429")).await.status, 429);
    let no_usage = ask(CHAT, &chat(json!({"model": "org/model#no-usage"})), None)
        .await
        .json();
    assert_eq!(no_usage["model"], "org/model");
    assert_eq!(no_usage.get("usage"), None);
}

#[tokio::test]
async fn a_status_fault_is_an_error_with_all_four_keys() {
    for (fault, status, code) in [
        ("status=401", 401, json!("invalid_api_key")),
        ("status=402", 402, json!("insufficient_quota")),
        ("status=403", 403, json!("permission_denied")),
        ("status=429", 429, json!("rate_limit_exceeded")),
        ("status=503", 503, Value::Null),
    ] {
        let got = ask(CHAT, &stream(), Some(fault)).await;
        assert_eq!((got.status, &got.error()["code"]), (status, &code));
        assert!(got.complete);
    }
}

#[tokio::test]
async fn faults_before_the_head_leave_no_answer() {
    let body = chat(json!({})).to_string();
    for (fault, kind, sent) in [
        ("refuse", SendErrorKind::Connect, false),
        ("close", SendErrorKind::Closed, true),
    ] {
        let error = try_send(CHAT, &body, Some(fault)).await.expect_err(fault);
        assert_eq!((error.kind, error.sent), (kind, sent));
    }
    let hang = try_send(CHAT, &body, Some("hang"));
    assert!(
        tokio::time::timeout(Duration::from_millis(5), hang)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_cut_ends_a_stream_between_events_and_a_document_between_bytes() {
    let whole = ask(CHAT, &stream(), None).await;
    let cut = ask(CHAT, &stream(), Some("cut=3")).await;
    assert!(!cut.complete);
    assert_eq!(cut.events(), whole.events()[..3]);
    let half = ask(CHAT, &stream(), Some("cut")).await;
    assert!(!half.complete && half.events().len() == whole.events().len() / 2);
    let bytes = ask(CHAT, &chat(json!({})), Some("cut=10")).await;
    assert_eq!((bytes.complete, bytes.text.len()), (false, 10));
    let none = ask(IMAGES, &json!({"model": "m", "prompt": "p"}), Some("cut=0")).await;
    assert_eq!((none.complete, none.text.len()), (false, 0));
}

#[tokio::test]
async fn a_stall_is_silent_after_its_events() {
    let body = stream().to_string();
    let response = try_send(CHAT, &body, Some("stall=2"))
        .await
        .expect("an answer");
    let mut body = response.into_body();
    for _ in 0..2 {
        body.frame().await.expect("a frame").expect("data");
    }
    let more = tokio::time::timeout(Duration::from_millis(5), body.frame());
    assert!(more.await.is_err());
}

#[tokio::test]
async fn usage_faults_change_the_report_and_nothing_else() {
    let true_usage = ask(CHAT, &stream(), None).await;
    let missing = ask(CHAT, &stream(), Some("no-usage")).await;
    assert!(!missing.text.contains("usage"));
    assert_eq!(missing.content(0), true_usage.content(0));
    let last_usage =
        |got: &Got| got.chunks().last().expect("a chunk")["usage"]["completion_tokens"].as_i64();
    let negative = ask(CHAT, &stream(), Some("negative-usage")).await;
    assert_eq!(
        last_usage(&negative),
        last_usage(&true_usage).map(|count| -count)
    );
    let absurd = ask(CHAT, &stream(), Some("absurd-usage")).await;
    assert_eq!(last_usage(&absurd), Some(9_000_000_000_000_000));
}

#[tokio::test]
async fn an_error_event_ends_a_stream_without_done() {
    let got = ask(CHAT, &stream(), Some("error-event")).await;
    assert!(got.complete && !got.text.contains("[DONE]"));
    let chunks = got.chunks();
    assert!(chunks.len() > 2);
    assert_eq!(
        chunks.last().expect("a chunk")["error"]["type"],
        "server_error"
    );
    assert_eq!(
        ask(CHAT, &chat(json!({})), Some("error-event"))
            .await
            .status,
        500
    );
}

#[tokio::test]
async fn json_answers_a_stream_request_and_an_image_can_be_an_error() {
    let got = ask(CHAT, &stream(), Some("json")).await;
    assert_eq!(got.content_type, "application/json");
    assert_eq!(got.json()["object"], "chat.completion");
    let body = json!({"model": "m", "prompt": "p", "n": 2});
    let images = ask(IMAGES, &body, Some("image-error")).await.json();
    assert!(images["data"][0]["url"].is_string());
    assert!(images["data"][1]["error"].is_object() && images["data"][1]["url"].is_null());
}
