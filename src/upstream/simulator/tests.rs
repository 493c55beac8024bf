//! What the simulator promises: the same answer for the same request, true usage, each fault as named.

mod faults;
mod forms;
mod messages;
mod others;
mod plain;
mod responses;
mod tools;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;

const CHAT: &str = "/chat/completions";
const IMAGES: &str = "/images/generations";

/// An answer as read to its end.
struct Got {
    status: u16,
    content_type: String,
    text: String,
    /// Whether the body ended as it should.
    complete: bool,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// The data of each event.
    fn events(&self) -> Vec<&str> {
        assert!(self.text.is_empty() || self.text.ends_with("\n\n"));
        let events = self.text.split_terminator("\n\n");
        events
            .map(|event| event.strip_prefix("data: ").expect("data"))
            .collect()
    }

    /// The name of each event, which is its type as well, and its data.
    fn named(&self) -> Vec<(String, Value)> {
        assert!(self.text.ends_with("\n\n"));
        let events = self.text.split_terminator("\n\n").map(|event| {
            let (name, data) = event.split_once('\n').expect("two lines");
            let name = name.strip_prefix("event: ").expect("a name");
            let data = data.strip_prefix("data: ").expect("data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(data["type"], name);
            (name.to_owned(), data)
        });
        events.collect()
    }

    fn chunks(&self) -> Vec<Value> {
        let events = self.events().into_iter();
        let data = events.filter(|event| *event != "[DONE]");
        data.map(|event| serde_json::from_str(event).expect("JSON"))
            .collect()
    }

    /// What a client puts together for one choice.
    fn content(&self, choice: u64) -> String {
        let chunks = self.chunks();
        let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array());
        let of_this = choices.flatten().filter(|one| one["index"] == choice);
        of_this
            .filter_map(|one| one["delta"]["content"].as_str())
            .collect()
    }

    fn error(&self) -> Value {
        let error = self.json()["error"].clone();
        let keys: Vec<&String> = error.as_object().expect("an error").keys().collect();
        assert_eq!(keys, ["code", "message", "param", "type"]);
        error
    }
}

async fn try_send(
    path: &str,
    body: &str,
    fault: Option<&str>,
) -> Result<Response<UpstreamBody>, SendError> {
    try_send_as(JSON, path, body.as_bytes(), fault).await
}

async fn try_send_as(
    content_type: &'static str,
    path: &str,
    body: &[u8],
    fault: Option<&str>,
) -> Result<Response<UpstreamBody>, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(DELAY_HEADER, HeaderValue::from_static("0"));
    if let Some(fault) = fault {
        headers.insert(FAULT_HEADER, fault.parse().expect("a header"));
    }
    let call = Call {
        method: Method::POST,
        path,
        headers,
        body: Bytes::copy_from_slice(body),
    };
    send(&"sim".into(), &call).await
}

async fn ask(path: &str, body: &Value, fault: Option<&str>) -> Got {
    ask_text(path, &body.to_string(), fault).await
}

async fn ask_text(path: &str, body: &str, fault: Option<&str>) -> Got {
    read(try_send(path, body, fault).await.expect("an answer")).await
}

async fn read(response: Response<UpstreamBody>) -> Got {
    let (head, mut body) = response.into_parts();
    let (mut bytes, mut complete) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().expect("data")),
            Err(_) => complete = false,
        }
    }
    Got {
        status: head.status.as_u16(),
        content_type: head.headers["content-type"]
            .to_str()
            .expect("text")
            .to_owned(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        complete,
    }
}

fn chat(more: Value) -> Value {
    let mut body = json!({
        "model": "org/model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is a toll?"}]},
        ],
    });
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    body
}

fn stream() -> Value {
    chat(json!({"stream": true, "stream_options": {"include_usage": true}}))
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_and_another_prompt_others() {
    for body in [chat(json!({})), stream()] {
        let first = ask(CHAT, &body, None).await;
        assert_eq!(first.text, ask(CHAT, &body, None).await.text);
        let mut other = body.clone();
        other["messages"][1]["content"] = json!("What is a gate?");
        assert_ne!(first.text, ask(CHAT, &other, None).await.text);
    }
}

#[tokio::test]
async fn a_stream_says_and_counts_what_the_whole_answer_does() {
    for more in [
        json!({}),
        json!({"n": 3}),
        json!({"max_tokens": 7}),
        json!({"n": 2, "max_completion_tokens": 1}),
    ] {
        let whole = ask(CHAT, &chat(more.clone()), None).await;
        assert_eq!(whole.content_type, "application/json");
        let whole = whole.json();
        let mut body = stream();
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("fields").clone());
        let stream = ask(CHAT, &body, None).await;
        assert_eq!(stream.content_type, "text/event-stream; charset=utf-8");
        assert_eq!(stream.events().last(), Some(&"[DONE]"));

        for choice in whole["choices"].as_array().expect("choices") {
            let index = choice["index"].as_u64().expect("an index");
            assert_eq!(choice["message"]["content"], stream.content(index));
        }
        let chunks = stream.chunks();
        let (last, others) = chunks.split_last().expect("chunks");
        assert_eq!(
            (&last["choices"], &last["usage"]),
            (&json!([]), &whole["usage"])
        );
        for chunk in others {
            assert_eq!(chunk["object"], "chat.completion.chunk");
            assert_eq!(chunk.get("usage"), Some(&Value::Null));
        }
    }
}

#[tokio::test]
async fn usage_is_the_pieces_that_were_read_and_written() {
    let answer = ask(CHAT, &chat(json!({})), None).await.json();
    let content = answer["choices"][0]["message"]["content"]
        .as_str()
        .expect("text");
    assert!(content.contains("org/model") && content.contains("What is a toll?"));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], text::count(content));
    // 3, and per message 3, a role (`system` and `user` are one piece each) and the text.
    assert_eq!(
        answer["usage"]["prompt_tokens"],
        3 + (3 + 1 + 3) + (3 + 1 + 5)
    );
    assert!(content.len() as u64 > text::count(content));
}

#[tokio::test]
async fn a_maximum_is_met_and_named_as_the_reason() {
    let answer = ask(
        CHAT,
        &chat(json!({"max_tokens": 9, "max_completion_tokens": 5})),
        None,
    )
    .await;
    let answer = answer.json();
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_stream_reports_usage_only_if_asked() {
    let body = chat(json!({"stream": true}));
    let got = ask(CHAT, &body, None).await;
    assert!(!got.text.contains("usage"));
    assert_eq!(got.events().last(), Some(&"[DONE]"));
}

#[tokio::test]
async fn images_are_as_many_as_asked_for_in_the_form_asked_for() {
    for (format, n) in [("url", 1), ("url", 4), ("b64_json", 3)] {
        let body =
            json!({"model": "m", "prompt": "a toll gate", "n": n, "response_format": format});
        let answer = ask(IMAGES, &body, None).await.json();
        assert_eq!(answer["usage"], json!({"input_tokens_details": {}}));
        let data = answer["data"].as_array().expect("data");
        assert_eq!(data.len(), n);
        let mut images: Vec<&str> = data
            .iter()
            .map(|one| one[format].as_str().expect("an image"))
            .collect();
        let start = if format == "url" {
            "data:image/png;base64,iVBORw0KGgo"
        } else {
            "iVBORw0KGgo"
        };
        assert!(images.iter().all(|image| image.starts_with(start)));
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), n, "every image is another");
    }
    let plain = ask(
        IMAGES,
        &json!({"model": "m", "prompt": "a toll gate"}),
        None,
    )
    .await
    .json();
    assert_eq!(plain["data"].as_array().map(Vec::len), Some(1));
    assert!(plain["data"][0]["url"].is_string());
}

#[tokio::test]
async fn wrong_requests_get_a_vendors_errors() {
    let no_prompt = json!({"model": "m"}).to_string();
    let many = json!({"model": "m", "prompt": "p", "n": 11}).to_string();
    let format = json!({"model": "m", "prompt": "p", "response_format": "gif"}).to_string();
    let zero = chat(json!({"max_tokens": 0})).to_string();
    for (path, body, status, param) in [
        ("/unknown", no_prompt.as_str(), 404, Value::Null),
        (CHAT, "{", 400, Value::Null),
        (CHAT, "[]", 400, Value::Null),
        (CHAT, "{}", 400, json!("model")),
        (CHAT, no_prompt.as_str(), 400, json!("messages")),
        (CHAT, zero.as_str(), 400, json!("max_tokens")),
        (IMAGES, no_prompt.as_str(), 400, json!("prompt")),
        (IMAGES, many.as_str(), 400, json!("n")),
        (IMAGES, format.as_str(), 400, json!("response_format")),
    ] {
        let got = ask_text(path, body, None).await;
        let error = got.error();
        assert_eq!(
            (got.status, &error["param"]),
            (status, &param),
            "{path} {body}"
        );
    }
    let got = ask(CHAT, &chat(json!({})), Some("nonsense")).await;
    assert_eq!(got.status, 400);
    assert!(
        got.error()["message"]
            .as_str()
            .expect("text")
            .contains("no fault `nonsense`")
    );
}

#[tokio::test]
async fn a_stream_is_paced_but_starts_at_once() {
    let mut headers = HeaderMap::new();
    headers.insert(DELAY_HEADER, HeaderValue::from_static("600000"));
    let call = Call {
        method: Method::POST,
        path: CHAT,
        headers,
        body: Bytes::from(stream().to_string()),
    };
    let response = send(&"sim".into(), &call).await.expect("an answer");
    let mut body = response.into_body();
    body.frame().await.expect("a frame").expect("data");
    let second = tokio::time::timeout(Duration::from_millis(5), body.frame());
    assert!(second.await.is_err());
}
