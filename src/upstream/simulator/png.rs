//! Small pictures: a PNG encoder without compression.

/// The pictures are squares of this many pixels.
const SIDE: u8 = 16;

/// A picture whose colours follow from `seed`.
pub(super) fn picture(seed: u64) -> Vec<u8> {
    let [r0, g0, b0, r1, g1, b1, swirl, _] = seed.to_le_bytes();
    let mut pixels = Vec::with_capacity(usize::from(SIDE) * (usize::from(SIDE) * 3 + 1));
    for y in 0..SIDE {
        pixels.push(0); // this row has no filter
        for x in 0..SIDE {
            let step = x.wrapping_mul(swirl | 1);
            let share = step.wrapping_add(y.wrapping_mul(swirl >> 3)) % 16;
            for (from, to) in [(r0, r1), (g0, g1), (b0, b1)] {
                pixels.push(blend(from, to, share));
            }
        }
    }
    encode(SIDE, &pixels)
}

/// `from` and `to`, mixed in sixteenths.
fn blend(from: u8, to: u8, share: u8) -> u8 {
    let mixed = (u16::from(from) * u16::from(16 - share) + u16::from(to) * u16::from(share)) / 16;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

/// A square RGB picture from rows that each begin with their filter byte.
fn encode(side: u8, rows: &[u8]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // Width, height, 8 bits, RGB, and the only methods there are.
    let header = [0, 0, 0, side, 0, 0, 0, side, 8, 2, 0, 0, 0];
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &zlib(rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    // Contents are a picture of fixed size, far below 4 GiB.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    png.extend_from_slice(&length.to_be_bytes());
    let start = png.len();
    png.extend_from_slice(&kind);
    png.extend_from_slice(content);
    let sum = crc32(&png[start..]);
    png.extend_from_slice(&sum.to_be_bytes());
}

/// A zlib stream of stored blocks.
fn zlib(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 0xffff;
    let mut out = vec![0x78, 0x01];
    let blocks = bytes.chunks(BLOCK);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(index == last));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(bytes).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % PRIME;
        (a, (b + a) % PRIME)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_meet_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_is_a_png_of_its_size_and_follows_from_its_seed() {
        let png = picture(7);
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10\x08\x02"));
        assert!(png.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        assert_eq!(png, picture(7));
        assert_ne!(png, picture(8));
    }

    #[test]
    fn long_contents_are_stored_in_several_blocks() {
        let stream = zlib(&vec![1; 0x1_0000]);
        assert_eq!(stream[2..7], [0, 0xff, 0xff, 0, 0]);
        assert_eq!(stream[7 + 0xffff..][..5], [1, 1, 0, 0xfe, 0xff]);
    }
}
