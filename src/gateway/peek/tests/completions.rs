//! Completions of plain text: how many texts are written, from how many prompts.

use super::{CAPS, bounds};
use crate::gateway::peek::{BadRequest, TextRequest, peek_completions};
use crate::price::WorstCase;

/// A completion with these members beside its model.
fn read(members: &str) -> Result<(TextRequest<'static>, u64), BadRequest> {
    let body: &'static str = format!(r#"{{"model":"m",{members}}}"#).leak();
    let request = peek_completions(body.as_bytes(), CAPS)?;
    Ok((request, body.len() as u64))
}

fn completion(members: &str) -> TextRequest<'static> {
    read(members)
        .unwrap_or_else(|refusal| panic!("{members}: {refusal:?}"))
        .0
}

fn worst(members: &str) -> WorstCase {
    completion(members)
        .worst_case(&bounds())
        .unwrap_or_else(|refusal| panic!("{members}: {refusal:?}"))
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
fn every_prompt_gets_its_own_choices() {
    for (prompt, prompts) in [
        (r#""a text""#, 1),
        (r#"["a"]"#, 1),
        (r#"["a","b","c"]"#, 3),
        ("[1,2,3,4]", 1),
        ("[[1,2],[3],[]]", 3),
        ("[]", 1),
        ("null", 1),
    ] {
        let choices = |more: &str| completion(&format!(r#""prompt":{prompt}{more}"#)).choices;
        assert_eq!(choices(""), prompts, "{prompt}");
        assert_eq!(choices(r#","n":2"#), 2 * prompts, "{prompt}");
        let output = worst(&format!(
            r#""prompt":{prompt},"n":2,"best_of":5,"max_tokens":7"#
        ));
        assert_eq!(output.output_tokens, 5 * prompts * 7, "{prompt}");
    }
    assert_eq!(completion(r#""n":3"#).choices, 3);
}

#[test]
fn the_input_is_bounded_by_bytes_and_a_context_for_every_prompt() {
    let (request, bytes) = read(r#""prompt":["a","b"]"#).expect("a completion");
    assert_eq!(request.input.tokens_max(&bounds()), bytes + 30);
    let long = "x".repeat(150_000);
    let two = worst(&format!(r#""prompt":["{long}","{long}"]"#));
    assert_eq!(two.input_tokens, 200_000);
    let one = worst(&format!(r#""prompt":"{long}""#));
    assert_eq!(one.input_tokens, 100_000);
    for media in [r#""images":["http://x"]"#, r#""multimodal_data":[{}]"#] {
        let unbounded = worst(&format!(r#""prompt":["a","b"],{media}"#));
        assert_eq!(unbounded.input_tokens, 200_000, "{media}");
    }
}

#[test]
fn a_suffix_may_be_put_to_every_prompt() {
    let members = r#""prompt":["a","b","c"],"suffix":"abcd""#;
    let (request, bytes) = read(members).expect("a completion");
    assert_eq!(request.input.tokens_max(&bounds()), bytes + 2 * 6 + 30);
    let (request, bytes) = read(r#""prompt":"a","suffix":"abcd""#).expect("a completion");
    assert_eq!(request.input.tokens_max(&bounds()), bytes + 30);
}

#[test]
fn an_echoed_prompt_may_come_back_with_every_choice() {
    let prompt = r#"["abc","de"]"#;
    let output =
        |more: &str| worst(&format!(r#""prompt":{prompt},"max_tokens":4{more}"#)).output_tokens;
    assert_eq!(output(""), 2 * 4);
    assert_eq!(output(r#","echo":false"#), 2 * 4);
    let bytes = prompt.len() as u64;
    assert_eq!(output(r#","echo":true"#), 2 * 4 + bytes);
    assert_eq!(output(r#","echo":true,"n":3"#), 2 * 3 * 4 + 3 * bytes);
}

#[test]
fn a_maximum_of_zero_bounds_nothing_and_is_never_raised() {
    let members = r#""prompt":"a","max_tokens":0"#;
    let request = completion(members);
    assert_eq!(request.client_max(&bounds()), None);
    assert_eq!(worst(members).output_tokens, 4_000);
    assert_eq!(request.output_floor(&bounds()), 4_000);
    let request = completion(r#""prompt":"a","max_tokens":9"#);
    assert_eq!(request.output_floor(&bounds()), 1);
    assert_eq!(request.maximum_within(5, &bounds()), Some(5));
}

#[test]
fn max_tokens_bounds_a_completion_whatever_bounds_a_chat() {
    let bounds = crate::price::Bounds {
        max_tokens_field: crate::price::MaxTokensField::MaxCompletionTokens,
        ..bounds()
    };
    let request = completion(r#""prompt":"a","max_tokens":9,"max_completion_tokens":null"#);
    assert_eq!(request.client_max(&bounds), Some(9));
    let member = r#""prompt":"a","max_tokens":9,"max_completion_tokens":9"#;
    refused(member, "max_completion_tokens", "Use `max_tokens`");
}

#[test]
fn streams_and_what_moves_no_money_pass() {
    let request = completion(
        r#""prompt":"a","stream":true,"stream_options":{"include_usage":true},"best_of":1,"suffix":"b","logprobs":5,
           "temperature":0,"top_p":1,"stop":["\n"],"logit_bias":{"50256":-100},"user":"u","seed":1,"presence_penalty":0,
           "min_tokens":1,"prompt_logprobs":1,"add_special_tokens":false,"truncate_prompt_tokens":9"#,
    );
    assert!(request.stream);
    assert_eq!(request.include_usage, Some(true));
    assert!(!request.input.unbounded);
}

#[test]
fn what_cannot_be_priced_is_refused() {
    refused(r#""prompt":{"a":1}"#, "prompt", "array of strings");
    refused(r#""prompt":7"#, "prompt", "array of strings");
    refused(r#""prompt":["a",1]"#, "prompt[1]", "only strings");
    refused(r#""prompt":[1,"a"]"#, "prompt[1]", "only token ids");
    refused(r#""prompt":[1,[2]]"#, "prompt[1]", "only token ids");
    refused(r#""prompt":["a",null]"#, "prompt[1]", "only strings");
    refused(r#""prompt":[{}]"#, "prompt[0]", "only strings");
    refused(r#""prompt":[[1],["a"]]"#, "prompt[1][0]", "token id");
    refused(r#""prompt":[-1]"#, "prompt[0]", "only strings");
    refused(r#""prompt":[[1.5]]"#, "prompt[0][0]", "token id");
    refused(r#""prompt":"a","n":0"#, "n", "from 1 to 128");
    refused(r#""prompt":"a","best_of":129"#, "best_of", "from 1 to 128");
    refused(r#""prompt":"a","n":3,"best_of":2"#, "best_of", "at least 3");
    refused(
        r#""prompt":"a","stream":true,"best_of":2"#,
        "best_of",
        "stream",
    );
    refused(r#""prompt":"a","echo":1"#, "echo", "true, false or null");
    refused(
        r#""prompt":"a","max_tokens":-1"#,
        "max_tokens",
        "at least 1",
    );
    refused(r#""prompt":"a","Best_Of":9"#, "Best_Of", "`best_of`");
    refused(
        r#""prompt":"a","prompt_embeds":"AA""#,
        "prompt_embeds",
        "`prompt`",
    );
    refused(r#""prompt":"a","messages":[{}]"#, "messages", "`prompt`");
    refused(r#""prompt":"a","n_predict":9"#, "n_predict", "`max_tokens`");
    refused(r#""prompt":"a","fallbacks":["x"]"#, "fallbacks", "`model`");
    refused(r#""prompt":"a","prompt":"b""#, "prompt", "twice");
    for member in ["bootstrap_host", "bootstrap_port", "bootstrap_room"] {
        let members = format!(r#""prompt":"a","{member}":[1]"#);
        refused(&members, member, "set by the proxy");
    }
    let session = r#""prompt":"a","session_params":{"id":"1"}"#;
    refused(session, "session_params", "stored objects");
    let unnamed = peek_completions(br#"{"prompt":"a"}"#, CAPS).expect_err("no model");
    assert_eq!(unnamed.param.as_deref(), Some("model"));
    let above = completion(r#""prompt":"a","max_tokens":4001"#)
        .worst_case(&bounds())
        .expect_err("above the model's");
    assert_eq!(above.param.as_deref(), Some("max_tokens"));
}

#[test]
fn the_worst_case_saturates() {
    let prompts = "[],".repeat(1_000);
    let request = completion(&format!(
        r#""prompt":[{prompts}[]],"n":128,"echo":true,"max_tokens":18446744073709551615"#
    ));
    assert_eq!(request.choices, 128 * 1_001);
    let bounds = crate::price::Bounds {
        max_output_tokens: u64::MAX,
        context_tokens: u64::MAX,
        ..bounds()
    };
    let worst = request.worst_case(&bounds).expect("a worst case");
    assert_eq!(worst.output_tokens, u64::MAX);
}
