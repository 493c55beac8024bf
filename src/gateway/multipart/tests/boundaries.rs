//! Refusals of what parsers are known to take for a boundary, or for another one.

use http::{HeaderMap, HeaderValue};

use super::refusals::{NAMED, head, refused, says};
use super::*;

#[test]
fn bytes_that_some_take_for_a_delimiter_are_refused() {
    for (value, word) in [
        ("x\r\n--BX\r\ny", "random boundary"),
        ("x\r\n--B--junk\r\ny", "goes on after its end"),
        ("x\r\n--B \r\ny", "random boundary"),
        ("x\r\n--B\ny", "random boundary"),
        ("x\r\n--B\r", "random boundary"),
        ("x\n--B\r\ny", "random boundary"),
        ("x\r--B\r\ny", "random boundary"),
        ("x\n--B--", "random boundary"),
        ("x --B", "random boundary"),
        ("x\r\n---B", "random boundary"),
        ("--B", "empty line"),
        (
            "--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n9",
            "empty line",
        ),
    ] {
        let refusal = refused(&form(&[(NAMED, value)]));
        says(&refusal, word);
    }
    // In a head, where line scanners would end the part.
    says(
        &head("Content-Disposition: form-data; name=\"a\"; filename=\"--B\""),
        "does not end",
    );
    says(&head(&format!("{NAMED}\r\n--B\r\n{NAMED}")), "does not end");
}

#[test]
fn a_form_begins_with_its_boundary_and_ends_with_it() {
    let whole = form(&[MODEL]);
    for before in ["x", " ", "\n", "\r\n\r\n", "x\r\n", "\u{feff}"] {
        says(
            &refused(&format!("{before}{whole}")),
            "before its first boundary",
        );
    }
    for after in ["x", "\r\n", "\n", " ", "\0", "--B--\r\n", "--B\r\n"] {
        says(
            &refused(&format!("{whole}{after}")),
            "goes on after its end",
        );
    }
    for until in [1, 7, 20, whole.len() - 8, whole.len() - 5, whole.len() - 3] {
        refused(&whole[..until]);
    }
    says(&refused(""), "empty");
    says(&refused("{\"model\":\"m\"}"), "does not have the boundary");
    says(&refused("--B\r\n"), "ends within part 1");
}

#[test]
fn a_request_has_one_content_type_with_one_boundary() {
    for (value, word) in [
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=", "cannot be read"),
        ("multipart/form-data; boundary=\"\"", "not 1 to 70"),
        (
            "multipart/form-data; boundary=a; boundary=a",
            "two boundaries",
        ),
        (
            "multipart/form-data; boundary=a; Boundary=b",
            "two boundaries",
        ),
        ("multipart/form-data; boundary*=utf-8''a", "boundary*"),
        ("multipart/form-data; boundary*0=a", "boundary*0"),
        ("multipart/form-data; boundary=a; x=y", "parameter x"),
        (
            "multipart/form-data; charset=utf-7; boundary=a",
            "parameter charset",
        ),
        ("multipart/form-data; boundary=a,b", "cannot be read"),
        ("multipart/form-data; boundary=a b", "cannot be read"),
        ("multipart/form-data; boundary=a;", "cannot be read"),
        ("multipart/form-data; boundary='a'", "cannot be read"),
        ("multipart/form-data; boundary = a", "cannot be read"),
        ("multipart/form-data boundary=a", "cannot be read"),
        ("multipart/form-data; boundary=\"a", "cannot be read"),
        ("multipart/form-data; boundary=\"a\\b\"", "cannot be read"),
        ("multipart/form-data; boundary=\"a b\"", "not 1 to 70"),
        ("multipart/form-data; boundary=---", "not 1 to 70"),
        ("multipart/form-data; boundary=\"a,b\"", "not 1 to 70"),
        ("multipart/form-data; boundary=\"a'b\"", "not 1 to 70"),
        (
            "multipart/form-data; boundary=a, text/plain",
            "cannot be read",
        ),
        ("multipart/form-datax; boundary=a", "cannot be read"),
        ("multipart/mixed; boundary=a", "not multipart/form-data"),
        ("application/json", "not multipart/form-data"),
        ("", "not multipart/form-data"),
        (
            "multipart/form-dat\u{e9}; boundary=a",
            "not multipart/form-data",
        ),
    ] {
        let refusal = Boundary::named_in(value.as_bytes()).expect_err(value);
        says(&refusal, word);
        says(&refusal, "send one");
    }
    says(
        &Boundary::named_in(b"multipart/form-data; boundary=\xff").unwrap_err(),
        "ASCII",
    );
    let long = |len| {
        format!(
            "Multipart/Form-Data;boundary=\"{}\"; charset=UTF-8",
            "x".repeat(len)
        )
    };
    assert_eq!(
        Boundary::named_in(long(70).as_bytes())
            .unwrap()
            .as_str()
            .len(),
        70
    );
    says(
        &Boundary::named_in(long(71).as_bytes()).unwrap_err(),
        "not 1 to 70",
    );

    let mut headers = HeaderMap::new();
    says(&Boundary::of(&headers).unwrap_err(), "missing");
    let value = HeaderValue::from_static("multipart/form-data; boundary=\"a:b\"");
    headers.append(http::header::CONTENT_TYPE, value.clone());
    let sent_on = Boundary::of(&headers).unwrap().content_type();
    assert_eq!(sent_on, value);
    headers.append(http::header::CONTENT_TYPE, value);
    says(&Boundary::of(&headers).unwrap_err(), "twice");
}
