//! The data blocks of a custom-format archive, in a file or in a stream.

use super::{
    block::Block,
    chunks::{BlockKind, Chunks, Framing},
    entry::{DataState, DumpId, Entry, EntryKind},
    error::{ArchiveError, Part},
    header::{Compression, Header},
    locate::{LocatedBlock, Locator},
    progress::Progress,
    reader::{ArchiveFile, IntSizes, Limit, Reader},
    tail::{Tail, read_tail},
    toc::Toc,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The blocks of an archive in a file: each can be read at any time, several at once.
#[derive(Debug)]
pub(super) struct FileBlocks {
    file: Arc<ArchiveFile>,
    sizes: IntSizes,
    compression: Compression,
    /// In the order of the file.
    blocks: Vec<LocatedBlock>,
    by_id: HashMap<DumpId, usize>,
    next: usize,
    tail: Tail,
}

impl FileBlocks {
    /// Finds the blocks. `reader` is after the TOC.
    pub(super) fn locate(
        reader: Reader,
        file: Arc<ArchiveFile>,
        header: &Header,
        toc: &Toc,
    ) -> Result<Self, ArchiveError> {
        let toc_end = reader.offset();
        let (mut reader, blocks) = Locator::new(reader, toc).locate()?;
        let blocks_end = reader.offset();
        let starts: Vec<_> = blocks.iter().map(|block| (block.dump_id, block.start)).collect();
        let tail = read_tail(&mut reader, header, toc, &starts)?;
        // Whatever is no block counts as read, so that after a whole restore the file's size has been read.
        file.read.add(file.size.saturating_sub(blocks_end - toc_end));
        let by_id = blocks.iter().enumerate().map(|(index, block)| (block.dump_id, index)).collect();
        let sizes = IntSizes { int: header.int_size, offset: header.off_size };
        Ok(Self { file, sizes, compression: header.compression, blocks, by_id, next: 0, tail })
    }

    pub(super) fn file(&self) -> &ArchiveFile {
        &self.file
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// Opens the block of `entry`.
    pub(super) fn block(&self, entry: &Entry) -> Result<Block<'static>, ArchiveError> {
        let located = self.by_id.get(&entry.dump_id).and_then(|&index| self.blocks.get(index));
        let Some(located) = located else { return Err(ArchiveError::NoData(Box::new(entry.label()))) };
        let mut reader = Reader::of_file(Arc::clone(&self.file));
        reader.set_sizes(self.sizes);
        reader.enter(Part::Block(entry.label()));
        reader.seek(located.start + header_length(self.sizes));
        reader.set_limit(Limit::EndOfBlock(located.end));
        reader.set_progress(Progress::Block {
            start: located.start,
            block: Arc::clone(&located.progress),
            total: self.file.read.clone(),
        });
        Block::new(Chunks::Own(Box::new(Framing::idle(reader))), located.kind, self.compression)
    }

    /// Bytes of the block of an entry, with its framing.
    pub(super) fn stored_bytes(&self, id: DumpId) -> Option<u64> {
        let block = self.by_id.get(&id).and_then(|&index| self.blocks.get(index))?;
        Some(block.end.saturating_sub(block.start))
    }

    /// The dump IDs of the blocks, in the file's order.
    pub(super) fn ids(&self) -> impl Iterator<Item = DumpId> {
        self.blocks.iter().map(|block| block.dump_id)
    }

    /// The dump ID of the next block in the file's order.
    pub(super) fn next_id(&mut self) -> Option<DumpId> {
        let id = self.blocks.get(self.next)?.dump_id;
        self.next += 1;
        Some(id)
    }
}

/// The blocks of an archive that comes in a stream: each can be read once, in their order.
pub(super) struct StreamBlocks {
    framing: Framing,
    /// Blocks that have come, with their places.
    found: Vec<(DumpId, u64)>,
    seen: HashSet<DumpId>,
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
    pub(super) fn new(reader: Reader) -> Self {
        let framing = Framing::idle(reader);
        Self { framing, found: Vec::new(), seen: HashSet::new(), state: StreamState::Reading }
    }

    /// What comes after the last block, once that has been read.
    pub(super) fn tail(&self) -> Option<Tail> {
        match self.state {
            StreamState::Ended(tail) => Some(tail),
            StreamState::Reading | StreamState::Failed => None,
        }
    }

    /// The next block, after what is left of the one before.
    pub(super) fn next(
        &mut self,
        header: &Header,
        toc: &Toc,
    ) -> Result<Option<(DumpId, Block<'_>)>, ArchiveError> {
        match self.state {
            StreamState::Ended(_) => return Ok(None),
            StreamState::Failed => return Err(ArchiveError::AfterError),
            StreamState::Reading => self.state = StreamState::Failed,
        }
        self.framing.skip_block()?;
        let reader = self.framing.reader();
        if self.found.len() == toc.blocks() {
            let tail = read_tail(reader, header, toc, &self.found)?;
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
        let block = Block::new(Chunks::Shared(&mut self.framing), kind, header.compression)?;
        Ok(Some((entry.dump_id, block)))
    }
}

/// Length of a block's header: its type, then its dump ID.
fn header_length(sizes: IntSizes) -> u64 {
    1 + 1 + u64::from(sizes.int)
}

/// Reads the header of a block, which must be that of an entry with data that is not among `seen`.
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
    // pg_restore takes the first of the two, and drops whatever rows the other holds.
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

/// The error for an archive that ends at `end`, with no blocks but those of `seen`.
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
