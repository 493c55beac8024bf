//! What holds for any form.

use proptest::prelude::*;

use super::upstreams::{Told, by_multer, by_us};
use super::*;

/// A boundary of more than one letter, so that random values seldom hold it.
fn boundary() -> impl Strategy<Value = String> {
    "[-_.+=/:?A-Za-z0-9]{8,69}x"
}

fn part() -> impl Strategy<Value = Told> {
    let name = r"[A-Za-z0-9_.\[\]-]{1,20}"
        .prop_filter("_charset_", |name| !name.eq_ignore_ascii_case("_charset_"));
    let filename = proptest::option::of("[^\"\\\\;\\p{Cc}]{0,10}[a-z\u{e9}\u{4f60}]");
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..50),
        "[\r\n-]{0,20}".prop_map(String::into_bytes),
    ];
    (name, filename, value)
}

fn write(parts: &[Told], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, value) in parts {
        let filename = filename
            .as_ref()
            .map(|name| format!("; filename=\"{name}\"\r\nContent-Type: image/png"));
        let filename = filename.unwrap_or_default();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

proptest! {
    #[test]
    fn parts_come_back_as_they_were_and_another_model_changes_its_value_alone(
        mut parts in proptest::collection::vec(part(), 1..6),
        boundary in boundary(),
        which in any::<proptest::sample::Index>(),
        model in "[a-z0-9/._-]{0,20}",
    ) {
        let body = write(&parts, &boundary);
        let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
        let named = Boundary::named_in(content_type.as_bytes()).unwrap();
        let delimiter = format!("--{boundary}");
        let occurs = |value: &[u8]| memchr::memmem::find(value, delimiter.as_bytes()).is_some();
        prop_assume!(!parts.iter().any(|(_, filename, value)| occurs(value) || filename.iter().any(|name| occurs(name.as_bytes()))));
        let form = scan(&body, named).unwrap();
        prop_assert_eq!(by_us(&form), parts.clone());
        prop_assert_eq!(by_multer(&body, &boundary).unwrap(), parts.clone());

        let which = which.index(parts.len());
        let mut splicer = Splicer::default();
        form.replace(&form.parts()[which], &model, &mut splicer).unwrap();
        let spliced = splicer.apply(&Bytes::from(body.clone()));
        parts[which].2 = model.into_bytes();
        prop_assert_eq!(&spliced[..], &write(&parts, &boundary)[..]);
        prop_assert_eq!(by_us(&scan(&spliced, named).unwrap()), parts);
    }

    #[test]
    fn no_bytes_make_it_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        content_type in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(boundary) = Boundary::named_in(&content_type) {
            let _seen = scan(&body, boundary);
        }
        let _seen = read(&body);
    }
}
