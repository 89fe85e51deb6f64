//! The framing of a data block: chunks form an item, items form a block. It does not know about compression.

use super::{
    decoders::ZstdDecoders,
    entry::Oid,
    error::ArchiveError,
    reader::{Limit, Reader, to_u64},
};
use std::{
    fmt,
    io::{self, Read},
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// The contents of a data block. Its first byte says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// `BLK_DATA`: one item.
    Data,
    /// `BLK_BLOBS`: large objects, an item for each.
    LargeObjects,
    /// Not a block of the custom format, but one item that is not in chunks.
    Whole,
}

impl BlockKind {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Data),
            3 => Some(Self::LargeObjects),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within an item. `left` bytes of the current chunk are still to come.
    Item { left: u64 },
    /// Before the OID of a large object, or the 0 that ends the block.
    BetweenObjects,
    /// After the block.
    Done,
    /// An error occurred. The place is lost.
    Failed,
}

/// Reads the chunks of one block after the other.
pub(super) struct Framing {
    reader: Reader,
    kind: BlockKind,
    state: State,
    decoders: Arc<ZstdDecoders>,
}

impl Framing {
    /// `reader` is not within a block. Call [`begin`](Self::begin) next.
    pub(super) fn idle(reader: Reader) -> Self {
        Self { reader, kind: BlockKind::Data, state: State::Done, decoders: Arc::default() }
    }

    /// Shares these decoders with other readers of the archive.
    pub(super) fn with_decoders(self, decoders: Arc<ZstdDecoders>) -> Self {
        Self { decoders, ..self }
    }

    pub(super) fn decoders(&self) -> Arc<ZstdDecoders> {
        Arc::clone(&self.decoders)
    }

    /// Begins a block. The reader is after the block's header.
    pub(super) fn begin(&mut self, kind: BlockKind) {
        self.kind = kind;
        self.state = match kind {
            BlockKind::Data => State::Item { left: 0 },
            BlockKind::LargeObjects => State::BetweenObjects,
            BlockKind::Whole => State::Done,
        };
    }

    /// Begins an item of this length that is not in chunks. The reader is at its start.
    pub(super) fn begin_whole(&mut self, length: u64) {
        self.kind = BlockKind::Whole;
        self.state = State::Item { left: length };
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn reader_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Continues with another reader, which is not within a block.
    pub(super) fn set_reader(&mut self, reader: Reader) {
        (self.reader, self.state) = (reader, State::Done);
    }

    pub(super) fn into_reader(self) -> Reader {
        self.reader
    }

    /// The bytes of the current item that are available in one piece. Empty only at the item's end.
    pub(super) fn chunk(&mut self) -> Result<&[u8], ArchiveError> {
        while self.state == (State::Item { left: 0 }) {
            self.next_chunk()?;
        }
        let left = match self.state {
            State::Item { left } => left,
            State::BetweenObjects | State::Done => return Ok(&[]),
            State::Failed => return Err(ArchiveError::AfterError),
        };
        if self.reader.fill()?.is_empty() {
            self.state = State::Failed;
            return Err(self.reader.ended("a chunk of data"));
        }
        let available = self.reader.buffered();
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(available.len());
        Ok(available.get(..here).unwrap_or_default())
    }

    /// Copies to `out` as many whole chunks as have been read and fit. Returns the number of bytes. An uncompressed
    /// archive has a chunk for every row, and this is faster for them than [`chunk`](Self::chunk).
    pub(super) fn copy_chunks(&mut self, out: &mut [u8]) -> usize {
        if self.kind == BlockKind::Whole || self.state != (State::Item { left: 0 }) {
            return 0;
        }
        let mut rest = self.reader.buffered();
        let before = rest.len();
        let mut filled = 0;
        // The 0 at the end of an item, and invalid lengths, are left to `chunk`, which reads one chunk at a time.
        while let Some((length, after)) = split_length(rest, self.reader.int_size())
            && let Some((chunk, next)) = after.split_at_checked(length)
            && let Some(space) = out.get_mut(filled..filled + length)
        {
            space.copy_from_slice(chunk);
            filled += length;
            rest = next;
        }
        let consumed = before - rest.len();
        self.reader.consume(consumed);
        filled
    }

    /// Marks `length` bytes of [`chunk`](Self::chunk) as read.
    pub(super) fn consume(&mut self, length: usize) {
        if let State::Item { left } = &mut self.state {
            *left = left.saturating_sub(to_u64(length));
            self.reader.consume(length);
        }
    }

    /// The next large object of the block; `None` after the last. Skips the rest of the current one.
    pub(super) fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        self.skip_item()?;
        match self.state {
            State::Done => return Ok(None),
            State::Failed => return Err(ArchiveError::AfterError),
            State::Item { .. } | State::BetweenObjects => self.state = State::Failed,
        }
        let oid = self.read_oid()?;
        match oid {
            None => self.end_block()?,
            Some(_) => self.state = State::Item { left: 0 },
        }
        Ok(oid)
    }

    /// Skips the rest of the block without unpacking it.
    pub(super) fn skip_block(&mut self) -> Result<(), ArchiveError> {
        self.skip_item()?;
        while self.next_object()?.is_some() {}
        Ok(())
    }

    fn skip_item(&mut self) -> Result<(), ArchiveError> {
        while let State::Item { left } = self.state {
            self.state = State::Failed;
            self.reader.skip(left, "a chunk of data")?;
            self.next_chunk()?;
        }
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<(), ArchiveError> {
        self.state = State::Failed;
        if self.kind == BlockKind::Whole {
            self.reader.report();
            self.state = State::Done;
            return Ok(());
        }
        let length = self.reader.int("the length of a chunk")?;
        let Ok(length) = u64::try_from(length) else {
            return Err(self.reader.malformed("the length of a chunk", length, "0 or more"));
        };
        if length > 0 {
            self.reader.require(length, "a chunk of data")?;
            self.state = State::Item { left: length };
            return Ok(());
        }
        match self.kind {
            BlockKind::Data | BlockKind::Whole => self.end_block(),
            BlockKind::LargeObjects => {
                self.state = State::BetweenObjects;
                Ok(())
            }
        }
    }

    /// OIDs are unsigned, but pg_dump writes them as signed C ints: 4294967290 comes as -6.
    fn read_oid(&mut self) -> Result<Option<Oid>, ArchiveError> {
        let value = self.reader.int("a large object's OID")?;
        let oid = match i32::try_from(value) {
            Ok(signed) => Some(signed.cast_unsigned()),
            Err(_) => u32::try_from(value).ok(),
        };
        match oid {
            Some(0) => Ok(None),
            Some(oid) => Ok(Some(Oid(oid))),
            None => Err(self.reader.malformed("a large object's OID", value, "a 32-bit number")),
        }
    }

    fn end_block(&mut self) -> Result<(), ArchiveError> {
        let offset = self.reader.offset();
        // pg_dump writes one block right after the other.
        if let Limit::EndOfBlock(end) = self.reader.limit()
            && end != offset
        {
            let (got, expected) = (format_args!("byte {offset}"), format_args!("byte {end}"));
            return Err(self.reader.malformed("the end of a block", got, expected));
        }
        self.reader.report();
        self.state = State::Done;
        Ok(())
    }
}

/// Splits the length of a chunk from the bytes after it. The length is an integer of `int_size` bytes after its sign.
/// Returns `None` if the bytes are incomplete or not a chunk's length.
fn split_length(bytes: &[u8], int_size: u8) -> Option<(usize, &[u8])> {
    let (sign, rest) = bytes.split_first()?;
    let (magnitude, rest) = rest.split_at_checked(usize::from(int_size))?;
    let mut length = [0; 8];
    length.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let length = usize::try_from(u64::from_le_bytes(length)).ok()?;
    // A length that no buffer can hold is refused at once.
    (*sign == 0 && (1..=usize::MAX >> 1).contains(&length)).then_some((length, rest))
}

impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framing")
            .field("kind", &self.kind)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The chunks of one block. A block of a file has a reader of its own; all blocks of a stream share one.
pub(super) enum Chunks<'a> {
    Own(Box<Framing>),
    Shared(&'a mut Framing),
}

impl Deref for Chunks<'_> {
    type Target = Framing;

    fn deref(&self) -> &Framing {
        match self {
            Self::Own(framing) => framing,
            Self::Shared(framing) => framing,
        }
    }
}

impl DerefMut for Chunks<'_> {
    fn deref_mut(&mut self) -> &mut Framing {
        match self {
            Self::Own(framing) => framing,
            Self::Shared(framing) => framing,
        }
    }
}

/// The current item's bytes, for decoders that read by themselves. An [`ArchiveError`] travels inside the
/// [`io::Error`].
impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.chunk().map_err(io::Error::other)?;
        let length = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), available.get(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}
