//! A content type, a line feed, and a body: what is accepted is seen alike by strict and lenient parsers, and another
//! value changes that value alone.
#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use libfuzzer_sys::fuzz_target;
use memchr::{memchr, memmem};
use tollgate_fuzz::gateway::multipart::{Boundary, Form, scan};
use tollgate_fuzz::gateway::splice::Splicer;

const MODEL: &str = "up/model-1";

fuzz_target!(|data: &[u8]| {
    let line = memchr(b'\n', data).unwrap_or(data.len());
    let body = data.get(line + 1..).unwrap_or_default();
    let Ok(boundary) = Boundary::named_in(&data[..line]) else {
        return;
    };
    let sent_on = boundary.content_type();
    assert_eq!(Boundary::named_in(sent_on.as_bytes()), Ok(boundary));
    let Ok(form) = scan(body, boundary) else {
        return;
    };
    let parts = told(&form);
    assert_eq!(by_multer(body, boundary.as_str()), parts);
    leniently(body, boundary.as_str(), parts.len());
    let _once = form.once(&["image[]"]);
    for (index, part) in form.parts().iter().enumerate() {
        let _text = form.text(part);
        replaced(&form, body, index);
    }
});

/// Name, filename, value.
type Told = (String, Option<String>, Vec<u8>);

fn told(form: &Form<'_>) -> Vec<Told> {
    let parts = form.parts().iter();
    let parts = parts.map(|part| {
        let filename = part.filename.map(str::to_owned);
        (part.name.to_owned(), filename, form.bytes(part).to_vec())
    });
    parts.collect()
}

fn by_multer(body: &[u8], boundary: &str) -> Vec<Told> {
    let whole = Ok::<_, Infallible>(Bytes::copy_from_slice(body));
    let mut form = multer::Multipart::new(stream::iter([whole]), boundary);
    let read = async {
        let mut told = Vec::new();
        while let Some(field) = form.next_field().await.expect("a part") {
            let name = field.name().expect("a name").to_owned();
            let filename = field.file_name().map(str::to_owned);
            told.push((
                name,
                filename,
                field.bytes().await.expect("a value").to_vec(),
            ));
        }
        told
    };
    read.now_or_never()
        .expect("a body in memory needs no waiting")
}

/// Who takes every `--boundary` for a delimiter, and who knows each line end there is, sees as many parts.
fn leniently(body: &[u8], boundary: &str, parts: usize) {
    let delimiter = format!("--{boundary}");
    let anywhere = (0..body.len()).filter(|at| body[*at..].starts_with(delimiter.as_bytes()));
    assert_eq!(anywhere.count(), parts + 1);
    let lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    let at_lines = lines.filter(|line| line.trim_ascii().starts_with(delimiter.as_bytes()));
    assert_eq!(at_lines.count(), parts + 1);
}

fn replaced(form: &Form<'_>, body: &[u8], index: usize) {
    let part = &form.parts()[index];
    let mut splicer = Splicer::default();
    let delimiter = format!("--{}", form.boundary().as_str());
    if form.replace(part, MODEL, &mut splicer).is_err() {
        assert!(memmem::find(MODEL.as_bytes(), delimiter.as_bytes()).is_some());
        return;
    }
    let spliced = splicer.apply(&Bytes::copy_from_slice(body));
    let mut expected = told(form);
    expected[index].2 = MODEL.as_bytes().to_vec();
    let again = scan(&spliced, form.boundary()).expect("a form");
    assert_eq!(told(&again), expected);
}
