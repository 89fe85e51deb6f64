//! Reads pg_dump's output in every format, without a server: the entries of the table of contents, and the data.
//!
//! | format | `pg_dump` | read from |
//! |---|---|---|
//! | custom | `-Fc` | a file, memory, a stream |
//! | directory | `-Fd` | a directory, or a tar file of it |
//! | tar | `-Ft` | a file, memory, a stream |
//! | plain script | `-Fp` | a file, memory, a stream |
//!
//! Reads archives of the container versions 1.10 to 1.16 (pg_dump of PostgreSQL 8.0 to 18). Data may be compressed
//! with gzip, lz4 or zstd, and so may the file as a whole. The contents determine the format; the file's name never
//! does.
//!
//! A directory of pg_dumpall (PostgreSQL 19) holds one archive for each database: see [`ClusterDump`].
//!
//! Memory does not grow with the archive, because data are read in pieces. The reader trusts no byte of the archive.
//! Content that pg_dump would not write is an [`ArchiveError`], which names the place.
//!
//! An [`Archive`] does not interpret the SQL in it, and executes nothing. The modules [`sql`] and [`copy`] parse SQL
//! and rows.
//!
//! ```no_run
//! use pgdump_archive::{Archive, ArchiveError, Block};
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

pub mod copy;
pub mod sql;

mod block;
mod blocks;
mod chunks;
mod cluster;
mod compression;
mod custom;
mod decoders;
mod directory;
mod entry;
mod error;
mod file;
mod foreign;
mod format;
mod header;
mod inflate;
mod item;
mod joined_chunks;
mod list;
mod locate;
mod lz4_frame;
mod member;
mod objects;
mod open;
mod plain;
mod problem;
mod progress;
mod reader;
mod session;
mod shown;
mod sniff;
mod tail;
mod tar;
#[cfg(test)]
mod tests;
mod text;
mod toc;
mod version;
mod wrapper;
mod zstd_window;

pub use block::{Block, DataReader, LargeObjectsReader};
pub use cluster::{ClusterDump, DumpedDatabase};
pub use compression::Compression;
pub use decoders::WIDE_WINDOW;
pub use entry::{CatalogId, DataState, DumpId, Entry, EntryKind, EntryLabel, Oid, Section};
pub use error::{ArchiveError, ErrorClass, MemberProblem, Part, Place, ScriptProblem};
pub use foreign::Foreign;
pub use format::Format;
pub use header::{Container, Created, Header};
pub use list::Listing;
pub use progress::BytesRead;
pub use tail::Tail;
pub use text::ArchiveText;
pub use version::ArchiveVersion;

use blocks::FileBlocks;
use custom::StreamBlocks;
use plain::ScriptStream;
use shown::Shown;
use std::{
    io::Read,
    path::Path,
    sync::{Mutex, PoisonError},
};
use tar::TarStream;
use toc::Toc;

/// An archive: its header, its table of contents, and access to its data.
#[derive(Debug)]
pub struct Archive {
    header: Header,
    toc: Toc,
    /// The entries that a program has chosen; `None` shows all.
    shown: Option<Shown>,
    blocks: Blocks,
    read: BytesRead,
}

#[derive(Debug)]
enum Blocks {
    File(Box<FileBlocks>),
    /// The mutex makes `Archive` `Sync`, as the stream in it need not be `Sync`. No two threads ever wait for it.
    Stream(Box<Mutex<StreamBlocks>>),
    Tar(Box<Mutex<TarStream>>),
    Script(Box<Mutex<ScriptStream>>),
}

impl Archive {
    /// Opens the archive at a path: a file, or the directory of a directory-format archive. Finds the archive's data.
    /// A file that is compressed as a whole is unpacked once for that. Any other path (a FIFO, `/dev/stdin`) is read
    /// as a stream.
    ///
    /// # Errors
    /// The path cannot be read, is not an archive, or is damaged. A truncated file is detected here, before any data
    /// are read.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        open::path(path)
    }

    /// Opens an archive whose table of contents is wanted only: a directory may lack files with data. Returns the errors
    /// about these files, too. Their blocks cannot be read.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for missing files.
    pub fn open_incomplete(path: &Path) -> Result<(Self, Vec<ArchiveError>), ArchiveError> {
        let mut missing = Vec::new();
        let archive = open::incomplete(path, &mut missing)?;
        Ok((archive, missing))
    }

    /// Opens an archive in memory, as [`open`](Self::open) does for a file.
    ///
    /// # Errors
    /// The bytes are not an archive, or are damaged.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ArchiveError> {
        open::bytes(bytes)
    }

    /// Reads an archive from a stream, which must be at the archive's first byte. Reads the header and the TOC now.
    /// [`next_block`](Self::next_block) reads the data.
    ///
    /// # Errors
    /// The stream cannot be read, is not an archive that a stream can hold, or is damaged in the part that is read
    /// here.
    pub fn from_stream(input: impl Read + Send + 'static) -> Result<Self, ArchiveError> {
        open::stream(Box::new(input), None)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The entries in the TOC's order, which is the order to restore them in. For a plain script in a stream these
    /// are the entries read so far; see [`has_all_entries`](Self::has_all_entries).
    pub fn entries(&self) -> &[Entry] {
        self.shown.as_ref().map_or(&self.toc.entries, |shown| &shown.entries)
    }

    /// The entry with this dump ID.
    pub fn entry(&self, id: DumpId) -> Option<&Entry> {
        match &self.shown {
            Some(shown) => shown.get(id),
            None => self.toc.get(id),
        }
    }

    /// The entries in the TOC's order, including those that [`show`](Self::show) has hidden.
    pub fn all_entries(&self) -> &[Entry] {
        &self.toc.entries
    }

    /// Shows only these entries from now on, in this order: [`entries`](Self::entries) and [`entry`](Self::entry) know no
    /// others. Data can be read as before. Entries that a plain script in a stream adds later stay hidden until the next
    /// call.
    pub fn show(&mut self, entries: Vec<Entry>) {
        self.shown = Some(Shown::new(entries));
    }

    /// Shows all entries again, in the TOC's order.
    pub fn show_all(&mut self) {
        self.shown = None;
    }

    /// The entries as `pg_restore --list` shows them.
    pub fn listing(&self) -> Listing<'_> {
        Listing::new(self)
    }

    /// The encoding of the archive's texts and data, by PostgreSQL's name (`UTF8`, `LATIN1` ...).
    pub fn encoding(&self) -> Option<&str> {
        self.toc.session.encoding.as_deref()
    }

    /// Whether backslashes in the SQL's plain string literals stand for themselves.
    pub fn standard_conforming_strings(&self) -> bool {
        self.toc.session.standard_conforming_strings
    }

    /// How the string literals of the archive's SQL are read.
    pub fn strings(&self) -> sql::StandardStrings {
        if self.standard_conforming_strings() { sql::StandardStrings::On } else { sql::StandardStrings::Off }
    }

    /// The statement that sets the search path for the archive's SQL. Archives older than 1.13 do not have it: set
    /// the path to the namespace of each entry instead.
    pub fn search_path_statement(&self) -> Option<&ArchiveText> {
        self.toc.session.search_path_statement.as_ref()
    }

    /// Converts each text of the TOC that is not plain ASCII with `to_utf8`. Afterwards [`ArchiveText::to_str`]
    /// cannot fail for any entry. Data blocks and the header stay in the archive's encoding.
    ///
    /// # Errors
    /// `to_utf8` returned an error, which says why the bytes are not valid. Texts before that one are already
    /// converted.
    pub fn transcode(
        &mut self,
        to_utf8: &mut dyn FnMut(&[u8]) -> Result<String, String>,
    ) -> Result<(), ArchiveError> {
        for entry in self.every_entry() {
            let mut texts = entry.texts_mut();
            let failed = texts.find_map(|(field, text)| Some((field, transcode_text(text, to_utf8).err()?)));
            drop(texts);
            if let Some((field, reason)) = failed {
                return Err(ArchiveError::Transcode { entry: Box::new(entry.label()), field, reason });
            }
        }
        Ok(())
    }

    /// Frees the memory of the entries' statements: their `definition`, `drop_statement` and `copy_statement` become
    /// `None`. This is for a program that keeps the entries for long but no longer needs the statements.
    pub fn forget_statements(&mut self) {
        for entry in self.every_entry() {
            (entry.definition, entry.drop_statement, entry.copy_statement) = (None, None, None);
        }
    }

    fn every_entry(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.toc.entries.iter_mut().chain(self.shown.iter_mut().flat_map(|shown| &mut shown.entries))
    }

    /// Whether the archive is read from a stream, and so can be read only once.
    pub fn is_stream(&self) -> bool {
        !matches!(self.blocks, Blocks::File(_))
    }

    /// Whether all entries are known. Entries of a plain script in a stream come with its data.
    /// [`next_block`](Self::next_block) adds the entries before each block, and the remaining ones after the last
    /// block.
    pub fn has_all_entries(&self) -> bool {
        match &self.blocks {
            Blocks::Script(blocks) => blocks.lock().unwrap_or_else(PoisonError::into_inner).has_ended(),
            Blocks::File(_) | Blocks::Stream(_) | Blocks::Tar(_) => true,
        }
    }

    /// Reads a plain script in a stream up to the next data, and adds the entries before them. Returns the entry that
    /// the data belong to; the next call of [`next_block`](Self::next_block) returns the data. Returns `None` after
    /// the last data, and for other archives.
    ///
    /// # Errors
    /// The script cannot be read any further, or has something that pg_dump does not write.
    pub fn read_entries(&mut self) -> Result<Option<DumpId>, ArchiveError> {
        match &mut self.blocks {
            Blocks::Script(blocks) => exclusive(blocks).advance(&mut self.toc),
            Blocks::File(_) | Blocks::Stream(_) | Blocks::Tar(_) => Ok(None),
        }
    }

    /// Whether to read blocks in the archive's order, with [`next_block`](Self::next_block). In a file that is
    /// compressed as a whole, each call of [`block`](Self::block) unpacks everything before it. Always true for a
    /// stream, which has no other order.
    pub fn is_sequential(&self) -> bool {
        match &self.blocks {
            Blocks::File(blocks) => blocks.is_sequential(),
            Blocks::Stream(_) | Blocks::Tar(_) | Blocks::Script(_) => true,
        }
    }

    /// Size of the archive in bytes; unpacked, if the file is compressed as a whole. `None` for a stream.
    pub fn size(&self) -> Option<u64> {
        match &self.blocks {
            Blocks::File(blocks) => blocks.size(),
            Blocks::Stream(_) | Blocks::Tar(_) | Blocks::Script(_) => None,
        }
    }

    /// A counter of the bytes that have been read, for progress.
    pub fn bytes_read(&self) -> BytesRead {
        self.read.clone()
    }

    /// The kind of data after the last block. For a stream it is known only once [`next_block`](Self::next_block) has
    /// returned `None`.
    pub fn tail(&self) -> Option<Tail> {
        match &self.blocks {
            Blocks::File(blocks) => Some(blocks.tail()),
            Blocks::Stream(blocks) => blocks.lock().unwrap_or_else(PoisonError::into_inner).tail(),
            Blocks::Tar(blocks) => blocks.lock().unwrap_or_else(PoisonError::into_inner).tail(),
            Blocks::Script(blocks) => {
                let has_ended = blocks.lock().unwrap_or_else(PoisonError::into_inner).has_ended();
                has_ended.then_some(Tail::Nothing)
            }
        }
    }

    /// Whether the entry exists and owns a data block.
    pub fn has_data(&self, id: DumpId) -> bool {
        self.entry(id).is_some_and(Entry::has_data)
    }

    /// Size in bytes of an entry's data block in the archive; `None` for an entry without one, and for a stream.
    pub fn stored_bytes(&self, id: DumpId) -> Option<u64> {
        match &self.blocks {
            Blocks::File(blocks) => blocks.stored_bytes(id),
            Blocks::Stream(_) | Blocks::Tar(_) | Blocks::Script(_) => None,
        }
    }

    /// The dump IDs of the data blocks of a file, in the file's order. Empty for a stream.
    pub fn block_order(&self) -> Vec<DumpId> {
        match &self.blocks {
            Blocks::File(blocks) => blocks.ids().collect(),
            Blocks::Stream(_) | Blocks::Tar(_) | Blocks::Script(_) => Vec::new(),
        }
    }

    /// Opens the data block of an entry, from its start. Blocks of a file can be read in any order, as often
    /// as needed, and from several threads at once.
    ///
    /// # Errors
    /// The entry does not exist or has no data, or the archive is a stream.
    pub fn block(&self, id: DumpId) -> Result<Block<'static>, ArchiveError> {
        let entry = self.toc.get(id).ok_or(ArchiveError::NoSuchEntry(id))?;
        match &self.blocks {
            Blocks::File(blocks) => Ok(blocks.block(entry)?.into()),
            Blocks::Stream(_) | Blocks::Tar(_) | Blocks::Script(_) => Err(ArchiveError::StreamOrder),
        }
    }

    /// The next data block in the archive's own order, and the dump ID of its entry; `None` after the last. Skips the
    /// unread rest of the block before.
    ///
    /// # Errors
    /// The archive is damaged. Or it is a stream that ends without the data of an entry.
    pub fn next_block(&mut self) -> Result<Option<(DumpId, Block<'_>)>, ArchiveError> {
        match &mut self.blocks {
            Blocks::Stream(blocks) => Ok(exclusive(blocks).next(&self.toc)?.map(block_of)),
            Blocks::Tar(blocks) => Ok(exclusive(blocks).next(&self.toc)?.map(block_of)),
            Blocks::Script(blocks) => Ok(exclusive(blocks).next(&mut self.toc)?.map(block_of)),
            Blocks::File(blocks) => {
                let Some(id) = blocks.next_id() else { return Ok(None) };
                let entry = self.toc.get(id).ok_or(ArchiveError::NoSuchEntry(id))?;
                Ok(Some((id, blocks.block_of_pass(entry)?.into())))
            }
        }
    }
}

fn exclusive<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// The common form of a block of any format.
fn block_of<'a>((id, block): (DumpId, impl Into<Block<'a>>)) -> (DumpId, Block<'a>) {
    (id, block.into())
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
