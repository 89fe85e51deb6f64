//! The unpacked data block of one entry: one interface for the readers of all formats.

use super::{
    blocks::FileBlock,
    custom::{FramedBlock, FramedObjects},
    entry::Oid,
    error::ArchiveError,
    item::Item,
    objects::PieceObjects,
    plain::{ScriptBlock, ScriptObjects, ScriptStream},
    tar::{TarBlock, TarObjects},
};
use std::{
    fmt,
    io::{self, Read},
};

/// Output is unpacked in pieces of this size. They stay in the processor's cache between zeroing and use.
const PIECE: usize = 32 * 1024;

/// The data block of one entry.
#[derive(Debug)]
pub enum Block<'a> {
    /// The data of a table: a COPY stream, or SQL (`pg_dump --inserts`).
    Data(DataReader<'a>),
    /// Large objects.
    LargeObjects(LargeObjectsReader<'a>),
}

impl<'a> From<FramedBlock<'a>> for Block<'a> {
    fn from(block: FramedBlock<'a>) -> Self {
        match block {
            FramedBlock::Data(item) => Self::Data(DataReader::new(item)),
            FramedBlock::Objects(objects) => Self::objects(Objects::Framed(objects)),
        }
    }
}

impl<'a> From<TarBlock<'a>> for Block<'a> {
    fn from(block: TarBlock<'a>) -> Self {
        match block {
            TarBlock::Data(item) => Self::Data(DataReader::new(item)),
            TarBlock::Objects(objects) => Self::objects(Objects::Tar(objects)),
        }
    }
}

impl<'a> From<ScriptBlock<'a>> for Block<'a> {
    fn from(block: ScriptBlock<'a>) -> Self {
        match block {
            ScriptBlock::Data(stream) => Self::Data(DataReader::of_script(stream)),
            ScriptBlock::Objects(objects) => Self::objects(Objects::Statements(Box::new(objects))),
        }
    }
}

impl<'a> From<FileBlock<'a>> for Block<'a> {
    fn from(block: FileBlock<'a>) -> Self {
        match block {
            FileBlock::Framed(block) => block.into(),
            FileBlock::Piece(item) => Self::Data(DataReader::new(item)),
            FileBlock::Objects(objects) => Self::objects(Objects::Pieces(Box::new(objects))),
            FileBlock::Statements(objects) => Self::objects(Objects::Statements(Box::new(objects))),
        }
    }
}

impl<'a> Block<'a> {
    fn objects(objects: Objects<'a>) -> Self {
        Self::LargeObjects(LargeObjectsReader { objects })
    }
}

/// Reads the data of one table, unpacked and without the archive's chunks.
pub struct DataReader<'a> {
    source: DataSource<'a>,
}

enum DataSource<'a> {
    Item(Item<'a>),
    /// A script that comes in a stream, and the bytes that have been read from it but not returned yet.
    Script {
        stream: &'a mut ScriptStream,
        pending: Vec<u8>,
        given: usize,
    },
}

impl DataSource<'_> {
    /// Fills `out`. Writes fewer bytes, or none, only at the end.
    fn fill(&mut self, out: &mut [u8]) -> Result<usize, ArchiveError> {
        let (stream, pending, given) = match self {
            Self::Item(item) => return item.fill(out),
            Self::Script { stream, pending, given } => (stream, pending, given),
        };
        let mut filled = 0;
        while let Some(space) = out.get_mut(filled..).filter(|space| !space.is_empty()) {
            let rest = pending.get(*given..).unwrap_or_default();
            let length = rest.len().min(space.len());
            if length == 0 {
                pending.clear();
                *given = 0;
                if stream.read(pending, PIECE)? == 0 {
                    break;
                }
                continue;
            }
            if let (Some(to), Some(from)) = (space.get_mut(..length), rest.get(..length)) {
                to.copy_from_slice(from);
            }
            *given += length;
            filled += length;
        }
        Ok(filled)
    }
}

impl<'a> DataReader<'a> {
    fn new(item: Item<'a>) -> Self {
        Self { source: DataSource::Item(item) }
    }

    fn of_script(stream: &'a mut ScriptStream) -> Self {
        Self { source: DataSource::Script { stream, pending: Vec::new(), given: 0 } }
    }
}

impl DataReader<'_> {
    /// Appends the next `at_most` bytes to `buffer` and returns their number. It is smaller than `at_most` only at
    /// the end, and 0 only after the end.
    ///
    /// Reports the end only if the framing and the compressed stream ended together.
    ///
    /// # Errors
    /// The archive cannot be read or is damaged. `buffer` then keeps its old contents and the bytes read before the
    /// error.
    pub fn read_into(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        append(|out| self.source.fill(out), buffer, at_most)
    }

    /// Fills `buffer`, as [`read_into`](Self::read_into) does, for a buffer that is used again and again. Writes
    /// fewer bytes, or none, only at the end.
    ///
    /// # Errors
    /// The archive cannot be read or is damaged.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        self.source.fill(buffer)
    }

    /// The size in bytes of the window that a zstd stream declares: decompression needs as much memory. It is 0 for
    /// data that are not compressed with zstd, and `None` if the stream does not declare a window. Call this before
    /// any read.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub fn zstd_window(&mut self) -> Result<Option<u64>, ArchiveError> {
        match &mut self.source {
            DataSource::Item(item) => item.zstd_window(),
            DataSource::Script { .. } => Ok(Some(0)),
        }
    }

    /// The place in the archive up to which data have been read, in bytes from its start. `None` if it is unknown.
    pub fn file_offset(&mut self) -> Option<u64> {
        match &mut self.source {
            DataSource::Item(item) => item.offset(),
            DataSource::Script { stream, .. } => Some(stream.reader().offset()),
        }
    }
}

impl Read for DataReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.fill(buffer).map_err(io::Error::other)
    }
}

impl fmt::Debug for DataReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataReader").finish_non_exhaustive()
    }
}

/// Reads the large objects of a block, one after the other.
pub struct LargeObjectsReader<'a> {
    objects: Objects<'a>,
}

enum Objects<'a> {
    /// Items of a block of the custom format.
    Framed(FramedObjects<'a>),
    /// Large objects that have a file or a member each.
    Pieces(Box<PieceObjects<'a>>),
    /// Members of a tar file that comes in a stream.
    Tar(TarObjects<'a>),
    /// Statements of a script.
    Statements(Box<ScriptObjects<'a>>),
}

impl LargeObjectsReader<'_> {
    /// Goes to the next large object. Returns `None` after the last. Skips the unread rest of the object before: that
    /// rest is not unpacked and so not checked.
    ///
    /// # Errors
    /// The archive cannot be read or is damaged.
    pub fn next_object(&mut self) -> Result<Option<Oid>, ArchiveError> {
        match &mut self.objects {
            Objects::Framed(objects) => objects.next_object(),
            Objects::Pieces(objects) => objects.next_object(),
            Objects::Tar(objects) => objects.next_object(),
            Objects::Statements(objects) => objects.next_object(),
        }
    }

    /// Appends the next bytes of the current object to `buffer`, as [`DataReader::read_into`] does. Appends nothing
    /// before the first object and after the last.
    ///
    /// # Errors
    /// The archive cannot be read or is damaged.
    pub fn read_into(&mut self, buffer: &mut Vec<u8>, at_most: usize) -> Result<usize, ArchiveError> {
        match &mut self.objects {
            Objects::Framed(objects) => append_item(objects.item(), buffer, at_most),
            Objects::Pieces(objects) => append_item(objects.item(), buffer, at_most),
            Objects::Tar(objects) => objects.read_into(buffer, at_most),
            Objects::Statements(objects) => objects.read_into(buffer, at_most),
        }
    }
}

impl fmt::Debug for LargeObjectsReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeObjectsReader").finish_non_exhaustive()
    }
}

fn append_item(
    item: Option<&mut Item<'_>>,
    buffer: &mut Vec<u8>,
    at_most: usize,
) -> Result<usize, ArchiveError> {
    match item {
        Some(item) => append(|out| item.fill(out), buffer, at_most),
        None => Ok(0),
    }
}

fn append(
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, ArchiveError>,
    buffer: &mut Vec<u8>,
    at_most: usize,
) -> Result<usize, ArchiveError> {
    let before = buffer.len();
    while buffer.len() - before < at_most {
        let start = buffer.len();
        let piece = PIECE.min(at_most - (start - before));
        buffer.resize(start + piece, 0);
        let filled = fill(buffer.get_mut(start..).unwrap_or_default());
        buffer.truncate(start + filled.as_ref().map_or(0, |filled| *filled));
        if filled? < piece {
            break;
        }
    }
    Ok(buffer.len() - before)
}
