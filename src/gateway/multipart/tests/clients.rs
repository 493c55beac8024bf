//! What clients really send, as it came out of their sockets.

use super::*;

/// Name, content type, body.
macro_rules! captured {
    ($($name:literal),*) => {
        [$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/multipart/", $name, ".type")).as_slice(),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/multipart/", $name, ".body")).as_slice(),
        )),*]
    };
}

pub(super) const CAPTURED: [(&str, &[u8], &[u8]); 12] = captured![
    "aiohttp",
    "curl",
    "curl-names",
    "form-data",
    "go",
    "httpx",
    "openai-node",
    "openai-node-edit",
    "openai-python-edit",
    "openai-python-transcription",
    "requests",
    "undici"
];

#[test]
fn every_clients_form_is_read_and_takes_another_model() {
    for (client, content_type, body) in CAPTURED {
        let boundary = Boundary::named_in(content_type).expect(client);
        let form = scan(body, boundary).expect(client);
        form.once(&["image[]", "timestamp_granularities[]"])
            .expect(client);
        let mut parts = form.parts().iter();
        let model = parts.find(|part| part.name == "model").expect(client);
        let name = form.text(model).expect(client);
        assert!(["whisper-1", "gpt-image-1"].contains(&name), "{client}");
        let files = form.parts().iter().filter(|part| part.filename.is_some());
        assert!(files.count() >= 1, "{client}");

        let spliced = with(&form, "model", "another/name").expect(client);
        let there = memchr::memmem::find(body, name.as_bytes()).expect(client);
        let (before, after) = (&body[..there], &body[there + name.len()..]);
        assert_eq!(
            spliced,
            [before, b"another/name", after].concat(),
            "{client}"
        );

        let sent_on = boundary.content_type();
        assert_eq!(
            Boundary::named_in(sent_on.as_bytes()),
            Ok(boundary),
            "{client}"
        );
    }
}

#[test]
fn a_captured_transcription_is_read_to_the_last_byte() {
    let (_, content_type, body) = CAPTURED[9];
    let form = scan(body, Boundary::named_in(content_type).unwrap()).unwrap();
    let granularity = "timestamp_granularities[]";
    assert_eq!(
        names(&form),
        ["model", "temperature", granularity, granularity, "file"]
    );
    let values: Vec<&[u8]> = form.parts().iter().map(|part| form.bytes(part)).collect();
    let file: &[u8] = b"RIFF\x00\xff--x\r\n\r\ndata";
    assert_eq!(
        values,
        [b"whisper-1", &b"0.5"[..], b"word", b"segment", file]
    );
}
