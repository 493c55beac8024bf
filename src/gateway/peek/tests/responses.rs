//! Requests for responses: what bounds them, and what is refused.

use super::{CAPS, bounds};
use crate::gateway::peek::{BadRequest, TextRequest, peek_responses};

fn read(body: &str) -> TextRequest<'_> {
    peek_responses(body.as_bytes(), CAPS).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

fn refused(members: &str) -> BadRequest {
    let body = format!(r#"{{"model":"m","input":"x",{members}}}"#);
    peek_responses(body.as_bytes(), CAPS).expect_err(members)
}

fn items(items: &str) -> String {
    format!(r#"{{"model":"m","input":[{items}]}}"#)
}

#[test]
fn the_maximum_of_a_response_bounds_its_output() {
    let plain = read(r#"{"model":"m","input":"Hello"}"#);
    assert_eq!(plain.worst_case(&bounds()).unwrap().output_tokens, 4_000);
    assert!(!plain.stream && !plain.input.unbounded);
    let body = r#"{"input":"Hello","max_output_tokens":50,"stream":true,"model":"m"}"#;
    let short = read(body);
    let worst = short.worst_case(&bounds()).unwrap();
    assert_eq!(
        (worst.output_tokens, worst.input_tokens),
        (50, body.len() as u64 + 30)
    );
    assert!(short.stream);
    let over = read(r#"{"model":"m","input":"x","max_output_tokens":4001}"#);
    let refusal = over.worst_case(&bounds()).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("max_output_tokens"));
}

#[test]
fn items_are_bounded_by_their_bytes_where_they_bring_all_along() {
    for (item, unbounded, images) in [
        (r#"{"role":"user","content":"x"}"#, false, 0),
        (
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}"#,
            false,
            0,
        ),
        (
            r#"{"role":"user","content":[{"type":"input_image","image_url":"https://x/y.png","detail":"low"}]}"#,
            false,
            1,
        ),
        (
            r#"{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}"#,
            false,
            1,
        ),
        (
            r#"{"role":"user","content":[{"type":"input_file","file_data":"x"}]}"#,
            true,
            0,
        ),
        (
            r#"{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}"#,
            true,
            0,
        ),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
            false,
            0,
        ),
        (
            r#"{"type":"function_call_output","call_id":"c","output":"x"}"#,
            false,
            0,
        ),
        (
            r#"{"type":"function_call_output","output":[{"type":"input_image","image_url":"https://x"}]}"#,
            false,
            1,
        ),
        (
            r#"{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"data:x"}}"#,
            true,
            0,
        ),
        (r#"{"type":"reasoning","id":"rs_1","summary":[]}"#, true, 0),
        (
            r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"AAAA"}"#,
            false,
            0,
        ),
        (r#"{"type":"something_new"}"#, true, 0),
    ] {
        let body = items(item);
        let request = read(&body);
        assert_eq!(request.input.unbounded, unbounded, "{item}");
        assert_eq!(request.input.images, images, "{item}");
    }
}

#[test]
fn what_has_no_price_or_is_shared_is_refused() {
    for (members, param) in [
        (r#""background":true,"store":false"#, "store"),
        (r#""background":"yes""#, "background"),
        (r#""previous_response_id":5"#, "previous_response_id"),
        (r#""previous_response_id":"""#, "previous_response_id"),
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"image_generation"}]"#, "tools[0].type"),
        (
            r#""tools":[{"type":"mcp","server_url":"x"}]"#,
            "tools[0].type",
        ),
        (r#""max_tokens":5"#, "max_tokens"),
        (r#""max_completion_tokens":5"#, "max_completion_tokens"),
        (r#""Max_Output_Tokens":5"#, "Max_Output_Tokens"),
        (r#""n":2"#, "n"),
        (r#""audio":{}"#, "audio"),
        (r#""modalities":["text","audio"]"#, "modalities"),
        (r#""service_tier":"priority""#, "service_tier"),
        (r#""models":["a"]"#, "models"),
        (r#""api_base":"https://x""#, "api_base"),
        (r#""input":"twice""#, "input"),
    ] {
        let refusal = refused(members);
        assert_eq!(
            refusal.param.as_deref(),
            Some(param),
            "{members}: {refusal:?}"
        );
        assert_eq!(refusal.status, 400);
    }
    let listed = r#"{"model":"m","input":"a","instructions":[{"content":[{"type":"input_file","file_id":"f"}]}]}"#;
    let refusal = peek_responses(listed.as_bytes(), CAPS).expect_err(listed);
    assert_eq!(refusal.param.as_deref(), Some("instructions"));
    for (item, param) in [
        (r#"{"type":"item_reference","id":"msg_1"}"#, "input[0].type"),
        (r#"{"id":"msg_1"}"#, "input[0].type"),
        (
            r#"{"type":null,"id":"msg_1","content":null}"#,
            "input[0].type",
        ),
        (
            r#"{"type":"image_generation_call","id":"ig_1"}"#,
            "input[0].type",
        ),
        (
            r#"{"role":"user","content":[{"type":"input_image","file_ids":["file-1"]}]}"#,
            "input[0].content[0].file_ids",
        ),
        (
            r#"{"type":"computer_call_output","output":{"file_id":"file-1"}}"#,
            "input[0].output.file_id",
        ),
    ] {
        let refusal = peek_responses(items(item).as_bytes(), CAPS).expect_err(item);
        assert_eq!(refusal.param.as_deref(), Some(param), "{item}: {refusal:?}");
    }
}

#[test]
fn objects_of_the_upstream_are_named_and_make_the_input_unbounded() {
    let body = r#"{"model":"m","previous_response_id":"resp_1","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"},{"type":"input_image","file_id":"file-2"}]}],"background":true}"#;
    let request = read(body);
    let named: Vec<_> = request
        .objects
        .iter()
        .map(|named| (named.param.as_str(), named.id.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            ("previous_response_id", "resp_1"),
            ("input[0].content[0].file_id", "file-1"),
            ("input[0].content[1].file_id", "file-2"),
        ]
    );
    assert!(request.input.unbounded && request.stored && request.background);
    let many: Vec<_> = (0..65)
        .map(|n| format!(r#"{{"type":"input_file","file_id":"f{n}"}}"#))
        .collect();
    let body = format!(
        r#"{{"model":"m","input":[{{"content":[{}]}}]}}"#,
        many.join(",")
    );
    let refusal = peek_responses(body.as_bytes(), CAPS).unwrap_err();
    assert!(refusal.message.contains("64"), "{refusal:?}");
    let unstored = read(r#"{"model":"m","input":"x","store":false}"#);
    assert!(!unstored.stored && !unstored.background);
}
