//! How long a recording is, by its own bytes: for answers that do not tell it.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;

/// Bytes of a second of sound as it comes from a disc, 48,000 times two samples of two bytes.
const BYTES_PER_SECOND_MAX: u64 = 192_000;

/// The length of a recording in whole seconds, rounded up; `None` where its format is not known. Reads any bytes. May
/// be slow: see [`super::tokenizer::pooled`].
pub fn seconds(recording: &[u8]) -> Option<u64> {
    let read = || {
        let options = ParseOptions::new().read_tags(false);
        let probe = Probe::new(Cursor::new(recording)).guess_file_type().ok()?;
        let file = probe.options(options).read().ok()?;
        let milliseconds = file.properties().duration().as_millis();
        u64::try_from(milliseconds.div_ceil(1_000)).ok()
    };
    // What it reads is a stranger's, who may have written less into the head than follows: no recording has more bytes
    // a second than uncompressed sound.
    let read = catch_unwind(AssertUnwindSafe(read)).ok().flatten();
    let least = (recording.len() as u64).div_ceil(BYTES_PER_SECOND_MAX);
    read.filter(|seconds| *seconds > 0)
        .map(|seconds| seconds.max(least))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    /// Silence of so many samples at 8 kHz, one byte each.
    fn wav(samples: u32) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + samples).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16_u32.to_le_bytes());
        for word in [1_u16, 1] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for word in [8_000_u32, 8_000] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for word in [1_u16, 8] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(b"data");
        file.extend_from_slice(&samples.to_le_bytes());
        file.extend(std::iter::repeat_n(128_u8, samples as usize));
        file
    }

    #[test]
    fn a_recordings_length_is_read_from_it_and_rounded_up() {
        assert_eq!(seconds(&wav(8_000)), Some(1));
        assert_eq!(seconds(&wav(20_000)), Some(3));
    }

    #[test]
    fn what_is_no_recording_has_no_length() {
        for bytes in [
            &b""[..],
            b"not a recording",
            &[0xFF; 4096],
            &wav(8_000)[..40],
        ] {
            assert_eq!(seconds(bytes), None, "{} bytes", bytes.len());
        }
    }
}
