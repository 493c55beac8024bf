use super::*;
use base64::prelude::BASE64_STANDARD;

fn uri(kind: &str, head: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(head);
    format!("\"data:image/{kind};base64,{base64}\"")
}

fn png(width: u32, height: u32) -> String {
    let mut head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 2, 0, 0, 0]);
    uri("png", &head)
}

#[test]
fn sizes_are_read_from_the_heads_of_four_formats() {
    let gif = b"GIF89a\x2c\x01\xc8\0\0\0\0";
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08\0\xc8\x01\x2c\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
    let webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2b\x01\0\xc7\0\0";
    for (kind, json) in [
        ("png", png(300, 200)),
        ("gif", uri("gif", gif)),
        ("jpeg", uri("jpeg", jpeg)),
        ("webp", uri("webp", webp)),
        ("bare", png(300, 200).replace("data:image/png;base64,", "")),
        ("escaped", png(300, 200).replace('/', "\\/")),
    ] {
        assert_eq!(size(&json), Some((300, 200)), "{kind}");
    }
    // Behind previews of 100 KB.
    let mut long = b"\xff\xd8".to_vec();
    for _ in 0..2 {
        long.extend(b"\xff\xe1\xff\xfe");
        long.extend(vec![0; 0xfffc]);
    }
    long.extend(&jpeg[20..]);
    long.extend(vec![7; 1 << 20]);
    assert_eq!(size(&uri("jpeg", &long)), Some((300, 200)));
}

#[test]
fn tiles_are_what_openai_documents() {
    for (width, height, tokens) in [
        (1, 1, 255),
        (512, 512, 255),
        (513, 512, 425),
        (1024, 1024, 765),
        (2048, 4096, 1105),
        (10_000, 10, 765),
        (10, 1_000_000, 765),
        (u32::MAX, u32::MAX, 765),
    ] {
        let image = png(width, height);
        let high = ImageRule::Tiles.tokens(&image, Detail::of("high"));
        assert_eq!(high, tokens, "{width}x{height}");
        assert_eq!(ImageRule::Tiles.tokens(&image, Detail::of("auto")), high);
        assert_eq!(ImageRule::Tiles.tokens(&image, Detail::of("low")), 85);
    }
}

#[test]
fn pixels_are_what_anthropic_documents() {
    for (width, height, tokens) in [
        (1, 1, 1),
        (200, 200, 54),
        (1000, 1000, 1334),
        (1092, 1092, 1590),
        (8000, 8000, 1600),
    ] {
        let counted = ImageRule::Pixels.tokens(&png(width, height), Detail::High);
        assert_eq!(counted, tokens, "{width}x{height}");
    }
}

#[test]
fn an_image_whose_size_does_not_show_counts_as_the_largest() {
    let svg = uri("svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>");
    for json in [
        "",
        "\"\"",
        "\"https://example.com/a.png\"",
        "\"data:\"",
        "\"data:image/png;base64,\"",
        "\"data:image/png;base64,!!!!\"",
        "\"data:image/png;base64,中中\"",
        "\"中中中\"",
        &svg,
        &png(0, 200),
        &png(300, 200)[..40],
    ] {
        assert_eq!(ImageRule::Tiles.tokens(json, Detail::High), 1445, "{json}");
        assert_eq!(ImageRule::Pixels.tokens(json, Detail::High), 1600, "{json}");
    }
    let link = "\"https://example.com/a.png\"";
    assert_eq!(ImageRule::Tiles.tokens(link, Detail::Low), 85);
}
