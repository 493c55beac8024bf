use std::io::Write;
use std::pin::Pin;

use bytes::BytesMut;
use http::{HeaderValue, header};
use http_body_util::BodyExt;

use super::*;
use crate::upstream::simulator::SimulatedBody;

const EVENT: &[u8] =
    b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello, hello, hello\"}}]}\n\n";
/// Two of it and the end, as Google's own encoder flushes them.
const BROTLI: [&str; 3] = [
    "8b29000004fe6de713da3dfe107fa0c0bba8a08077830d3870586cd06ca37193c121c7074c3ab63464f9cee25fcc4128085e451a7888ae0f2e1ee06ca6e6ad7c24ddbb230c",
    "980200400220000bcc5d03",
    "03",
];
/// 64 MiB of blanks, by the same.
const BROTLI_BOMB: &str = "cbffff3ff82540e2b14020f7fe8fffff7ff04b00c4611180eefd1fffffffe0970088c30200ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e0b0074effff8ffff07bf04401c1600e8defff1ffff0f7e0980382c00d0bdffe3ffff1ffc1200715800a07bff37";

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16);
    pairs.map(|pair| byte(pair).expect("hex")).collect()
}

/// Two events and the end, each as far as an encoder gets with a flush.
fn pieces(coding: &str) -> [Vec<u8>; 3] {
    fn flushed<W: Write>(
        mut encoder: W,
        out: fn(&mut W) -> &mut Vec<u8>,
        end: fn(W) -> Vec<u8>,
    ) -> [Vec<u8>; 3] {
        let [first, second] = [(); 2].map(|()| {
            encoder.write_all(EVENT).expect("memory");
            encoder.flush().expect("memory");
            std::mem::take(out(&mut encoder))
        });
        [first, second, end(encoder)]
    }
    let level = flate2::Compression::default();
    match coding {
        "br" => BROTLI.map(hex),
        "gzip" | "x-gzip" => flushed(
            flate2::write::GzEncoder::new(Vec::new(), level),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        "deflate" => flushed(
            flate2::write::ZlibEncoder::new(Vec::new(), level),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        "raw deflate" => flushed(
            flate2::write::DeflateEncoder::new(Vec::new(), level),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        _ => flushed(
            zstd::stream::write::Encoder::new(Vec::new(), 3).expect("memory"),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
    }
}

const ALL: [&str; 6] = ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd"];

/// An answer of these parts, said to be of this coding.
fn answer(coding: &'static str, parts: Vec<Bytes>) -> Response<UpstreamBody> {
    let coding = coding.strip_prefix("raw ").unwrap_or(coding);
    let mut response = Response::new(UpstreamBody::new(Source::Simulated(SimulatedBody::of(
        parts, false,
    ))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
    decoded(response)
}

/// The frames of a body, up to its end.
async fn frames(response: Response<UpstreamBody>) -> Result<Vec<Bytes>, BodyError> {
    let (parts, mut body) = response.into_parts();
    assert!(
        !parts.headers.contains_key(header::CONTENT_ENCODING),
        "{parts:?}"
    );
    assert!(!parts.headers.contains_key(CONTENT_LENGTH), "{parts:?}");
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame?.into_data().expect("data"));
    }
    assert!(body.is_end_stream() && body.frame().await.is_none());
    Ok(frames)
}

/// What a body says, up to its end.
async fn said(coding: &'static str, parts: Vec<Bytes>) -> Result<Vec<u8>, BodyError> {
    let mut whole = BytesMut::new();
    for frame in frames(answer(coding, parts)).await? {
        whole.extend_from_slice(&frame);
    }
    Ok(whole.to_vec())
}

#[tokio::test]
async fn a_body_says_the_same_wherever_it_is_split() {
    for coding in ALL {
        let whole = Bytes::from(pieces(coding).concat());
        let each = whole.chunks(1).map(Bytes::copy_from_slice).collect();
        assert_eq!(
            said(coding, each).await.expect(coding),
            EVENT.repeat(2),
            "{coding}"
        );
        for at in 0..=whole.len() {
            let parts = vec![whole.slice(..at), whole.slice(at..)];
            assert_eq!(
                said(coding, parts).await.expect(coding),
                EVENT.repeat(2),
                "{coding} {at}"
            );
        }
    }
}

#[tokio::test]
async fn each_event_leaves_when_it_came() {
    for coding in ALL {
        let parts = pieces(coding).map(Bytes::from).to_vec();
        let stalls = SimulatedBody::of(parts[..1].to_vec(), true);
        let body = UpstreamBody::new(Source::Simulated(stalls));
        let mut response = Response::new(body);
        let plain = coding.strip_prefix("raw ").unwrap_or(coding);
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(plain));
        let mut body = decoded(response).into_body();
        let (mut said, waker) = (Vec::new(), std::task::Waker::noop());
        while let Poll::Ready(frame) =
            Pin::new(&mut body).poll_frame(&mut Context::from_waker(waker))
        {
            let frame = frame.expect("a frame").expect("data");
            said.extend_from_slice(&frame.into_data().expect("data"));
        }
        assert_eq!(said, EVENT, "{coding}");
    }
}

#[tokio::test]
async fn a_body_that_lacks_its_end_is_broken_and_an_empty_one_is_not() {
    for coding in ALL {
        let whole = Bytes::from(pieces(coding).concat());
        for at in 1..whole.len() {
            let error = said(coding, vec![whole.slice(..at)]).await;
            assert!(error.is_err(), "{coding} {at} of {}", whole.len());
        }
        assert_eq!(said(coding, vec![Bytes::new()]).await.expect(coding), b"");
    }
}

#[tokio::test]
async fn a_body_with_something_after_its_end_or_in_its_middle_is_broken() {
    for coding in ALL {
        let whole = pieces(coding).concat();
        let more = [&whole[..], b"<html>"].concat();
        assert!(said(coding, vec![more.into()]).await.is_err(), "{coding}");
        assert!(
            said(coding, vec![Bytes::from_static(b"{\"plain\":1}")])
                .await
                .is_err()
        );
        // Whatever is in it, it ends.
        for at in 0..whole.len() {
            for bits in [1, 0x80, 0xff] {
                let mut wrong = whole.clone();
                wrong[at] ^= bits;
                drop(said(coding, vec![wrong.into()]).await);
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_expands_without_bound_is_broken_off() {
    const BLANKS: usize = 64 << 20;
    let pack = |encoder: &mut dyn Write| {
        for _ in 0..64 {
            encoder.write_all(&vec![b' '; BLANKS / 64]).expect("memory");
        }
    };
    let level = flate2::Compression::best();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("memory");
    for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut zstd] {
        pack(encoder);
    }
    let gzip = gzip.finish().expect("memory");
    let mut twice = flate2::write::GzEncoder::new(Vec::new(), level);
    twice.write_all(&gzip).expect("memory");
    for (coding, bomb) in [
        ("br", hex(BROTLI_BOMB)),
        ("gzip, gzip", twice.finish().expect("memory")),
        ("gzip", gzip),
        ("deflate", zlib.finish().expect("memory")),
        ("zstd", zstd.finish().expect("memory")),
    ] {
        let (bound, mut came) = (ROOM + RATIO * bomb.len() as u64, 0);
        let mut body = answer(coding, vec![bomb.into()]).into_body();
        let error = loop {
            match body.frame().await.expect("no end") {
                Ok(frame) => came += frame.into_data().expect("data").len() as u64,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("expands to more than"), "{coding}: {error}");
        assert!(
            came <= bound && body.frame().await.is_none(),
            "{coding}: {came}"
        );
    }
}

#[tokio::test]
async fn codings_are_undone_in_their_order_and_members_follow_each_other() {
    let event = pieces("br").concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&event).expect("memory");
    let both = gzip.finish().expect("memory");
    assert_eq!(
        said("BR, identity, GZip", vec![both.into()])
            .await
            .expect("both"),
        EVENT.repeat(2)
    );
    for coding in ["gzip", "zstd"] {
        let twice = pieces(coding).concat().repeat(2);
        assert_eq!(
            said(coding, vec![twice.into()]).await.expect(coding),
            EVENT.repeat(4)
        );
    }
}

#[tokio::test]
async fn a_coding_that_is_not_known_stays() {
    for coding in ["compress", "gzip, exi", "gzip, gzip, gzip"] {
        let response = answer(coding, vec![Bytes::from_static(b"as it is")]);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], coding);
        assert!(response.headers().contains_key(CONTENT_LENGTH));
        let body = response.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), "as it is");
    }
}
