//! Refusals of what parsers are known to read in several ways; those of boundaries are beside.

use std::time::{Duration, Instant};

use super::*;

pub(super) fn refused(body: &str) -> BadRequest {
    let Err(refusal) = read(body.as_bytes()) else {
        panic!("accepted: {body:.200?}");
    };
    assert_eq!(refusal.status, 400, "{body}");
    assert_eq!(refusal.code, "invalid_request_error", "{body}");
    let message = &refusal.message;
    assert!(message.len() < 300 && message.ends_with('.'), "{message}");
    refusal
}

/// The refusal of a second part with this head.
pub(super) fn head(head: &str) -> BadRequest {
    refused(&form(&[MODEL, (head, "value")]))
}

#[track_caller]
pub(super) fn says(refusal: &BadRequest, word: &str) {
    assert!(refusal.message.contains(word), "{}", refusal.message);
}

pub(super) const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";

#[test]
fn a_head_has_one_disposition_with_one_name() {
    for (written, word) in [
        ("Content-Type: text/plain", "no header Content-Disposition"),
        ("", "no header Content-Disposition"),
        ("Content-Disposition: form-data", "has no name"),
        ("Content-Disposition: form-data; filename=\"a\"", "one name"),
        (
            "Content-Disposition: form-data; filename=\"a\"; name=\"b\"",
            "one name",
        ),
        (
            "Content-Disposition: form-data; name=\"a\"; name=\"a\"",
            "one name",
        ),
        (
            "Content-Disposition: form-data; name=\"a\"; filename=\"b\"; filename=\"b\"",
            "one name",
        ),
        (
            "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b",
            "RFC 7578",
        ),
        ("Content-Disposition: form-data; name*=UTF-8''b", "RFC 7578"),
        ("Content-Disposition: form-data; name*0=\"a\"", "name*0"),
        ("Content-Disposition: form-data; NAME=\"a\"", "`NAME`"),
        (
            "Content-Disposition: form-data; name=\"a\"; size=3",
            "`size`",
        ),
        (
            "Content-Disposition: form-data; name=\"a\";",
            "cannot be read",
        ),
        (
            "Content-Disposition: form-data; name=\"a\" x",
            "cannot be read",
        ),
        (
            "Content-Disposition: form-data; name=\"a\"b\"",
            "cannot be read",
        ),
        ("Content-Disposition: form-data; name=\"a", "cannot be read"),
        ("Content-Disposition: form-data; name='a'", "cannot be read"),
        (
            "Content-Disposition: form-data; name =\"a\"",
            "cannot be read",
        ),
        (
            "Content-Disposition: form-data; name= \"a\"",
            "cannot be read",
        ),
        (
            "Content-Disposition: form-data, name=\"a\"",
            "cannot be read",
        ),
        ("Content-Disposition: form-data; =\"a\"", "cannot be read"),
        ("Content-Disposition: form-data; name=a/b", "cannot be read"),
        (
            "Content-Disposition: form-data; name=\"a\\\"; filename=\\\"b\"",
            "backslash",
        ),
        ("Content-Disposition: form-data; name=\"a\\b\"", "backslash"),
        (
            "Content-Disposition: attachment; name=\"a\"",
            "not form-data",
        ),
        (
            "Content-Disposition: Form-Data; name=\"a\"",
            "not form-data",
        ),
        (
            "Content-Disposition: form-data2; name=\"a\"",
            "cannot be read",
        ),
        (
            "Content-Disposition: form-data; name=\"a\"\r\ncontent-disposition: form-data; name=\"b\"",
            "two headers",
        ),
        (
            "Content-Disposition : form-data; name=\"a\"",
            "which forms do not have",
        ),
        (
            "Content_Disposition: form-data; name=\"a\"",
            "which forms do not have",
        ),
        ("Content-Disposition\r\nX: y", "without a colon"),
    ] {
        let refusal = head(written);
        says(&refusal, "Part 2");
        says(&refusal, word);
    }
}

#[test]
fn names_have_no_sign_that_is_read_in_several_ways() {
    for name in [
        "",
        " a",
        "a ",
        "a b",
        "a%62",
        "a;b",
        "a=b",
        "a'",
        "\u{e9}",
        "a,b",
        "a/b",
        "a\u{200b}",
    ] {
        says(
            &head(&format!("Content-Disposition: form-data; name=\"{name}\"")),
            "rename it",
        );
    }
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    says(
        &head(&format!("Content-Disposition: form-data; name=\"{long}\"")),
        "256",
    );
    for control in ["\0", "\t", "\u{7f}", "\u{85}", "\u{b}"] {
        for at in ["name=\"a{}\"", "name=\"a\"; filename=\"b{}\""] {
            let params = at.replace("{}", control);
            says(
                &head(&format!("Content-Disposition: form-data; {params}")),
                "control character",
            );
        }
    }
    says(
        &head("Content-Disposition: form-data; name=\"_Charset_\""),
        "character set",
    );
    for (filename, word) in [
        ("", "empty filename"),
        ("  ", "empty filename"),
        ("a; name=model", "semicolon"),
        ("a;name=\u{e9}", "semicolon"),
    ] {
        let written =
            format!("Content-Disposition: form-data; name=\"f\"; filename=\"{filename}\"");
        says(&head(&written), word);
    }
}

#[test]
fn a_value_is_its_bytes_and_nothing_else() {
    for (header, word) in [
        ("Content-Transfer-Encoding: base64", "as they are"),
        ("Content-Transfer-Encoding: quoted-printable", "as they are"),
        ("Content-Transfer-Encoding: 8bit, base64", "as they are"),
        (
            "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64",
            "two headers",
        ),
        ("Content-Encoding: gzip", "which forms do not have"),
        (
            "Content-Type: multipart/mixed; boundary=C",
            "parts of its own",
        ),
        ("Content-Type: Multipart/Form-Data", "parts of its own"),
        ("Content-Type: message/rfc822", "parts of its own"),
        ("Content-Type: text/plain; charset=utf-16", "charset"),
        (
            "Content-Type: text/plain; charset=utf-8; charset=utf-7",
            "charset",
        ),
        ("Content-Type: text/plain charset=utf-7", "type/subtype"),
        ("Content-Type: text/plain; format=flowed", "charset"),
        ("Content-Type: plain", "type/subtype"),
        ("Content-Type:", "type/subtype"),
        (
            "Content-Type: text/plain\r\nContent-Type: text/plain",
            "two headers",
        ),
        ("Content-Length: 4", "content-length"),
        ("Content-Length: +5", "content-length"),
        ("Content-Length: 5\r\nContent-Length: 5", "two headers"),
        ("Content-Length: 99999999999999999999999", "content-length"),
        ("X-Custom: 1", "`X-Custom`"),
    ] {
        let refusal = head(&format!("{NAMED}\r\n{header}"));
        says(&refusal, word);
        assert_eq!(refusal.param.as_deref(), Some("a"), "{header}");
        says(&refusal, "(`a`)");
    }
}

#[test]
fn lines_end_with_crlf_and_are_not_folded() {
    for (written, word) in [
        (format!("{NAMED}\nContent-Type: text/plain"), "does not end"),
        (format!("{NAMED}\rContent-Type: text/plain"), "does not end"),
        (format!("{NAMED}\r\n ; filename=\"b\""), "several lines"),
        (format!("{NAMED}\r\n\tX: y"), "several lines"),
        (format!(" {NAMED}"), "several lines"),
    ] {
        says(&head(&written), word);
    }
    refused("--B\nContent-Disposition: form-data; name=\"a\"\n\nvalue\n--B--\n");
    refused("--B\r\nContent-Disposition: form-data; name=\"a\"\n\nvalue\r\n--B--\r\n");
    let latin =
        b"--B\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\xe9\"\r\n\r\n\r\n--B--";
    says(&read(latin).unwrap_err(), "UTF-8");
}

#[test]
fn a_form_is_bounded() {
    let parts = vec![MODEL; PARTS_MAX];
    assert_eq!(scanned(&form(&parts)).parts().len(), PARTS_MAX);
    let parts = vec![MODEL; PARTS_MAX + 1];
    says(&refused(&form(&parts)), "more than 256 parts");
    for filler in [1, 30] {
        let header = format!("; filename=\"{}\"", "f".repeat(HEAD_BYTES_MAX - filler));
        says(&head(&format!("{NAMED}{header}")), "8 KiB");
    }
    let fits = HEAD_BYTES_MAX - NAMED.len() - "; filename=\"\"\r\n\r\n".len();
    let header = |len| format!("{NAMED}; filename=\"{}\"", "f".repeat(len));
    scanned(&form(&[(&header(fits), "value")]));
    says(&head(&header(fits + 1)), "8 KiB");
}

#[test]
fn what_a_client_wrote_is_repeated_in_part_only() {
    let long = "n".repeat(NAME_BYTES_MAX);
    let refusal = head(&format!(
        "Content-Disposition: form-data; name=\"{long}\"\r\nX: y"
    ));
    assert_eq!(refusal.param.map(|param| param.len()), Some(64));
    head(&format!("{}: y", "h".repeat(5_000)));
}

#[test]
fn hostile_forms_take_linear_time() {
    let boundary =
        Boundary::named_in(b"multipart/form-data; boundary=\"-----------------------------x\"")
            .unwrap();
    let start = Instant::now();
    let dashes = "-".repeat(8 << 20);
    let delimiter = boundary.delimiter();
    let body = format!("{delimiter}\r\n{NAMED}\r\n\r\n{dashes}\r\n{delimiter}--");
    assert_eq!(scan(body.as_bytes(), boundary).unwrap().parts().len(), 1);
    let headers = "a:\r\n".repeat(2 << 20);
    assert!(scan(format!("{delimiter}\r\n{headers}").as_bytes(), boundary).is_err());
    assert!(start.elapsed() < Duration::from_secs(5));
}
