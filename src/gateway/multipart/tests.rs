use super::*;

mod boundaries;
mod clients;
mod properties;
mod refusals;
mod upstreams;

use bytes::Bytes;

/// A form with `boundary=B`: each part is its headers, without the last line end, and its value.
fn form(parts: &[(&str, &str)]) -> String {
    let part = |(head, value): &(&str, &str)| format!("--B\r\n{head}\r\n\r\n{value}\r\n");
    parts.iter().map(part).collect::<String>() + "--B--\r\n"
}

/// A form with the boundary `B`.
fn scanned(body: &str) -> Form<'_> {
    read(body.as_bytes()).unwrap_or_else(|refusal| panic!("{body:?}: {}", refusal.message))
}

fn read(body: &[u8]) -> Result<Form<'_>, BadRequest> {
    scan(
        body,
        Boundary::named_in(b"multipart/form-data; boundary=B")?,
    )
}

fn names<'b>(form: &Form<'b>) -> Vec<&'b str> {
    form.parts().iter().map(|part| part.name).collect()
}

/// The body with another value in the first part of that name.
fn with(form: &Form<'_>, name: &str, text: &str) -> Result<Bytes, BadRequest> {
    let mut parts = form.parts().iter();
    let part = parts.find(|part| part.name == name).expect("a part");
    let mut splicer = Splicer::default();
    form.replace(part, text, &mut splicer)?;
    Ok(splicer.apply(&Bytes::copy_from_slice(form.body)))
}

const MODEL: (&str, &str) = (r#"Content-Disposition: form-data; name="model""#, "m");
const FILE: (&str, &str) = (
    "Content-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\nContent-Type: audio/wav",
    "RIFF\0\r\n-- B\r\n--b\r\n\n",
);

#[test]
fn parts_come_in_order_with_their_values_where_they_stand() {
    let body = form(&[MODEL, FILE]);
    let form = scanned(&body);
    let [model, file] = form.parts() else {
        panic!("{form:?}");
    };
    assert_eq!(
        (model.name, model.filename, model.content_type),
        ("model", None, None)
    );
    assert_eq!(form.bytes(model), b"m");
    assert_eq!(&body[model.value.start..model.value.end], "m");
    assert_eq!(file.filename, Some("a b.wav"));
    assert_eq!(file.content_type, Some("audio/wav"));
    assert_eq!(form.bytes(file), FILE.1.as_bytes());
}

#[test]
fn every_spelling_that_an_encoder_writes_is_read() {
    for (head, name, filename) in [
        (
            "Content-Disposition: form-data; name=\"image[]\"",
            "image[]",
            None,
        ),
        ("content-disposition:form-data;name=\"a\"", "a", None),
        // Unquoted, with the type of a text.
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model",
            "model",
            None,
        ),
        (
            "Content-Disposition: form-data; name=file; filename=a.wav",
            "file",
            Some("a.wav"),
        ),
        (
            "Content-Disposition: form-data; name=\"f\"; filename=\"q%22\u{e9};.png\"",
            "f",
            Some("q%22\u{e9};.png"),
        ),
        (
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Length: 5",
            "a",
            None,
        ),
        (
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: 8BIT",
            "a",
            None,
        ),
        (
            "Content-Disposition: form-data; name=\"f\"; filename=\"blob\"\r\nContent-Type: video/webm;codecs=vp8,opus",
            "f",
            Some("blob"),
        ),
    ] {
        let body = form(&[(head, "value")]);
        let form = scanned(&body);
        let part = form.parts()[0];
        assert_eq!((part.name, part.filename), (name, filename), "{head}");
        assert_eq!(form.bytes(&part), b"value", "{head}");
    }
}

#[test]
fn empty_values_forms_and_lines_around_are_no_trouble() {
    assert_eq!(scanned("--B--").parts(), []);
    assert_eq!(scanned("--B--\r\n").parts(), []);
    let body = form(&[(MODEL.0, "")]);
    let form = scanned(&body);
    assert_eq!(form.bytes(&form.parts()[0]), b"");
    let led = format!("\r\n{body}");
    assert_eq!(names(&scanned(&led)), ["model"]);
    let unended = body.strip_suffix("\r\n").expect("a line end");
    assert_eq!(names(&scanned(unended)), ["model"]);
}

#[test]
fn another_model_changes_its_value_alone() {
    let body = form(&[FILE, MODEL, FILE]);
    let spliced = with(&scanned(&body), "model", "upstream/m-2").unwrap();
    assert_eq!(spliced, form(&[FILE, (MODEL.0, "upstream/m-2"), FILE]));
}

#[test]
fn a_length_that_a_part_tells_stays_true() {
    let told = |length, value| {
        let head = format!("Content-Length: {length}\r\n{}", MODEL.0);
        form(&[FILE, (&head, value)])
    };
    let body = told(" 1", "m");
    let spliced = with(&scanned(&body), "model", "upstream/m-2").unwrap();
    assert_eq!(spliced, told(" 12", "upstream/m-2"));
}

#[test]
fn a_boundary_cannot_be_chosen_so_that_the_upstreams_name_for_a_model_ends_the_part() {
    let body = form(&[MODEL]);
    let refusal = with(&scanned(&body), "model", "x--By").unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("model"));
    assert!(with(&scanned(&body), "model", "x-By").is_ok());
}

#[test]
fn a_name_may_come_again_only_where_the_caller_says_so() {
    let list = (r#"Content-Disposition: form-data; name="include[]""#, "x");
    let body = form(&[list, MODEL, list]);
    assert_eq!(scanned(&body).once(&["image[]", "include[]"]), Ok(()));
    let refusal = scanned(&body).once(&["image[]"]).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("include[]"));
    assert!(refusal.message.contains("twice"), "{}", refusal.message);
}

#[test]
fn a_field_is_text_to_every_parser_or_none() {
    let plain = form(&[(MODEL.0, "gr\u{fc}n")]);
    let form_of = scanned(&plain);
    assert_eq!(form_of.text(&form_of.parts()[0]), Ok("gr\u{fc}n"));
    for more in [
        "; filename=\"m\"",
        "\r\nContent-Type: application/octet-stream",
        "\r\nContent-Type: application/json",
    ] {
        let head = format!("{}{more}", MODEL.0);
        let body = form(&[(&head, "m")]);
        let form = scanned(&body);
        let refusal = form.text(&form.parts()[0]).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("model"), "{more}");
    }
    let latin = [b"--B\r\n", MODEL.0.as_bytes(), b"\r\n\r\ngr\xfcn\r\n--B--"].concat();
    let form = read(&latin).unwrap();
    let refusal = form.text(&form.parts()[0]).unwrap_err();
    assert!(refusal.message.contains("byte 2"), "{}", refusal.message);
}
