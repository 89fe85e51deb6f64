//! Joins the chunks of an item for a decoder that is faster with more input at once.

use super::{chunks::Framing, error::ArchiveError, reader::to_u64};

/// How many bytes are joined. pg_dump writes gzip's output in chunks of 4 KiB, and each call of zlib-rs has a fixed
/// cost. With sixteen chunks at once it is faster by a quarter to a half.
const JOINED_BYTES: usize = 64 * 1024;

/// Bytes of an item that have been read but not used yet.
#[derive(Default)]
pub(super) struct JoinedChunks {
    bytes: Vec<u8>,
    used: usize,
    /// Where each contiguous part of `bytes` begins, and its place in the archive.
    parts: Vec<(usize, u64)>,
    /// The error that ended the reading, after `bytes`.
    failed: Option<ArchiveError>,
}

impl JoinedChunks {
    /// The next bytes. Empty only at the end of the item.
    pub(super) fn input(&mut self, chunks: &mut Framing) -> Result<&[u8], ArchiveError> {
        if self.used == self.bytes.len() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.forget();
            self.join(chunks)?;
        }
        Ok(self.bytes.get(self.used..).unwrap_or_default())
    }

    fn join(&mut self, chunks: &mut Framing) -> Result<(), ArchiveError> {
        while self.bytes.len() < JOINED_BYTES {
            let length = match chunks.chunk() {
                Ok([]) => break,
                Ok(chunk) => {
                    self.bytes.extend_from_slice(chunk);
                    chunk.len()
                }
                Err(error) if self.bytes.is_empty() => return Err(error),
                // Decompress the bytes before the failed read first: an error in them takes precedence.
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            };
            self.parts.push((self.bytes.len() - length, chunks.reader().offset()));
            chunks.consume(length);
        }
        Ok(())
    }

    /// Marks `length` bytes of [`input`](Self::input) as used.
    pub(super) fn consume(&mut self, length: usize) {
        self.used = self.used.saturating_add(length).min(self.bytes.len());
    }

    /// Place in the archive of the next byte. `None` if that byte has not been read.
    pub(super) fn offset(&self) -> Option<u64> {
        if self.used == self.bytes.len() {
            return None;
        }
        let (start, offset) = self.parts.iter().rev().find(|(start, _)| *start <= self.used)?;
        Some(offset + to_u64(self.used - start))
    }

    /// Drops all bytes before the next item begins.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.parts.clear();
        (self.used, self.failed) = (0, None);
    }
}
