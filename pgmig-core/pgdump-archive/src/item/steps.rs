//! One step of a decoder: from the chunks of an item's data to the caller's buffer.

use super::Step;
use crate::chunks::Chunks;
use crate::compression::Compression;
use crate::decoders::ZstdDecoder;
use crate::error::ArchiveError;
use std::io;
use zstd::stream::raw::{Decoder, Operation};

/// A decoder for the frame that begins here.
pub(super) fn begin_zstd(chunks: &mut Chunks<'_>) -> Result<ZstdDecoder, ArchiveError> {
    let decoders = chunks.decoders();
    let head = chunks.chunk()?;
    decoders.take(head).map_err(|error| decode_error(chunks, Compression::Zstd, error))
}

pub(super) fn decode_error(chunks: &Chunks<'_>, codec: Compression, source: io::Error) -> ArchiveError {
    ArchiveError::Decompress { place: chunks.reader().place(), codec, source }
}

pub(super) fn stored_step(chunks: &mut Chunks<'_>, out: &mut [u8]) -> Result<Step, ArchiveError> {
    let copied = chunks.copy_chunks(out);
    if copied > 0 {
        return Ok(Step { consumed: copied, produced: copied, ended: false });
    }
    let available = chunks.chunk()?;
    let length = available.len().min(out.len());
    if let (Some(to), Some(from)) = (out.get_mut(..length), available.get(..length)) {
        to.copy_from_slice(from);
    }
    let ended = available.is_empty();
    chunks.consume(length);
    Ok(Step { consumed: length, produced: length, ended })
}

/// Copies bytes, without each CR before a LF.
pub(super) fn without_returns_step(
    chunks: &mut Chunks<'_>,
    pending: &mut bool,
    out: &mut [u8],
) -> Result<Step, ArchiveError> {
    let available = chunks.chunk()?;
    let at_end = available.is_empty();
    let (mut consumed, mut produced) = (0, 0);
    while let Some(place) = out.get_mut(produced) {
        let next = available.get(consumed).copied();
        if *pending && next != Some(b'\n') && (next.is_some() || at_end) {
            *pending = false;
            *place = b'\r';
            produced += 1;
            continue;
        }
        let Some(byte) = next else { break };
        consumed += 1;
        *pending = byte == b'\r';
        if !*pending {
            *place = byte;
            produced += 1;
        }
    }
    chunks.consume(consumed);
    Ok(Step { consumed, produced, ended: at_end && produced == 0 })
}

pub(super) fn zstd_push(
    chunks: &mut Chunks<'_>,
    raw: &mut Decoder<'static>,
    out: &mut [u8],
) -> Result<Step, ArchiveError> {
    let input = chunks.chunk()?;
    let at_end = input.is_empty();
    let codec = Compression::Zstd;
    match zstd_step(raw, input, out) {
        Ok(step) if step.is_unfinished(at_end) => {
            Err(ArchiveError::StreamUnfinished { place: chunks.reader().place(), codec })
        }
        Ok(step) => {
            chunks.consume(step.consumed);
            Ok(step)
        }
        Err(error) => Err(decode_error(chunks, codec, error)),
    }
}

pub(super) fn zstd_step(decoder: &mut Decoder<'static>, input: &[u8], out: &mut [u8]) -> io::Result<Step> {
    let status = decoder.run_on_buffers(input, out)?;
    // zstd itself fails after repeated calls without progress.
    Ok(Step { consumed: status.bytes_read, produced: status.bytes_written, ended: status.remaining == 0 })
}
