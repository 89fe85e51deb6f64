//! The chunks of an item, put together for a decoder that is faster with much at once.

use super::{chunks::Framing, error::ArchiveError, reader::to_u64};

/// How much is put together, in bytes. pg_dump writes gzip's output in chunks of 4 KiB; with sixteen times that zlib-rs, which
/// begins anew with each input, is faster by a quarter to a half.
const GATHERED_BYTES: usize = 64 * 1024;

/// Bytes of an item that have been read and not been used.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    used: usize,
    /// The parts of `bytes` that lie in one piece in the archive: where each begins, and its place in the archive.
    parts: Vec<(usize, u64)>,
    /// What went wrong behind `bytes`.
    failed: Option<ArchiveError>,
}

impl Gathered {
    /// The next bytes, none only at the item's end.
    pub(super) fn input(&mut self, chunks: &mut Framing) -> Result<&[u8], ArchiveError> {
        if self.used == self.bytes.len() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.forget();
            self.gather(chunks)?;
        }
        Ok(self.bytes.get(self.used..).unwrap_or_default())
    }

    fn gather(&mut self, chunks: &mut Framing) -> Result<(), ArchiveError> {
        while self.bytes.len() < GATHERED_BYTES {
            let length = match chunks.chunk() {
                Ok([]) => break,
                Ok(chunk) => {
                    self.bytes.extend_from_slice(chunk);
                    chunk.len()
                }
                Err(error) if self.bytes.is_empty() => return Err(error),
                // What came before can be unpacked, and may be wrong itself.
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

    /// Place in the archive of the next byte; `None` where it has not been read.
    pub(super) fn offset(&self) -> Option<u64> {
        if self.used == self.bytes.len() {
            return None;
        }
        let (start, offset) = self.parts.iter().rev().find(|(start, _)| *start <= self.used)?;
        Some(offset + to_u64(self.used - start))
    }

    /// Begins with another item.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.parts.clear();
        (self.used, self.failed) = (0, None);
    }
}
