//! Finds the data blocks in a file.

use super::{
    blocks::{LocatedBlock, Shape},
    chunks::{BlockKind, Framing},
    custom::read_block_header,
    entry::{DataState, DumpId, Entry},
    error::{ArchiveError, Part},
    reader::Reader,
    toc::Toc,
};
use std::collections::HashSet;

/// Finds the blocks of an archive. Uses the TOC's offsets if all are set, and otherwise goes over all blocks once.
pub(super) struct Locator<'t> {
    framing: Framing,
    toc: &'t Toc,
    seen: HashSet<DumpId>,
    blocks: Vec<LocatedBlock>,
}

impl<'t> Locator<'t> {
    /// `reader` is after the TOC, where the first block begins.
    pub(super) fn new(reader: Reader, toc: &'t Toc) -> Self {
        Self { framing: Framing::idle(reader), toc, seen: HashSet::new(), blocks: Vec::new() }
    }

    /// Returns the reader, which is after the last block, and the blocks in their order.
    pub(super) fn locate(mut self) -> Result<(Reader, Vec<LocatedBlock>), ArchiveError> {
        match self.offsets() {
            Some(entries) => self.follow(&entries)?,
            None => self.scan()?,
        }
        Ok((self.framing.into_reader(), self.blocks))
    }

    /// The entries with data, each with its offset. `None` unless all offsets are set.
    fn offsets(&self) -> Option<Vec<(u64, &'t Entry)>> {
        let offset = |entry: &'t Entry| match entry.data {
            DataState::Offset(offset) => Some((offset, entry)),
            DataState::NotSet | DataState::NoData | DataState::Member => None,
        };
        let mut offsets: Vec<_> = self.toc.with_data().map(offset).collect::<Option<_>>()?;
        offsets.sort_by_key(|(offset, _)| *offset);
        Some(offsets)
    }

    /// Reads the header of each block at the TOC's offset, and passes over the last block, which detects a truncated
    /// file. Whether each other block ends where the next begins is checked when the block is read.
    fn follow(&mut self, entries: &[(u64, &Entry)]) -> Result<(), ArchiveError> {
        self.check_first(entries)?;
        for (index, &(offset, _)) in entries.iter().enumerate() {
            self.framing.reader_mut().seek(offset);
            let (kind, entry) = self.read_header()?;
            let end = match entries.get(index + 1) {
                Some(&(next, _)) => next,
                None => self.pass_over(kind, entry)?,
            };
            self.add(entry, kind, offset, end);
        }
        Ok(())
    }

    /// Checks that the first block begins right after the TOC, as pg_dump writes it. Bytes between them are an entry
    /// that the TOC's count leaves out.
    fn check_first(&mut self, entries: &[(u64, &Entry)]) -> Result<(), ArchiveError> {
        let reader = self.framing.reader_mut();
        let toc_end = reader.offset();
        match entries.first() {
            Some(&(offset, _)) if offset != toc_end => {
                let expected = format_args!("{toc_end}, where the TOC ends");
                Err(reader.malformed("the first data offset", offset, expected))
            }
            _ => Ok(()),
        }
    }

    /// Goes over all blocks, beginning with the first.
    fn scan(&mut self) -> Result<(), ArchiveError> {
        while self.blocks.len() < self.toc.blocks() {
            let start = self.framing.reader().offset();
            let (kind, entry) = self.read_header()?;
            let end = self.pass_over(kind, entry)?;
            self.add(entry, kind, start, end);
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<(BlockKind, &'t Entry), ArchiveError> {
        read_block_header(self.framing.reader_mut(), self.toc, &self.seen)
    }

    /// Goes from the end of a block's header to the block's end. Returns the end's place.
    fn pass_over(&mut self, kind: BlockKind, entry: &Entry) -> Result<u64, ArchiveError> {
        self.framing.reader_mut().enter(Part::Block(entry.label()));
        self.framing.begin(kind);
        self.framing.skip_block()?;
        Ok(self.framing.reader().offset())
    }

    fn add(&mut self, entry: &Entry, kind: BlockKind, start: u64, end: u64) {
        self.seen.insert(entry.dump_id);
        self.blocks.push(LocatedBlock::new(entry.dump_id, Shape::Framed { kind, start, end }));
    }
}
