//! What holds for any body.

use proptest::prelude::*;
use serde_json::Value;

use super::CAPS;
use crate::gateway::peek::{peek_chat, peek_completions, peek_embeddings, peek_images};

/// A part of a message's content: its JSON, its images, the bytes written out in it.
fn part() -> impl Strategy<Value = (String, u64, u64)> {
    prop_oneof![
        ".{0,20}".prop_map(|text| {
            let text = Value::from(text);
            (format!(r#"{{"type":"text","text":{text}}}"#), 0, 0)
        }),
        "[a-z]{1,9}".prop_map(|host| {
            let part = format!(r#"{{"image_url":{{"url":"https://{host}"}},"type":"image_url"}}"#);
            (part, 1, 0)
        }),
        "[A-Za-z0-9+/]{0,40}".prop_map(|data| {
            let url = format!("data:image/png;base64,{data}");
            let bytes = url.len() as u64;
            (
                format!(r#"{{"type":"image_url","\u0069mage_url":"{url}"}}"#),
                1,
                bytes,
            )
        }),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let seen = (peek_chat(&body, CAPS), peek_images(&body, CAPS));
        prop_assert!(seen.0.is_err() && seen.1.is_err());
        let seen = (peek_completions(&body, CAPS), peek_embeddings(&body, CAPS));
        prop_assert!(seen.0.is_err() && seen.1.is_err());
    }

    #[test]
    fn no_damage_to_a_body_makes_it_panic(
        at in 0_usize..200,
        byte in any::<u8>(),
        cut in 0_usize..250,
    ) {
        let mut body = br#"{"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"file","file":{}}]}],"stream_options":{"include_usage":null},"n":2,"tools":[{"type":"custom"}]}"#.to_vec();
        let len = body.len();
        body[at % len] = byte;
        body.truncate(cut);
        if let Ok(request) = peek_chat(&body, CAPS) {
            let span = request.layout.model;
            let model: String = serde_json::from_slice(&body[span.start..span.end]).unwrap();
            prop_assert_eq!(model, request.model);
        }
        let _seen = peek_images(&body, CAPS);
    }

    #[test]
    fn no_damage_to_prompts_makes_it_panic(
        at in 0_usize..200,
        byte in any::<u8>(),
        cut in 0_usize..250,
    ) {
        let mut body = br#"{"model":"m","prompt":[[1,22],[333]],"input":["a","b"],"n":2,"best_of":3,"echo":true,"max_tokens":0,"stream_options":{}}"#.to_vec();
        let len = body.len();
        body[at % len] = byte;
        body.truncate(cut);
        let _seen = (peek_completions(&body, CAPS), peek_embeddings(&body, CAPS));
    }

    #[test]
    fn prompts_are_counted_whatever_is_in_them(
        texts in proptest::collection::vec(".{0,20}", 1..9),
        lists in proptest::collection::vec(proptest::collection::vec(any::<u32>(), 0..9), 1..9),
    ) {
        for (prompts, count) in [
            (Value::from(texts.clone()), texts.len()),
            (Value::from(lists.clone()), lists.len()),
            (Value::from(texts.concat()), 1),
            (Value::from(lists.concat()), 1),
        ] {
            let body = format!(r#"{{"prompt":{prompts},"model":"m"}}"#);
            let completion = peek_completions(body.as_bytes(), CAPS).unwrap();
            prop_assert_eq!(completion.choices, count as u64);
            prop_assert_eq!(completion.input.body_bytes, body.len() as u64);
        }
    }

    #[test]
    fn images_and_the_bytes_written_out_are_counted_over_all_messages(
        messages in proptest::collection::vec(proptest::collection::vec(part(), 0..4), 0..5)
    ) {
        let images: u64 = messages.iter().flatten().map(|part| part.1).sum();
        let bytes: u64 = messages.iter().flatten().map(|part| part.2).sum();
        let messages: Vec<_> = messages
            .iter()
            .map(|parts| {
                let parts: Vec<_> = parts.iter().map(|part| part.0.as_str()).collect();
                format!(r#"{{"role":"user","content":[{}]}}"#, parts.join(","))
            })
            .collect();
        let body = format!(r#"{{"messages":[{}],"model":"m"}}"#, messages.join(","));
        let input = peek_chat(body.as_bytes(), CAPS).unwrap().input;
        prop_assert_eq!(input.images, images);
        prop_assert_eq!(input.inline_media_bytes, bytes);
        prop_assert!(!input.unbounded);
    }
}
