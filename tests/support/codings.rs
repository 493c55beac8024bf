//! Encoders of the content codings that upstreams use although nobody asks them to.

use std::io::Write;

/// A body in a content coding, or in several (`gzip, br`): each part as far as an encoder gets with a flush; the last
/// with the end.
pub fn encoded(coding: &str, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    fn flushed<W: Write>(
        parts: &[&[u8]],
        mut encoder: W,
        out: fn(&mut W) -> &mut Vec<u8>,
        end: fn(W) -> Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for part in parts {
            encoder.write_all(part).expect("memory");
            encoder.flush().expect("memory");
            all.push(std::mem::take(out(&mut encoder)));
        }
        let end = end(encoder);
        all.last_mut().expect("a part").extend(end);
        all
    }
    let level = flate2::Compression::default();
    if let Some((first, then)) = coding.split_once(", ") {
        let first = encoded(first, parts);
        let first: Vec<&[u8]> = first.iter().map(Vec::as_slice).collect();
        return encoded(then, &first);
    }
    match coding {
        "gzip" => flushed(
            parts,
            flate2::write::GzEncoder::new(Vec::new(), level),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        "deflate" => flushed(
            parts,
            flate2::write::ZlibEncoder::new(Vec::new(), level),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        "zstd" => flushed(
            parts,
            zstd::stream::write::Encoder::new(Vec::new(), 3).expect("memory"),
            |it| it.get_mut(),
            |it| it.finish().expect("memory"),
        ),
        "br" => brotli(parts),
        other => panic!("no encoder of {other}"),
    }
}

/// Brotli without compression (RFC 7932, section 9.2): each part is a meta-block of its own.
fn brotli(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for part in parts {
        let length = u32::try_from(part.len() - 1).expect("64 KiB at most");
        assert!(length < 1 << 16);
        // Where the stream begins, a bit for its window comes first.
        let bits = match all.is_empty() {
            true => (length << 4) | (1 << 20),
            false => (length << 3) | (1 << 19),
        };
        all.push([&bits.to_le_bytes()[..3], part].concat());
    }
    all.last_mut().expect("a part").push(3);
    all
}
