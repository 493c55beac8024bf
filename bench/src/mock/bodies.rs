//! The smaller texts: usage objects, errors, images, the list of models.

use bytes::Bytes;

/// Every answer is of the same moment, so that answers can be compared.
pub const CREATED: u64 = 1_748_390_400;

/// What a usage object says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt: i64,
    pub completion: i64,
    pub cached: i64,
    pub reasoning: i64,
}

// === impl Usage ===

impl Usage {
    pub fn json(&self) -> String {
        let Usage {
            prompt,
            completion,
            cached,
            reasoning,
        } = self;
        let total = prompt.saturating_add(*completion);
        format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{reasoning},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
        )
    }

    fn image_json(&self) -> String {
        let Usage {
            prompt, completion, ..
        } = self;
        let total = prompt.saturating_add(*completion);
        format!(
            r#"{{"input_tokens":{prompt},"input_tokens_details":{{"text_tokens":{prompt},"image_tokens":0}},"output_tokens":{completion},"total_tokens":{total}}}"#
        )
    }
}

/// A file as it is listed, its name as long as was asked.
pub fn file(bytes_min: u64) -> Bytes {
    let name = "x".repeat(bytes_min as usize);
    Bytes::from(format!(
        r#"{{"id":"file-mock","object":"file","bytes":1,"created_at":{CREATED},"filename":"{name}","purpose":"user_data"}}"#
    ))
}

/// OpenAI's error body, all four keys.
pub fn error(message: &str, kind: &str, code: &str) -> Bytes {
    let (message, kind, code) = (json_string(message), json_string(kind), json_string(code));
    Bytes::from(format!(
        r#"{{"error":{{"message":{message},"type":{kind},"param":null,"code":{code}}}}}"#
    ))
}

/// An error in the middle of a stream.
pub fn error_event() -> Bytes {
    let body = error(
        "The mock failed, as directed",
        "server_error",
        "mock_stream_error",
    );
    Bytes::from([b"data: ", body.as_ref(), b"\n\n"].concat())
}

/// An image answer: `images` entries, then `errors` entries that carry none.
pub fn images(images: u64, errors: u64, usage: Option<Usage>) -> Bytes {
    let image = |index| {
        format!(r#"{{"url":"https://images.invalid/{index}.png","revised_prompt":"a mock"}}"#)
    };
    let refused = |_| {
        r#"{"error":{"code":"content_policy_violation","message":"refused, as directed"}}"#
            .to_owned()
    };
    let data: Vec<String> = (0..images)
        .map(image)
        .chain((0..errors).map(refused))
        .collect();
    let usage = usage
        .map(|usage| format!(r#","usage":{}"#, usage.image_json()))
        .unwrap_or_default();
    Bytes::from(format!(
        r#"{{"created":{CREATED},"data":[{}]{usage}}}"#,
        data.join(",")
    ))
}

/// `/v1/models`.
pub fn models() -> Bytes {
    let model =
        |id| format!(r#"{{"id":"{id}","object":"model","created":{CREATED},"owned_by":"mock"}}"#);
    let data: Vec<String> = ["mock-model", "mock-image"].map(model).into();
    Bytes::from(format!(
        r#"{{"object":"list","data":[{}]}}"#,
        data.join(",")
    ))
}

/// A page where JSON was due, as overloaded gateways send.
pub fn html() -> Bytes {
    Bytes::from_static(b"<html><head><title>502 Bad Gateway</title></head><body>mock</body></html>")
}

/// Quoted and escaped.
pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn image_answers_hold_errors_beside_images() {
        let answer: Value = serde_json::from_slice(&images(
            2,
            1,
            Some(Usage {
                prompt: 7,
                completion: 3,
                cached: 0,
                reasoning: 0,
            }),
        ))
        .expect("JSON");
        assert!(answer["data"][1]["url"].is_string() && answer["data"][2]["error"].is_object());
        assert_eq!(answer["usage"]["output_tokens"], 3);
    }

    #[test]
    fn errors_have_all_four_keys() {
        let event = error_event();
        let json = event
            .strip_prefix(b"data: ")
            .and_then(|rest| rest.strip_suffix(b"\n\n"))
            .expect("one event");
        let error: Value = serde_json::from_slice(json).expect("JSON");
        let keys: Vec<&str> = error["error"]
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["code", "message", "param", "type"]);
    }
}
