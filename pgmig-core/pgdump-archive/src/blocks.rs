//! The data blocks of an archive in a file or a directory, with their places.

use super::{
    chunks::{BlockKind, Chunks, Framing},
    compression::Compression,
    custom::{FramedBlock, header_length},
    decoders::ZstdDecoders,
    directory::Directory,
    entry::{DumpId, Entry, Oid},
    error::{ArchiveError, Part},
    file::ArchiveFile,
    item::{Coding, Item},
    objects::PieceObjects,
    plain::{ScriptObjects, Statements},
    progress::{BlockProgress, BytesRead, Progress},
    reader::{IntSizes, Limit, Reader},
    tail::Tail,
};
use crate::sql::StandardStrings;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Where the data are.
#[derive(Debug, Clone)]
pub(super) enum Files {
    /// All of them in one file.
    One(Arc<ArchiveFile>),
    /// Each piece in a file of its own.
    Directory(Arc<Directory>),
}

/// An item that is not in chunks: a member of a tar file, a file of a directory, or a part of a script.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Its file in a directory.
    pub(super) file: Option<Box<str>>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) coding: Coding,
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Aims `chunks` at the start of this piece. For an archive of one file this sets the place in it. For a
    /// directory this opens the piece's file.
    pub(super) fn aim(&self, chunks: &mut Framing, files: &Files, part: Part) -> Result<(), ArchiveError> {
        if let (Files::Directory(directory), Some(name)) = (files, &self.file) {
            chunks.set_reader(directory.open(name, self.end)?);
        }
        let reader = chunks.reader_mut();
        reader.enter(part);
        reader.set_limit(Limit::EndOfBlock(self.end));
        reader.seek(self.start);
        chunks.begin_whole(self.length());
        Ok(())
    }

    /// The item. `chunks` are at its start. pg_dump leaves a file of no bytes for an empty large object, whatever the
    /// codec.
    pub(super) fn item<'a>(&self, chunks: Chunks<'a>) -> Item<'a> {
        Item::new(chunks, if self.length() == 0 { Coding::Stored } else { self.coding })
    }
}

/// A large object in a piece of its own.
#[derive(Debug, Clone)]
pub(super) struct ObjectPiece {
    pub(super) oid: Oid,
    pub(super) piece: Piece,
}

/// The form of an entry's data.
#[derive(Debug)]
pub(super) enum Shape {
    /// A block of the custom format.
    Framed { kind: BlockKind, start: u64, end: u64 },
    /// One piece.
    Piece(Piece),
    /// Large objects, each in a piece of its own.
    Objects(Arc<[ObjectPiece]>),
    /// Large objects that statements create.
    Statements { piece: Piece, strings: StandardStrings },
}

impl Shape {
    /// The number of bytes in the archive.
    fn length(&self) -> u64 {
        match self {
            Self::Framed { start, end, .. } => end.saturating_sub(*start),
            Self::Piece(piece) | Self::Statements { piece, .. } => piece.length(),
            Self::Objects(objects) => objects.iter().map(|object| object.piece.length()).sum(),
        }
    }

    fn start(&self) -> u64 {
        match self {
            Self::Framed { start, .. } => *start,
            Self::Piece(piece) | Self::Statements { piece, .. } => piece.start,
            Self::Objects(objects) => objects.first().map_or(u64::MAX, |object| object.piece.start),
        }
    }
}

/// The data of one entry.
#[derive(Debug)]
pub(super) struct LocatedBlock {
    pub(super) dump_id: DumpId,
    pub(super) shape: Shape,
    progress: Arc<BlockProgress>,
}

impl LocatedBlock {
    pub(super) fn new(dump_id: DumpId, shape: Shape) -> Self {
        Self { dump_id, shape, progress: Arc::default() }
    }

    /// Its first byte in the archive.
    pub(super) fn start(&self) -> u64 {
        self.shape.start()
    }

    /// The number of bytes that it takes in the archive.
    pub(super) fn length(&self) -> u64 {
        self.shape.length()
    }
}

/// The blocks of an archive in a file or a directory. Each can be read at any time, and several at once.
#[derive(Debug)]
pub(super) struct FileBlocks {
    opener: Opener,
    /// Size of the whole archive in bytes, where it is known.
    size: Option<u64>,
    /// In the archive's order.
    blocks: Vec<LocatedBlock>,
    by_id: HashMap<DumpId, usize>,
    next: usize,
    /// Reads the blocks of a compressed file one after the other. The mutex makes `Archive` `Sync`, as a decoder need
    /// not be `Sync`. No two threads ever wait for it.
    pass: Option<Box<Mutex<Framing>>>,
    tail: Tail,
}

impl FileBlocks {
    pub(super) fn new(opener: Opener, size: Option<u64>, mut blocks: Vec<LocatedBlock>, tail: Tail) -> Self {
        if matches!(opener.files, Files::One(_)) {
            blocks.sort_by_key(|block| block.shape.start());
        }
        // Bytes outside of blocks count as read. The count then ends at the archive's size after a whole restore.
        let lengths: u64 = blocks.iter().map(LocatedBlock::length).sum();
        opener.read.add(size.map_or(0, |size| size.saturating_sub(lengths)));
        let by_id = blocks.iter().enumerate().map(|(index, block)| (block.dump_id, index)).collect();
        Self { opener, size, blocks, by_id, next: 0, pass: None, tail }
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// Whether reading a block requires unpacking everything before it.
    pub(super) fn is_sequential(&self) -> bool {
        matches!(&self.opener.files, Files::One(file) if file.is_wrapped())
    }

    /// Size of the entry's data in the archive, in bytes.
    pub(super) fn stored_bytes(&self, id: DumpId) -> Option<u64> {
        self.by_id.get(&id).and_then(|&index| self.blocks.get(index)).map(LocatedBlock::length)
    }

    /// Opens the block of `entry`.
    pub(super) fn block(&self, entry: &Entry) -> Result<FileBlock<'static>, ArchiveError> {
        let located = located(&self.blocks, &self.by_id, entry)?;
        self.opener.open(located, entry, Chunks::Own(Box::new(self.opener.framing())))
    }

    /// The dump IDs of the blocks, in the archive's order.
    pub(super) fn ids(&self) -> impl Iterator<Item = DumpId> {
        self.blocks.iter().map(|block| block.dump_id)
    }

    /// The dump ID of the next block in the archive's order.
    pub(super) fn next_id(&mut self) -> Option<DumpId> {
        let id = self.blocks.get(self.next)?.dump_id;
        self.next += 1;
        Some(id)
    }

    /// Opens the block of `entry` during a pass over the archive. The pass does not start over for each block.
    pub(super) fn block_of_pass(&mut self, entry: &Entry) -> Result<FileBlock<'_>, ArchiveError> {
        if !self.is_sequential() {
            return self.block(entry);
        }
        let located = located(&self.blocks, &self.by_id, entry)?;
        let opener = &self.opener;
        let pass = self.pass.get_or_insert_with(|| Box::new(Mutex::new(opener.framing())));
        opener.open(located, entry, Chunks::Shared(super::exclusive(pass)))
    }
}

fn located<'b>(
    blocks: &'b [LocatedBlock],
    by_id: &HashMap<DumpId, usize>,
    entry: &Entry,
) -> Result<&'b LocatedBlock, ArchiveError> {
    let located = by_id.get(&entry.dump_id).and_then(|&index| blocks.get(index));
    located.ok_or_else(|| ArchiveError::NoData(Box::new(entry.label())))
}

/// The data of one entry, unpacked.
pub(super) enum FileBlock<'a> {
    /// A block of the custom format.
    Framed(FramedBlock<'a>),
    /// The data of a table, in one piece.
    Piece(Item<'a>),
    /// Large objects, each in a piece of its own.
    Objects(PieceObjects<'a>),
    /// Large objects that statements create.
    Statements(ScriptObjects<'a>),
}

/// Opens blocks.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) files: Files,
    /// Widths of numbers in blocks of the custom format.
    pub(super) sizes: IntSizes,
    /// Compression of blocks of the custom format.
    pub(super) compression: Compression,
    pub(super) read: BytesRead,
    pub(super) decoders: Arc<ZstdDecoders>,
}

impl Opener {
    /// A framing that is not within a block.
    fn framing(&self) -> Framing {
        let mut reader = match &self.files {
            Files::One(file) => Reader::of_file(Arc::clone(file)),
            Files::Directory(directory) => directory.nowhere(),
        };
        reader.set_sizes(self.sizes);
        Framing::idle(reader).with_decoders(Arc::clone(&self.decoders))
    }

    fn open<'a>(
        &self,
        located: &LocatedBlock,
        entry: &Entry,
        mut chunks: Chunks<'a>,
    ) -> Result<FileBlock<'a>, ArchiveError> {
        let part = Part::Block(entry.label());
        let progress = |start, base| Progress::Block {
            start,
            base,
            block: Arc::clone(&located.progress),
            total: self.read.clone(),
        };
        match &located.shape {
            Shape::Framed { kind, start, end } => {
                let reader = chunks.reader_mut();
                reader.enter(part);
                reader.set_limit(Limit::EndOfBlock(*end));
                reader.seek(start + header_length(self.sizes));
                reader.set_progress(progress(*start, 0));
                Ok(FileBlock::Framed(FramedBlock::new(chunks, *kind, self.compression)))
            }
            Shape::Piece(piece) => {
                piece.aim(&mut chunks, &self.files, part)?;
                chunks.reader_mut().set_progress(progress(piece.start, 0));
                Ok(FileBlock::Piece(piece.item(chunks)))
            }
            Shape::Statements { piece, strings } => {
                piece.aim(&mut chunks, &self.files, part)?;
                chunks.reader_mut().set_progress(progress(piece.start, 0));
                let statements = Statements::of_item(piece.item(chunks), *strings);
                Ok(FileBlock::Statements(ScriptObjects::new(statements, *strings)))
            }
            Shape::Objects(objects) => {
                let progress = Progress::Block {
                    start: 0,
                    base: 0,
                    block: Arc::clone(&located.progress),
                    total: self.read.clone(),
                };
                let objects = Arc::clone(objects);
                Ok(FileBlock::Objects(PieceObjects::new(self.files.clone(), objects, part, progress, chunks)))
            }
        }
    }
}
