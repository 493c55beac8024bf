//! Requests for messages: what bounds them, and what is refused.

use super::{CAPS, bounds};
use crate::gateway::peek::{BadRequest, InputSize, TextRequest, peek_messages};

fn read(body: &str) -> TextRequest<'_> {
    peek_messages(body.as_bytes(), CAPS).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

fn refused(members: &str) -> BadRequest {
    let body = format!(r#"{{"model":"m","messages":[],{members}}}"#);
    peek_messages(body.as_bytes(), CAPS).expect_err(members)
}

fn block(block: &str) -> Result<InputSize, BadRequest> {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{block}]}}]}}"#);
    peek_messages(body.as_bytes(), CAPS).map(|request| request.input)
}

#[test]
fn the_maximum_of_a_message_bounds_its_output_whatever_field_chats_have() {
    let request = read(
        r#"{"model":"m","max_tokens":100,"system":"s","messages":[{"role":"user","content":"x"}],"stream":true}"#,
    );
    assert!(request.stream);
    let row = crate::price::Bounds {
        max_tokens_field: crate::price::MaxTokensField::MaxCompletionTokens,
        ..bounds()
    };
    assert_eq!(request.worst_case(&row).unwrap().output_tokens, 100);
}

#[test]
fn blocks_are_bounded_by_their_bytes_images_by_the_row_and_documents_by_the_context() {
    for (written, unbounded, images, inline) in [
        (
            r#"{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}"#,
            false,
            0,
            0,
        ),
        (
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#,
            false,
            1,
            6,
        ),
        (
            r#"{"source":{"data":"AAAA","type":"base64"},"type":"image"}"#,
            false,
            1,
            6,
        ),
        (
            r#"{"type":"image","source":{"type":"url","url":"https://x"}}"#,
            false,
            1,
            0,
        ),
        (
            r#"{"type":"tool_use","id":"t","name":"f","input":{"a":1}}"#,
            false,
            0,
            0,
        ),
        (
            r#"{"type":"tool_result","tool_use_id":"t","content":"x"}"#,
            false,
            0,
            0,
        ),
        (
            r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}"#,
            false,
            1,
            6,
        ),
        (
            r#"{"type":"thinking","thinking":"t","signature":"s"}"#,
            false,
            0,
            0,
        ),
        (
            r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}"#,
            true,
            0,
            0,
        ),
        (
            r#"{"type":"document","source":{"type":"url","url":"https://x"}}"#,
            true,
            0,
            0,
        ),
        (r#"{"type":"something_new"}"#, true, 0, 0),
        (r#"{}"#, true, 0, 0),
    ] {
        let input = block(written).unwrap_or_else(|refusal| panic!("{written}: {refusal:?}"));
        assert_eq!(
            (input.unbounded, input.images, input.inline_media_bytes),
            (unbounded, images, inline),
            "{written}"
        );
    }
    let system = read(
        r#"{"model":"m","messages":[],"system":[{"type":"text","text":"s"}],"tools":[{"name":"f","input_schema":{}}]}"#,
    );
    assert!(!system.input.unbounded);
    let client_tool =
        read(r#"{"model":"m","messages":[],"tools":[{"type":"bash_20250124","name":"bash"}]}"#);
    assert!(client_tool.input.unbounded);
}

#[test]
fn what_has_no_price_or_is_shared_is_refused() {
    for (members, param) in [
        (
            r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#,
            "tools[0].type",
        ),
        (
            r#""tools":[{"type":"code_execution_20250522"}]"#,
            "tools[0].type",
        ),
        (r#""mcp_servers":[{"url":"x"}]"#, "mcp_servers"),
        (r#""container":"c_1""#, "container"),
        (r#""speed":"fast""#, "speed"),
        (r#""inference_geo":"us""#, "inference_geo"),
        (r#""service_tier":"priority""#, "service_tier"),
        (
            r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#,
            "context_management",
        ),
        (r#""max_output_tokens":5"#, "max_output_tokens"),
        (r#""system":{}"#, "system"),
        (r#""n":2"#, "n"),
    ] {
        let refusal = refused(members);
        assert_eq!(
            refusal.param.as_deref(),
            Some(param),
            "{members}: {refusal:?}"
        );
    }
    for written in [
        r#"{"type":"document","source":{"type":"file","file_ids":["file_1"]}}"#,
        r#"{"type":"container_upload","file_id":"file_1"}"#,
        r#"{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"file","file_ids":["file_1"]}}]}}"#,
        r#"{"type":"web_fetch_tool_result","content":{"type":"code_execution_output","file_id":"file_1"}}"#,
    ] {
        let refusal = block(written).expect_err(written);
        assert!(
            refusal.message.contains("upstream"),
            "{written}: {refusal:?}"
        );
    }
    let stored = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}"#;
    let stored = read(stored);
    assert!(stored.input.unbounded);
    assert_eq!(stored.objects[0].id, "file_1");
    for nested in [
        r#"{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"file","file_id":"file_2"}}]}}"#,
        r#"{"type":"web_fetch_tool_result","content":{"type":"web_fetch_result","content":{"type":"document","source":{"type":"file","file_id":"file_2"}}}}"#,
    ] {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{nested}]}}]}}"#);
        assert_eq!(read(&body).objects[0].id, "file_2", "{nested}");
    }
    let fine = r#"{"model":"m","messages":[],"service_tier":"standard_only","speed":"standard","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}"#;
    read(fine);
}
