//! Reads one data block to its end and checks its contents.

use super::ahead::each_piece;
use super::expectation::{Expectations, Form};
use super::fault::Fault;
use super::inserts::InsertScanner;
use super::rows::RowScanner;
use super::threads::Threads;
use crate::archive::{
    Archive, ArchiveError, Block, DataReader, DumpId, EntryLabel, LargeObjectsReader, WIDE_WINDOW,
};
use crate::sql::QualifiedName;
use std::sync::{Mutex, PoisonError};

/// How many bytes of a large object are decompressed at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The most bytes of a large object: 2^31 pages of 2 KiB (`MAX_LARGE_OBJECT_SIZE` of PostgreSQL). An object that
/// decompresses to more is a decompression bomb.
const MAX_LARGE_OBJECT_BYTES: u64 = 4 << 40;

/// The contents of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The number of rows, for a table.
    pub(crate) rows: u64,
    /// The number of bytes, decompressed.
    pub(crate) bytes: u64,
    /// The OIDs of the large objects.
    pub(crate) large_objects: Vec<u32>,
}

/// A fault in a block, perhaps before its place in the file is known.
enum Found {
    Fault(Fault),
    /// The number of decompressed bytes in the data before the fault.
    At(u64, Box<dyn FnOnce(Option<u64>) -> Fault>),
}

impl<T: Into<Fault>> From<T> for Found {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

/// Checks the blocks of one archive.
pub(crate) struct BlockChecker<'a> {
    pub(crate) expectations: &'a Expectations,
    /// Called after each piece; can stop the reading by an error.
    pub(crate) each_piece: &'a (dyn Fn() -> Result<(), Fault> + Sync),
    /// If a thread is free, a large table is decompressed on a separate thread.
    pub(super) threads: &'a Threads,
    /// Held while a stream with a wide window is decompressed. Only one at a time is allowed, or memory would grow
    /// with the threads.
    pub(crate) wide: &'a Mutex<()>,
}

impl BlockChecker<'_> {
    /// Reads `block`, which belongs to the entry `label`. `again` opens the block again, to find the place of a fault
    /// in the file.
    pub(crate) fn check(
        &self,
        label: &EntryLabel,
        block: Block<'_>,
        again: Option<&Archive>,
    ) -> Result<Checked, Fault> {
        let (block, is_wide) = is_wide(block)?;
        let busy = self.threads.begin();
        let alone = || busy.wait(|| self.wide.lock().unwrap_or_else(PoisonError::into_inner));
        let _alone = is_wide.then(alone);
        let checked = match (block, self.expectations.form(label.dump_id)) {
            (Block::LargeObjects(objects), _) => self.large_objects(label, objects),
            (Block::Data(data), Form::Rows { fields }) => self.rows(label, data, *fields),
            (Block::Data(data), Form::Inserts { table }) => self.inserts(label, data, Some(table)),
            (Block::Data(data), Form::Sql | Form::LargeObjects) => self.inserts(label, data, None),
        };
        checked.map_err(|found| match found {
            Found::Fault(fault) => fault,
            Found::At(offset, fault) => {
                fault(again.and_then(|archive| file_offset(archive, label.dump_id, offset)))
            }
        })
    }

    fn rows(&self, label: &EntryLabel, data: DataReader<'_>, fields: usize) -> Result<Checked, Found> {
        let mut scanner = RowScanner::new(fields, self.expectations.encoding);
        let mut bytes = 0;
        let found = |at: super::rows::FaultAt| {
            let entry = Box::new(label.clone());
            let (fault, row, offset) = (at.fault, at.row, at.offset);
            let fault = move |file_offset| Fault::Row { fault, entry, row, offset, file_offset };
            Found::At(offset, Box::new(fault))
        };
        let left = each_piece::<Found>(data, self.threads, &mut |piece| {
            let done = scanner.scan(piece).map_err(found)?;
            bytes += to_u64(done);
            (self.each_piece)()?;
            Ok(done)
        })?;
        bytes += to_u64(left.len());
        let rows = scanner.finish(&left).map_err(found)?;
        Ok(Checked { rows, bytes, ..Checked::default() })
    }

    fn inserts(
        &self,
        label: &EntryLabel,
        data: DataReader<'_>,
        table: Option<&QualifiedName>,
    ) -> Result<Checked, Found> {
        let mut scanner = InsertScanner::new(self.expectations, table);
        let mut bytes = 0;
        let found = |at: super::inserts::InsertFaultAt| {
            let entry = Box::new(label.clone());
            let (fault, row, offset) = (at.fault, at.row, at.offset);
            let fault = move |file_offset| Fault::Insert { fault, entry, row, offset, file_offset };
            Found::At(offset, Box::new(fault))
        };
        each_piece::<Found>(data, self.threads, &mut |piece| {
            scanner.scan(piece).map_err(found)?;
            bytes += to_u64(piece.len());
            (self.each_piece)()?;
            Ok(piece.len())
        })?;
        let rows = scanner.finish().map_err(found)?;
        Ok(Checked { rows, bytes, ..Checked::default() })
    }

    fn large_objects(
        &self,
        label: &EntryLabel,
        mut objects: LargeObjectsReader<'_>,
    ) -> Result<Checked, Found> {
        let mut checked = Checked::default();
        let mut buffer = Vec::with_capacity(PIECE_BYTES);
        while let Some(oid) = objects.next_object()? {
            let mut size = 0;
            loop {
                buffer.clear();
                let read = to_u64(objects.read_into(&mut buffer, PIECE_BYTES)?);
                if read == 0 {
                    break;
                }
                size += read;
                if size > MAX_LARGE_OBJECT_BYTES {
                    let (entry, limit) = (Box::new(label.clone()), MAX_LARGE_OBJECT_BYTES);
                    return Err(Fault::LargeObjectTooLarge { oid: oid.0, entry, limit }.into());
                }
                (self.each_piece)()?;
            }
            checked.bytes += size;
            checked.large_objects.push(oid.0);
        }
        Ok(checked)
    }
}

/// Whether decompression needs much memory. Each large object is a separate stream, whose window is not known in
/// advance, so large objects count as wide.
fn is_wide(block: Block<'_>) -> Result<(Block<'_>, bool), ArchiveError> {
    match block {
        Block::Data(mut data) => {
            let window = data.zstd_window()?;
            Ok((Block::Data(data), window.is_none_or(|window| window > WIDE_WINDOW)))
        }
        Block::LargeObjects(objects) => Ok((Block::LargeObjects(objects), true)),
    }
}

/// The byte of the file that holds byte `offset` of an entry's data.
fn file_offset(archive: &Archive, id: DumpId, offset: u64) -> Option<u64> {
    let Ok(Block::Data(mut data)) = archive.block(id) else { return None };
    let mut left = offset.saturating_add(1);
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let read: Result<usize, ArchiveError> = data.read_into(&mut piece, length);
        match read.ok()? {
            // The fault is that the data ends here.
            0 => return data.file_offset(),
            read => left -= to_u64(read),
        }
    }
    data.file_offset().map(|next| next.saturating_sub(1))
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
