//! Speech, recordings, and images by forms.

use super::{CAPS, bounds};
use crate::gateway::multipart::{self, Boundary, Form};
use crate::gateway::peek::{
    AudioRequest, BadRequest, Editable, ImageRequest, peek_audio, peek_image_form, peek_speech,
};

/// A form of these fields; a name with `;` has a file name after it.
fn body(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        let name = match name.split_once(';') {
            Some((name, file)) => format!("name=\"{name}\"; filename=\"{file}\""),
            None => format!("name=\"{name}\""),
        };
        body.push_str(&format!(
            "--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n"
        ));
    }
    body + "--b--\r\n"
}

fn form(body: &str) -> Form<'_> {
    let boundary = Boundary::named_in(b"multipart/form-data; boundary=b").unwrap();
    multipart::scan(body.as_bytes(), boundary).unwrap()
}

fn image(body: &str) -> Result<ImageRequest<'_>, BadRequest> {
    peek_image_form(form(body))
}

fn audio(body: &str) -> Result<AudioRequest<'_>, BadRequest> {
    peek_audio(form(body))
}

#[test]
fn characters_are_counted_as_unicode_has_them_escapes_resolved() {
    for (input, characters) in [
        ("Hello", 5),
        ("你好。", 3),
        (r"a\u4f60\n", 3),
        ("😀", 1),
        ("", 0),
    ] {
        let body = format!(r#"{{"model":"m","voice":"alloy","input":"{input}"}}"#);
        let request = peek_speech(body.as_bytes(), CAPS).unwrap();
        assert_eq!(request.characters, characters, "{input}");
    }
    let long = format!(r#"{{"model":"m","input":"{}"}}"#, "x".repeat(5_000));
    let request = peek_speech(long.as_bytes(), CAPS).unwrap();
    let refusal = request.worst_case(&bounds()).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("input"));
}

#[test]
fn speech_is_of_one_text_by_a_voice_that_all_may_use() {
    for (members, param) in [
        (r#""voice":"alloy""#, "input"),
        (r#""input":5"#, "input"),
        (r#""input":"x","text":"y""#, "text"),
        (r#""input":"x","voice":{"id":"voice_1"}"#, "voice.id"),
        (r#""input":"x","n":2"#, "n"),
        (r#""input":"x","Input":"y""#, "Input"),
        (r#""input":"x","api_base":"https://x""#, "api_base"),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let refusal = peek_speech(body.as_bytes(), CAPS).expect_err(members);
        assert_eq!(
            refusal.param.as_deref(),
            Some(param),
            "{members}: {refusal:?}"
        );
    }
}

#[test]
fn an_edit_by_form_is_read_as_one_in_json() {
    let body = body(&[
        ("model", "m"),
        ("prompt", "a gate"),
        ("n", "3"),
        ("size", "1024x1024"),
        ("quality", "high"),
        ("image[];a.png", "0123456789"),
        ("image[];b.png", "0123456789"),
        ("mask;m.png", "01234"),
    ]);
    let request = image(&body).unwrap();
    assert_eq!((&*request.model, request.n), ("m", 3));
    assert_eq!(request.size.as_deref(), Some("1024x1024"));
    assert_eq!(request.quality.as_deref(), Some("high"));
    assert_eq!(
        (request.input.images, request.input.inline_media_bytes),
        (3, 25)
    );
    let worst = request.worst_case(&bounds()).unwrap();
    assert_eq!(worst.images, 3);
    assert_eq!(worst.input_tokens, body.len() as u64 - 25 + 3 * 1_500 + 30);
    assert!(matches!(request.edit, Editable::Form(..)));
}

#[test]
fn fields_of_forms_are_refused_as_members_of_json_are() {
    for (fields, param) in [
        (vec![("model", "m"), ("n", "0")], "n"),
        (vec![("model", "m"), ("n", "2.0")], "n"),
        (vec![("model", "m"), ("n", "+2")], "n"),
        (vec![("model", "m"), ("N", "2")], "N"),
        (vec![("model", "m"), ("model[]", "cheap")], "model[]"),
        (vec![("model", "m"), ("n", "4"), ("n[]", "1")], "n[]"),
        (vec![("model", "m"), ("size[]", "1x1")], "size[]"),
        (vec![("model", "m"), ("n", "1"), ("n", "4")], "n"),
        (vec![("model", "m"), ("num_images", "4")], "num_images"),
        (vec![("model", "m"), ("stream", "true"), ("n", "2")], "n"),
        (vec![("model", "m"), ("stream", "yes")], "stream"),
        (vec![("model", "m"), ("api_key", "x")], "api_key"),
        (
            vec![("model", "m"), ("service_tier", "priority")],
            "service_tier",
        ),
        (vec![("model;f", "m")], "model"),
        (vec![("model", "")], "model"),
        (vec![("prompt", "x")], "model"),
        (vec![("model", "m"), ("file_id", "f")], "file_id"),
    ] {
        let body = body(&fields);
        let refusal = image(&body).expect_err(&format!("{fields:?}"));
        assert_eq!(
            refusal.param.as_deref(),
            Some(param),
            "{fields:?}: {refusal:?}"
        );
    }
}

#[test]
fn a_recording_is_bounded_by_the_row_alone() {
    let body = body(&[
        ("file;speech.wav", "RIFF"),
        ("model", "m"),
        ("response_format", "text"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ]);
    let request = audio(&body).unwrap();
    let file = request.file.unwrap();
    assert_eq!(&body[file.start..file.end], "RIFF");
    let worst = request.worst_case(&bounds());
    assert_eq!(worst.seconds, bounds().seconds_max);
    assert_eq!(worst.input_tokens, bounds().context_tokens);
    let linked = self::body(&[("model", "m"), ("url", "https://x/a.wav")]);
    assert_eq!(audio(&linked).unwrap().file, None);
    let nothing = self::body(&[("model", "m")]);
    assert_eq!(audio(&nothing).unwrap_err().param.as_deref(), Some("file"));
    let twice = self::body(&[("model", "m"), ("file;a", "x"), ("file;b", "y")]);
    assert_eq!(audio(&twice).unwrap_err().param.as_deref(), Some("file"));
}
