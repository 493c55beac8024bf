//! Sound as WAV: what is made, and how long what is sent is.

/// Samples of 8 bits in a second of what is made.
pub(super) const RATE: u32 = 8_000;
/// How long one piece of text is heard.
const SAMPLES_PER_PIECE: usize = 160;
const HEAD_BYTES: usize = 44;

/// The head of a file with this many samples.
pub(super) fn head(samples: usize) -> Vec<u8> {
    // Bounded by the callers; a length that does not fit is what streams write.
    let length = u32::try_from(samples).unwrap_or(u32::MAX - 64);
    let mut head = Vec::with_capacity(HEAD_BYTES + samples);
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(length + 36).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt ");
    head.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel; bytes a second, bytes a sample, bits a sample.
    head.extend_from_slice(&1_u16.to_le_bytes());
    head.extend_from_slice(&1_u16.to_le_bytes());
    head.extend_from_slice(&RATE.to_le_bytes());
    head.extend_from_slice(&RATE.to_le_bytes());
    head.extend_from_slice(&1_u16.to_le_bytes());
    head.extend_from_slice(&8_u16.to_le_bytes());
    head.extend_from_slice(b"data");
    head.extend_from_slice(&length.to_le_bytes());
    head
}

/// A short tone whose pitch follows from `seed`.
pub(super) fn tone(seed: u64) -> Vec<u8> {
    let half = 8 + usize::try_from(seed % 24).unwrap_or(0);
    let sample = |at: usize| {
        if (at / half).is_multiple_of(2) {
            112
        } else {
            144
        }
    };
    (0..SAMPLES_PER_PIECE).map(sample).collect()
}

/// How many seconds a file has, begun ones included: a WAV by its head, any other as if it had 128 kbit/s.
pub(super) fn seconds(file: &[u8]) -> u64 {
    const BYTES_PER_SECOND: u64 = 16_000;
    let (bytes, rate) = read_head(file).unwrap_or((file.len() as u64, BYTES_PER_SECOND));
    bytes.div_ceil(rate)
}

/// How many bytes of sound there are, and how many make a second.
fn read_head(file: &[u8]) -> Option<(u64, u64)> {
    let mut chunks = file
        .strip_prefix(b"RIFF")?
        .get(4..)?
        .strip_prefix(b"WAVE")?;
    let mut rate = None;
    loop {
        let (kind, rest) = chunks.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        match kind {
            b"fmt " => {
                let bytes = rest.get(8..12)?.first_chunk::<4>()?;
                rate = Some(u64::from(u32::from_le_bytes(*bytes))).filter(|rate| *rate > 0);
            }
            b"data" => return Some((u64::from(length).min(rest.len() as u64), rate?)),
            _ => {}
        }
        // Chunks begin at even bytes.
        let next = usize::try_from(length).ok()?.checked_next_multiple_of(2)?;
        chunks = rest.get(next..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_as_long_as_its_samples() {
        let mut file = head(8_001);
        assert_eq!(file.len(), HEAD_BYTES);
        file.resize(HEAD_BYTES + 8_001, 128);
        assert_eq!(seconds(&file), 2);
        file.truncate(HEAD_BYTES + 8_000);
        assert_eq!(
            seconds(&file),
            1,
            "what is there counts, not what was promised"
        );
    }

    #[test]
    fn any_other_file_is_measured_by_its_size() {
        for (length, expected) in [(0, 0), (1, 1), (16_000, 1), (16_001, 2)] {
            assert_eq!(seconds(&vec![0xff; length]), expected);
        }
        assert_eq!(seconds(b"RIFF\0\0\0\0WAVEdata"), 1);
    }

    #[test]
    fn tones_follow_from_their_seed() {
        assert_eq!(tone(3), tone(3));
        assert_ne!(tone(3), tone(4));
    }
}
