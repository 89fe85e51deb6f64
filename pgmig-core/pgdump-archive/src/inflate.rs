//! Unpacks zlib streams and gzip files.

use super::{
    chunks::Chunks,
    compression::Compression,
    error::ArchiveError,
    item::{Coding, Step},
    joined_chunks::JoinedChunks,
};
use flate2::{Decompress, FlushDecompress, Status};
use std::io;

/// Window of zlib streams, as a power of two: the largest that zlib has.
const GZIP_WINDOW_LOG: u8 = 15;

/// A zlib decoder and its pending input.
pub(super) struct Inflate {
    decoder: Decompress,
    input: JoinedChunks,
}

impl Inflate {
    /// A decoder for an item of this coding, which must be zlib or gzip.
    pub(super) fn new(coding: Coding) -> Self {
        Self { decoder: decoder(coding), input: JoinedChunks::default() }
    }

    /// Begins with another item.
    pub(super) fn restart(&mut self, coding: Coding) {
        self.input.forget();
        match coding {
            Coding::Zlib => self.decoder.reset(true),
            _ => self.decoder = decoder(coding),
        }
    }

    /// Place in the archive of the next byte to unpack; `None` if that byte has not been read.
    pub(super) fn offset(&self) -> Option<u64> {
        self.input.offset()
    }

    /// Whether the item has ended.
    pub(super) fn is_at_end(&mut self, chunks: &mut Chunks<'_>) -> Result<bool, ArchiveError> {
        Ok(self.input.input(chunks)?.is_empty())
    }

    /// Unpacks some bytes into `out`, which must not be empty, or finds the end.
    pub(super) fn step(&mut self, chunks: &mut Chunks<'_>, out: &mut [u8]) -> Result<Step, ArchiveError> {
        let input = self.input.input(chunks)?;
        let at_end = input.is_empty();
        let step = inflate(&mut self.decoder, input, out);
        let codec = Compression::Gzip;
        let place = || {
            let reader = chunks.reader();
            reader.place_at(self.input.offset().unwrap_or_else(|| reader.offset()))
        };
        match step {
            Ok(step) if step.is_unfinished(at_end) => {
                Err(ArchiveError::StreamUnfinished { place: place(), codec })
            }
            Ok(step) => {
                self.input.consume(step.consumed);
                Ok(step)
            }
            Err(source) => Err(ArchiveError::Decompress { place: place(), codec, source }),
        }
    }
}

fn decoder(coding: Coding) -> Decompress {
    if coding == Coding::Gzip { Decompress::new_gzip(GZIP_WINDOW_LOG) } else { Decompress::new(true) }
}

fn inflate(decoder: &mut Decompress, input: &[u8], out: &mut [u8]) -> io::Result<Step> {
    let (read_before, written_before) = (decoder.total_in(), decoder.total_out());
    let status = decoder.decompress(input, out, FlushDecompress::None)?;
    let consumed = usize::try_from(decoder.total_in() - read_before).unwrap_or(usize::MAX);
    let produced = usize::try_from(decoder.total_out() - written_before).unwrap_or(usize::MAX);
    let ended = status == Status::StreamEnd;
    if consumed == 0 && produced == 0 && !ended && !input.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the decoder makes no progress"));
    }
    Ok(Step { consumed, produced, ended })
}
