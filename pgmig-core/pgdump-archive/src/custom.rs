//! The data blocks of a custom-format archive, in a file or in a stream.

use super::{
    blocks::{FileBlocks, Files, Opener},
    chunks::{BlockKind, Chunks, Framing},
    compression::Compression,
    entry::{DataState, DumpId, Entry, EntryKind, Oid},
    error::{ArchiveError, Part},
    file::ArchiveFile,
    header::{Container, Header},
    item::{Coding, Item},
    locate::Locator,
    reader::{IntSizes, Reader},
    tail::{Tail, read_tail},
    toc::Toc,
};
use std::{collections::HashSet, sync::Arc};

/// Finds the blocks of an archive in a file. `reader` is after its TOC.
pub(super) fn locate_blocks(
    reader: Reader,
    file: Arc<ArchiveFile>,
    header: &Header,
    container: Container,
    toc: &Toc,
) -> Result<FileBlocks, ArchiveError> {
    let (mut reader, blocks) = Locator::new(reader, toc).locate()?;
    let blocks_end = reader.offset();
    let starts: Vec<_> = blocks.iter().map(|block| (block.dump_id, block.start())).collect();
    let tail = read_tail(&mut reader, container, toc, &starts)?;
    let size = file.contents_size().unwrap_or(blocks_end);
    let opener = Opener {
        read: file.read.clone(),
        files: Files::One(file),
        sizes: container.sizes(),
        compression: header.compression,
        decoders: Arc::default(),
    };
    Ok(FileBlocks::new(opener, Some(size), blocks, tail))
}

/// The blocks of an archive that comes in a stream. Each can be read once, in their order.
pub(super) struct StreamBlocks {
    framing: Framing,
    /// Blocks that have been read, with their places.
    found: Vec<(DumpId, u64)>,
    seen: HashSet<DumpId>,
    container: Container,
    compression: Compression,
    state: StreamState,
}

#[derive(Debug, Clone, Copy)]
enum StreamState {
    Reading,
    Ended(Tail),
    Failed,
}

impl StreamBlocks {
    /// `reader` is after the TOC.
    pub(super) fn new(reader: Reader, container: Container, compression: Compression) -> Self {
        Self {
            framing: Framing::idle(reader),
            found: Vec::new(),
            seen: HashSet::new(),
            container,
            compression,
            state: StreamState::Reading,
        }
    }

    /// The kind of data after the last block, once they have been read.
    pub(super) fn tail(&self) -> Option<Tail> {
        match self.state {
            StreamState::Ended(tail) => Some(tail),
            StreamState::Reading | StreamState::Failed => None,
        }
    }

    /// The next block. Skips the rest of the block before.
    pub(super) fn next(&mut self, toc: &Toc) -> Result<Option<(DumpId, FramedBlock<'_>)>, ArchiveError> {
        match self.state {
            StreamState::Ended(_) => return Ok(None),
            StreamState::Failed => return Err(ArchiveError::AfterError),
            StreamState::Reading => self.state = StreamState::Failed,
        }
        self.framing.skip_block()?;
        let reader = self.framing.reader_mut();
        if self.found.len() == toc.blocks() {
            let tail = read_tail(reader, self.container, toc, &self.found)?;
            reader.report();
            self.state = StreamState::Ended(tail);
            return Ok(None);
        }
        let start = reader.offset();
        let (kind, entry) = read_block_header(reader, toc, &self.seen)?;
        reader.enter(Part::Block(entry.label()));
        self.seen.insert(entry.dump_id);
        self.found.push((entry.dump_id, start));
        self.state = StreamState::Reading;
        let block = FramedBlock::new(Chunks::Shared(&mut self.framing), kind, self.compression);
        Ok(Some((entry.dump_id, block)))
    }
}

/// The data of one block, unpacked.
pub(super) enum FramedBlock<'a> {
    Data(Item<'a>),
    Objects(FramedObjects<'a>),
}

impl<'a> FramedBlock<'a> {
    /// `chunks` are after the block's header.
    pub(super) fn new(mut chunks: Chunks<'a>, kind: BlockKind, compression: Compression) -> Self {
        chunks.begin(kind);
        let item = Item::new(chunks, Coding::of_item(compression));
        match kind {
            BlockKind::Data | BlockKind::Whole => Self::Data(item),
            BlockKind::LargeObjects => {
                Self::Objects(FramedObjects { item: Box::new(item), within_object: false })
            }
        }
    }
}

/// The large objects of one block. Each is an item.
pub(super) struct FramedObjects<'a> {
    item: Box<Item<'a>>,
    within_object: bool,
}

impl<'a> FramedObjects<'a> {
    pub(super) fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        self.within_object = false;
        let Some(chunks) = self.item.leave() else { return Err(ArchiveError::AfterError) };
        let oid = chunks.next_object()?;
        if oid.is_some() {
            self.item.restart()?;
            self.within_object = true;
        }
        Ok(oid)
    }

    /// The current object; `None` before the first and after the last.
    pub(super) fn item(&mut self) -> Option<&mut Item<'a>> {
        self.within_object.then_some(&mut *self.item)
    }
}

/// Length of a block's header: its type, then its dump ID.
pub(super) fn header_length(sizes: IntSizes) -> u64 {
    1 + 1 + u64::from(sizes.int)
}

/// Reads the header of a block. The block must belong to an entry with data, and this entry must not be among `seen`.
pub(super) fn read_block_header<'t>(
    reader: &mut Reader,
    toc: &'t Toc,
    seen: &HashSet<DumpId>,
) -> Result<(BlockKind, &'t Entry), ArchiveError> {
    reader.enter(Part::Blocks);
    let start = reader.offset();
    if reader.fill()?.is_empty() {
        return Err(blocks_missing(toc, seen, reader.end().unwrap_or(start)));
    }
    let byte = reader.byte("a block's type")?;
    let Some(kind) = BlockKind::from_byte(byte) else {
        return Err(reader.malformed("a block's type", byte, "1 (data) or 3 (large objects)"));
    };
    let id = reader.int("a block's dump ID")?;
    let entry = u32::try_from(id).ok().and_then(DumpId::new).and_then(|id| toc.get(id));
    let Some(entry) = entry.filter(|entry| entry.has_data()) else {
        return Err(reader.malformed("a block's dump ID", id, "that of an entry with data"));
    };
    // pg_restore reads the first of the two, and silently loses the rows of the other.
    if seen.contains(&entry.dump_id) {
        return Err(reader.malformed(
            "a block's dump ID",
            format_args!("{id} for the second time"),
            "another entry's",
        ));
    }
    if kind != kind_of(entry) {
        let (got, expected) =
            (format_args!("{kind:?}"), format_args!("{:?}, for {}", kind_of(entry), entry.label()));
        return Err(reader.malformed("a block's type", got, expected));
    }
    match entry.data {
        DataState::Offset(offset) if offset != start => {
            let expected = format_args!("at byte {offset}, as its TOC entry says");
            Err(reader.malformed("the block of an entry", format_args!("at byte {start}"), expected))
        }
        _ => Ok((kind, entry)),
    }
}

fn kind_of(entry: &Entry) -> BlockKind {
    if entry.kind == EntryKind::Blobs { BlockKind::LargeObjects } else { BlockKind::Data }
}

/// The error for an archive that ends at `end`, with no blocks except those of `seen`.
fn blocks_missing(toc: &Toc, seen: &HashSet<DumpId>, end: u64) -> ArchiveError {
    let mut missing = toc.with_data().filter(|entry| !seen.contains(&entry.dump_id));
    match missing.next() {
        Some(first) => {
            ArchiveError::BlocksMissing { first: Box::new(first.label()), missing: 1 + missing.count(), end }
        }
        None => ArchiveError::AfterError,
    }
}

impl std::fmt::Debug for StreamBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamBlocks")
            .field("found", &self.found)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
