//! Embeddings: inputs in, and nothing that could be written out.

use super::{CAPS, bounds};
use crate::gateway::peek::{BadRequest, InputRequest, peek_embeddings};
use crate::price::WorstCase;

/// A request with these members beside its model.
fn read(members: &str) -> Result<InputRequest<'static>, BadRequest> {
    let body: &'static str = format!(r#"{{"model":"m",{members}}}"#).leak();
    peek_embeddings(body.as_bytes(), CAPS)
}

#[track_caller]
fn refused(members: &str, param: &str, word: &str) {
    let refusal = read(members).expect_err(members);
    assert_eq!(refusal.status, 400, "{members}");
    assert_eq!(refusal.param.as_deref(), Some(param), "{members}");
    let message = refusal.message;
    assert!(message.contains(word), "{members}: {message}");
}

#[test]
fn inputs_are_bounded_by_their_bytes_and_nothing_is_written() {
    for (input, inputs) in [
        (r#""a text""#, 1),
        (r#"["a","b"]"#, 2),
        ("[1,2,3]", 1),
        ("[[1],[2,3]]", 2),
    ] {
        let members = format!(
            r#""input":{input},"encoding_format":"base64","dimensions":64,"user":"u","input_type":"query""#
        );
        let request = read(&members).unwrap_or_else(|refusal| panic!("{input}: {refusal:?}"));
        assert_eq!(request.input.prompts, inputs, "{input}");
        let worst = request.worst_case(&bounds());
        let input_tokens = request.input.body_bytes + 30;
        assert_eq!(
            worst,
            WorstCase {
                input_tokens,
                ..WorstCase::default()
            }
        );
    }
    let long = "x".repeat(150_000);
    let request = read(&format!(r#""input":["{long}","a"]"#)).expect("two inputs");
    assert!(request.worst_case(&bounds()).input_tokens > 150_000);
}

#[test]
fn an_instruction_is_put_to_every_input_and_a_named_one_has_any_length() {
    let tokens = |members: &str| {
        let request = read(members).unwrap_or_else(|refusal| panic!("{members}: {refusal:?}"));
        let bytes = request.input.body_bytes;
        (request.worst_case(&bounds()).input_tokens, bytes)
    };
    for (members, repeated) in [
        (r#""input":["a","b","c"],"instruction":"abcd""#, 2 * 6),
        (r#""instruct":"abcd","input":[[1],[2]]"#, 6),
        (r#""input":"a","instruct":"abcd""#, 0),
    ] {
        let (input_tokens, bytes) = tokens(members);
        assert_eq!(input_tokens, bytes + repeated + 30, "{members}");
    }
    let (named, _) = tokens(r#""input":["a","b"],"prompt_name":"query""#);
    assert_eq!(named, 2 * bounds().context_tokens);
}

#[test]
fn what_is_no_input_is_refused() {
    refused(r#""dimensions":1"#, "input", "missing");
    refused(r#""input":null"#, "input", "missing");
    refused(r#""input":[]"#, "input", "empty");
    refused(r#""input":{"text":"a"}"#, "input", "array of strings");
    refused(
        r#""input":["a",{"image":"http://x"}]"#,
        "input[1]",
        "only strings",
    );
    refused(r#""input":["a",[1]]"#, "input[1]", "only strings");
    refused(r#""input":"a","stream":true"#, "stream", "one answer");
    refused(r#""input":"a","stream":1"#, "stream", "true, false or null");
    refused(r#""input":"a","messages":[{}]"#, "messages", "`input`");
    refused(r#""input":"a","Input":"b""#, "Input", "`input`");
    refused(
        r#""input":"a","api_base":"http://x""#,
        "api_base",
        "set by the proxy",
    );
    refused(
        r#""input":"a","service_tier":"flex""#,
        "service_tier",
        "no price",
    );
    assert!(read(r#""input":"a","stream":false"#).is_ok());
}
