//! The codings themselves: bytes in, bytes out, a bounded piece at a time.

use std::fmt;
use std::io::Write;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as Zstd, Operation};

/// What one step writes at most, but for gzip, whose own buffers are a few times as large.
const PIECE_BYTES: usize = 16 * 1024;
/// The largest window of zstd, as a power of two, that a coding of HTTP may ask for (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// With a zlib header, as it should be, or without.
    Deflate,
    Brotli,
    Zstd,
}

/// A coding on its way through a body.
pub(super) struct Codec {
    coding: Coding,
    engine: Engine,
    /// Where a piece is written before its length is known.
    buffer: Box<[u8]>,
}

enum Engine {
    /// Not begun: it depends on the first bytes, or is made with the first of them.
    New,
    /// A `deflate` of which one byte came.
    Begun(u8),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Deflate(Decompress),
    Brotli(Box<Brotli>),
    Zstd {
        decoder: Zstd<'static>,
        between: bool,
    },
    /// The end of the coding came.
    Ended,
}

/// What a step came to.
pub(super) struct Piece {
    /// How many bytes it read.
    pub(super) read: usize,
    /// What they mean, as far as that is known.
    pub(super) bytes: Bytes,
    /// Whether more would come even if nothing more were read.
    pub(super) more: bool,
}

impl Coding {
    /// The coding with this name, in small letters.
    pub(super) fn named(name: &str) -> Option<Coding> {
        Some(match name {
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

impl Codec {
    pub(super) fn new(coding: Coding) -> Self {
        Codec {
            coding,
            engine: Engine::New,
            buffer: vec![0; PIECE_BYTES].into(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.coding.name()
    }

    /// Decodes some of `input`. Nothing read and nothing written of something means that the coding has ended.
    ///
    /// # Errors
    /// Bytes that the coding does not have.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Piece, String> {
        if matches!(self.engine, Engine::New) {
            self.engine = self.begin(input)?;
            if let Engine::Begun(_) = self.engine {
                return Ok(Piece::of(1, &[], false));
            }
        } else if let Engine::Begun(first) = self.engine {
            let Some(second) = input.first() else {
                return Ok(Piece::of(0, &[], false));
            };
            self.engine = Engine::Deflate(Decompress::new(is_zlib(first, *second)));
            return self.run(&[first]).map(|piece| Piece {
                read: 0,
                more: true,
                ..piece
            });
        }
        self.run(input)
    }

    /// Whether the coding came to its end.
    ///
    /// # Errors
    /// It did not: the rest is missing.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        let is_whole = match &mut self.engine {
            Engine::Ended => true,
            Engine::Gzip(decoder) => decoder.try_finish().is_ok(),
            Engine::Zstd { between, .. } => *between,
            Engine::New | Engine::Begun(_) | Engine::Deflate(_) | Engine::Brotli(_) => false,
        };
        match is_whole {
            true => Ok(()),
            false => Err(format!("its {} lacks the end", self.name())),
        }
    }

    fn begin(&self, input: &[u8]) -> Result<Engine, String> {
        Ok(match (self.coding, input) {
            (Coding::Gzip, _) => Engine::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            (Coding::Deflate, [first]) => Engine::Begun(*first),
            (Coding::Deflate, [first, second, ..]) => {
                Engine::Deflate(Decompress::new(is_zlib(*first, *second)))
            }
            (Coding::Deflate, []) => Engine::New,
            (Coding::Brotli, _) => {
                let alloc = StandardAlloc::default;
                Engine::Brotli(Box::new(Brotli::new_strict(alloc(), alloc(), alloc())))
            }
            (Coding::Zstd, _) => {
                let mut decoder = Zstd::new().map_err(|error| self.broken(&error))?;
                let window = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
                decoder
                    .set_parameter(window)
                    .map_err(|error| self.broken(&error))?;
                Engine::Zstd {
                    decoder,
                    between: false,
                }
            }
        })
    }

    fn run(&mut self, input: &[u8]) -> Result<Piece, String> {
        let name = self.coding.name();
        let broken = |error: &dyn fmt::Display| format!("its {name} cannot be read: {error}");
        let buffer = &mut self.buffer;
        match &mut self.engine {
            Engine::New | Engine::Begun(_) | Engine::Ended => Ok(Piece::of(0, &[], false)),
            Engine::Gzip(decoder) => {
                let read = decoder.write(input).map_err(|error| broken(&error))?;
                decoder.flush().map_err(|error| broken(&error))?;
                Ok(Piece {
                    read,
                    bytes: std::mem::take(decoder.get_mut()).into(),
                    more: false,
                })
            }
            Engine::Deflate(decoder) => {
                let (came, became) = (decoder.total_in(), decoder.total_out());
                let status = decoder
                    .decompress(input, buffer, FlushDecompress::None)
                    .map_err(|error| broken(&error))?;
                let read = size(decoder.total_in() - came);
                let written = size(decoder.total_out() - became);
                let ended = status == Status::StreamEnd;
                if ended {
                    self.engine = Engine::Ended;
                }
                Ok(Piece::of(
                    read,
                    &buffer[..written],
                    !ended && written == buffer.len(),
                ))
            }
            Engine::Brotli(state) => {
                let (mut left, mut read, mut total) = (input.len(), 0, 0);
                let (mut room, mut written) = (buffer.len(), 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut read,
                    input,
                    &mut room,
                    &mut written,
                    buffer,
                    &mut total,
                    state,
                );
                let more = match result {
                    BrotliResult::ResultFailure => return Err(broken(&"it is none")),
                    BrotliResult::NeedsMoreOutput => true,
                    BrotliResult::NeedsMoreInput => false,
                    BrotliResult::ResultSuccess => {
                        self.engine = Engine::Ended;
                        false
                    }
                };
                Ok(Piece::of(read, &buffer[..written], more))
            }
            Engine::Zstd { decoder, between } => {
                let status = decoder
                    .run_on_buffers(input, buffer)
                    .map_err(|error| broken(&error))?;
                *between = status.remaining == 0;
                let written = status.bytes_written;
                let more = !*between && written == buffer.len();
                Ok(Piece::of(status.bytes_read, &buffer[..written], more))
            }
        }
    }

    fn broken(&self, error: &dyn fmt::Display) -> String {
        format!("its {} cannot be read: {error}", self.name())
    }
}

impl Piece {
    fn of(read: usize, bytes: &[u8], more: bool) -> Self {
        Piece {
            read,
            bytes: Bytes::copy_from_slice(bytes),
            more,
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a stream that begins so has a zlib header (RFC 1950, section 2.2).
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// A length within one buffer.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
