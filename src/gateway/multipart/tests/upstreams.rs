//! What is accepted here is read alike by another parser.

use std::convert::Infallible;

use futures_util::stream;
use proptest::prelude::*;

use super::clients::CAPTURED;
use super::*;

/// A part as any parser tells it: name, filename, value.
pub(super) type Told = (String, Option<String>, Vec<u8>);

/// The parts, as multer reads them.
pub(super) fn by_multer(body: &[u8], boundary: &str) -> Result<Vec<Told>, multer::Error> {
    let whole = Ok::<_, Infallible>(Bytes::copy_from_slice(body));
    let mut form = multer::Multipart::new(stream::iter([whole]), boundary);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let mut told = Vec::new();
        while let Some(field) = form.next_field().await? {
            let name = field.name().expect("a name").to_owned();
            let filename = field.file_name().map(str::to_owned);
            told.push((name, filename, field.bytes().await?.to_vec()));
        }
        Ok(told)
    })
}

/// The parts, as they are read here.
pub(super) fn by_us(form: &Form<'_>) -> Vec<Told> {
    let told = |part: &Part<'_>| {
        let filename = part.filename.map(str::to_owned);
        (part.name.to_owned(), filename, form.bytes(part).to_vec())
    };
    form.parts().iter().map(told).collect()
}

fn agree(body: &[u8], boundary: Boundary<'_>) -> bool {
    let Ok(form) = scan(body, boundary) else {
        return false;
    };
    let theirs = by_multer(body, boundary.as_str()).expect("multer reads what is accepted here");
    assert_eq!(by_us(&form), theirs, "{:?}", String::from_utf8_lossy(body));
    true
}

#[test]
fn what_clients_send_is_read_alike() {
    for (client, content_type, body) in CAPTURED {
        let boundary = Boundary::named_in(content_type).expect(client);
        let text = std::str::from_utf8(content_type).expect(client);
        assert_eq!(
            multer::parse_boundary(text).as_deref(),
            Ok(boundary.as_str())
        );
        assert!(agree(body, boundary), "{client}");
    }
}

/// Pieces of which bodies are made that are nearly forms.
fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "--B",
        "--B",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r\n--B\r\n",
        "\r\n--B--",
        "--",
        "-",
        "\r",
        "\n",
        " ",
        "\t",
        ";",
        "=",
        "\"",
        "\\",
        "a",
        "B",
        "name",
        "; name=\"a\"",
        "; name=b",
        "; filename=\"c\"",
        "; filename=\"a name\"",
        "filename=",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; name=\"d\"\r\n\r\n",
        "Content-Type: text/plain",
        "Content-Length: 1",
        ":",
        "\0",
        "\u{e9}",
        "%22",
        "*",
    ])
}

proptest! {
    #[test]
    fn what_is_accepted_is_read_alike(
        pieces in proptest::collection::vec(piece(), 0..12),
        value in proptest::collection::vec(piece(), 0..4),
        at in any::<proptest::sample::Index>(),
        byte in proptest::sample::select(b"\r\n-B\"; =a\0".to_vec()),
        edit in 0..3_u8,
    ) {
        let boundary = Boundary::named_in(b"multipart/form-data; boundary=B").unwrap();
        agree(pieces.concat().as_bytes(), boundary);
        let head = format!("Content-Disposition: form-data; name=\"a\"{}", pieces.concat());
        agree(form(&[MODEL, (&head, &value.concat()), FILE]).as_bytes(), boundary);
        // One byte is other, too many or gone.
        let mut body = form(&[MODEL, FILE, (MODEL.0, &value.concat())]).into_bytes();
        let at = at.index(body.len());
        match edit {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => drop(body.remove(at)),
        }
        agree(&body, boundary);
    }
}
