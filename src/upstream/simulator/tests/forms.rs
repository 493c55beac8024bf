//! What comes as forms: edits, variations, transcriptions, translations.

use super::*;

const FORM: &str = "multipart/form-data; boundary=xyz";

/// A form of these fields; what is called a file is one.
fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let file = match *name {
            "file" | "image" | "image[]" => "; filename=\"f\"",
            _ => "",
        };
        let head =
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xyz--\r\n");
    body
}

async fn ask_form(path: &str, fields: &[(&str, &[u8])], fault: Option<&str>) -> Got {
    let sent = try_send_as(FORM, path, &form(fields), fault).await;
    read(sent.expect("an answer")).await
}

/// Three seconds.
fn sound() -> Vec<u8> {
    let samples = 3 * wav::RATE as usize;
    let mut file = wav::head(samples);
    file.resize(file.len() + samples, 128);
    file
}

async fn transcribed(model: &str, format: &str, fault: Option<&str>) -> Got {
    let (model, format) = (model.as_bytes(), format.as_bytes());
    let fields = [
        ("model", model),
        ("response_format", format),
        ("file", &sound()),
    ];
    ask_form("/audio/transcriptions", &fields, fault).await
}

#[tokio::test]
async fn a_transcription_counts_seconds_or_tokens_as_its_model_does() {
    let answer = transcribed("whisper", "json", None).await.json();
    let text = answer["text"].as_str().expect("text");
    assert!(text.contains("3 seconds"));
    assert_eq!(answer["usage"], json!({"type": "duration", "seconds": 3}));
    let answer = transcribed("gpt-transcribe", "json", None).await.json();
    let output = text::count(answer["text"].as_str().expect("text"));
    let details = json!({"text_tokens": 0, "audio_tokens": 30});
    assert_eq!(
        answer["usage"],
        json!({"type": "tokens", "input_tokens": 30, "input_token_details": details,
            "output_tokens": output, "total_tokens": 30 + output})
    );
    let silent = transcribed("whisper", "json", Some("no-usage"))
        .await
        .json();
    assert_eq!(silent.get("usage"), None);
}

#[tokio::test]
async fn a_transcription_comes_in_the_form_that_was_asked_for() {
    let verbose = transcribed("whisper", "verbose_json", None).await.json();
    assert_eq!(
        (&verbose["duration"], &verbose["task"]),
        (&json!(3), &json!("transcribe"))
    );
    for (format, start) in [
        ("text", "This is whisper"),
        ("srt", "1\n00:00:00,000 --> 00:00:03,000\nThis is"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nThis is"),
    ] {
        let got = transcribed("whisper", format, None).await;
        assert_eq!(got.content_type, "text/plain; charset=utf-8");
        assert!(got.text.starts_with(start), "{}", got.text);
    }
    assert_eq!(
        transcribed("whisper", "gif", None).await.error()["param"],
        "response_format"
    );
}

#[tokio::test]
async fn a_streamed_transcription_ends_with_its_text_and_usage() {
    let fields = [
        ("model", &b"whisper"[..]),
        ("stream", b"true"),
        ("file", &sound()),
    ];
    let path = "/audio/transcriptions";
    let chunks = ask_form(path, &fields, None).await.chunks();
    let (done, deltas) = chunks.split_last().expect("events");
    let text: String = deltas
        .iter()
        .filter_map(|delta| delta["delta"].as_str())
        .collect();
    assert_eq!(
        (&done["type"], &done["text"]),
        (&json!("transcript.text.done"), &json!(text))
    );
    assert_eq!(done["usage"]["seconds"], 3);
    let broken = ask_form(path, &fields, Some("error-event")).await.chunks();
    assert_eq!(
        broken.last().expect("an event")["error"]["type"],
        "server_error"
    );
}

#[tokio::test]
async fn a_translation_tells_no_usage_but_its_duration() {
    let fields = [
        ("model", &b"whisper"[..]),
        ("response_format", b"verbose_json"),
        ("file", &sound()),
    ];
    let answer = ask_form("/audio/translations", &fields, None).await.json();
    assert_eq!(
        (&answer["task"], &answer["duration"]),
        (&json!("translate"), &json!(3))
    );
    assert_eq!(answer.get("usage"), None);
}

#[tokio::test]
async fn an_edit_counts_in_tokens_and_a_variation_in_images() {
    let fields = [
        ("model", &b"m"[..]),
        ("prompt", b"at night"),
        ("n", b"2"),
        ("quality", b"low"),
        ("image[]", b"png"),
        ("image[]", b"png"),
    ];
    let answer = ask_form("/images/edits", &fields, None).await.json();
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    assert!(answer["data"][0]["b64_json"].is_string());
    assert_eq!(
        (&answer["size"], &answer["quality"]),
        (&json!("1024x1024"), &json!("low"))
    );
    let details = json!({"text_tokens": 2, "image_tokens": 170});
    assert_eq!(
        answer["usage"],
        json!({"input_tokens": 172, "input_tokens_details": details,
            "output_tokens": 544, "total_tokens": 716})
    );
    let body = json!({"model": "m", "prompt": "at night", "image": ["data:", "data:"], "quality": "low", "n": 2});
    assert_eq!(
        ask("/images/edits", &body, None).await.json()["usage"],
        answer["usage"]
    );

    let fields = [("model", &b"m"[..]), ("n", b"3"), ("image", b"png")];
    let answer = ask_form("/images/variations", &fields, Some("image-error"))
        .await
        .json();
    assert!(answer["data"][1]["url"].is_string() && answer["data"][2]["error"].is_object());
    assert_eq!(answer.get("usage"), None);
}

#[tokio::test]
async fn the_same_form_gets_the_same_answer_whatever_its_boundary() {
    let fields = [("model", &b"m"[..]), ("image", b"png")];
    let path = "/images/variations";
    let first = try_send_as(FORM, path, &form(&fields), None)
        .await
        .expect("an answer");
    let other = String::from_utf8(form(&fields))
        .expect("UTF-8")
        .replace("xyz", "abcd");
    let kind = "multipart/form-data; boundary=\"abcd\"";
    let second = try_send_as(kind, path, other.as_bytes(), None)
        .await
        .expect("an answer");
    assert_eq!(
        first.headers()["x-request-id"],
        second.headers()["x-request-id"]
    );
    assert_eq!(read(first).await.text, read(second).await.text);
}

#[tokio::test]
async fn wrong_forms_get_a_vendors_errors() {
    let file = ("file", &b"sound"[..]);
    for (path, fields, param) in [
        ("/audio/transcriptions", vec![file], json!("model")),
        (
            "/audio/transcriptions",
            vec![("model", &b"m"[..])],
            json!("file"),
        ),
        (
            "/images/edits",
            vec![("model", &b"m"[..]), ("prompt", b"p")],
            json!("image"),
        ),
        (
            "/images/edits",
            vec![("model", &b"m"[..]), ("image", b"png")],
            json!("prompt"),
        ),
    ] {
        let got = ask_form(path, &fields, None).await;
        assert_eq!((got.status, &got.error()["param"]), (400, &param), "{path}");
    }
    let json = ask("/audio/transcriptions", &json!({"model": "m"}), None).await;
    assert_eq!((json.status, &json.error()["param"]), (400, &json!("file")));
}
