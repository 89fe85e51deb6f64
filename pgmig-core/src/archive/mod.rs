//! Reads the archives that pg_dump writes: the header, the table of contents (TOC), the data blocks.
//!
//! Custom format (`pg_dump -Fc`), container versions 1.10 to 1.16 (PostgreSQL 8.0 to 18), uncompressed or with
//! gzip, lz4 or zstd; from a file or from a stream. Everything is streamed, and nothing is believed: what
//! pg_dump would not write is an error that says where it is. Other formats are recognised and refused.
//!
//! Knows no database and executes nothing: what an entry's SQL means is not looked at here.
//!
//! ```no_run
//! use pgmig_core::archive::{Archive, ArchiveError, Block};
//!
//! # fn main() -> Result<(), ArchiveError> {
//! let archive = Archive::open("store.dump".as_ref())?;
//! for entry in archive.entries().iter().filter(|entry| entry.has_data()) {
//!     if let Block::Data(mut rows) = archive.block(entry.dump_id)? {
//!         let mut piece = Vec::new();
//!         while rows.read_into(&mut piece, 64 * 1024)? > 0 {
//!             // a piece of the table's COPY data
//!             piece.clear();
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod block;
mod chunks;
mod compression;
mod custom;
mod entry;
mod error;
mod header;
mod list;
mod locate;
mod progress;
mod reader;
mod session;
mod sniff;
mod tail;
#[cfg(test)]
mod tests;
mod text;
mod toc;
mod version;

pub use block::{Block, DataReader, LargeObjectsReader};
pub use entry::{CatalogId, DataState, DumpId, Entry, EntryKind, EntryLabel, Oid, Section};
pub use error::{ArchiveError, Part, Place};
pub use header::{Compression, Created, Header};
pub use list::Listing;
pub use progress::BytesRead;
pub use sniff::Foreign;
pub use tail::Tail;
pub use text::ArchiveText;
pub use version::ArchiveVersion;

use custom::{FileBlocks, StreamBlocks};
use reader::{ArchiveFile, Reader};
use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use toc::Toc;

/// What messages call an input that has no name.
const STREAM_NAME: &str = "the input";

/// An archive: its header and its table of contents, and the way to its data.
#[derive(Debug)]
pub struct Archive {
    header: Header,
    toc: Toc,
    blocks: Blocks,
    read: BytesRead,
}

#[derive(Debug)]
enum Blocks {
    File(FileBlocks),
    /// Never contended: the mutex makes `Archive` `Sync`, which the stream in it need not be.
    Stream(Box<Mutex<StreamBlocks>>),
}

impl Archive {
    /// Opens the archive in a file, and finds its data blocks. A path that is no regular file (a FIFO,
    /// `/dev/stdin`) is read as a stream.
    ///
    /// # Errors
    /// The file cannot be read, is no archive of the custom format, or is damaged; a file that was cut is
    /// found out here, before any data has been read.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::Open { path: path.to_owned(), source };
        let name: Arc<str> = path.display().to_string().into();
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let is_archive = path.join("toc.dat").exists() || path.join("toc.dat.gz").exists();
            let found = if is_archive { Foreign::DirectoryFormat } else { Foreign::Directory };
            return Err(ArchiveError::NotAnArchive { input: name.to_string(), found });
        }
        if !metadata.is_file() {
            return Self::read_stream(Box::new(file), name);
        }
        let read = BytesRead::default();
        let file = Arc::new(ArchiveFile { file, size: metadata.len(), name, read: read.clone() });
        read_sound(Reader::of_file(Arc::clone(&file)), |mut reader| {
            let (header, toc) = read_contents(&mut reader)?;
            let blocks = Blocks::File(FileBlocks::locate(reader, file, &header, &toc)?);
            Ok(Self { header, toc, blocks, read })
        })
    }

    /// Reads an archive from a stream, which is at the archive's first byte: header and TOC now, the data
    /// by [`next_block`](Self::next_block).
    ///
    /// # Errors
    /// The stream cannot be read, is no archive of the custom format, or is damaged as far as it is read.
    pub fn from_stream(input: impl Read + Send + 'static) -> Result<Self, ArchiveError> {
        Self::read_stream(Box::new(input), STREAM_NAME.into())
    }

    fn read_stream(input: Box<dyn Read + Send>, name: Arc<str>) -> Result<Self, ArchiveError> {
        let read = BytesRead::default();
        read_sound(Reader::of_stream(input, name, read.clone()), |mut reader| {
            let (header, toc) = read_contents(&mut reader)?;
            reader.report();
            let blocks = Blocks::Stream(Box::new(Mutex::new(StreamBlocks::new(reader))));
            Ok(Self { header, toc, blocks, read })
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The entries, in the TOC's order, which is the order to restore them in.
    pub fn entries(&self) -> &[Entry] {
        &self.toc.entries
    }

    /// The entry with this dump ID.
    pub fn entry(&self, id: DumpId) -> Option<&Entry> {
        self.toc.get(id)
    }

    /// The entries as `pg_restore --list` shows them.
    pub fn listing(&self) -> Listing<'_> {
        Listing::new(self)
    }

    /// The encoding of the archive's texts and data, by PostgreSQL's name for it (`UTF8`, `LATIN1` ...).
    pub fn encoding(&self) -> Option<&str> {
        self.toc.session.encoding.as_deref()
    }

    /// Whether backslashes in the SQL's plain string literals stand for themselves.
    pub fn standard_conforming_strings(&self) -> bool {
        self.toc.session.standard_conforming_strings
    }

    /// The statement that sets the search path for the archive's SQL. Archives older than 1.13 have none: the
    /// path is to be set for each entry, to its namespace.
    pub fn search_path_statement(&self) -> Option<&ArchiveText> {
        self.toc.session.search_path_statement.as_ref()
    }

    /// Replaces each text of the TOC that is not plain ASCII by what `to_utf8` makes of its bytes, after which
    /// [`ArchiveText::to_str`] cannot fail for any entry. Data blocks stay in the archive's encoding, and so does
    /// the header.
    ///
    /// # Errors
    /// `to_utf8` returned an error, which says why the bytes are not valid; texts before that are replaced.
    pub fn transcode(
        &mut self,
        to_utf8: &mut dyn FnMut(&[u8]) -> Result<String, String>,
    ) -> Result<(), ArchiveError> {
        for entry in &mut self.toc.entries {
            let mut texts = entry.texts_mut();
            let failed = texts.find_map(|(field, text)| Some((field, transcode_text(text, to_utf8).err()?)));
            drop(texts);
            if let Some((field, reason)) = failed {
                return Err(ArchiveError::Transcode { entry: Box::new(entry.label()), field, reason });
            }
        }
        Ok(())
    }

    /// Whether the archive is read from a stream.
    pub fn is_stream(&self) -> bool {
        matches!(self.blocks, Blocks::Stream(_))
    }

    /// Size of the file in bytes; unknown for a stream.
    pub fn size(&self) -> Option<u64> {
        match &self.blocks {
            Blocks::File(blocks) => Some(blocks.file().size),
            Blocks::Stream(_) => None,
        }
    }

    /// Counts the bytes that have been read, for progress.
    pub fn bytes_read(&self) -> BytesRead {
        self.read.clone()
    }

    /// What comes after the last block; for a stream only known when [`next_block`](Self::next_block) has
    /// returned `None`.
    pub fn tail(&self) -> Option<Tail> {
        match &self.blocks {
            Blocks::File(blocks) => Some(blocks.tail()),
            Blocks::Stream(blocks) => blocks.lock().unwrap_or_else(PoisonError::into_inner).tail(),
        }
    }

    /// Whether the entry exists and owns a data block.
    pub fn has_data(&self, id: DumpId) -> bool {
        self.entry(id).is_some_and(Entry::has_data)
    }

    /// Bytes that the data block of an entry takes in the archive; `None` where it has none, and for a stream.
    pub fn stored_bytes(&self, id: DumpId) -> Option<u64> {
        match &self.blocks {
            Blocks::File(blocks) => blocks.stored_bytes(id),
            Blocks::Stream(_) => None,
        }
    }

    /// The dump IDs of the data blocks of a file, in the file's order; none for a stream.
    pub fn block_order(&self) -> Vec<DumpId> {
        match &self.blocks {
            Blocks::File(blocks) => blocks.ids().collect(),
            Blocks::Stream(_) => Vec::new(),
        }
    }

    /// Opens the data block of an entry, from its start. Blocks of a file can be read in any order, as often
    /// as needed, and from several threads at once.
    ///
    /// # Errors
    /// There is no such entry, it has no data, or the archive is a stream.
    pub fn block(&self, id: DumpId) -> Result<Block<'static>, ArchiveError> {
        let entry = self.entry(id).ok_or(ArchiveError::NoSuchEntry(id))?;
        match &self.blocks {
            Blocks::File(blocks) => blocks.block(entry),
            Blocks::Stream(_) => Err(ArchiveError::StreamOrder),
        }
    }

    /// The next data block in the archive's own order, and the entry that it belongs to; `None` after the last.
    /// What was not read of the block before is passed over.
    ///
    /// # Errors
    /// The archive is damaged, or (in a stream) ends without the data of some entry.
    pub fn next_block(&mut self) -> Result<Option<(DumpId, Block<'_>)>, ArchiveError> {
        match &mut self.blocks {
            Blocks::Stream(blocks) => exclusive(blocks).next(&self.header, &self.toc),
            Blocks::File(blocks) => {
                let Some(id) = blocks.next_id() else { return Ok(None) };
                let entry = self.toc.get(id).ok_or(ArchiveError::NoSuchEntry(id))?;
                Ok(Some((id, blocks.block(entry)?)))
            }
        }
    }
}

fn exclusive<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// Reads an archive with `read` once it is recognised as one. Errors of archives that were transferred as text
/// say so: whatever else is wrong follows from that.
fn read_sound(
    mut reader: Reader,
    read: impl FnOnce(Reader) -> Result<Archive, ArchiveError>,
) -> Result<Archive, ArchiveError> {
    let head = reader.peek(sniff::SNIFF_LENGTH)?;
    let found = sniff::foreign(head);
    let mangled = sniff::line_feeds_mangled(head);
    if let Some(found) = found {
        return Err(ArchiveError::NotAnArchive { input: reader.name().to_owned(), found });
    }
    read(reader).map_err(|error| match error.place() {
        Some(place) if mangled => ArchiveError::LineEndings { place: Box::new(place.clone()) },
        _ => error,
    })
}

fn read_contents(reader: &mut Reader) -> Result<(Header, Toc), ArchiveError> {
    let header = Header::read(reader)?;
    let toc = Toc::read(reader, &header)?;
    Ok((header, toc))
}

fn transcode_text(
    text: &mut ArchiveText,
    to_utf8: &mut dyn FnMut(&[u8]) -> Result<String, String>,
) -> Result<(), String> {
    if !text.as_bytes().is_ascii() {
        *text = to_utf8(text.as_bytes())?.into();
    }
    Ok(())
}
